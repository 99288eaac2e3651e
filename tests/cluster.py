"""Real queues for tests: FireWorks on a private MongoDB, and a private Slurm."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

from haloflow.stores.connection import HaloflowStore, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = Path(__file__).parent
BIN = Path(sys.executable).parent
PING_S = 1
LOST_AFTER_S = 4


def wait_for(ready: Callable[[], Any], what: str, *, limit_s: float = 60.0) -> Any:
    """Return what `ready` gives once it is true; fail with `what` did not come."""
    deadline = time.monotonic() + limit_s
    while not (found := ready()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {limit_s:g} s")
        time.sleep(0.05)
    return found


@dataclass
class FireWorksSite:
    """A folder with FireWorks' configuration, a LaunchPad and a haloflow store of its own."""

    folder: Path
    server: str
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "config"
        self.config.mkdir()
        self.database = f"t{os.getpid()}-{self.folder.name}-{time.monotonic_ns() % 10**9}"[-60:]
        self.store = f"{self.server}/{self.database}"
        host, port = parse_uri(self.server)["nodelist"][0]
        pad = {"host": host, "port": port, "name": f"{self.database[-50:]}-fw"}
        self.pad_name = pad["name"]
        self.write("my_launchpad.yaml", pad)
        self.write("my_fworker.yaml", {"name": "here", "category": "", "query": "{}"})
        limits = {"PING_TIME_SECS": PING_S, "RUN_EXPIRATION_SECS": LOST_AFTER_S}
        locks = {"WFLOCK_EXPIRATION_SECS": 10, "WFLOCK_EXPIRATION_KILL": True}
        quick = {"QUEUE_UPDATE_INTERVAL": 0.2, "RAPIDFIRE_SLEEP_SECS": 1}
        self.write(
            "FW_config.yaml", {"CONFIG_FILE_DIR": str(self.config), **limits, **locks, **quick}
        )
        path = os.pathsep.join(map(str, (TESTS, TESTS / "without_torch")))
        self.environment = {
            "PYTHONPATH": path,
            "FW_CONFIG_FILE": str(self.config / "FW_config.yaml"),
            "HALOFLOW_FILES_DIR": str(self.folder / "files"),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONWARNINGS": "ignore",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        } | self.environment

    def write(self, name: str, content: dict[str, Any]) -> None:
        (self.config / name).write_text(yaml.safe_dump(content))

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in the folder, as a session of its own."""
        return subprocess.Popen(
            command, cwd=self.folder, env=os.environ | self.environment | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def run(self, *command: str, limit_s: float = 120.0, **environment: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and what it wrote."""
        with self.start(*command, **environment) as process:
            try:
                out, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, _ = process.communicate()
                pytest.fail(f"{' '.join(command)}: not within {limit_s:g} s:\n{out[-3000:]}")
        return process.returncode, out

    def haloflow(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run a haloflow command on the store; fail unless it exits with `code`."""
        call = (sys.executable, "-c", "from haloflow.cli.main import run; run()")
        left, out = self.run(*call, *arguments, "--store", self.store, **environment)
        assert left == code, out
        return out

    def rlaunch(self, **environment: str) -> str:
        """Run what is ready and what gets ready in one process, until nothing is left."""
        code, out = self.run("rlaunch", "-c", str(self.config), "rapidfire", **environment)
        assert code == 0, out
        return out

    def open(self) -> HaloflowStore:
        return open_store(self.store, files_dir=self.folder / "files")

    def fireworks(self) -> list[dict[str, Any]]:
        with MongoClient(self.server) as client:
            return list(client[self.pad_name].fireworks.find({}))


def need(program: str) -> None:
    """Skip where a system part is missing, fail where it must not be."""
    if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        reason = f"no {program} here: bash tests/system_parts.sh"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
