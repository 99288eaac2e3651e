"""From step documents to a summary: what is combined, inherited, warned of and decided."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from haloflow.errors import DocumentError, InputError
from haloflow.quantity import Quantity, Status
from haloflow.stores.documents import (
    CandidateDocument,
    DiffusionDocument,
    GlassEvidence,
    HullDocument,
    HullProduct,
    LiteratureValue,
    MeltQuenchDocument,
    OxygenStates,
    Provenance,
    RelaxDocument,
    TransportPoint,
)
from haloflow.stores.records import (
    candidate_of,
    candidate_record,
    step_of,
    summary_of,
    summary_record,
)
from haloflow.stores.summary import passes_screen, summarize

CELL = Structure(Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
OK, UNCONVERGED = Status.OK, Status.UNCONVERGED


def step(cls, name, **fields):
    provenance = Provenance(
        haloflow_version="0.1.0", code_version=1, python_version="3.11", wall_s=10.0
    )
    return cls(identity=f"id-{name}", provenance=provenance, **fields)


def a_relax(name="relax", **fields):
    defaults = {
        "structure": CELL,
        "level": "l",
        "energy_ev_per_atom": Quantity(-5.0),
        "max_force_ev_a": 0.01,
        "n_steps": 9,
        "density_g_cm3": 2.5,
    }
    return step(RelaxDocument, name, **(defaults | fields))


def a_hull(name="hull", value=0.05, **fields):
    defaults = {
        "formula": "NaTaOCl4",
        "level": "l",
        "energy_ev_per_atom": -5.0,
        "formation_energy_ev_per_atom": -2.0,
        "energy_above_hull_ev_per_atom": Quantity(value),
        "decomposition": [HullProduct(phase_id=f"p{value}", formula="NaCl", amount=1.0)],
        "reaction_energy_ev_per_atom": Quantity(-0.1),
        "reaction_components": [],
        "oxidation_states": {"Na": [1.0]},
        "roles": ["reference"],
        "entries": [],
    }
    return step(HullDocument, name, **(defaults | fields))


def a_glass(name, **fields):
    defaults = {
        "structure": CELL,
        "level": "l",
        "seed": 1,
        "energy_ev_per_atom": Quantity(-5.0),
        "melt_temperature_k": 1500.0,
        "final_temperature_k": 300.0,
        "quench_rate_k_s": 1e13,
        "density_g_cm3": Quantity(2.4, 0.02),
        "density_blocks_g_cm3": [2.4],
        "density_components_g_cm3": 2.6,
        "density_ratio": 0.92,
        "melted": GlassEvidence(holds=True, criterion="msd", numbers={}),
        "amorphous": GlassEvidence(holds=True, criterion="no Bragg peak", numbers={}),
    }
    return step(MeltQuenchDocument, name, **(defaults | fields))


def a_diffusion(name="diffusion", sigma=None, temperatures=(600.0, 800.0), **fields):
    points = [
        TransportPoint(
            temperature_k=kelvin,
            diffusivity_cm2_s=Quantity(1e-6, 1e-7, 0.8e-6, 1.2e-6),
            sigma_ms_cm=Quantity(100.0),
            n_effective_hops=50,
            n_mobile=32,
            duration_ps=100.0,
        )
        for kelvin in temperatures
    ]
    defaults = {
        "level": "l",
        "mobile": "Na",
        "charge": 1.0,
        "points": points,
        "activation_energy_ev": Quantity(0.3, 0.02, 0.26, 0.34),
        "sigma_300k_ms_cm": sigma or Quantity(2.0, 0.5, 1.2, 3.3),
        "msd": [],
        "rdf": [],
    }
    return step(DiffusionDocument, name, **(defaults | fields))


def a_candidate(*names, phase="crystal", **fields):
    defaults = {
        "candidate_id": "c1",
        "label": "NaTaOCl4",
        "family": "natmocl4",
        "formula": "NaTaOCl4",
        "phase": phase,
        "components": {"NaCl": 1.0, "TaOCl3": 1.0},
        "levels": {"hull": "l"},
        "n_atoms": 56,
        "n_mobile": 32,
        "steps": {name: f"id-{name}" for name in names},
        "screen": {"energy_above_hull_ev_per_atom": 0.1, "sigma_300k_ms_cm": 1.0},
    }
    return CandidateDocument(**(defaults | fields))


CRYSTAL = a_candidate("relax", "hull", "md-600K", "diffusion")
GLASS_STAGES = ("melt_quench", "relax", "hull", "diffusion")
GLASS = a_candidate(*(f"{s}-seed{k}" for k in (1, 2, 10) for s in GLASS_STAGES), phase="glass")


def by_identity(*documents):
    return {document.identity: document for document in documents}


def test_a_complete_crystal():
    published = LiteratureValue(
        quantity="sigma", value=1.1, kind="experiment", phases_present="NaTaOCl4", source="s"
    )
    candidate = CRYSTAL.model_copy(
        update={"steps": {n: f"id-{n}" for n in ("relax", "hull", "diffusion")}}
    )
    states = OxygenStates(n_oxide=3, n_peroxide=1, peroxide_fraction=0.25)
    documents = by_identity(a_relax(oxygen=states), a_hull(), a_diffusion())
    summary = summarize(candidate, documents, [published])
    assert summary.complete
    assert summary.passes_screen is True
    assert summary.energy_above_hull_ev_per_atom == Quantity(0.05)
    assert summary.sigma_300k_ms_cm == Quantity(2.0, 0.5, 1.2, 3.3)
    assert summary.density_g_cm3 == Quantity(2.5)
    assert summary.diffusivity_cm2_s.keys() == {"600K", "800K"}
    assert (summary.chemsys, summary.n_seeds, summary.peroxide_fraction) == ("Cl-Na-O-Ta", 1, 0.25)
    assert (summary.melted, summary.quench_rate_k_s, summary.warnings) == (None, None, [])
    assert summary.decomposition[0].formula == "NaCl"
    assert summary.wall_s == 30.0
    assert summary.literature == [published]
    assert [state.state for state in summary.steps] == ["done"] * 3


def test_what_is_not_there_says_why():
    summary = summarize(CRYSTAL, by_identity(a_relax()), running={"id-hull"})
    assert summary.energy_above_hull_ev_per_atom == Quantity(status=UNCONVERGED, note="running")
    waiting = Quantity(status=UNCONVERGED, note="not computed yet")
    assert summary.sigma_300k_ms_cm == waiting
    assert [s.state for s in summary.steps] == ["done", "running", "waiting", "waiting"]
    assert (summary.passes_screen, summary.complete, summary.diffusivity_cm2_s) == (None, False, {})
    failed = summarize(CRYSTAL, {}, failures={"id-md-600K": "no memory"})
    reason = Quantity(status=Status.FAILED, note="md-600K failed: no memory")
    assert failed.sigma_300k_ms_cm == reason
    assert failed.density_g_cm3 is None
    assert failed.warnings == ["md-600K: no memory"]
    unplanned = summarize(a_candidate("relax"), {})
    assert unplanned.sigma_300k_ms_cm.note == "not planned"


def test_one_failed_seed_does_not_fail_the_others():
    some = summarize(GLASS, {}, failures={"id-relax-seed1": "x"})
    assert some.energy_above_hull_ev_per_atom.note == "not computed yet"
    every = summarize(GLASS, {}, failures={f"id-relax-seed{k}": "x" for k in (1, 2, 10)})
    assert every.energy_above_hull_ev_per_atom.status is Status.FAILED


def test_a_failed_document_counts_as_failed():
    broken = a_relax(status=Status.FAILED, note="no structure")
    summary = summarize(CRYSTAL, by_identity(broken))
    assert summary.steps[0].state == "failed"
    assert summary.density_g_cm3 == Quantity(2.5, status=Status.FAILED, note="relax: no structure")
    assert "relax: no structure" in summary.warnings


def test_glasses_of_several_seeds_are_combined():
    documents = by_identity(
        *(a_glass(f"melt_quench-seed{k}", quench_rate_k_s=1e13) for k in (1, 2, 10)),
        *(a_relax(f"relax-seed{k}") for k in (1, 2, 10)),
        *(a_hull(f"hull-seed{k}", 0.01 * k) for k in (1, 2, 10)),
        *(a_diffusion(f"diffusion-seed{k}") for k in (1, 2, 10)),
    )
    summary = summarize(GLASS, documents)
    assert summary.n_seeds == 3
    assert summary.complete
    hull = summary.energy_above_hull_ev_per_atom
    assert hull.value == pytest.approx(0.13 / 3)
    assert hull.sd == pytest.approx(np.std([0.01, 0.02, 0.1], ddof=1))
    assert hull.status is OK
    assert "mean of 3 samples (lowest 0.01, highest 0.1)" in hull.note
    assert summary.decomposition[0].phase_id == "p0.01"
    assert summary.melted
    assert summary.amorphous
    assert summary.density_ratio == pytest.approx(0.92)
    assert summary.quench_rate_k_s == 1e13


def test_a_missing_seed_leaves_the_mean_unconverged():
    documents = by_identity(a_hull("hull-seed1", 0.02), a_hull("hull-seed10", 0.04))
    hull = summarize(GLASS, documents).energy_above_hull_ev_per_atom
    assert hull.value == pytest.approx(0.03)
    assert hull.status is UNCONVERGED
    assert hull.note.endswith("; 2 of 3 samples computed")


def test_what_comes_from_a_bad_glass_is_no_better_than_it():
    bad = a_glass("melt_quench-seed1", status=Status.NOT_MELTED, note="msd below 9 A2")
    bad.melted.holds = False
    candidate = a_candidate(*(f"{s}-seed1" for s in GLASS_STAGES), phase="glass")
    summary = summarize(
        candidate, by_identity(bad, a_hull("hull-seed1"), a_diffusion("diffusion-seed1"))
    )
    for quantity in (
        summary.energy_above_hull_ev_per_atom,
        summary.sigma_300k_ms_cm,
        summary.diffusivity_cm2_s["600K"],
    ):
        assert quantity.status is Status.NOT_MELTED
        assert quantity.note.endswith("melt_quench: msd below 9 A2")
    assert summary.melted is False
    assert summary.passes_screen is None
    assert summary.warnings == [
        "seed1: not melted (msd)",
        "melt_quench-seed1: msd below 9 A2",
    ]


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({"density_ratio": 0.8}, "seed1: density is 0.80 of that of the sum of its components"),
        (
            {"density_ratio": 0.8, "density_crystal_g_cm3": 3.0},
            "seed1: density is 0.80 of that of the crystal",
        ),
        ({"density_ratio": 0.8, "density_warning": "too light"}, "seed1: too light"),
        ({"density_warning": "still drifting"}, "seed1: still drifting"),
        (
            {"amorphous": GlassEvidence(holds=False, criterion="Bragg peak", numbers={})},
            "seed1: not amorphous (Bragg peak)",
        ),
    ],
)
def test_doubtful_glasses_are_warned_of(fields, warning):
    summary = summarize(GLASS, by_identity(a_glass("melt_quench-seed1", **fields)))
    assert summary.warnings == [warning]


def test_few_ions_are_never_ok():
    candidate = CRYSTAL.model_copy(update={"n_mobile": 23})
    summary = summarize(candidate, by_identity(a_hull(), a_diffusion()))
    note = "fewer than 24 mobile ions (23)"
    assert summary.sigma_300k_ms_cm == Quantity(2.0, 0.5, 1.2, 3.3, UNCONVERGED, note)
    assert summary.activation_energy_ev.note == note
    assert summary.diffusivity_cm2_s["600K"].status is UNCONVERGED
    assert summary.energy_above_hull_ev_per_atom.status is OK
    assert summary.warnings == [note]


def test_a_temperature_that_one_seed_lacks_is_unconverged():
    documents = by_identity(
        *(a_diffusion(f"diffusion-seed{k}") for k in (1, 2)),
        a_diffusion("diffusion-seed10", temperatures=(800.0,)),
    )
    summary = summarize(GLASS, documents)
    assert summary.diffusivity_cm2_s["800K"].status is OK
    assert summary.diffusivity_cm2_s["600K"].status is UNCONVERGED
    assert "no run at this temperature" in summary.diffusivity_cm2_s["600K"].note


SCREEN = {"energy_above_hull_ev_per_atom": 0.1, "sigma_300k_ms_cm": 1.0}


@pytest.mark.parametrize(
    ("stability", "conductivity", "verdict"),
    [
        (Quantity(0.1), Quantity(2.0, None, 1.0, 4.0), True),
        (Quantity(-0.02), Quantity(2.0, None, 0.99, 4.0), False),
        (Quantity(0.11), Quantity(status=UNCONVERGED), False),
        (Quantity(0.05), Quantity(status=UNCONVERGED), None),
        (Quantity(0.05), Quantity(None, None, None, 0.5, UNCONVERGED), False),
        (Quantity(0.05), Quantity(2.0, None, 1.5, 3.0, UNCONVERGED), None),
        (Quantity(0.05), Quantity(2.0), None),
        (Quantity(0.05, status=UNCONVERGED), Quantity(2.0, None, 1.5), None),
        (Quantity(0.5, None, 0.3, 0.7, UNCONVERGED), Quantity(2.0, None, 1.5), False),
        (Quantity(0.5, None, 0.3, 0.7, Status.DIVERGED), Quantity(2.0, None, 1.5), None),
    ],
)
def test_the_screen_decides_only_what_is_known(stability, conductivity, verdict):
    assert passes_screen(SCREEN, stability, conductivity) is verdict


def test_screens_may_be_partial_and_must_be_known():
    unknown = Quantity(status=UNCONVERGED)
    assert passes_screen({}, Quantity(0.1), unknown) is None
    assert passes_screen({"energy_above_hull_ev_per_atom": 0.1}, Quantity(0.1), unknown) is True
    with pytest.raises(InputError) as caught:
        passes_screen({"e_hull": 0.1}, Quantity(0.1), unknown)
    assert str(caught.value) == (
        "unknown criterion of a screen. Given: e_hull. Allowed: energy_above_hull_ev_per_atom, "
        "sigma_300k_ms_cm."
    )


def test_records_are_read_back_equal():
    candidate = a_candidate("hull")
    assert candidate_of({"_id": 1, **candidate_record(candidate)}) == candidate
    summary = summarize(candidate, by_identity(a_hull()))
    again = summary_of({"_id": 1, **summary_record(summary)})
    moment = summary.last_updated
    assert again.last_updated == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert again == summary.model_copy(update={"last_updated": again.last_updated})
    relax = a_relax()
    stored = relax.model_dump(mode="json", exclude={"structure"})
    stored |= {"structure": relax.structure.as_dict(), "@class": "RelaxDocument"}
    assert step_of(stored) == relax
    assert step_of(relax) is relax


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"kind": "phonon"},
            "a step's document is of an unknown kind. Given: phonon. Allowed: diffusion, ensemble",
        ),
        (
            {"schema_version": 99},
            "the document of hull step was written by a newer haloflow. Given: schema 99. ",
        ),
        (
            {"level": None},
            "the document of hull step is not valid: Input should be a valid string. Given: l",
        ),
        (
            {"extra": 1},
            "the document of hull step is not valid: Extra inputs are not permitted. Given: e",
        ),
    ],
)
def test_documents_that_cannot_be_read_are_refused(change, message):
    with pytest.raises(DocumentError) as caught:
        step_of({**a_hull().model_dump(mode="json"), **change})
    assert str(caught.value).startswith(message)


def test_the_summary_is_a_pure_function():
    documents = by_identity(a_relax(), a_hull(), a_diffusion())
    first, second = (summarize(CRYSTAL, dict(reversed(documents.items()))) for _ in range(2))
    ignored = {"last_updated": None}
    assert SimpleNamespace(**first.model_dump() | ignored) == SimpleNamespace(
        **second.model_dump() | ignored
    )
