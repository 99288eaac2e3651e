"""A worker process: takes steps from its manager, runs them as jobflow jobs, reports."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ClaimError, HaloflowError, InterruptedRunError
from ..makers.step import release_claims
from ..quantity import Status
from ..settings import get_settings
from ..stores.connection import open_store
from ..stores.documents import StepDocument
from ..stores.mongodb import translated
from .together import run_together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from multiprocessing.connection import Connection

    from ..stores.connection import HaloflowStore
    from .steps import PlannedStep

_WATCH_INTERVAL_S = 1.0


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Attributes
    ----------
    status
        Of the document.
    error
        Message for the user; empty when the step returned a document.
    interrupted
        Stopped by a signal or the walltime, after a checkpoint.
    is_elsewhere
        Taken over by another process, whose result will do.
    """

    identity: str
    wall_s: float
    status: Status = Status.OK
    error: str = ""
    interrupted: bool = False
    is_elsewhere: bool = False


def work(connection: Connection, store_uri: str) -> None:
    """Run steps from `connection` until ``None`` comes or the manager is gone."""
    _stop_with_parent(os.getppid())
    is_first = True
    with open_store(store_uri, patience_s=get_settings().patience_s) as store:
        while True:
            try:
                steps: list[PlannedStep] | None = connection.recv()
            except (EOFError, OSError):  # the manager is gone
                return
            if steps is None:
                return
            interrupted = False
            for outcome in _outcomes(steps, store, connection):
                with suppress(OSError):  # a manager that was killed hears nothing
                    connection.send(outcome)
                release_claims()
                interrupted |= outcome.interrupted
            if interrupted:
                return
            if is_first:
                gc.freeze()  # all is imported now, and need not be searched for garbage again
            is_first = False


def _outcomes(
    steps: list[PlannedStep], store: HaloflowStore, connection: Connection
) -> Iterable[Outcome]:
    """Run steps that run beside others in one go with those that join, any other by itself."""
    if not all(step.maker.runs_beside_others for step in steps):
        return (_run(step, store) for step in steps)

    def joining() -> list[PlannedStep]:
        try:
            return (connection.recv() or []) if connection.poll() else []
        except (EOFError, OSError):  # the manager was killed: a signal will say so
            return []

    return run_together(steps, lambda step: _run(step, store), joining)


def _run(step: PlannedStep, store: HaloflowStore) -> Outcome:
    started = time.monotonic()
    status = Status.OK
    error, interrupted, is_elsewhere = "", False, False
    try:
        with translated(store.uri):
            status = _status_of(step.to_job().run(store.jobstore).output)
    except InterruptedRunError as stop:
        error, interrupted = str(stop), True
    except ClaimError as taken:
        error, is_elsewhere = str(taken), True
    except HaloflowError as failure:
        error = str(failure)
    except Exception as failure:  # noqa: BLE001  (one failed step must not end the sweep)
        where = traceback.extract_tb(failure.__traceback__)[-1]
        error = (
            f"{type(failure).__name__}: {failure} (in {Path(where.filename).name}:{where.lineno})"
        )
    wall_s = time.monotonic() - started
    return Outcome(step.identity, wall_s, status, error, interrupted, is_elsewhere)


def _status_of(output: StepDocument | Mapping[str, Any]) -> Status:
    return output.status if isinstance(output, StepDocument) else Status(output["status"])


def _stop_with_parent(parent: int) -> None:
    """Stop, with a checkpoint, when the manager was killed and cannot say so."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_INTERVAL_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="haloflow-parent-watch", daemon=True).start()
