"""A worker process: takes steps from its manager, runs them as jobflow jobs, reports."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from jobflow import run_locally

from ..errors import HaloflowError, InterruptedRunError
from ..stores.connection import open_store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from .steps import PlannedStep

_WATCH_INTERVAL_S = 1.0


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Attributes
    ----------
    error
        Message for the user; empty when the step returned a document.
    interrupted
        Stopped by a signal or the walltime, after a checkpoint.
    """

    identity: str
    wall_s: float
    error: str = ""
    interrupted: bool = False


def work(connection: Connection, store_uri: str) -> None:
    """Run steps from `connection` until ``None`` comes or the manager is gone."""
    _stop_with_parent(os.getppid())
    warnings.filterwarnings("ignore", "cd is deprecated", FutureWarning)  # jobflow's
    with open_store(store_uri) as store, TemporaryDirectory(prefix="haloflow-") as scratch:
        while True:
            try:
                step: PlannedStep | None = connection.recv()
            except (EOFError, KeyboardInterrupt):
                return
            if step is None:
                return
            outcome = _run(step, store.jobstore, Path(scratch))
            connection.send(outcome)
            if outcome.interrupted:
                return


def _run(step: PlannedStep, jobstore: object, scratch: Path) -> Outcome:
    started = time.monotonic()
    error, interrupted = "", False
    try:
        run_locally(
            step.to_job(),
            log=False,
            store=jobstore,
            root_dir=scratch,
            allow_external_references=True,
            raise_immediately=True,
        )
    except (InterruptedRunError, KeyboardInterrupt) as stop:
        error, interrupted = str(stop) or "interrupted from the keyboard", True
    except HaloflowError as failure:
        error = str(failure)
    except Exception as failure:  # noqa: BLE001  (one failed step must not end the sweep)
        where = traceback.extract_tb(failure.__traceback__)[-1]
        error = (
            f"{type(failure).__name__}: {failure} (in {Path(where.filename).name}:{where.lineno})"
        )
    return Outcome(step.identity, time.monotonic() - started, error, interrupted)


def _stop_with_parent(parent: int) -> None:
    """Stop, with a checkpoint, when the manager was killed and cannot say so."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_INTERVAL_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="haloflow-parent-watch", daemon=True).start()
