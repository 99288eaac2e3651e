"""Small candidates and outputs, written as jobs write them, and what their summaries must be."""

from __future__ import annotations

from datetime import UTC, datetime

from monty.json import jsanitize
from pymatgen.core import Lattice, Structure

from haloflow.identity import step_uuid
from haloflow.quantity import Quantity
from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.documents import CandidateDocument, Provenance, StaticDocument
from haloflow.stores.records import STEP_KEYS, candidate_record

CELL = Structure(Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
MADE = Provenance(haloflow_version="0", code_version=1, python_version="3", wall_s=5.0)


def candidate(name, steps):
    return CandidateDocument(
        candidate_id=name,
        label=name,
        family="f",
        formula="NaCl",
        phase="crystal",
        components={"NaCl": 1.0},
        levels={},
        n_atoms=2,
        n_mobile=1,
        steps={f"static-{step}": step for step in steps},
    )


def put(store, name, steps):
    store.candidates.update(candidate_record(candidate(name, steps)))


def put_as_before(store, name, steps):
    """Write a candidate as the haloflow did that knew no keys of steps."""
    record = candidate_record(candidate(name, steps))
    record.pop(STEP_KEYS)
    same = {"candidate_id": name}
    store.candidates._collection.replace_one(same, record, upsert=True)


def output(step, note, document=None):
    document = document or StaticDocument(
        identity=step,
        provenance=MADE,
        structure=CELL,
        level="l",
        energy_ev_per_atom=Quantity(-3.0),
        max_force_ev_a=0.1,
        note=note,
    )
    return {
        "uuid": step_uuid(step),
        "index": 1,
        "completed_at": datetime.now(UTC).isoformat(),
        "output": jsanitize(document, strict=True, enum_values=True),
    }


def compute(store, step, note=""):
    """Store the output of a step, in the place of an earlier one."""
    store.outputs.update(output(step, note), key=["uuid", "index"])


def compute_anew(store, step, note=""):
    store.outputs.remove_docs({"uuid": step_uuid(step)})
    compute(store, step, note)


def summaries(store):
    rows = store.summaries.query({})
    return {row["candidate_id"]: drop(row, "_id", "last_updated", "_writing") for row in rows}


def drop(row, *names):
    return {key: value for key, value in row.items() if key not in names}


def check(store):
    """Update what has changed, and compare with building all anew."""
    SummaryBuilder.of(store).run()
    updated = summaries(store)
    ids = [row["candidate_id"] for row in store.candidates.query({})]
    assert updated.keys() == set(ids)
    assert len(ids) == len(updated) == store.summaries.count({})
    store.summaries.remove_docs({})
    SummaryBuilder.of(store, ids).run()
    assert updated == summaries(store)
