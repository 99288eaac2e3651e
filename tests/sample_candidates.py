"""Candidates as a short screening leaves them, in a store or as pages see them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from monty.json import jsanitize
from sample_documents import (
    HULL_LEVEL,
    MD_LEVEL,
    diffusion,
    glass_structure,
    hull,
    literature,
    quenched,
    relaxed,
)

from haloflow.dashboard.view import ranked_views
from haloflow.identity import content_hash, step_uuid
from haloflow.quantity import Status
from haloflow.stores.documents import CandidateDocument, LiteratureValue
from haloflow.stores.records import candidate_record
from haloflow.stores.summary import summarize
from haloflow.systems.phases import REFERENCE_LEVEL, get_phase

LEVELS = {"relax": HULL_LEVEL, "hull": HULL_LEVEL, "melt_quench": MD_LEVEL, "md": MD_LEVEL}
SCREEN = {"energy_above_hull_ev_per_atom": 0.1}
HOSTILE = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'


def identity_of(candidate_id, step):
    return content_hash([candidate_id, step])


def _candidate(candidate_id, label, formula, phase, components, *, steps, **more):
    return CandidateDocument(
        candidate_id=candidate_id,
        label=label,
        formula=formula,
        phase=phase,
        components=components,
        levels=LEVELS,
        sweeps=["quick"],
        steps={name: identity_of(candidate_id, name) for name in steps},
        screen=SCREEN,
        **more,
    )


@cache
def candidates():
    """Return pairs of a candidate and its documents by step name: four of the five kinds."""
    return (
        glass_candidate(),
        through_tg_candidate(),
        unconverged_crystal(),
        searched_crystal(),
    )


def glass_candidate():
    """A glass of which everything is ok."""
    parts = {"NaCl": 1.0, "TaOCl3": 1.0}
    box = glass_structure(tuple(parts.items()))
    steps = ("melt_quench-seed1", "relax-seed1", "hull-seed1", "diffusion-seed1")
    candidate = _candidate(
        *("NaTaClO-glass-11aa22bb", "NaTaOCl4 glass", "NaTaCl4O", "glass", parts),
        steps=steps,
        family="namocl4",
        n_atoms=len(box),
        n_mobile=24,
        literature=[
            literature(9.36, "computed", "amorphous NaTaOCl4", "Wei, Binci, Ceder", "300 K"),
            literature(1.5, "experiment", "milled powder", "Wei, Binci, Ceder", "25 C"),
        ],
    )
    crystal = get_phase("NaTaOCl4_Cm")
    energy = crystal.energy_per_atom_ev[REFERENCE_LEVEL] + 0.052
    ids = candidate.steps
    documents = {
        steps[0]: quenched(box, ids[steps[0]], crystal=float(crystal.structure().density)),
        steps[1]: relaxed(box, ids[steps[1]]),
        steps[2]: hull("NaTaCl4O", energy, ids[steps[2]], parts),
        steps[3]: diffusion(box, ids[steps[3]], (4e-4, 0.22), (500, 600, 700, 800, 900)),
    }
    return candidate, documents


def through_tg_candidate():
    """A glass whose line crosses its glass transition, a point below 600 K not converged."""
    parts = {"TaCl5": 1.0, "Na2S": 0.5}
    box = glass_structure(tuple(parts.items()))
    steps = ("melt_quench-seed1", "relax-seed1", "hull-seed1", "diffusion-seed1")
    candidate = _candidate(
        *("NaTaClS-glass-33cc44dd", "TaCl5-0.5Na2S glass", "Na2Ta2Cl10S", "glass", parts),
        steps=steps,
        family="tacl5-na2s",
        variables={"x": 0.5},
        n_atoms=len(box),
        n_mobile=24,
        literature=[literature(2.9, "experiment", "fully amorphous", "Jin et al.", "25 C")],
    )
    chloride, sulfide = (
        get_phase(name).energy_per_atom_ev[REFERENCE_LEVEL]
        for name in ("TaCl5_C2m", "Na2S_antiCaF2")
    )
    ids = candidate.steps
    temperatures = (450, 600, 700, 800, 1000)
    documents = {
        steps[0]: quenched(box, ids[steps[0]], ratio=0.81),
        steps[1]: relaxed(box, ids[steps[1]]),
        steps[2]: hull("Na2Ta2Cl10S", 0.8 * chloride + 0.2 * sulfide - 0.17, ids[steps[2]], parts),
        steps[3]: diffusion(
            *(box, ids[steps[3]], (1.6e-4, 0.13), temperatures), unconverged=(450,), tg_k=466.0
        ),
    }
    return candidate, documents


def unconverged_crystal():
    """A crystal with a hull, and one temperature that only bounds its conductivity."""
    phase = get_phase("NaTaOCl4_Cm")
    structure = phase.structure()
    steps = ("relax", "hull", "diffusion")
    candidate = _candidate(
        *("NaTaClO-crystal-55ee66ff", "NaTaOCl4 crystal", "NaTaCl4O", "crystal"),
        {"NaCl": 1.0, "TaOCl3": 1.0},
        steps=steps,
        family="namocl4",
        phase_id=phase.id,
        phase_note=phase.caution,
        n_atoms=len(structure),
        n_mobile=2,
    )
    ids = candidate.steps
    documents = {
        "relax": relaxed(structure, ids["relax"]),
        "hull": hull("NaTaCl4O", phase.energy_per_atom_ev[REFERENCE_LEVEL], ids["hull"]),
        "diffusion": diffusion(
            structure, ids["diffusion"], (1e-3, 0.5), (600,), unconverged=(600,)
        ),
    }
    return candidate, documents


def searched_crystal():
    """A crystal of which only the hull is there, and that not converged."""
    phase = get_phase("NaTaCl6_P21c")
    steps = ("relax", "hull", "md-600K", "diffusion")
    candidate = _candidate(
        *("NaTaCl-crystal-77aa88bb", "NaTaCl6 crystal", "NaTaCl6", "crystal"),
        {"NaCl": 1.0, "TaCl5": 1.0},
        steps=steps,
        family="na2o-natacl6",
        phase_id=phase.id,
        phase_note=phase.caution,
        n_atoms=phase.n_atoms,
        n_mobile=4,
    )
    ids, energy = candidate.steps, phase.energy_per_atom_ev[REFERENCE_LEVEL] + 0.004
    documents = {
        "relax": relaxed(phase.structure(), ids["relax"]),
        "hull": hull("NaTaCl6", energy, ids["hull"], status=Status.UNCONVERGED),
    }
    return candidate, documents


def fill(store, pairs=None):
    """Put candidates and the outputs of their steps into `store`, as jobs leave them."""
    stamp = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).isoformat()
    for candidate, documents in pairs or candidates():
        store.candidates.update([candidate_record(candidate)], key="candidate_id")
        rows = [
            {
                "uuid": step_uuid(document.identity),
                "index": 1,
                "completed_at": stamp,
                "output": jsanitize(document, strict=True, enum_values=True),
            }
            for document in documents.values()
        ]
        store.outputs.update(rows, key="uuid")


def views(pairs=None):
    """Return the candidates as pages see them, in the order of the ranking."""
    known = pairs or candidates()
    summaries = [
        summarize(candidate, {document.identity: document for document in documents.values()})
        for candidate, documents in known
    ]
    return ranked_views(summaries, {c.candidate_id: documents for c, documents in known})


def hostile_views():
    """Return candidates with HTML and scripts wherever a text of the store can stand."""
    pairs = []
    for candidate, documents in candidates()[:1]:
        row = LiteratureValue(
            quantity="sigma_300k_ms_cm",
            value=1.0,
            kind="experiment",
            phases_present=HOSTILE,
            source=HOSTILE,
            conditions=HOSTILE,
        )
        changed = {"label": HOSTILE, "phase_note": HOSTILE, "family": HOSTILE, "literature": [row]}
        renamed = {
            f"{name}{HOSTILE}": document.model_copy(update={"note": HOSTILE})
            for name, document in documents.items()
        }
        steps = {f"{name}{HOSTILE}": identity for name, identity in candidate.steps.items()}
        pairs.append((candidate.model_copy(update=changed | {"steps": steps}), renamed))
    return views(pairs)


def view_with(view, **quantities):
    """Return `view` with other numbers in its summary."""
    return replace(view, summary=view.summary.model_copy(update=quantities))
