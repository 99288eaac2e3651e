"""The long tiny sweep in a queue, and what must come out of it."""

from __future__ import annotations

import re
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
MEANT_TO_DIFFER = frozenset(("_id", "last_updated", "wall_s", "_writing"))


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


def acknowledged(site: FireWorksSite) -> dict[str, str]:
    """Return when each document was stored, by UUID of its job."""
    with site.open() as store:
        rows = store.outputs.query({"output": {"$ne": None}}, ["uuid", "completed_at"])
        return {row["uuid"]: row["completed_at"] for row in rows}


def assert_survived(
    site: FireWorksSite,
    undisturbed: Any,
    seen: dict[str, str],
    *,
    cause: str | None = None,
    loss: int | None = None,
) -> None:
    """Ask of a sweep whatever a fault must leave as it was.

    It is complete and as without the fault; what was stored was neither lost nor stored anew;
    no more was computed twice than may be; the cause can be read; nothing is left to do.

    Parameters
    ----------
    seen
        What was acknowledged, from looks of `acknowledged` before and after the fault.
    cause
        Pattern that `haloflow status` must show; ``None`` where nothing had to run again.
    loss
        Evaluations that may have been done twice; ``None`` for sweeps of a part of the systems.
    """
    with site.open() as store:
        assert_as_undisturbed(store, undisturbed)
    now = acknowledged(site)
    assert seen
    assert seen.items() <= now.items(), {k: (v, now.get(k)) for k, v in seen.items()}
    if loss is not None:
        once = undisturbed.n_evaluations
        assert once <= n_evaluations(site) <= once + loss, (n_evaluations(site), once)
    shown = site.haloflow("status")
    assert cause is None or re.search(cause, shown), shown
    assert not re.search(r"(?m)^(failed |\d+ failed:)", shown), shown


def lay_out(site: FireWorksSite, **changes: Any) -> None:
    """Write the long tiny sweep into the folder, and let its evaluations be counted."""
    data = tiny_data(**(LONG | changes))
    (site.folder / "tiny.yaml").write_text(yaml.safe_dump(data))
    count = site.folder / "count"
    count.touch()
    site.environment[COUNT_FILE] = str(count)


def n_evaluations(site: FireWorksSite) -> int:
    return (site.folder / "count").stat().st_size
