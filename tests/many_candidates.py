"""Many synthetic candidates, the same at every run: for loads, demonstrations and tests.

::

    python tests/many_candidates.py STORE 100000            # a minute
    python tests/many_candidates.py STORE 60 --full 60      # with documents of all kinds

The chemistry is that of the families; every number that a calculation would give is made up,
and said to be: in the label, in the note beside it, in the provenance and in ``meta``.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import random
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice

from haloflow.quantity import Quantity, Status
from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.connection import open_store
from haloflow.stores.documents import (
    CandidateDocument,
    CandidateSummary,
    HullProduct,
    LiteratureValue,
    PotentialRecord,
    StepState,
)
from haloflow.stores.records import STEP_KEYS, candidate_record, step_keys, summary_record
from haloflow.stores.samples import step_state
from haloflow.systems.families import list_families
from haloflow.workflows.candidates import Candidate, expand
from haloflow.workflows.sweep import parse_sweep

NOTE = "synthetic: made up for demonstrations and tests, by no calculation"
SWEEPS = ("synthetic-glasses", "synthetic-all")
LEVELS = ("chgnet-r2scan", "chgnet-r2scan-d3", "mace-mpa-0-pbe")
TEMPERATURES_K = (500, 600, 700, 800, 900)
SCREEN = {"energy_above_hull_ev_per_atom": 0.1}
SHA = "5e1f" * 16
HOSTILE = (
    '<img src=x onerror="alert(1)"></script><script>alert(2)</script>',
    "Na" + "Cl" * 4999,
    "\u202egnal-ot-thgir\u202c \u05e0\u05ea\u05e8\u05df",
    "=cmd|' /C calc'!A0",
    '\'; DROP TABLE documents; -- {"$where": "1"}',
    "../../etc/passwd\x00\r\nSet-Cookie: a=b",
    "\U0001f9c2 \u00b5\u03a3 zero\u200bwidth {{7*7}} ${7*7}",
)
HOSTILE_SWEEP = 'one, "two",three'
_START = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  (as stores give dates back)
_BATCH = 2000
_N_POINTS = 13
_STATUSES = (*[Status.OK] * 12, *Status, Status.UNCONVERGED)


@dataclass(frozen=True)
class Base:
    """A composition in a phase, and the records that its candidates share."""

    found: Candidate
    candidate: CandidateDocument
    record: dict
    summary: dict


@cache
def bases():
    """Return the compositions of all families, on a grid of their variables."""
    systems = []
    for family in list_families():
        variable = family.variable
        grid = {}
        if variable:
            width = variable.upper - variable.lower
            grid = {
                round(variable.lower + width * k / (_N_POINTS - 1), 3) for k in range(_N_POINTS)
            }
            grid = {"x": sorted({*variable.published, *grid})}
        systems.append({"family": family.id, **grid})
    systems.append({"crystal": "Na2ZrCl6_P-3m1_6h"})
    found = expand(parse_sweep({"name": "synthetic", "systems": systems}))
    found = [one for one in found if one.mixture.composition["Na"]]
    random.Random(0).shuffle(found)
    kinds = {}
    for one in found:  # so that few candidates, too, are of all families and phases
        kinds.setdefault((one.family, one.phase), []).append(one)
    first = [some.pop(0) for some in kinds.values()]
    ordered = [*first, *(one for one in found if one not in first)]
    return [_base(one, number) for number, one in enumerate(ordered)]


def _base(found, number):
    n_mobile = 24 if number % 9 else 6
    level = LEVELS[number % 3 and 1 + number % 2]
    candidate = CandidateDocument(
        candidate_id="",
        label=f"{found.label} (synthetic)",
        family=found.family,
        formula=found.mixture.formula,
        phase=found.phase,
        phase_id=found.phase_id,
        phase_note="; ".join(text for text in (NOTE, found.phase_note) if text),
        variables=found.variables,
        components={part.formula: amount for part, amount in found.mixture.amounts.items()},
        levels={"relax": LEVELS[0], "hull": LEVELS[0], "melt_quench": level, "md": level},
        sweeps=list(SWEEPS[found.phase == "crystal" :]),
        n_atoms=40 + number,
        n_mobile=n_mobile,
        steps={},
        screen=SCREEN,
        literature=[LiteratureValue(**row.as_document()) for row in found.literature[:4]],
    )
    shared = candidate.model_dump(exclude={"components", "steps", "screen", "units"})
    shared = {key: shared[key] for key in shared.keys() & CandidateSummary.model_fields.keys()}
    nothing = Quantity(status=Status.UNCONVERGED, note="not computed yet")
    summary = CandidateSummary(
        **shared,
        chemsys="-".join(sorted(element.symbol for element in found.mixture.composition)),
        energy_above_hull_ev_per_atom=nothing,
        reaction_energy_ev_per_atom=nothing,
        sigma_300k_ms_cm=nothing,
        activation_energy_ev=nothing,
        decomposition=[
            HullProduct(phase_id=f"{formula}_reference", formula=formula, amount=amount)
            for formula, amount in candidate.components.items()
        ],
    )
    return Base(found, candidate, candidate_record(candidate), summary_record(summary))


def step_names(phase):
    """Return the names of the steps of a candidate."""
    sample = "-seed1" if phase == "glass" else ""
    first = [f"melt_quench{sample}"] if sample else []
    runs = [f"md{sample}-{kelvin}K" for kelvin in TEMPERATURES_K]
    last = ["diffusion", "transport", "structure", "landscape"]
    return [*first, f"relax{sample}", f"hull{sample}", *runs, *(name + sample for name in last)]


def identity_of(number, step):
    """Return the identity of a step of the candidate `number`."""
    return hashlib.sha256(f"synthetic {number} {step}".encode()).hexdigest()


def records(n, *, start=0, n_hostile=0):
    """Yield pairs of a candidate's record and its summary's, `n` from the number `start` on.

    The last `n_hostile` hold strings that no page may take for more than text.
    """
    for number in range(start, start + n):
        base = bases()[number % len(bases())]
        hostile = number - (start + n - n_hostile)
        yield _records(base, number, HOSTILE[hostile % len(HOSTILE)] if hostile >= 0 else "")


def _records(base, number, hostile):
    rng = random.Random(number)
    copy = number // len(bases())
    name = f"{base.candidate.formula}-{base.candidate.phase}-{identity_of(number, '')[:8]}"
    shared = {
        "candidate_id": name,
        "label": f"{base.candidate.label} {copy}" if copy else base.candidate.label,
        "n_atoms": base.candidate.n_atoms + 8 * rng.randrange(10),
        "last_updated": _START + timedelta(seconds=13 * number),
    }
    if base.candidate.variables and copy:
        moved = {k: round(v + rng.uniform(0, 0.1), 4) for k, v in base.candidate.variables.items()}
        shared["variables"] = moved
    if hostile:
        shared |= dict.fromkeys(("label", "family", "formula", "phase_note"), hostile)
        shared["sweeps"] = [*base.candidate.sweeps, HOSTILE_SWEEP]
    identities = {step: identity_of(number, step) for step in step_names(base.candidate.phase)}
    steps = {"steps": identities, STEP_KEYS: step_keys(identities)}
    candidate = base.record | shared | steps
    return candidate, base.summary | shared | _numbers(base, identities, rng, hostile)


def _numbers(base, identities, rng, hostile):
    """Make up what the steps would give; some of it missing, some of any status."""
    glass = base.candidate.phase == "glass"
    status, stability = rng.choice(_STATUSES), rng.choice(_STATUSES)
    progress = rng.random()
    e_a = rng.uniform(0.15, 0.6)
    sigma = math.exp(rng.gauss(7.5 - e_a / 0.02585, 1.0))
    return {
        "energy_above_hull_ev_per_atom": _quantity(rng.gauss(0.06, 0.05), 0.038, stability, rng),
        "energy_above_crystal_ev_per_atom": _quantity(rng.uniform(0.02, 0.1), 0.01, stability, rng)
        if glass and rng.random() < 0.5
        else None,
        "reaction_energy_ev_per_atom": _quantity(rng.gauss(-0.05, 0.05), 0.004, stability, rng),
        "reduction_limit_v": _quantity(rng.uniform(0.8, 2.2), 0.05, stability, rng),
        "oxidation_limit_v": _quantity(rng.uniform(3.0, 4.5), 0.05, stability, rng),
        "sigma_300k_ms_cm": _quantity(sigma, 0.4 * sigma, status, rng),
        "activation_energy_ev": _quantity(e_a, 0.03, status, rng),
        "diffusivity_cm2_s": {
            f"{kelvin}K": _quantity(
                d := 2e-3 * math.exp(-e_a / (8.617e-5 * kelvin)), 0.1 * d, status, rng
            )
            for kelvin in TEMPERATURES_K[: rng.randrange(len(TEMPERATURES_K) + 1)]
        },
        "density_g_cm3": _quantity(rng.uniform(1.9, 3.6), 0.03, Status.OK, rng),
        "density_ratio": rng.uniform(0.8, 1.0) if glass else None,
        "quench_rate_k_s": 4e13 * 10 ** rng.randrange(2) if glass else None,
        "melted": status is not Status.NOT_MELTED if glass else None,
        "amorphous": status is not Status.CRYSTALLISED if glass else None,
        "peroxide_fraction": rng.choice([None, 0.0, rng.random()]),
        "passes_screen": rng.choice([True, False, None]),
        "warnings": [hostile or f"sigma: {status.value}"] if status is not Status.OK else [],
        "steps": _states(identities, progress, status),
        "complete": progress > 0.4,
        "wall_s": round(rng.expovariate(1 / 4e4), 1),
    }


def _quantity(value, sd, status, rng):
    known = status.severity <= Status.CRYSTALLISED.severity and rng.random() < 0.97
    bound = status is Status.UNCONVERGED and rng.random() < 0.3
    kind = "lower" if bound and value > 0 and rng.random() < 0.2 else "upper"
    if known and not bound:
        spread = {"value": value, "sd": sd, "lower": value - 1.96 * sd, "upper": value + 1.96 * sd}
    else:
        spread = {"value": None, "sd": None, "lower": None, "upper": None}
        spread |= {kind: 3 * abs(value)} if bound else {}
    note = "" if status is Status.OK else f"synthetic {status.value.replace('_', ' ')}"
    return {**spread, "status": status.value, "note": note}


@cache
def _state(step, state, status):
    potential = PotentialRecord(
        name=LEVELS[1],
        level=LEVELS[1],
        package="synthetic",
        package_version="0",
        weights_sha256=SHA,
    )
    failures = {"": NOTE} if state == "failed" else {}
    empty = step_state(step, "", None, is_running=state == "running", failures=failures)
    done = {"state": "done", "status": status, "wall_s": 3600.0, "potential": potential}
    changed = done | {"note": "" if status is Status.OK else NOTE} if state == "done" else {}
    found = empty.model_copy(update=changed)
    return StepState.model_validate(found.model_dump()).model_dump(mode="json")


def _states(identities, progress, status):
    """Return the states of steps: as far as `progress` above 0.4 all, below it a part."""
    n_done = len(identities) if progress > 0.4 else int(len(identities) * progress / 0.4)
    states = []
    for at, (step, identity) in enumerate(identities.items()):
        state = "done" if at < n_done else "waiting"
        if at == n_done:
            state = "failed" if status is Status.FAILED else "running"
        known = status if step.startswith("diffusion") else Status.OK
        states.append({**_state(step, state, known), "identity": identity})
    return states


def fill(store, n, *, n_full=0, n_hostile=0):
    """Put `n` candidates into `store`, the first `n_full` with documents of all their steps."""
    from synthetic_steps import write_documents

    store.meta.update({"_id": "synthetic", "note": NOTE, "n": n, "at": datetime.now(UTC)})
    if n_full:
        write_documents(store, n_full)
    rows = records(n - n_full, start=n_full, n_hostile=n_hostile)
    while batch := list(islice(rows, _BATCH)):
        for at, collection in enumerate((store.candidates, store.summaries)):
            collection._collection.insert_many([pair[at] for pair in batch])
    SummaryBuilder.of(store).changes.settle_all()  # made up as they are, not by a builder


def main():
    """Make a store from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", help="a folder, or mongodb://... with --files")
    parser.add_argument("n", type=int, help="candidates")
    parser.add_argument("--full", type=int, help="with all documents; default: 60 at most")
    parser.add_argument("--hostile", type=int, default=0, help="with hostile strings")
    parser.add_argument("--files", help="folder of the files, for a store on a server")
    asked = parser.parse_args()
    full = min(asked.n, 60) if asked.full is None else asked.full
    import many_candidates  # not as __main__, which would make everything twice

    with open_store(asked.store, files_dir=asked.files) as store:
        many_candidates.fill(store, asked.n, n_full=full, n_hostile=asked.hostile)
    sys.stdout.write(f"{asked.n} candidates, {full} with all documents: {asked.store}\n")


if __name__ == "__main__":
    main()
