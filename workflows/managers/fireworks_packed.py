"""Many steps in one job of the queue: FireWorks' rapidfire, which minds the time that is left.

``python -m haloflow.workflows.managers.fireworks_packed`` runs what is ready, as many steps at
once as ``HALOFLOW_SIDE_BY_SIDE`` says, and begins none that could not reach a checkpoint within
``HALOFLOW_WALLTIME_S``.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from math import ceil
from typing import TYPE_CHECKING, Any

from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire

from ...makers.walltime import walltime_left_s
from ...settings import get_settings
from . import fireworks_task
from .fireworks import configured_launchpad
from .sharing import own_share

if TYPE_CHECKING:
    from fireworks import LaunchPad

_ONE = "--one"
_FRESH_SHARE = 0.8
"""With so much of its time left, a job begins any step: no other would have more for it."""
_MOST_IDLE_S = 60.0
_LOOK_S = 1


class PackedWorker(FWorker):
    """A worker of FireWorks that takes only what fits."""

    @property
    def query(self) -> dict[str, Any]:
        """Which fireworks it takes now."""
        wanted: dict[str, Any] = super().query
        settings, left_s = get_settings(), walltime_left_s()
        orders = f"spec.{fireworks_task.ORDERS}"
        if left_s is not None and left_s < _FRESH_SHARE * (settings.walltime_s or 0.0):
            wanted[f"{orders}.least_s"] = {"$not": {"$gt": left_s}}
        if settings.gpu_share is not None:
            on_one = ceil(1 / settings.gpu_share - 1e-3)
            wanted[f"{orders}.replicas_per_gpu"] = {"$not": {"$lt": on_one}}
        if fireworks_task.is_stopped():
            wanted["fw_id"] = {"$in": []}
        return wanted


def work(launchpad: LaunchPad, worker: PackedWorker) -> None:
    """Run what is ready and what gets ready, until nothing is left or fits."""
    began_to_wait = time.monotonic()
    while not fireworks_task.is_stopped():
        if launchpad.run_exists(worker):
            rapidfire(launchpad, worker, max_loops=1, sleep_time=_LOOK_S)
            began_to_wait = time.monotonic()
            continue
        is_long = time.monotonic() - began_to_wait > _MOST_IDLE_S  # for steps of other jobs
        if is_long or not launchpad.future_run_exists(worker):
            return
        time.sleep(_LOOK_S)


def _work_alone() -> None:
    signal.signal(signal.SIGTERM, fireworks_task.stop)
    own_share()
    launchpad, known = configured_launchpad(), FWorker.auto_load()
    try:
        work(launchpad, PackedWorker(known.name, known.category, known._query, known.env))  # noqa: SLF001  (it has no other name)
    finally:
        launchpad.connection.close()


def _work_side_by_side(n_processes: int) -> int:
    """Start the processes and wait for them; the queue's signals reach each of them by itself."""
    command = [sys.executable, "-m", __spec__.name, _ONE]
    processes = [subprocess.Popen(command) for _ in range(n_processes)]  # noqa: S603  (itself)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    return max(process.wait() for process in processes)


if __name__ == "__main__":
    n_at_once = get_settings().side_by_side
    if n_at_once > 1 and _ONE not in sys.argv:
        raise SystemExit(_work_side_by_side(n_at_once))
    _work_alone()
