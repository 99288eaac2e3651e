from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.scattering import bragg_test, structure_factor
from haloflow.errors import AnalysisError

LJ_A = 3.0


def lennard_jones(n_atoms, *, hot, cold, n_steps, seed, density=0.85):
    """Run liquid argon by brute force: hold hot, then cool; return the last frames and cell."""
    rng = np.random.default_rng(seed)
    box = (n_atoms / density) ** (1 / 3)
    side = int(np.ceil(n_atoms ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)[:n_atoms]
    x = (grid + 0.5) * box / side + rng.normal(0.0, 0.05, (n_atoms, 3))
    v = rng.normal(size=x.shape)

    def force(x):
        apart = x[:, None] - x[None]
        apart -= box * np.rint(apart / box)
        squared = np.einsum("ijk,ijk->ij", apart, apart)
        np.fill_diagonal(squared, np.inf)
        inverse = np.where(squared < min(2.5, box / 2) ** 2, 1.0 / np.maximum(squared, 0.6), 0.0)
        strength = (48.0 * inverse**6 - 24.0 * inverse**3) * inverse
        return np.einsum("ij,ijk->ik", strength, apart)

    frames, pull, dt = [], force(x), 0.005
    for step in range(n_steps):
        v += 0.5 * dt * pull
        x = x + dt * v
        pull = force(x)
        v += 0.5 * dt * pull
        target = hot + (cold - hot) * min(1.0, max(0.0, 2.5 * step / n_steps - 1.0))
        v *= np.sqrt(target / (np.einsum("ij,ij->", v, v) / (3 * n_atoms)))
        if step >= 0.9 * n_steps and step % 10 == 0:
            frames.append(x * LJ_A)
    return np.array(frames), np.eye(3) * box * LJ_A


@pytest.mark.parametrize(
    "repeats", [(1, 1, 5), (2, 3, 1), (2, 2, 2), (3, 2, 2), (3, 3, 3)], ids=lambda r: 8 * np.prod(r)
)
@pytest.mark.parametrize("n_frames", [1, 10])
def test_rattled_rock_salt_has_bragg_peaks(nacl, repeats, n_frames):
    """From 40 to 216 atoms, with the vibrations of a hot crystal (0.25 A along each axis)."""
    positions, cell, species = nacl(repeats, rattle_a=0.25, n_frames=n_frames)
    found = bragg_test(structure_factor(positions, cell, species))
    assert found.has_peak
    assert found.q_inv_a == pytest.approx(2 * np.pi * 2 / 5.64, abs=0.01)


@pytest.mark.parametrize(("n_atoms", "cold"), [(42, 1.5), (64, 1.5), (42, 0.2), (64, 0.2)])
def test_liquid_and_quenched_argon_have_none(n_atoms, cold):
    positions, cell = lennard_jones(n_atoms, hot=2.0, cold=cold, n_steps=1500, seed=1)
    found = bragg_test(structure_factor(positions, cell, ["Ar"] * n_atoms))
    assert not found.has_peak
    assert found.ratio < 0.8 * found.threshold


def test_false_alarms_among_random_boxes_are_rare(triclinic):
    rng = np.random.default_rng(0)
    alarms = [
        bragg_test(
            structure_factor(rng.uniform(size=(42, 3)) @ triclinic, triclinic, ["Na"] * 42)
        ).has_peak
        for _ in range(200)
    ]
    assert sum(alarms) <= 1


def test_a_box_of_one_unit_cell_cannot_be_told_from_a_glass(triclinic):
    """A crystal whose only cell is the box: any 30 atoms without symmetry."""
    positions = np.random.default_rng(3).uniform(size=(30, 3)) @ triclinic
    species = ["Na"] * 30
    assert not bragg_test(structure_factor(positions, triclinic, species)).has_peak
    doubled = np.concatenate([positions, positions + triclinic[0]])
    twice = triclinic * [[2.0], [1.0], [1.0]]
    assert bragg_test(structure_factor(doubled, twice, species * 2)).has_peak


def test_the_structure_factor_is_that_of_the_debye_sum(triclinic):
    """Averaged over wave vectors of a large box, sin(qr)/(qr) of one pair of atoms."""
    box, apart = np.eye(3) * 60.0, 2.0
    found = structure_factor([[0, 0, 0], [apart, 0, 0]], box, ["O", "O"], q_max_inv_a=2.0)
    q, powder = found.powder(0.1)
    expected = 1.0 + np.sin(q * apart) / (q * apart)
    np.testing.assert_allclose(powder[5:], expected[5:], atol=0.05)


def test_heavy_atoms_scatter_with_their_number_of_electrons():
    box = np.eye(3) * 10.0
    found = structure_factor([[0, 0, 0], [5.0, 0, 0]], box, ["Na", "Cl"], q_max_inv_a=1.0)
    odd = found.hkl[:, 0] % 2 == 1
    norm = 11**2 + 17**2
    np.testing.assert_allclose(found.intensity[odd], (17 - 11) ** 2 / norm)
    np.testing.assert_allclose(found.intensity[~odd], (17 + 11) ** 2 / norm)
    only = structure_factor([[0, 0, 0], [5.0, 0, 0]], box, ["Na", "Cl"], only=["Cl"])
    np.testing.assert_allclose(only.intensity, 1.0)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.floats(-20.0, 20.0))
def test_wrapping_order_and_place_change_nothing(seed, shift, triclinic):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(size=(12, 3)) @ triclinic
    species = np.array(["Na"] * 5 + ["Cl"] * 7)
    order = rng.permutation(12)
    moved = (positions + rng.integers(-2, 3, (12, 3)) @ triclinic + shift)[order]
    first = structure_factor(positions, triclinic, species, q_max_inv_a=2.0)
    second = structure_factor(moved, triclinic, species[order], q_max_inv_a=2.0)
    np.testing.assert_allclose(second.intensity, first.intensity, atol=1e-8)


def test_a_range_without_wave_vectors_is_refused(nacl):
    positions, cell, species = nacl((1, 1, 1))
    with pytest.raises(AnalysisError, match=r"no wave vector .* q_max_inv_a=0\.5 for 1 frames"):
        structure_factor(positions, cell, species, q_max_inv_a=0.5)
