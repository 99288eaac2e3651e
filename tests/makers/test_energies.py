"""Relaxations, single points and hulls with the potential that comes in the wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pair_potential import LEVEL

from haloflow.errors import CoverageError, InputError
from haloflow.makers.hull import HullMaker
from haloflow.makers.relax import RelaxMaker, StaticMaker
from haloflow.quantity import Quantity, Status
from haloflow.systems.phases import REFERENCE_LEVEL, get_phase, phases_within

if TYPE_CHECKING:
    from pymatgen.core import Structure


CHGNET = "chgnet-r2scan"
SALT_PHASES = ("Na_bcc", "Cl2_Cmce", "NaCl_B1")


def stored(phase_id):
    return get_phase(phase_id).energy_per_atom_ev[REFERENCE_LEVEL]


def cell(phase_id) -> Structure:
    return get_phase(phase_id).structure()


@pytest.fixture
def relaxed_salt(workshop):
    return workshop.run(RelaxMaker(level=CHGNET), cell("NaCl_B1"))


def test_a_relaxed_phase_has_its_stored_energy(relaxed_salt):
    assert relaxed_salt.status is Status.OK
    assert relaxed_salt.energy_ev_per_atom.value == pytest.approx(stored("NaCl_B1"), abs=1e-3)
    assert relaxed_salt.max_force_ev_a < 0.05
    assert relaxed_salt.density_g_cm3 == pytest.approx(2.16, rel=0.05)
    assert relaxed_salt.level == CHGNET
    assert relaxed_salt.oxygen is None


def test_a_relaxation_that_needs_more_steps_is_unconverged(workshop):
    strained = cell("NaCl_B1").apply_strain(0.05, inplace=False)
    found = workshop.run(RelaxMaker(level=CHGNET, max_steps=2, fmax_ev_a=1e-4), strained)
    assert found.status is Status.UNCONVERGED
    assert found.energy_ev_per_atom.status is Status.UNCONVERGED
    assert found.note
    assert found.n_steps == 2


def test_a_single_point_keeps_the_structure(workshop, relaxed_salt):
    again = workshop.run(StaticMaker(level=CHGNET), relaxed_salt)
    assert again.energy_ev_per_atom.value == pytest.approx(
        relaxed_salt.energy_ev_per_atom.value, abs=1e-5
    )
    assert again.structure == relaxed_salt.structure
    assert again.provenance.parents == [relaxed_salt.identity]


def test_a_single_point_without_a_number_is_diverged(workshop):
    maker = StaticMaker(level=f"{LEVEL.replace('&', '&nan_after=-1&')}")
    found = workshop.run(maker, cell("NaCl_B1"))
    assert found.status is Status.DIVERGED
    assert found.note == "the energy is not finite"
    assert found.energy_ev_per_atom.value is None


@pytest.mark.parametrize(
    ("phase_id", "counts"),
    [
        ("Na2O2_P-62m", (0, 6, 0)),
        ("Na2O_antiCaF2", (4, 0, 0)),
        ("O2_alpha", (0, 0, 4)),
    ],
)
def test_the_state_of_oxygen_is_read_off_its_bonds(workshop, phase_id, counts):
    found = workshop.run(RelaxMaker(level=CHGNET, max_steps=3), cell(phase_id))
    oxygen = found.oxygen
    assert (oxygen.n_oxide, oxygen.n_peroxide, oxygen.n_superoxide) == counts
    assert oxygen.peroxide_fraction == counts[1] / sum(counts)


@pytest.mark.parametrize("maker", [RelaxMaker, StaticMaker])
def test_an_element_without_coverage_is_refused(workshop, maker):
    strange = cell("NaCl_B1")
    strange.replace_species({"Na": "Po"})
    with pytest.raises(CoverageError, match="chgnet-r2scan does not cover Po"):
        workshop.run(maker(level=CHGNET), strange)


def test_computed_and_stored_energies_make_the_same_hull(workshop, relaxed_salt):
    relaxed = {
        phase_id: workshop.run(RelaxMaker(level=CHGNET), cell(phase_id)) for phase_id in SALT_PHASES
    }
    computed = workshop.run(HullMaker(level=CHGNET), relaxed_salt, relaxed)
    shipped = {phase.id: stored(phase.id) for phase in phases_within({"Na", "Cl"})}
    from_store = workshop.run(HullMaker(level=CHGNET, shipped_energies=shipped), relaxed_salt)
    assert computed.identity != from_store.identity
    for field in ("formation_energy_ev_per_atom", "energy_ev_per_atom"):
        assert getattr(computed, field) == pytest.approx(getattr(from_store, field), abs=5e-3)
    assert computed.formation_energy_ev_per_atom == pytest.approx(-2.05, abs=0.15)
    # its own composition does not compete: a stable phase lies below the hull of the others
    assert {entry.phase_id for entry in computed.entries} == {"Na_bcc", "Cl2_Cmce"}
    above = computed.energy_above_hull_ev_per_atom
    assert above.value == pytest.approx(computed.formation_energy_ev_per_atom)
    assert computed.formula == "NaCl"


def test_a_hull_takes_one_level(workshop, relaxed_salt):
    with pytest.raises(InputError) as caught:
        workshop.run(HullMaker(level="chgnet-0.3.0"), relaxed_salt)
    text = str(caught.value)
    assert text.startswith("one hull takes one level of theory. Given: a relax at chgnet-r2scan.")
    assert text.endswith(
        "What to do: relax everything at the hull's level, or add a static step at it."
    )


def test_a_hull_needs_sound_inputs(workshop, relaxed_salt):
    broken = relaxed_salt.model_copy(update={"status": Status.DIVERGED, "note": "too far"})
    with pytest.raises(InputError, match="the relax step before this one ended as diverged"):
        workshop.run(HullMaker(level=CHGNET), broken)
    empty = relaxed_salt.model_copy(update={"energy_ev_per_atom": Quantity()})
    with pytest.raises(InputError, match="the relax step has no energy"):
        workshop.run(HullMaker(level=CHGNET, shipped_energies={"Na_bcc": -1.0}), empty)


def test_unconverged_inputs_make_an_unconverged_hull(workshop, relaxed_salt):
    shipped = {phase_id: stored(phase_id) for phase_id in SALT_PHASES}
    unsure = relaxed_salt.model_copy(
        update={"status": Status.UNCONVERGED, "note": "stopped after 2 steps"}
    )
    found = workshop.run(HullMaker(level=CHGNET, shipped_energies=shipped), unsure)
    assert found.status is Status.UNCONVERGED
    assert found.energy_above_hull_ev_per_atom.status is Status.UNCONVERGED
    assert "stopped after 2 steps" in found.note
