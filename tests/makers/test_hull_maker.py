"""The hull as a step: window and segregating salt come with it, errors are those of the level."""

from __future__ import annotations

import pytest
from jobflow import run_locally
from sample_documents import relaxed

from haloflow.makers.hull import LEVEL_ERROR_EV_PER_ATOM, HullMaker
from haloflow.quantity import Quantity, Status
from haloflow.stores.connection import open_store
from haloflow.stores.documents import HullDocument
from haloflow.stores.records import step_of
from haloflow.systems.phases import REFERENCE_LEVEL, get_phase, phases_within

LEVEL = "chgnet-r2scan"


def shipped(elements):
    return {p.id: p.energy_per_atom_ev[REFERENCE_LEVEL] for p in phases_within(elements)}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a function that runs the step on a phase of the library, `above` its energy."""
    monkeypatch.chdir(tmp_path)

    def run(phase_id, *, above=0.0, level=LEVEL, status=Status.OK, note="", **settings):
        phase = get_phase(phase_id)
        energy = phase.energy_per_atom_ev[REFERENCE_LEVEL] + above
        candidate = relaxed(phase.structure(), "c" * 64, level, energy).model_copy(
            update={"status": status, "note": note}
        )
        energies = shipped(phase.elements)
        maker = HullMaker(level=level, shipped_energies=energies, **settings)
        job = maker.make(candidate)
        with open_store(tmp_path / "store") as store:
            outputs = run_locally(job, log=False, ensure_success=True, store=store.jobstore)
        document = step_of(outputs[job.uuid][1].output)
        assert isinstance(document, HullDocument)
        return document

    return run


def test_a_stable_crystal_has_a_window_of_its_own_and_loses_no_salt(place):
    found = place("NaTaOCl4_Cm", components={"NaCl": 1.0, "TaOCl3": 1.0})
    window = found.window
    assert not window.is_metastable
    assert window.mobile == "Na"
    assert 1.8 < window.reduction_limit_v.value < 2.6
    assert 3.9 < window.oxidation_limit_v.value < 4.6
    assert {p.formula for p in window.oxidation_products} == {"TaCl3O", "Cl2"}
    assert window.oxidation_limit_v.sd == pytest.approx(
        LEVEL_ERROR_EV_PER_ATOM[LEVEL] * (7**2 + 5**2) ** 0.5
    )
    gain = found.segregation.driving_force_ev_per_atom
    assert gain == found.energy_above_hull_ev_per_atom
    assert gain.value < 0


def test_a_glass_above_the_hull_has_the_window_of_its_products_and_loses_salt(place):
    stable = place("NaTaOCl4_Cm")
    found = place("NaTaOCl4_Cm", above=0.06)
    assert found.window.is_metastable
    assert found.window.oxidation_limit_v.value < stable.window.oxidation_limit_v.value
    assert found.window.reduction_limit_v.value > stable.window.reduction_limit_v.value
    lost = found.segregation
    assert lost.salt == "NaCl"
    assert lost.equilibrium_amount == pytest.approx(0.5)
    assert lost.largest_amount == pytest.approx(1.0)
    assert lost.driving_force_ev_per_atom.value > 0
    assert lost.splits[0].energy_ev_per_atom == pytest.approx(-lost.driving_force_ev_per_atom.value)


def test_an_unconverged_energy_makes_unconverged_limits(place):
    found = place("NaTaCl6_P21c", status=Status.UNCONVERGED, note="stopped after 40 steps")
    for limit in (found.window.reduction_limit_v, found.window.oxidation_limit_v):
        assert limit.status is Status.UNCONVERGED
        assert limit.note == "stopped after 40 steps"


def test_what_holds_no_ion_or_no_salt_has_no_window_or_split(place):
    assert place("TaCl5_C2m").window is None
    oxide = place("Na2O_antiCaF2")
    assert oxide.segregation is None
    assert oxide.window.reduction_limit_v == Quantity(0.0)
    assert place("NaCl_B1").segregation is None


def test_an_unknown_error_of_a_level_is_not_made_up(place):
    found = place("NaTaCl6_P21c", level="some-functional")
    assert found.window.oxidation_limit_v.sd is None
    assert found.window.oxidation_limit_v.lower is None


def test_documents_of_the_first_code_version_still_load(place):
    row = place("NaTaCl6_P21c").model_dump(mode="json")
    assert row["provenance"]["code_version"] == HullMaker.code_version > 1
    del row["window"], row["segregation"]
    old = step_of(row)
    assert old.window is None
    assert old.segregation is None
