from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

from haloflow.analysis.environment import SHAPE_LIMIT, ion_environment
from haloflow.analysis.shape_kernels import (
    OCTAHEDRON,
    TRIGONAL_PRISM,
    assignments,
    shape_measures,
)
from haloflow.errors import AnalysisError
from haloflow.systems.phases import get_phase

SHAPES = {"octahedron": OCTAHEDRON, "prism": TRIGONAL_PRISM}
OCTAHEDRON_TO_PRISM = 16.737
"""Shape measure of a regular octahedron against the prism: Alvarez et al. (2002)."""


def measure(bonds, shape):
    return shape_measures(np.atleast_3d(bonds).reshape(-1, 6, 3), SHAPES[shape], assignments(shape))


def environment_of(phase_id):
    structure = get_phase(phase_id).structure()
    species = [site.specie.symbol for site in structure]
    return ion_environment(structure.cart_coords, structure.lattice.matrix, species)


def gas_of(ideal, rattle_a, seed=0, n_ions=30, n_frames=10):
    """Return Na ions far apart, each in a turned and rattled polyhedron."""
    rng = np.random.default_rng(seed)
    centre = 20.0 * np.arange(n_ions)[:, None] * [1.0, 0.0, 0.0]
    turns = Rotation.random(n_ions, rng=seed).as_matrix()
    around = centre[:, None] + 2.8 * np.einsum("kj,nij->nki", ideal, turns)
    ideal_positions = np.concatenate([centre, around.reshape(-1, 3)])
    noise = rng.normal(0.0, rattle_a, (n_frames, *ideal_positions.shape))
    species = ["Na"] * n_ions + ["Cl"] * 6 * n_ions
    return ideal_positions + noise, np.diag([20.0 * n_ions, 20.0, 20.0]), species


def test_ideal_shapes_measure_what_was_published():
    for shape, ideal in SHAPES.items():
        np.testing.assert_allclose(np.linalg.norm(ideal, axis=1), 1.0)
        assert measure(ideal, shape) == pytest.approx(0.0, abs=1e-9)
    assert measure(TRIGONAL_PRISM, "octahedron") == pytest.approx(OCTAHEDRON_TO_PRISM, abs=1e-3)
    assert measure(OCTAHEDRON, "prism") == pytest.approx(OCTAHEDRON_TO_PRISM, abs=1e-3)
    assert (len(assignments("octahedron")), len(assignments("prism"))) == (15, 60)


def test_measures_are_the_least_over_all_orders_of_the_vertices():
    rng = np.random.default_rng(0)
    orders = np.array(list(permutations(range(6))))
    for shape, ideal in SHAPES.items():
        vertices = np.concatenate([[[0.0, 0.0, 0.0]], ideal])
        for scale in (0.2, 1.5):
            bonds = ideal + rng.normal(0.0, scale, (6, 3))
            points = np.concatenate([[[0.0, 0.0, 0.0]], bonds])
            points -= points.mean(axis=0)
            best = max(
                orthogonal_procrustes(points, vertices[[0, *(1 + order)]])[1] for order in orders
            )
            expected = 100.0 * (1.0 - best**2 / np.square(points).sum() / 6.0)
            assert measure(bonds, shape) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.floats(0.1, 10.0))
def test_measures_ignore_turns_mirrors_size_and_order(seed, size):
    rng = np.random.default_rng(seed)
    bonds = rng.normal(size=(6, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    changed = size * (bonds @ turn)[rng.permutation(6)]
    for shape in SHAPES:
        assert measure(changed, shape) == pytest.approx(measure(bonds, shape), abs=1e-8)
        assert 0.0 <= measure(bonds, shape)[0] <= 100.0


def test_a_twist_leads_from_prism_to_octahedron():
    twists = np.linspace(0.0, np.pi / 3, 7)
    top, bottom = TRIGONAL_PRISM[:3], TRIGONAL_PRISM[3:]
    bonds = np.array(
        [np.concatenate([Rotation.from_euler("z", angle).apply(top), bottom]) for angle in twists]
    )
    prism, octahedron = measure(bonds, "prism"), measure(bonds, "octahedron")
    assert (np.diff(prism) > 0).all()
    assert (np.diff(octahedron) < 0).all()
    assert octahedron[-1] < 1.2  # compressed along the axis by the prism's square sides


@pytest.mark.parametrize("rattle_a", [0.0, 0.15, 0.3])
@pytest.mark.parametrize(
    ("ideal", "name"), [(OCTAHEDRON, "octahedral"), (TRIGONAL_PRISM, "prismatic")]
)
def test_rattled_polyhedra_are_recognised(ideal, name, rattle_a):
    found = ion_environment(*gas_of(ideal, rattle_a))
    assert getattr(found, name).value > 0.99
    assert found.octahedral.value + found.prismatic.value + found.other.value == pytest.approx(1.0)


def test_random_surroundings_are_other():
    rng = np.random.default_rng(1)
    bonds = rng.normal(size=(2000, 6, 3))
    bonds /= np.linalg.norm(bonds, axis=2, keepdims=True)
    nearer = np.minimum(measure(bonds, "octahedron"), measure(bonds, "prism"))
    assert (nearer > SHAPE_LIMIT).mean() > 0.98


@pytest.mark.parametrize(
    ("phase_id", "octahedral", "prismatic"),
    [
        ("NaCl_B1", 1, 0),
        ("Na3YCl6_P21n", 1 / 3, 2 / 3),  # cryolite type: Na1 octahedral, Na2 prismatic
        ("Na2ZrCl6_P21n", 0, 1),  # the same without the octahedral Na
        ("NaTaCl6_P21c", 0, 1),  # Na on prismatic sites, as reported
        ("Na3YCl6_R-3", 1, 0),
        ("NaTaOCl4_Cmc21", 1, 0),
        ("Na2ZrCl6_P-3m1_K2GeF6", 0, 0),  # nine- to twelve-fold
    ],
)
def test_crystals_of_the_library(phase_id, octahedral, prismatic):
    found = environment_of(phase_id)
    assert found.octahedral.value == pytest.approx(octahedral)
    assert found.prismatic.value == pytest.approx(prismatic)
    assert found.other.value == pytest.approx(1 - octahedral - prismatic)


def test_coordination_by_each_anion():
    found = environment_of("Na3OCl_Pm-3m")
    assert found.coordination["O"].value == 2.0
    assert found.coordination["Cl"].value == 4.0
    assert found.in_nearest_six == {"O": 2.0, "Cl": 4.0}
    assert found.cutoffs_a == {"O": 3.2, "Cl": 3.8}


def test_shares_move_with_the_limit(nacl):
    positions, cell, species = nacl((2, 2, 2), rattle_a=0.35, n_frames=8)
    found = ion_environment(positions, cell, species, limit=5.0)
    low, high = found.sensitivity[3.0], found.sensitivity[7.0]
    assert low[1] < found.octahedral.value < high[1]
    assert 0.0 <= found.octahedral.lower < found.octahedral.value < found.octahedral.upper <= 1.0
    assert found.kind.shape == found.octahedron_measure.shape == (8, 32)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_frame_images_order_and_supercell_change_nothing(seed, nacl):
    rng = np.random.default_rng(seed)
    positions, cell, species = nacl((1, 1, 1), rattle_a=0.4, seed=seed)
    before = ion_environment(positions, cell, species)
    turn = Rotation.random(rng=seed).as_matrix()
    order = rng.permutation(8)
    moved = positions + rng.integers(-2, 3, positions.shape) @ cell + rng.normal(size=3)
    twice = np.concatenate([moved[:, order], moved[:, order] + cell[0]], axis=1)
    after = ion_environment(
        twice @ turn, (cell * [[2.0], [1.0], [1.0]]) @ turn, np.tile(np.array(species)[order], 2)
    )
    np.testing.assert_allclose(
        np.sort(after.prism_measure[0])[::2], np.sort(before.prism_measure[0]), atol=1e-4
    )
    assert after.octahedral.value == pytest.approx(before.octahedral.value)
    assert after.coordination["Cl"].value == pytest.approx(before.coordination["Cl"].value)


def test_bad_requests_are_refused(nacl):
    positions, cell, species = nacl((1, 1, 1))
    with pytest.raises(AnalysisError, match=r"does not occur .* Given: Li"):
        ion_environment(positions, cell, species, mobile="Li")
    with pytest.raises(AnalysisError, match=r"no anion .* Given: Cl, Na\. Allowed: Br"):
        ion_environment(positions, cell, species, anions=["Br"])
    with pytest.raises(AnalysisError, match=r"an anion has no bond cutoff\. Given: Cl"):
        ion_environment(positions, cell, species, cutoffs_a={"O": 3.0})
    with pytest.raises(AnalysisError, match=r"fewer than six anions .*2 within 16 A"):
        ion_environment([[0, 0, 0], [2.8, 0, 0], [0, 2.8, 0]], np.eye(3) * 60, ["Na", "Cl", "Cl"])
    broken = np.repeat(positions, 3, axis=0)
    broken[2, 4] = np.inf
    with pytest.raises(AnalysisError, match=r"not finite.*first in frame 2"):
        ion_environment(broken, cell, species)
