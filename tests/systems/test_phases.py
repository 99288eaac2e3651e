"""Every phase of the library is rebuilt and compared with what it claims to be."""

import numpy as np
import pytest
import spglib
from pymatgen.core import Composition

from haloflow.errors import InputError, UnknownNameError
from haloflow.systems.phases import (
    REFERENCE_LEVEL,
    get_phase,
    load_phases,
    phases_within,
    read_phases,
    reference_polymorph,
)

SHORTEST_BOND_A = {"O2_alpha": 1.15, "NaO2_Pnnm": 1.2, "NaO2_Pa-3": 1.2, "NaO3_Imm2": 1.2}
HYPOTHETICAL = 10
TARGETS = 7


@pytest.mark.parametrize("phase_id", load_phases())
def test_every_phase_is_rebuilt_with_its_space_group_and_composition(phase_id):
    phase = get_phase(phase_id)
    structure = phase.structure()
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    assert spglib.get_symmetry_dataset(cell, symprec=1e-3).number == phase.space_group.number
    assert structure.composition.reduced_formula == phase.composition.reduced_formula
    assert len(structure) == phase.n_atoms
    assert structure.volume / len(structure) == pytest.approx(phase.volume_a3_per_atom)
    distances = structure.distance_matrix[np.triu_indices(len(structure), k=1)]
    assert distances.min(initial=np.inf) > SHORTEST_BOND_A.get(phase_id, 1.35)
    assert REFERENCE_LEVEL in phase.energy_per_atom_ev


def test_the_library_is_complete():
    roles = [phase.role for phase in load_phases().values()]
    assert len(roles) == 109
    assert roles.count("hypothetical") == HYPOTHETICAL
    assert roles.count("target") == TARGETS


def test_a_hexagonal_site_given_as_thirds_is_merged_onto_its_special_position():
    zirconium = get_phase("Zr_hcp").structure()
    assert len(zirconium) == 2
    np.testing.assert_allclose(np.sort(zirconium.frac_coords[:, 0]), [1 / 3, 2 / 3], atol=1e-9)


def test_a_site_off_its_wyckoff_position_is_refused():
    phase = get_phase("NaCl_B1")
    moved = phase.sites[0].model_copy(update={"xyz": (0.1, 0.0, 0.0)})
    broken = phase.model_copy(update={"sites": (moved, phase.sites[1])})
    with pytest.raises(InputError) as caught:
        broken.structure()
    assert str(caught.value) == (
        "the Na site of phase NaCl_B1 is off its Wyckoff position. "
        "Given: 4a at (0.1, 0.0, 0.0), which has 24 images. Allowed: 4 images. "
        "What to do: correct the coordinates, the Wyckoff letter or the Hall number."
    )


def test_an_unknown_phase_is_an_error_with_suggestions():
    with pytest.raises(
        UnknownNameError, match=r"unknown phase\. Given: NaTaCl6_P21n\..*NaTaCl6_P21c"
    ):
        get_phase("NaTaCl6_P21n")


def test_cautions_name_searched_hypothetical_and_unverified_models():
    assert get_phase("NaTaCl6_P21c").caution == "searched model, not a measured structure"
    assert "framework of an isotype" in get_phase("NaTaOCl4_Cm").caution
    assert get_phase("NaTaCl6_R-3").caution.endswith("hypothetical: no experimental report known")
    assert get_phase("NaCl_B1").caution == "unverified: starting structure typed from memory"
    assert not get_phase("NaCl_B1").reference_checked
    assert get_phase("NaTaSCl4_model").caution == "model structure, not a measured one"
    assert get_phase("ZrCl4_P2c").caution == ""


def test_every_unchecked_or_modelled_phase_carries_a_caution():
    for phase in load_phases().values():
        if not phase.reference_checked or phase.role == "hypothetical" or "model" in phase.origin:
            assert phase.caution, phase.id


def test_phases_within_keeps_to_elements_and_roles():
    found = phases_within(["Na", "Ta", "Cl", "O"])
    ids = {phase.id for phase in found}
    assert {"NaCl_B1", "TaCl5_C2m", "NaTaCl6_P21c", "Na_bcc"} <= ids
    assert {phase.role for phase in found} == {"reference"}
    assert all(phase.elements <= {"Na", "Ta", "Cl", "O"} for phase in found)
    wider = {p.id for p in phases_within(["Na", "Ta", "Cl", "O"], ("reference", "hypothetical"))}
    assert wider - ids == {"NaTaCl6_R-3", "Ta3Cl8_P-3m1"}


def test_the_reference_polymorph_is_the_lowest_known_one():
    assert reference_polymorph(Composition("TaCl5")).id == "TaCl5_C2m"
    assert reference_polymorph(Composition("Ta2Cl10")).id == "TaCl5_C2m"
    assert reference_polymorph(Composition("NaTaCl6")).id == "NaTaCl6_P21c"
    assert reference_polymorph(Composition("NaTaOCl4")) is None


def test_a_user_file_with_two_equal_ids_is_refused(tmp_path):
    row = """\
- {id: A, formula: Na, name: bcc, role: reference, chemsys: [Na], origin: literature,
   space_group: {number: 229, symbol: Im-3m, hall_number: 529}, reference: me,
   lattice: {a: 4.2, b: 4.2, c: 4.2, alpha: 90, beta: 90, gamma: 90}, reference_checked: true,
   sites: [{element: Na, wyckoff: 2a, xyz: [0, 0, 0]}], energy_per_atom_ev: {}}
"""
    file = tmp_path / "phases.yaml"
    file.write_text(row)
    assert len(read_phases(file)["A"].structure()) == 2
    file.write_text(row * 2)
    with pytest.raises(
        InputError, match=r"two phases have the same id\. Given: A\. What to do: re"
    ):
        read_phases(file)
