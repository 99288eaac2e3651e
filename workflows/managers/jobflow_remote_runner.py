"""The runner of jobflow-remote, which moves jobs on and is restarted by nobody when it dies."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from warnings import catch_warnings, filterwarnings

from jobflow_remote.jobs.daemon import DaemonError, DaemonManager, DaemonStatus, RunningDaemonError

from ...errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobflow_remote.config.base import Project
    from jobflow_remote.jobs.jobcontroller import JobController

_ALIVE = (DaemonStatus.RUNNING, DaemonStatus.STARTING, DaemonStatus.PARTIALLY_RUNNING)
_START_S = 60
_LOOK_S = 0.2


def runner_is_alive(project: Project) -> bool:
    """Tell whether the runner of `project` runs on this machine."""
    try:
        return DaemonManager.from_project(project).check_status() in _ALIVE
    except (DaemonError, OSError):  # it is just coming up or going down
        return False


def ensure_runner(project: Project, controller: JobController) -> bool:
    """Start the runner unless it runs; return whether it had to be started.

    What a dead one left locked is opened first.

    Raises
    ------
    EngineError
        It belongs to another machine or user, or does not start.
    """
    if runner_is_alive(project):
        return False
    places = (str(project.daemon_dir), str(project.log_dir))
    daemon = DaemonManager(*places, project, controller)
    try:
        daemon.check_matching_runner(raise_on_error=True, allow_missing=True)
        controller.unlock_jobs()
        controller.unlock_flows()
        with _own_commands_first(), catch_warnings():
            filterwarnings("ignore", "makedirs_p is deprecated", FutureWarning)
            daemon.start(single=True, raise_on_error=True)
        _await_start(project)
    except RunningDaemonError as error:
        raise EngineError(
            "the runner of jobflow-remote is not started from here",
            given=" ".join(str(error).split()),
            remedy="run this command there; or, if that machine or user is gone for good: "
            "jf runner reset",
        ) from error
    except DaemonError as error:
        raise EngineError(
            "the runner of jobflow-remote does not start",
            given=" ".join(str(error).split()),
            remedy=f"read {Path(str(project.log_dir)) / 'runner.log'}",
        ) from error
    return True


def _await_start(project: Project) -> None:
    """Wait for a supervisor that may not have written its pid file or opened its socket yet."""
    deadline = time.monotonic() + _START_S
    while not runner_is_alive(project):
        if time.monotonic() > deadline:
            raise DaemonError(f"it does not run within {_START_S} s")
        time.sleep(_LOOK_S)


@contextmanager
def _own_commands_first() -> Iterator[None]:
    """Let ``supervisord`` and ``jf`` be those of this environment, activated or not."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), before))
    try:
        yield
    finally:
        os.environ["PATH"] = before
