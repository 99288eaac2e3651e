"""Crystal models: composition kept, limits met, images far apart."""

import numpy as np
import pytest

from haloflow.errors import CompositionError, InputError
from haloflow.systems.crystals import crystal_model
from haloflow.systems.phases import get_phase, load_phases

TARGETS = [phase.id for phase in load_phases().values() if phase.role == "target"]


def image_distance_a(structure):
    steps = np.stack(np.meshgrid(*[range(-2, 3)] * 3), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(steps[np.any(steps != 0, axis=1)] @ structure.lattice.matrix, axis=1)
    return lengths.min()


@pytest.mark.parametrize("phase_id", [*TARGETS, "NaTaCl6_P21c", "Na2HfCl6_P21n", "NaCl_B1"])
def test_supercells_keep_composition_density_and_symmetry(phase_id):
    phase = get_phase(phase_id)
    for limits in ({}, {"max_atoms": 64}, {"min_atoms": 100}, {"min_mobile": 24}):
        model = crystal_model(phase, **limits)
        assert model.composition.reduced_formula == phase.composition.reduced_formula
        assert model.volume / len(model) == pytest.approx(phase.volume_a3_per_atom)
        assert len(model) <= limits.get("max_atoms", len(model))
        assert len(model) >= limits.get("min_atoms", 0)
        assert model.composition["Na"] >= limits.get("min_mobile", 0)
        assert model.get_space_group_info(1e-3)[1] == phase.space_group.number


def test_without_limits_the_conventional_cell_is_returned():
    assert len(crystal_model(get_phase("NaTaOCl4_Cm"))) == 28


def test_cells_below_the_conventional_one_are_primitive():
    assert len(crystal_model(get_phase("NaTaOCl4_Cm"), max_atoms=20)) == 14
    assert len(crystal_model(get_phase("NaCl_B1"), max_atoms=7)) == 2


def test_a_small_cell_of_chains_takes_axes_with_far_images():
    phase = get_phase("NaTaOCl4_Cm")
    assert image_distance_a(phase.structure()) == pytest.approx(3.84, abs=0.01)
    model = crystal_model(phase, max_atoms=32)
    assert len(model) == 28
    assert image_distance_a(model) > 6.6


def test_large_cells_keep_the_axes_and_come_near_a_cube():
    phase = get_phase("NaTaOCl4_Cm")
    model = crystal_model(phase, min_mobile=24)
    assert len(model) == 224
    np.testing.assert_allclose(model.lattice.angles, phase.structure().lattice.angles)
    assert max(model.lattice.abc) / min(model.lattice.abc) < 2
    rock_salt = crystal_model(get_phase("NaCl_B1"), min_atoms=200)
    assert len(set(np.round(rock_salt.lattice.abc, 6))) == 1


def test_two_limits_hold_together():
    model = crystal_model(get_phase("NaTaCl6_P21c"), min_atoms=60, max_atoms=130)
    assert 60 <= len(model) <= 130


@pytest.mark.parametrize(
    ("phase_id", "limits", "kind", "message"),
    [
        (
            "Na2.25Y0.25Zr0.75Cl6_ordered",
            {"max_atoms": 32},
            InputError,
            (
                "no supercell of Na2.25Y0.25Zr0.75Cl6_ordered fits the limits. Given: at most "
                "32 atoms, at least 1. Allowed: multiples of the primitive cell's 37 atoms."
            ),
        ),
        ("NaCl_B1", {"max_atoms": 0}, InputError, "max_atoms of a crystal model is not positive"),
        ("TaCl5_C2m", {"min_mobile": 4}, CompositionError, "phase TaCl5_C2m holds no Na"),
    ],
)
def test_limits_that_cannot_be_met_are_errors(phase_id, limits, kind, message):
    with pytest.raises(kind) as caught:
        crystal_model(get_phase(phase_id), **limits)
    assert message in str(caught.value)
    assert "What to do: " in str(caught.value)
