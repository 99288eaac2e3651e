from __future__ import annotations

import numpy as np
import pytest
from ase.data import atomic_numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.form_factors import form_factor
from haloflow.analysis.powder import crystal_pattern, glass_pattern
from haloflow.analysis.rdf import pair_distributions
from haloflow.analysis.xray import (
    TotalScattering,
    partial_structure_factors,
    reduced_pdf,
    scattering_direct,
    scattering_from_pairs,
    total_scattering,
)
from haloflow.errors import AnalysisError

BOND_A = 2.3


@pytest.fixture(scope="module")
def molecules(triclinic):
    """Return a gas of HfCl molecules, 2.3 A long, in a skewed cell: frames, cell, species."""
    rng = np.random.default_rng(0)
    cell = 2.0 * triclinic
    metal = rng.uniform(size=(60, 40, 3)) @ cell
    turn = rng.normal(size=metal.shape)
    turn *= BOND_A / np.linalg.norm(turn, axis=2, keepdims=True)
    return np.concatenate([metal, metal + turn], axis=1), cell, ["Hf"] * 40 + ["Cl"] * 40


def molecular(q):
    """Return S(q) and the intensity per atom of the gas of molecules."""
    metal, chlorine = form_factor("Hf", q), form_factor("Cl", q)
    interference = metal * chlorine * np.sinc(q * BOND_A / np.pi)
    return 1.0 + 4.0 * interference / (metal + chlorine) ** 2, (
        (metal**2 + chlorine**2) / 2 + interference
    )


@pytest.mark.parametrize("element", ["H", "O", "Na", "S", "Cl", "Br", "Y", "Zr", "Nb", "Hf", "Ta"])
def test_a_form_factor_counts_electrons_and_falls(element):
    f = form_factor(element, np.linspace(0.0, 25.0, 200))
    assert f[0] == pytest.approx(atomic_numbers[element], rel=8e-4)
    assert (np.diff(f) < 0).all()
    assert f[-1] > 0 or element == "H"


def test_form_factors_have_limits():
    with pytest.raises(AnalysisError, match=r"no X-ray form factor\. Given: Xx\. Allowed: H to"):
        form_factor("Xx", 1.0)
    with pytest.raises(AnalysisError, match=r"outside the table.*80 1/A\. Allowed: 0 to 75"):
        form_factor("Na", [1.0, 80.0])


@pytest.mark.parametrize("window", ["lorch", "none"])
def test_pairs_give_the_interference_of_a_molecule(molecules, window):
    """The sum over independent molecules leaves that of one; noise falls with the window."""
    q = np.linspace(1.0, 20.0, 150)
    found = scattering_from_pairs(
        pair_distributions(*molecules, r_max_a=6.0, n_bins=300), q, window=window
    )
    expected, intensity = molecular(q)
    if window == "lorch":
        bond = BOND_A / 6.0
        expected = 1.0 + (expected - 1.0) * np.sinc(bond)
    off = (found.s - expected) / found.s_sd
    assert np.sqrt((off**2).mean()) < 2.0
    np.testing.assert_allclose(found.s, expected, atol=0.08)
    if window == "none":
        np.testing.assert_allclose(found.intensity_e2_per_atom, intensity, rtol=0.1)


def test_wave_vectors_give_the_same_and_join(molecules):
    low = scattering_direct(*molecules, q_max_inv_a=4.0, width_inv_a=0.2)
    expected, intensity = molecular(low.q_inv_a)
    many = low.q_inv_a > 1.0
    np.testing.assert_allclose(low.s[many], expected[many], atol=0.1)
    np.testing.assert_allclose(low.intensity_e2_per_atom[many], intensity[many], rtol=0.1)
    both = total_scattering(*molecules, q_max_inv_a=12.0, q_join_inv_a=4.0, window="none")
    above = both.q_inv_a > 2.0
    np.testing.assert_allclose(both.s[above], molecular(both.q_inv_a[above])[0], atol=0.12)
    assert both.q_inv_a[-1] == pytest.approx(12.0, abs=0.02)
    assert "wave vectors of the box up to 4 1/A, then g(r) to " in both.method
    assert np.isfinite(both.s_sd).all()


def test_an_ideal_gas_scatters_alike_everywhere(triclinic):
    rng = np.random.default_rng(1)
    positions = rng.uniform(size=(100, 60, 3)) @ (2 * triclinic)
    species = ["Na"] * 20 + ["Cl"] * 40
    found = pair_distributions(positions, 2 * triclinic, species, r_max_a=7.0, n_bins=140)
    for (a, b), s in partial_structure_factors(found, np.linspace(0.5, 10, 40)).items():
        np.testing.assert_allclose(s[0], 1.0, atol=0.25, err_msg=f"{a}-{b}")
    flat = glass_pattern(
        positions, 2 * triclinic, species, two_theta_deg=np.arange(10.0, 40.0, 0.5)
    )
    mean = (form_factor("Na", flat.q_inv_a) ** 2 + 2 * form_factor("Cl", flat.q_inv_a) ** 2) / 3
    polarised = mean * (1 + np.cos(np.radians(flat.two_theta_deg)) ** 2) / 2
    np.testing.assert_allclose(flat.intensity_e2_per_atom, polarised, rtol=0.12)


@pytest.mark.parametrize(("window", "q_max"), [("none", 15.0), ("lorch", 15.0), ("lorch", 22.0)])
def test_the_reduced_function_is_the_transform_of_the_measured_range(window, q_max):
    """S(q) - 1 = sin(q d) / (q d) has a transform in closed form; Lorch smooths it."""
    q = np.arange(0.01, 22.0 + 1e-9, 0.01)
    s = 1.0 + np.sinc(q * BOND_A / np.pi)
    flat = TotalScattering(q, s, np.full(len(q), 0.01), np.ones(len(q)), "formula")
    r = np.linspace(1.0, 6.0, 251)
    found = reduced_pdf(flat, r, q_max_inv_a=q_max, window=window)

    def sharp(x):
        plus, minus = x + BOND_A, x - BOND_A
        waves = np.sinc(q_max * minus / np.pi) - np.sinc(q_max * plus / np.pi)
        return q_max * waves / (np.pi * BOND_A)

    shift = np.pi / q_max * np.linspace(-1.0, 1.0, 401)
    smooth = np.mean([sharp(r + step) for step in shift], axis=0)
    expected = sharp(r) if window == "none" else smooth
    np.testing.assert_allclose(found.g_inv_a2, expected, atol=0.01 * expected.max())
    assert r[found.g_inv_a2.argmax()] == pytest.approx(BOND_A, abs=0.05)
    assert (found.g_sd_inv_a2 > 0).all()
    damped = reduced_pdf(flat, r, q_max_inv_a=q_max, window=window, q_damp_inv_a=0.1)
    np.testing.assert_allclose(damped.g_inv_a2, found.g_inv_a2 * np.exp(-0.005 * r**2))


def test_a_transform_needs_its_range(molecules):
    found = scattering_direct(*molecules, q_max_inv_a=2.0)
    with pytest.raises(AnalysisError, match=r"does not span.*Given: 0 to 20 1/A\. Allowed: within"):
        reduced_pdf(found, [2.0], q_max_inv_a=20.0)
    with pytest.raises(AnalysisError, match=r"does not span.*Given: 1\.99 to 1\.95 1/A"):
        reduced_pdf(found, [2.0], q_min_inv_a=1.99, q_max_inv_a=2.0 - 0.05)
    with pytest.raises(AnalysisError, match="unknown window"):
        reduced_pdf(found, [2.0], window="hann")


ANGLES = np.arange(12.0, 60.0, 0.05)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 100))
def test_a_pattern_does_not_depend_on_the_cell_it_is_computed_from(seed, nacl):
    positions, cell, species = nacl((1, 1, 1))
    one = crystal_pattern(positions[0], cell, species, two_theta_deg=ANGLES)
    positions, cell, species = nacl((2, 1, 2))
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    images = rng.integers(-1, 2, positions[0].shape) @ cell
    moved = (positions[0] + images + rng.normal(size=3)) @ turn
    two = crystal_pattern(moved, cell @ turn, species, two_theta_deg=ANGLES)
    scale = one.intensity_e2_per_atom.max()
    np.testing.assert_allclose(
        two.intensity_e2_per_atom, one.intensity_e2_per_atom, atol=1e-6 * scale
    )


def test_crystal_and_glass_stand_on_one_scale(nacl):
    """Blurred alike, the reflections of a crystal and the mean over its box are one curve."""
    positions, cell, species = nacl((3, 3, 3), rattle_a=0.3, n_frames=3)
    angles = np.arange(35.0, 60.0, 1.0)
    crystal = crystal_pattern(positions, cell, species, two_theta_deg=angles, width_inv_a=1.2)
    glass = glass_pattern(positions, cell, species, two_theta_deg=angles, width_inv_a=1.2)
    np.testing.assert_allclose(
        crystal.intensity_e2_per_atom, glass.intensity_e2_per_atom, rtol=0.12
    )


def test_bad_patterns_are_refused(nacl):
    positions, cell, species = nacl((1, 1, 1))
    for angles in ([20.0, 10.0], [0.0, 10.0], [20.0, 180.0], []):
        with pytest.raises(AnalysisError, match="needs increasing angles and a wavelength"):
            crystal_pattern(positions, cell, species, two_theta_deg=angles)
    with pytest.raises(AnalysisError, match=r"below the smallest wave vector.*up to 5 degrees"):
        glass_pattern(positions, cell, species, two_theta_deg=[4.0, 5.0], width_inv_a=0.4)
