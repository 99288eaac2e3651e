"""Real queues for tests: FireWorks on a private MongoDB, and a private Slurm."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml
from mongo_server import free_port, start_mongod, stop_mongod
from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

from haloflow.stores.connection import HaloflowStore, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = Path(__file__).parent
BIN = Path(sys.executable).parent
LONG_S = 300.0
"""Nothing that a test waits for takes as long, even where five others compute."""
_MOST_PAUSE_S = 2.0
PING_S = 1
LOST_AFTER_S = 4


def wait_for(ready: Callable[[], Any], what: str, *, limit_s: float = LONG_S) -> Any:
    """Return what `ready` gives once it is true; fail with `what` did not come.

    What takes long to find out is asked less often, since what is waited for needs the machine.
    """
    began = asked = time.monotonic()
    while not (found := ready()):
        now = time.monotonic()
        if now - began > limit_s:
            pytest.fail(f"{what}: not within {limit_s:g} s")
        time.sleep(min(max(0.05, 4 * (now - asked)), _MOST_PAUSE_S))
        asked = time.monotonic()
    return found


@dataclass
class FireWorksSite:
    """A folder with FireWorks' configuration, a LaunchPad and a haloflow store of its own."""

    folder: Path
    server: str
    environment: dict[str, str] = field(default_factory=dict)
    _started: list[subprocess.Popen[str]] = field(default_factory=list, init=False, repr=False)
    _client: MongoClient[Any] | None = field(default=None, init=False, repr=False)

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

    def read(self, name: str) -> dict[str, Any]:
        return yaml.safe_load((self.config / name).read_text())

    @property
    def client(self) -> MongoClient[Any]:
        """The server, past all that haloflow has to say."""
        self._client = self._client or MongoClient(self.server)
        return self._client

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in the folder, as a session of its own."""
        process = subprocess.Popen(
            command, cwd=self.folder, env=os.environ | self.environment | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._started.append(process)
        return process

    def close(self) -> None:
        """End what was started and still runs."""
        if self._client is not None:
            self._client.close()
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            elif process.stdout is not None:
                process.stdout.close()  # of one that ended while nobody listened

    def run(self, *command: str, limit_s: float = LONG_S, **environment: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and what it wrote."""
        with self.start(*command, **environment) as process:
            try:
                out, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, _ = process.communicate()
                pytest.fail(f"{' '.join(command)}: not within {limit_s:g} s:\n{out[-3000:]}")
        return process.returncode, out

    def queue_through(self, cluster: SlurmCluster, **parameters: Any) -> None:
        """Let ``qlaunch`` send jobs to `cluster`."""
        self.environment |= {"SLURM_CONF": cluster.environment["SLURM_CONF"]}
        self.environment["PATH"] = cluster.environment["PATH"]
        exports = "\n".join(f"export {k}='{v}'" for k, v in self.environment.items())
        adapter = {
            "_fw_name": "CommonAdapter",
            "_fw_q_type": "SLURM",
            "rocket_launch": f"exec {BIN}/rlaunch -c {self.config} singleshot",
            "queue": "debug",
            "job_name": "step",
            "pre_rocket": exports,
        }
        self.write("my_qadapter.yaml", adapter | parameters)

    def qlaunch(self, limit_s: float = LONG_S) -> str:
        """Send what is ready and what gets ready to the queue, until all of it has ended."""
        code, out = self.run(
            "qlaunch", "-c", str(self.config), "-r", "rapidfire", "--sleep", "1", limit_s=limit_s
        )
        assert code == 0, out
        wait_for(lambda: not self.states() & {"RESERVED", "RUNNING"}, "the last jobs")
        return out

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

    def qlaunch_now(self, count: int) -> None:
        """Send so many jobs that are ready to the queue."""
        code, out = self.run(
            "qlaunch", "-c", str(self.config), "-r", "rapidfire", "--nlaunches", str(count)
        )
        assert code == 0, out

    def states(self) -> set[str]:
        return {row["state"] for row in self.fireworks()}

    def fireworks(self) -> list[dict[str, Any]]:
        return list(self.client[self.pad_name].fireworks.find({}))


def need(program: str) -> None:
    """Skip where a system part is missing, fail where it must not be."""
    if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        reason = f"no {program} here: bash tests/system_parts.sh"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


_SLURM_CONF = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,sched_interval=2,bf_interval=2
KillWait=30
InactiveLimit=0
SlurmdTimeout=120
SlurmctldTimeout=60
ReturnToService=2
PropagateResourceLimits=NONE
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} Gres=gpu:1 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES DefaultTime=10:00 MaxTime=INFINITE State=UP
"""


class SlurmCluster:
    """A private cluster of one node, this machine; works as any user."""

    def __init__(self, folder: Path, cpus: int = 2) -> None:
        for program in ("munged", "slurmctld", "slurmd", "sbatch"):
            need(program)
        self.folder = folder
        for name in ("", "munge", "controller", "node"):
            (folder / name).mkdir(exist_ok=True)
            (folder / name).chmod(0o755)  # munge refuses a folder that others may write to
        (folder / "munge" / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge" / "munge.key").chmod(0o400)
        memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        text = _SLURM_CONF.format(
            host=socket.gethostname().partition(".")[0],
            folder=folder,
            user=getpass.getuser(),
            controller_port=free_port(),
            node_port=free_port(),
            cpus=cpus,
            memory_mb=int(0.9 * memory_mb),
        )
        (folder / "slurm.conf").write_text(text)
        (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")  # is there everywhere
        self.environment = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin",
        }
        self._pid_files = [folder / "slurmd.pid", folder / "slurmctld.pid", folder / "munged.pid"]

    def start(self) -> None:
        munge = self.folder / "munge"
        self.run(
            "munged", "--force", f"--key-file={munge}/munge.key", "--num-threads=2",
            f"--socket={munge}/munge.socket", f"--pid-file={self.folder}/munged.pid",
            f"--log-file={munge}/munged.log", f"--seed-file={munge}/munged.seed",
        )  # fmt: skip
        self.run("slurmctld", "-i")
        self.run("slurmd")
        wait_for(lambda: self.run("sinfo", "-h", "-o", "%t", check=False) == "idle", "Slurm")

    def stop(self) -> None:
        self.run("scancel", f"--user={getpass.getuser()}", check=False)
        for pid_file in self._pid_files:
            if pid_file.exists():
                process = psutil.Process(int(pid_file.read_text()))
                process.terminate()
                _, alive = psutil.wait_procs([process], timeout=20)
                for stubborn in alive:
                    stubborn.kill()

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command of Slurm, and return what it wrote."""
        done = subprocess.run(
            command, env=os.environ | self.environment, text=True, timeout=LONG_S, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)}: {done.stdout}")
        return done.stdout.strip()

    def describe(self, job_id: str) -> dict[str, str]:
        """Return what Slurm says about a job."""
        return dict(re.findall(r"(\w+)=(\S+)", self.run("scontrol", "show", "job", job_id)))

    def shorten(self, job_id: str) -> None:
        """Let a job reach its time limit, which Slurm looks at twice a minute."""
        self.run("scontrol", "update", f"jobid={job_id}", "EndTime=now+1")

    def newest(self) -> int:
        """Return the id of the last job that was submitted; 0 before the first."""
        ids = re.findall(r"JobId=(\d+)", self.run("scontrol", "-o", "show", "job"))
        return max(map(int, ids), default=0)

    def jobs(self) -> dict[str, str]:
        """Return the jobs that wait or run: id to state."""
        lines = self.run("squeue", "-h", "-o", "%i %T").splitlines()
        return dict(line.split() for line in lines)


class MongoServer:
    """A mongod that is stopped, killed and started again in one place."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder / "mongod", free_port()
        self.folder.mkdir()
        self.uri = f"mongodb://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self._process = start_mongod(self.folder, self.port)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Let it answer nothing, though its port takes connections."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        stop_mongod(self._process)
