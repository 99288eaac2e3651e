"""jobflow-remote for tests: configured by ``haloflow setup``, with a runner of its own."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
from cluster import FireWorksSite, wait_for

from haloflow.stores.claims import Claims

if TYPE_CHECKING:
    from pathlib import Path


class JobflowRemoteSite(FireWorksSite):
    """A project, its worker's scratch folder and a haloflow store of their own."""

    def __init__(self, folder: Path, server: str, environment: dict[str, str]) -> None:
        super().__init__(folder, server, environment)
        self.projects = folder / "projects"
        self.environment |= {
            "JFREMOTE_PROJECTS_FOLDER": str(self.projects),
            "JFREMOTE_PROJECT": "here",
        } | environment

    def setup(self, *options: str) -> str:
        """Configure the project; what a worker needs of the tests stands in its environment."""
        return self.haloflow(
            "setup", "--to", "jobflow-remote", "--name", "here", "--folder", str(self.projects),
            "--files-dir", str(self.folder / "files"), "--work-dir", str(self.folder / "scratch"),
            "--poll", "0.5", *options,
        )  # fmt: skip

    def jobs(self, **criteria: Any) -> list[dict[str, Any]]:
        """Return jobflow-remote's own records."""
        return list(self.client[self.database].jobs.find(criteria))

    def worker_of(self, name: str) -> psutil.Process | None:
        """Return the process that holds the claim on the step of this name, if one does."""
        (job,) = self.jobs(**{"job.name": name})
        identity = job["job"]["metadata"]["haloflow_identity"]
        with self.open() as store:
            claim = Claims(store.claims).live([identity]).get(identity)
        return psutil.Process(claim.owner.pid) if claim else None

    def states(self) -> list[str]:
        return sorted(row["state"] for row in self.jobs())

    def wait_until_settled(self, limit_s: float) -> None:
        """Wait until no job is under way."""
        moving = {
            *("WAITING", "READY", "CHECKED_OUT", "UPLOADED", "SUBMITTED", "RUNNING"),
            *("RUN_FINISHED", "DOWNLOADED", "BATCH_SUBMITTED", "BATCH_RUNNING"),
        }
        try:
            wait_for(lambda: moving.isdisjoint(self.states()), "the end", limit_s=limit_s)
        except BaseException:  # raised again
            print(self.states(), [row.get("error") for row in self.jobs()], self.log())  # noqa: T201  (why)
            raise

    def log(self) -> str:
        log = self.projects / "here" / "log" / "runner.log"
        return log.read_text()[-3000:] if log.exists() else ""

    def runners(self) -> list[psutil.Process]:
        """Return the runner of this project."""
        return self._processes("runner run")

    def _processes(self, words: str) -> list[psutil.Process]:
        """Return those with `words` in their command that work for the folder of this project."""
        return [
            process
            for process in psutil.process_iter(["pid", "cmdline", "environ"])
            if (process.info["environ"] or {}).get("JFREMOTE_PROJECTS_FOLDER") == str(self.projects)
            and words in " ".join(process.info["cmdline"] or ())
        ]

    def watchdogs(self) -> list[psutil.Process]:
        """Return the processes that look after the sweeps of this project."""
        return self._processes("recover --every")

    def kill_runner(self) -> None:
        """Kill the runner with SIGKILL, as a machine that runs out of memory does."""
        (runner,) = self.runners()
        runner.send_signal(signal.SIGKILL)
        wait_for(lambda: not self.runners(), "the death of the runner")

    def kill_supervisor(self) -> None:
        """Kill the supervisor with SIGKILL; it takes nobody with it."""
        for process in self._processes("supervisord"):
            process.send_signal(signal.SIGKILL)
        wait_for(lambda: not self._processes("supervisord"), "the death of the supervisor")

    def close(self) -> None:
        """Kill who would start others first, then the runner, and what was started."""
        super().close()
        wait_for(lambda: not self._killed(), "the end of the runner")

    def _killed(self) -> list[psutil.Process]:
        found = self.watchdogs() + self._processes("supervisord") + self.runners()
        for process in found:
            with suppress(psutil.NoSuchProcess):  # it has ended by itself
                process.kill()
        return found
