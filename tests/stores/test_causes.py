"""Why a quantity is missing: the step that failed or broke down before it, by the graph."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from haloflow.quantity import Quantity, Status
from haloflow.stores.documents import CandidateDocument, Provenance, RelaxDocument
from haloflow.stores.samples import Steps, cause_of

CELL = Structure(Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
UNCONVERGED = Status.UNCONVERGED
WAITING = Quantity(status=UNCONVERGED, note="not computed yet")
ANALYSES = ("diffusion", "transport", "structure", "landscape")


def glass_steps(*seeds):
    names = ["phase-NaCl_B1"]
    for seed in seeds:
        stages = ("melt_quench", "relax", "relax-hull", "hull", *ANALYSES)
        names += [f"{stage}-seed{seed}" for stage in stages]
        names += [f"md-seed{seed}-{t}K" for t in (300, 600)]
    return names


CRYSTAL = ["relax", "relax-md", "phase-NaCl_B1", "hull", "md-300K", "md-600K", *ANALYSES]


def steps(names, failed=(), broken=None, done=()):
    candidate = CandidateDocument(
        candidate_id="c", label="c", family="f", formula="NaCl",
        phase="glass" if any("seed" in name for name in names) else "crystal",
        components={"NaCl": 1}, levels={}, n_atoms=2, n_mobile=1,
        steps={name: f"id-{name}" for name in names},
    )  # fmt: skip
    outputs = {
        f"id-{name}": a_relax(name, *(broken or {}).get(name, (Status.OK, "")))
        for name in (*done, *(broken or {}))
    }
    return Steps.of(candidate, outputs, (), {f"id-{name}": "no memory" for name in failed})


def a_relax(name, status, note):
    provenance = Provenance(haloflow_version="0", code_version=1, python_version="3")
    return RelaxDocument(
        identity=f"id-{name}", status=status, note=note, provenance=provenance, structure=CELL,
        level="l", energy_ev_per_atom=Quantity(-5.0), max_force_ev_a=0.01, n_steps=9,
        density_g_cm3=2.5,
    )  # fmt: skip


def reason(name, word="failed", note="no memory"):
    return Quantity(status=Status(word), note=f"{name} {word}: {note}")


def test_a_failed_phase_fails_the_hull_of_a_glass_and_nothing_else():
    found = steps(glass_steps(1, 2), failed=["phase-NaCl_B1"])
    assert found.missing("hull") == reason("phase-NaCl_B1")
    assert found.missing("diffusion") == WAITING


def test_a_failed_md_run_fails_neither_the_hull_nor_what_takes_the_other_runs():
    for names, md in ((CRYSTAL, "md-600K"), (glass_steps(1), "md-seed1-600K")):
        found = steps(names, failed=[md])
        for stage in ("hull", *ANALYSES):
            assert found.missing(stage) == WAITING


@pytest.mark.parametrize("stage", ANALYSES)
def test_analyses_are_lost_with_all_their_runs(stage):
    found = steps(CRYSTAL, failed=["md-300K", "md-600K"])
    assert found.missing(stage) == reason("md-300K")
    assert steps(CRYSTAL, failed=["relax-md"]).missing(stage) == reason("relax-md")
    assert steps(CRYSTAL, failed=["relax"]).missing(stage) == WAITING
    assert steps(glass_steps(1), failed=["relax-seed1"]).missing(stage) == WAITING


def test_a_failed_relaxation_fails_the_hull_after_all_that_stand_between():
    assert steps(CRYSTAL, failed=["relax"]).missing("hull") == reason("relax")
    for stage in ("melt_quench", "relax", "relax-hull", "hull"):
        found = steps(glass_steps(1), failed=[f"{stage}-seed1"])
        assert found.missing("hull") == reason(f"{stage}-seed1")


def test_another_seed_keeps_a_quantity_open():
    found = steps(glass_steps(1, 2), failed=["melt_quench-seed1"])
    assert found.missing("hull") == found.missing("diffusion") == WAITING
    assert steps(CRYSTAL).missing("melt_quench").note == "not planned"


@pytest.mark.parametrize("word", ["decomposed", "diverged"])
def test_what_starts_from_a_broken_glass_is_skipped_with_its_status_and_note(word):
    broken = {"melt_quench-seed1": (Status(word), "Cl-Cl bonds")}
    found = steps(glass_steps(1), broken=broken)
    for stage in ("hull", *ANALYSES):
        assert found.missing(stage) == reason("melt_quench-seed1", word, "Cl-Cl bonds")
    states = {state.name: state for state in found.states}
    assert states.pop("melt_quench-seed1").state == "done"
    assert states.pop("phase-NaCl_B1").state == "waiting"
    assert {state.state for state in states.values()} == {"skipped"}
    assert {state.status for state in states.values()} == {Status(word)}
    assert {state.note for state in states.values()} == {f"melt_quench-seed1 {word}: Cl-Cl bonds"}


def test_one_broken_glass_of_two_limits_the_mean():
    broken = {"melt_quench-seed1": (Status.DECOMPOSED, "Cl-Cl bonds")}
    found = steps(glass_steps(1, 2), broken=broken, done=["hull-seed2"])
    limited = found.limited_by_lost(Quantity(1.0, status=UNCONVERGED, note="1 of 2"), "hull")
    assert (limited.value, limited.status) == (1.0, Status.DECOMPOSED)
    assert limited.note == "1 of 2; melt_quench-seed1 decomposed: Cl-Cl bonds"
    both = steps(glass_steps(2), done=["hull-seed2"])
    assert both.limited_by_lost(Quantity(1.0), "hull") == Quantity(1.0)


def test_analyses_take_a_run_that_broke_down_as_it_is():
    broken = {f"md-{t}K": (Status.DIVERGED, "hot") for t in (300, 600)}
    found = steps(CRYSTAL, broken=broken, done=["relax", "relax-md"])
    assert found.missing("diffusion") == WAITING
    assert cause_of("md-300K", {state.name: state for state in found.states}).note == "hot"
