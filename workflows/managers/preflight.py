"""The examination of a worker by itself: a job goes the way of all others and reports back."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from jobflow import Job, JobStore, job
from monty.json import MontyDecoder, MontyEncoder

from ... import __version__
from ...engines.potentials import identify
from ...errors import MissingDependencyError, UnknownNameError
from ...makers.trained_models import bring_models
from ...stores.connection import HaloflowStore
from ...stores.mongodb import MongoDBStore
from ..doctor import Check
from .base import require_server
from .remote_project import QUEUE_RECORDS
from .worker_checks import LEAST_FREE_GB, clock_offset_s, examine_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

_PROBES = {
    "fireworks": ("preflight_fireworks", "FireWorksProbe"),
    "jobflow-remote": ("preflight_jobflow_remote", "JobflowRemoteProbe"),
}
_LOOK_S = 1.0
_PREFIX = "preflight-"


@dataclass(frozen=True)
class Fate:
    """Where the job of a preflight stands; `failed` when it will not report any more."""

    words: str
    failed: bool = False
    tail: str = ""


class Probe(Protocol):
    """Takes one job through a manager."""

    remedy: str
    """What starts a worker."""

    def register(self, store: HaloflowStore) -> None:
        """Refuse a name that a worker elsewhere has, if the manager goes by names."""

    def send(self, job: Job, records: JobStore, folder: Path) -> None:
        """Hand the job over, and let it start as soon as the queue allows."""

    def fate(self) -> Fate:
        """Say where it stands."""

    def withdraw(self) -> None:
        """Remove every trace of it from the manager."""


def examine_remotely(
    store: HaloflowStore,
    manager: str,
    *,
    levels: Iterable[str] = (),
    disk_gb: float = LEAST_FREE_GB,
    deadline_s: float = 600.0,
    told: Callable[[str], None] = lambda _words: None,
) -> list[Check]:
    """Let a worker examine itself, and return what it found.

    Parameters
    ----------
    store
        On a server.
    manager
        ``fireworks`` or ``jobflow-remote``.
    levels
        Potentials whose weights must be there, the same as here.
    disk_gb
        What must be free where trajectories go.
    deadline_s
        Longest wait for the worker.
    told
        Hears where the job stands whenever that changes.

    Raises
    ------
    StoreError
        The store is an embedded one.
    UnknownNameError, MissingDependencyError, InputError
        The manager does not exist, is not installed or not configured, or another user or host
        has a worker of this name.
    """
    require_server(store)
    probe = _open_probe(manager)
    token = _PREFIX + secrets.token_hex(8)
    bring_models(levels := list(levels), store)
    weights = {level: identify(level).weights_sha256 for level in dict.fromkeys(levels)}
    expected = {
        "version": __version__,
        "token": token,
        "weights": weights,
        "disk_gb": max(disk_gb, LEAST_FREE_GB),
        "clock_s": clock_offset_s(store),
    }
    store.meta.update([{"_id": token}], key="_id")
    folder = store.files_dir / token
    folder.mkdir(parents=True)
    try:
        probe.register(store)
        probe.send(_probing_job(store, expected), _records(store), folder)
        return _await(probe, store, token, deadline_s, told)
    finally:
        probe.withdraw()
        store.meta.remove_docs({"_id": token})
        shutil.rmtree(folder, ignore_errors=True)


def _await(
    probe: Probe,
    store: HaloflowStore,
    token: str,
    deadline_s: float,
    told: Callable[[str], None],
) -> list[Check]:
    deadline, last = time.monotonic() + deadline_s, ""
    while True:
        fate = probe.fate()  # first: a report may come between two looks
        report = (store.meta.query_one({"_id": token}) or {}).get("report")
        if fate.words != last:
            told(fate.words)
            last = fate.words
        if report is not None:
            return [Check(**line) for line in report]
        if fate.failed:
            remedy = "mend what the job says; haloflow must be importable on the worker"
            said = f"{fate.words}\n{fate.tail}".strip()
            return [Check("worker", "problem", f"the job failed: {said}", remedy)]
        if time.monotonic() > deadline:
            message = f"no answer within {deadline_s:g} s: {fate.words}"
            return [Check("worker", "problem", message, probe.remedy)]
        time.sleep(_LOOK_S)


def _open_probe(manager: str) -> Probe:
    if manager not in _PROBES:
        raise UnknownNameError.of("manager", manager, _PROBES)
    module, cls = _PROBES[manager]
    try:
        loaded = import_module(f"{__package__}.{module}")
    except ModuleNotFoundError as error:
        package = (error.name or manager).partition(".")[0]
        raise MissingDependencyError.of(package, manager, "doctor --remote") from None
    return cast("Probe", getattr(loaded, cls)())


def _records(store: HaloflowStore) -> JobStore:
    """Return where the job's own record goes, so that none stands among results."""
    outputs = cast("MongoDBStore", store.outputs)
    place = MongoDBStore(
        outputs.uri, QUEUE_RECORDS, outputs.database, outputs.files_dir, key="uuid"
    )
    return JobStore(place)


def _probing_job(store: HaloflowStore, expected: Mapping[str, Any]) -> Job:
    place = json.dumps(JobStore(store.outputs), cls=MontyEncoder)
    made: Job = report(place=place, expected=dict(expected))
    made.name = "haloflow preflight"
    return made


@job  # type: ignore[untyped-decorator]  # jobflow's decorators have no types
def report(place: str, expected: dict[str, Any]) -> None:
    """Examine this worker and leave the findings in the store.

    Parameters
    ----------
    place
        A JobStore as JSON.
    expected
        What the submitting machine has.
    """
    with HaloflowStore.of_jobstore(json.loads(place, cls=MontyDecoder)) as store:
        found = [asdict(check) for check in examine_here(store, expected)]
        store.meta.update([{"_id": expected["token"], "report": found}], key="_id")
