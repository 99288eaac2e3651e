"""The hull as a step: window and segregating salt come with it, errors are those of the level."""

from __future__ import annotations

import pytest
from jobflow import run_locally
from sample_documents import relaxed
from trained_models import own_machine, put_model  # noqa: F401  (a fixture)

from haloflow.makers import hull as hull_module
from haloflow.makers.hull import LEVEL_ERROR_EV_PER_ATOM, HullMaker
from haloflow.makers.trained_models import bring_model
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

    def run(
        phase_id, *, above=0.0, level=LEVEL, hull_level=None, status=Status.OK, note="",
        known=None, **settings,
    ):  # fmt: skip
        phase = get_phase(phase_id)
        energy = phase.energy_per_atom_ev[REFERENCE_LEVEL] + above
        candidate = relaxed(phase.structure(), "c" * 64, hull_level or level, energy).model_copy(
            update={"status": status, "note": note}
        )
        energies = known or shipped(phase.elements)
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


def test_the_error_is_a_standard_deviation_and_cancels_against_the_crystal(place):
    crystal = {"crystal_phase_ids": ("NaTaOCl4_Cm",)}
    energies = shipped({"Na", "Ta", "O", "Cl"}) | {
        "NaTaOCl4_Cm": get_phase("NaTaOCl4_Cm").energy_per_atom_ev[REFERENCE_LEVEL]
    }
    found = place("NaTaOCl4_Cm", above=0.06, known=energies, **crystal)
    assert LEVEL_ERROR_EV_PER_ATOM[LEVEL] == pytest.approx(0.0376, abs=5e-5)
    hull = found.energy_above_hull_ev_per_atom
    assert hull.sd == LEVEL_ERROR_EV_PER_ATOM[LEVEL]
    assert hull.note == ""
    above = found.energy_above_crystal_ev_per_atom
    assert above.value == pytest.approx(0.06)
    assert (above.sd, above.lower, above.upper) == (None, None, None)
    assert above.note == "difference of equal compositions: most of the level's error cancels"


def test_a_level_whose_error_was_not_measured_says_so(place):
    found = place("NaTaCl6_P21c", level="some-functional", components={"NaCl": 1, "TaCl5": 1})
    for quantity in (found.energy_above_hull_ev_per_atom, found.reaction_energy_ev_per_atom):
        assert (quantity.sd, quantity.status) == (None, Status.OK)
        assert quantity.note == "error of this level not measured"


def test_missing_competitors_put_the_hull_out_of_domain_and_nothing_else(place):
    gap = "the phase library was collected for Na-Ta-Cl"
    found = place("NaTaOCl4_Cm", above=0.06, library_gap=gap, components={"NaCl": 1, "TaOCl3": 1})
    assert found.energy_above_hull_ev_per_atom.status is Status.OUT_OF_DOMAIN
    assert found.energy_above_hull_ev_per_atom.note == gap
    assert found.energy_above_hull_ev_per_atom.value is not None
    assert found.window.oxidation_limit_v.status is Status.OUT_OF_DOMAIN
    assert found.segregation.driving_force_ev_per_atom.status is Status.OUT_OF_DOMAIN
    assert found.reaction_energy_ev_per_atom.status is Status.OK
    assert found.status is Status.OK


@pytest.mark.usefixtures("own_machine")
def test_a_hull_of_a_trained_model_is_out_of_domain(place, tmp_path):
    with open_store(tmp_path / "trained") as store:
        model = bring_model(put_model(store, 1), store.files)
    asked = {"above": 0.06, "components": {"NaCl": 1, "TaOCl3": 1}}
    found = place("NaTaOCl4_Cm", level=model.name, hull_level=model.level, **asked)
    why = "a trained model knows its own compositions, not the phases that compete with them"
    for energy in (
        found.energy_above_hull_ev_per_atom,
        found.reaction_energy_ev_per_atom,
        found.segregation.driving_force_ev_per_atom,
        found.window.oxidation_limit_v,
    ):
        assert energy.status is Status.OUT_OF_DOMAIN
        assert energy.note.startswith(why)
    assert found.energy_above_hull_ev_per_atom.value > 0
    assert HullMaker(level=model.name).physics()["narrow"]
    assert "narrow" not in HullMaker().physics()


@pytest.mark.parametrize(
    ("components", "missing", "reason"),
    [
        (
            {"NaCl": 1.0, "TaCl5": 1.1},
            (),
            "the components do not sum up to the candidate (",
        ),
        (
            {"NaCl": 1.0, "TaCl5": 1.0},
            ("TaCl5_C2m", "TaCl5_P-1"),
            "a component has no reference phase, so its reaction energy is not defined (TaCl5)",
        ),
        ({"NaTaCl6": 1.0}, (), "not defined: the candidate has no components"),
    ],
)
def test_a_reaction_that_is_not_defined_leaves_the_hull(place, components, missing, reason):
    energies = shipped({"Na", "Ta", "Cl"})
    known = {phase_id: e for phase_id, e in energies.items() if phase_id not in missing}
    found = place("NaTaCl6_P21c", components=components, known=known)
    assert found.energy_above_hull_ev_per_atom.value is not None
    assert found.reaction_energy_ev_per_atom.status is Status.UNCONVERGED
    assert found.reaction_energy_ev_per_atom.note.startswith(reason)
    assert found.reaction_components == []


def test_what_the_library_says_of_a_phase_is_part_of_the_identity(monkeypatch):
    maker = HullMaker(shipped_energies=shipped({"Na", "Cl"}))
    parents = {"candidate": "a", "Na2O_antiCaF2": "b"}
    before = maker.identity(parents)
    other = {"NaCl_B1": {"role": "hypothetical"}, "Na2O_antiCaF2": {"formula": "Na2O2"}}
    for name, change in other.items():
        with monkeypatch.context() as patch:
            patch.setattr(
                hull_module,
                "get_phase",
                lambda i, name=name, change=change: (
                    get_phase(i).model_copy(update=change) if i == name else get_phase(i)
                ),
            )
            assert maker.identity(parents) != before
    assert maker.identity(parents) == before


def test_documents_of_the_first_code_version_still_load(place):
    row = place("NaTaCl6_P21c").model_dump(mode="json")
    assert row["provenance"]["code_version"] == HullMaker.code_version > 1
    del row["window"], row["segregation"]
    old = step_of(row)
    assert old.window is None
    assert old.segregation is None
