"""Steps on FireWorks: a LaunchPad takes them, rlaunch or qlaunch runs them."""

from __future__ import annotations

from contextlib import redirect_stderr
from functools import cached_property
from io import StringIO
from typing import TYPE_CHECKING, Any, cast

from fireworks import LaunchPad, Workflow, fw_config
from jobflow.managers.fireworks import job_to_firework
from monty.serialization import loadfn
from pymongo import UpdateOne

from ...errors import InputError
from ...identity import step_uuid
from ...stores.mongodb import translated
from .base import NONE_ABANDONED, JobState, Submission, require_server
from .batch import end_jobs, look_at_queue
from .fireworks_recovery import Recovery, lost_after_s
from .fireworks_states import LAUNCH_FIELDS, job_states
from .fireworks_task import IDENTITY, ORDERS, StepFiretask
from .flows import pending_components, with_skipped
from .queue_words import step_words
from .resources import Resources, Usual, orders_of, resources_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from ...stores.connection import HaloflowStore
    from ..plan import Plan
    from ..steps import PlannedStep
    from ..sweep import Sweep
    from .flows import Component

_SERVER_TIMEOUT_MS = 5000
_BATCH = 1000
_IDENTITY_FIELD = f"spec.{IDENTITY}"
_GONE = ("DEFUSED", "ARCHIVED")
_AT_WORK_OR_DONE = ("RESERVED", "RUNNING", "COMPLETED")


class FireWorksManager:
    """FireWorks, as it is configured on this machine.

    Parameters
    ----------
    launchpad
        Default: that of ``my_launchpad.yaml``, found as FireWorks finds it.
    stays
        Whether to recover may last a ping and a half, to hear of jobs that are silent. Without
        it they are only noted for who stays.
    """

    name = "fireworks"
    watch_log: Path | None = None  # its workers look after each other

    def __init__(self, launchpad: LaunchPad | None = None, *, stays: bool = True) -> None:
        self.launchpad = launchpad or configured_launchpad()
        self._stays = stays

    def close(self) -> None:
        """Close the connection of the LaunchPad."""
        self.launchpad.connection.close()

    @cached_property
    def _where(self) -> str:
        pad = self.launchpad
        return str(pad.host) if pad.uri_mode else f"mongodb://{pad.host}:{pad.port}/{pad.name}"

    @cached_property
    def _adapter(self) -> Mapping[str, Any] | None:
        place = fw_config.QUEUEADAPTER_LOC
        return None if place is None else cast("Mapping[str, Any]", loadfn(place))

    @property
    def _scheduler(self) -> str | None:
        return None if self._adapter is None else self._adapter.get("_fw_q_type")

    @property
    def starter(self) -> str:
        """What sends jobs to the queue, or runs them here where there is none."""
        if self._adapter is None:
            return "rlaunch rapidfire"
        single = "singleshot" in str(self._adapter.get("rocket_launch", ""))
        return "qlaunch -r rapidfire" if single else "qlaunch rapidfire"

    @cached_property
    def _recovery(self) -> Recovery:
        return Recovery(self.launchpad, self._scheduler, stays=self._stays)

    def submit(self, plan: Plan, store: HaloflowStore) -> Submission:
        """Add the steps of `plan` without a result; what the LaunchPad has is left there."""
        require_server(store)
        with translated(self._where):
            self.prepare()
            known = self._told_again(plan)
            components = pending_components(plan, known)
            told = _candidates(plan)
            workflows = [self._workflow(one, plan, store, told) for one in components]
            if workflows:
                with redirect_stderr(StringIO()):  # a progress bar
                    self.launchpad.bulk_add_wfs(workflows)
        n_jobs = sum(len(component.steps) for component in components)
        return Submission(len(workflows), n_jobs, len(known), plan.n_reused)

    def _resources(self, step: PlannedStep, sweep: Sweep) -> Resources:
        return resources_of(step, sweep, Usual.of((self._adapter or {}).get("pre_rocket")))

    def _told_again(self, plan: Plan) -> set[str]:
        """Let unfinished fireworks that do not run yet ask for what the sweep says now."""
        there = {"state": {"$nin": [*_GONE]}}
        fields = {"fw_id": 1, "state": 1, _IDENTITY_FIELD: 1}
        rows = list(self._fireworks(plan.to_run, there, fields))
        changes = []
        for row in rows:
            step = plan.to_run[row["spec"][IDENTITY]]
            told = _asked_for(step, self._resources(step, plan.sweep), self._adapter)
            if row["state"] not in _AT_WORK_OR_DONE:
                same = {"fw_id": row["fw_id"], "state": row["state"]}
                changes.append(UpdateOne(same, {"$set": _fields(told)}))
        if changes:
            self.launchpad.fireworks.bulk_write(changes, ordered=False)
        done = {row["spec"][IDENTITY] for row in rows if row["state"] == "COMPLETED"}
        unfinished = {row["spec"][IDENTITY] for row in rows if row["state"] != "COMPLETED"}
        return with_skipped(plan, unfinished, done)

    def _workflow(
        self,
        component: Component,
        plan: Plan,
        store: HaloflowStore,
        candidates: Mapping[str, tuple[str, ...]],
    ) -> Workflow:
        """Convert with jobflow, and let each task know the orders of its step.

        Which step waits for which is known; jobflow would find it out anew from references.
        """
        flow, own = component.flow(), {step.identity for step in component.steps}
        fireworks, known = [], dict[str, Any]()
        for step, job in zip(component.steps, flow.jobs, strict=True):
            parents = [step_uuid(one) for one in step.after if one in own]
            firework = job_to_firework(job, store.jobstore, parents, known)
            resources = self._resources(step, plan.sweep)
            told = _asked_for(step, resources, self._adapter)
            orders = orders_of(step, resources, candidates[step.identity])
            firework.tasks = [StepFiretask(dict(task)) for task in firework.tasks]
            firework.spec |= told | {ORDERS: orders.as_record()}
            fireworks.append(firework)
        return Workflow(fireworks, name=flow.name, metadata={"haloflow_sweep": plan.sweep.name})

    def states(self, identities: Collection[str]) -> dict[str, JobState]:
        """Return where the jobs of these steps stand, detours and earlier attempts included."""
        with translated(self._where):
            fields = ("fw_id", "state", "launches", "archived_launches", f"spec.{ORDERS}")
            details = ("spec._exception_details", _IDENTITY_FIELD)
            found = list(self._fireworks(identities, {}, dict.fromkeys((*fields, *details), 1)))
            ids = [i for row in found for i in (*row["launches"], *row["archived_launches"])]
            launches = {
                row["launch_id"]: row
                for some in _batches(ids)
                for row in self.launchpad.launches.find({"launch_id": {"$in": some}}, LAUNCH_FIELDS)
            }
        return job_states(found, launches, look_at_queue(self._scheduler))

    def retry(self, identities: Collection[str]) -> set[str]:
        """Let the failed ones run again, and with them what ran on without their results."""
        with translated(self._where):
            failed = self._ids(identities, ["FIZZLED"])
            for fw_id in failed:
                old = {"$unset": {"spec._exception_details": ""}}
                self.launchpad.update_spec([fw_id], old, mongo=True)
                self.launchpad.rerun_fw(fw_id)
        return set(failed.values())

    def cancel(self, identities: Collection[str]) -> set[str]:
        """Defuse what is unfinished, and take its jobs out of the queue."""
        with translated(self._where):
            ids = self._ids(
                identities, ["FIZZLED", "WAITING", "PAUSED", "READY", "RESERVED", "RUNNING"]
            )
            sent = [job_id for _, job_id in self._recovery.sent(ids)]
            for fw_id in ids:
                self.launchpad.defuse_fw(fw_id)
        end_jobs(self._scheduler, sent)
        return set(ids.values())

    def pause(self, identities: Collection[str]) -> set[str]:
        """Pause what has not started; what waits in the queue is taken out of it."""
        with translated(self._where):
            ids = self._ids(identities, ["WAITING", "READY", "RESERVED"])
            sent = [row for row in self._recovery.sent(ids) if row[0]["state"] == "RESERVED"]
            paused = {fw_id for fw_id in ids if self.launchpad.pause_fw(fw_id)}
            given_back = [row for row in sent if row[0]["fw_id"] in paused]
            for launch, _ in given_back:
                self.launchpad.cancel_reservation(launch["launch_id"])
        end_jobs(self._scheduler, [job_id for _, job_id in given_back])
        return {ids[fw_id] for fw_id in paused}

    def resume(self, identities: Collection[str]) -> set[str]:
        """Let what was paused run."""
        with translated(self._where):
            ids = self._ids(identities, ["PAUSED"])
            return {identity for fw_id, identity in ids.items() if self.launchpad.resume_fw(fw_id)}

    def recover(
        self,
        identities: Collection[str],
        abandoned: Mapping[str, datetime] = NONE_ABANDONED,
        claimed: Collection[str] = frozenset(),
    ) -> set[str]:
        """Run again what FireWorks finds lost, was abandoned, or this machine's queue forgot."""
        with translated(self._where):
            all_of_them = self._fireworks(identities, {}, {"fw_id": 1})
            self._recovery.unlock([row["fw_id"] for row in all_of_them])
            silent = set(identities) - set(claimed)
            running = self._ids(silent, ["RUNNING", "RESERVED"])
            lost = self._recovery.put_back(running, abandoned, lost_after_s())
        return {running[fw_id] for fw_id in lost if fw_id in running}

    def prepare(self) -> None:
        """Give a new LaunchPad its counters, and an index to find steps by."""
        pad = self.launchpad
        if pad.fw_id_assigner.find_one({}) is None:
            first = {"$setOnInsert": {"next_fw_id": 1, "next_launch_id": 1}}
            pad.fw_id_assigner.update_one({"_id": -1}, first, upsert=True)
            pad.tuneup()
        pad.fireworks.create_index(_IDENTITY_FIELD, background=True)

    def _fireworks(
        self, identities: Iterable[str], criteria: dict[str, Any], fields: dict[str, int]
    ) -> Iterator[dict[str, Any]]:
        for some in _batches(identities):
            wanted = {_IDENTITY_FIELD: {"$in": some}, **criteria}
            yield from self.launchpad.fireworks.find(wanted, fields)

    def _ids(self, identities: Iterable[str], states: list[str]) -> dict[int, str]:
        """Return the fireworks in these states: id to identity of the step."""
        rows = self._fireworks(
            identities, {"state": {"$in": states}}, {"fw_id": 1, _IDENTITY_FIELD: 1}
        )
        return {row["fw_id"]: row["spec"][IDENTITY] for row in rows}


def configured_launchpad() -> LaunchPad:
    """Return the LaunchPad that this machine is configured for.

    Raises
    ------
    InputError
        There is none.
    """
    place = fw_config.LAUNCHPAD_LOC
    if place is None:
        raise InputError(
            "FireWorks is not configured on this machine",
            given="no my_launchpad.yaml here, in ~/.fireworks or where FW_CONFIG_FILE points",
            remedy="write one with `haloflow setup`, or set FW_CONFIG_FILE",
        )
    record = loadfn(place)
    limits = dict(record.get("mongoclient_kwargs") or {})
    limits |= {"serverSelectionTimeoutMS": _SERVER_TIMEOUT_MS}  # workers wait longer
    return LaunchPad.from_dict({**record, "strm_lvl": "ERROR", "mongoclient_kwargs": limits})


def _asked_for(
    step: PlannedStep, resources: Resources, adapter: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the parts of a spec that follow from ``resources:`` in the sweep."""
    return {
        "_category": resources.category,
        "_queueadapter": step_words(adapter, resources),
        ORDERS: orders_of(step, resources, ()).about_resources(),
    }


def _fields(told: Mapping[str, Any]) -> dict[str, Any]:
    """Name what is told as fields of a document, one by one among the orders."""
    orders = {f"spec.{ORDERS}.{name}": value for name, value in told[ORDERS].items()}
    return orders | {f"spec.{name}": told[name] for name in ("_category", "_queueadapter")}


def _candidates(plan: Plan) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for candidate in plan.candidates:
        for step in candidate.steps:
            own = (candidate.document.candidate_id,)
            found[step.identity] = found.get(step.identity, ()) + own
    return found


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    wanted = list(items)
    return (wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH))
