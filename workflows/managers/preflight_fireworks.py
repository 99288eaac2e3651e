"""One job through FireWorks."""

from __future__ import annotations

import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING
from warnings import catch_warnings, filterwarnings

from fireworks import FWorker, fw_config
from fireworks.queue.queue_launcher import launch_rocket_to_queue
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter
from jobflow import Flow
from jobflow.managers.fireworks import flow_to_workflow

from ...errors import EngineError
from .base import tail_of
from .fireworks import FireWorksManager
from .preflight import Fate
from .worker_names import is_marked, register

if TYPE_CHECKING:
    from jobflow import Job, JobStore

    from ...stores.connection import HaloflowStore

_MOST_URGENT = 1_000_000


class FireWorksProbe:
    """Takes one job through the LaunchPad and the queue that are configured on this machine."""

    remedy = "look at the queue; its jobs must reach the LaunchPad (FW_submit.script, *.error)"

    def __init__(self) -> None:
        self._manager = FireWorksManager()
        self._pad = self._manager.launchpad
        self._fw_id: int | None = None
        self._launched: subprocess.Popen[bytes] | None = None
        self._place = ""

    def register(self, store: HaloflowStore) -> None:
        """Refuse a name that a worker elsewhere has; one that `setup` did not write has no mark."""
        worker = FWorker.auto_load()
        if is_marked(worker.env):
            register(store, worker.name, worker.env)

    def send(self, job: Job, records: JobStore, folder: Path) -> None:
        """Add the job, and send the queue what fetches it; without a queue, start that here."""
        made = flow_to_workflow(Flow([job], name=job.name), store=records)
        made.fws[0].spec["_priority"] = _MOST_URGENT
        self._manager.prepare()
        with redirect_stdout(StringIO()):
            self._fw_id = next(iter(self._pad.add_wf(made).values()))
        worker = FWorker.auto_load()
        place = fw_config.QUEUEADAPTER_LOC
        if place is None:
            self._start_here(folder)
            return
        adapter = CommonAdapter.from_file(place)
        single = "singleshot" in adapter["rocket_launch"]
        chosen = {"reserve": True, "fw_id": self._fw_id} if single else {}
        with catch_warnings():
            filterwarnings("ignore", "cd is deprecated", FutureWarning)  # FireWorks' use of monty
            sent = launch_rocket_to_queue(
                self._pad, worker, adapter, launcher_dir=str(folder), strm_lvl="CRITICAL", **chosen
            )
        if not sent:
            raise EngineError(
                "the queue did not take the job of the preflight",
                given=f"{folder}/FW_submit.script from {place}",
                remedy="submit such a file by hand to see what the scheduler says",
            )
        self._place = f", {sent} in the queue"

    def fate(self) -> Fate:
        """Say in which state the firework is."""
        row = self._pad.fireworks.find_one({"fw_id": self._fw_id}) or {"state": "unknown"}
        details = row.get("spec", {}).get("_exception_details") or {}
        words = f"{row['state']} as firework {self._fw_id}{self._place}"
        ended = self._launched is not None and self._launched.poll() not in {None, 0}
        failed = row["state"] in {"FIZZLED", "unknown"} or ended
        return Fate(words, failed, tail_of(str(details.get("_stacktrace", ""))))

    def withdraw(self) -> None:
        """Forget the job; what fetches it ends by itself."""
        if self._launched is not None:
            self._launched.terminate()
            self._launched.wait()
        if self._fw_id is not None:
            with redirect_stdout(StringIO()):
                self._pad.delete_wf(self._fw_id)
        self._manager.close()

    def _start_here(self, folder: Path) -> None:
        program = Path(sys.executable).parent / "rlaunch"
        config = str(Path(fw_config.LAUNCHPAD_LOC).absolute().parent)
        command = [str(program), "-s", "-c", config, "singleshot", "-f", str(self._fw_id)]
        self._launched = subprocess.Popen(  # noqa: S603  (FireWorks' own program)
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
