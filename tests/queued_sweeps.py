"""The long tiny sweep in a queue, and what must come out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from pair_potential import COUNT_FILE
from tiny_sweeps import tiny_data

from haloflow.stores.claims import Claims
from haloflow.stores.connection import HaloflowStore, open_store
from haloflow.stores.results import stored_outputs

if TYPE_CHECKING:
    from cluster import FireWorksSite

LONG = {"md": {"production_steps": 1200, "trajectory_interval": 20}}
MEANT_TO_DIFFER = frozenset(("_id", "last_updated", "wall_s", "_candidate_updated"))


def physics(store: HaloflowStore) -> dict[str, Any]:
    """Return all documents of steps by identity, without how they came about."""
    identities = {i for row in store.candidates.query({}) for i in row["steps"].values()}
    outputs = stored_outputs(store, identities)
    for output in outputs.values():
        del output["provenance"]
    return outputs


def summaries(store: HaloflowStore) -> dict[str, Any]:
    """Return what stands in the table, less when it was written and how long it took."""
    rows = {}
    for row in store.summaries.query({}):
        kept = {key: value for key, value in row.items() if key not in MEANT_TO_DIFFER}
        for step in kept["steps"]:
            del step["wall_s"]
        rows[row["candidate_id"]] = kept
    return rows


def assert_equal(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Name what differs."""
    assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
    for name, row in ours.items():
        other = theirs[name]
        differing = {key: (row.get(key), other.get(key)) for key in row.keys() | other.keys()}
        differing = {key: (a, b) for key, (a, b) in differing.items() if a != b}
        assert not differing, (name, differing)


def assert_as_undisturbed(store: HaloflowStore, undisturbed: Any) -> None:
    """Compare with what `haloflow run` made of the same candidates without disturbance."""
    candidates = list(store.candidates.query({}))
    ids = {row["candidate_id"] for row in candidates}
    steps = {identity for row in candidates for identity in row["steps"].values()}
    with open_store(undisturbed.store) as theirs:
        made = {i: output for i, output in physics(theirs).items() if i in steps}
        assert_equal(physics(store), made)
        rows = {name: row for name, row in summaries(theirs).items() if name in ids}
        assert_equal(summaries(store), rows)
    assert len(made) == len(steps)
    assert store.outputs.count({"uuid": {"$ne": None}}) == len(physics(store))
    assert Claims(store.claims).live() == {}


def lay_out(site: FireWorksSite, **changes: Any) -> None:
    """Write the long tiny sweep into the folder, and let its evaluations be counted."""
    data = tiny_data(**(LONG | changes))
    (site.folder / "tiny.yaml").write_text(yaml.safe_dump(data))
    count = site.folder / "count"
    count.touch()
    site.environment[COUNT_FILE] = str(count)


def n_evaluations(site: FireWorksSite) -> int:
    return (site.folder / "count").stat().st_size
