"""A machine with a queue, as its user describes it, and the words of its scheduler for that."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from ...errors import InputError, UnknownNameError
from ...stores.credentials import has_password
from ...stores.trajectory_places import parse_place
from ...units import SECONDS_PER_HOUR
from .queue_words import adapter_words, options_of
from .worker_names import default_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .resources import Resources

ManagerName: TypeAlias = Literal["fireworks", "jobflow-remote"]
Scheduler: TypeAlias = Literal["slurm", "pbs", "sge", "lsf", "shell"]
SCHEDULERS: tuple[Scheduler, ...] = get_args(Scheduler)
MANAGERS: tuple[ManagerName, ...] = get_args(ManagerName)
_OF_QTOOLKIT = ("slurm", "pbs", "sge", "shell")
_WALLTIME = re.compile(r"(?:(\d+)-)?(\d+):([0-5]\d)(?::([0-5]\d))?")
_HOURS_PER_DAY = 24
_SHARED_GPU = (
    'job="${SLURM_JOB_ID:-${PBS_JOBID:-${JOB_ID:-$LSB_JOBID}}}"',
    'export CUDA_MPS_PIPE_DIRECTORY="${TMPDIR:-/tmp}/haloflow-mps-$job"',
    'export CUDA_MPS_LOG_DIRECTORY="$CUDA_MPS_PIPE_DIRECTORY"',
    "if command -v nvidia-cuda-mps-control > /dev/null; then",
    '    mkdir -p "$CUDA_MPS_PIPE_DIRECTORY"',
    "    nvidia-cuda-mps-control -d",
    "fi",
)
"""Starts CUDA's Multi-Process Service, without which processes take turns on a GPU."""


@dataclass(frozen=True)
class Site:
    """A machine with a queue.

    Attributes
    ----------
    store
        ``mongodb://`` URI that workers reach too.
    files_dir
        Folder of trajectories and checkpoints, the same on all workers.
    folder
        Where the configuration goes.
    name
        Of the worker, and of the project of jobflow-remote. Default: a project is called
        ``haloflow``; a worker of FireWorks by its user and host too.
    job
        What a job gets whose sweep says nothing else.
    environment
        Prefix of the Python environment on the worker.
    work_dir
        Scratch folder of the worker, where jobs run.
    parallel_environment
        Of SGE, for several cores on one node.
    host
        Where jobflow-remote logs in to submit; by default it submits from here.
    packed
        Let one job of the queue run many steps, one after another.
    side_by_side
        Steps that such a job runs at once, e.g. to fill a GPU.
    max_jobs
        Jobs that jobflow-remote keeps in the queue at once; default: all, 10 that are packed,
        without a queue as many as there are cores.
    poll_s
        How often jobflow-remote looks at the queue.
    trajectory_store
        Place that all machines reach for trajectories; with one, `files_dir` may be a folder of
        each worker's own.
    """

    store: str
    files_dir: Path
    manager: ManagerName
    scheduler: Scheduler
    folder: Path
    job: Resources
    name: str = ""
    queue: str | None = None
    account: str | None = None
    modules: Sequence[str] = ()
    environment: Path = Path(sys.prefix)
    work_dir: Path = Path.home() / "haloflow-scratch"
    parallel_environment: str = "smp"
    host: str | None = None
    packed: bool = False
    side_by_side: int = 1
    max_jobs: int | None = None
    poll_s: float = 10.0
    trajectory_store: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no manager could use."""
        if self.manager not in MANAGERS:
            raise UnknownNameError.of("manager", self.manager, MANAGERS)
        if not self.name:
            is_project = self.manager == "jobflow-remote"
            name = "haloflow" if is_project else default_name(self.folder)
            object.__setattr__(self, "name", name)  # it is frozen from now on
        if self.scheduler not in SCHEDULERS:
            raise UnknownNameError.of("scheduler", self.scheduler, SCHEDULERS)
        if self.manager == "jobflow-remote" and self.scheduler not in _OF_QTOOLKIT:
            raise InputError(
                "jobflow-remote does not know this scheduler",
                given=self.scheduler,
                allowed=_OF_QTOOLKIT,
                remedy="take --to fireworks",
            )
        if self.manager == "fireworks" and self.host:
            raise InputError(
                "FireWorks submits from the machine it runs on",
                given=f"--host {self.host}",
                remedy="run setup there, or take --to jobflow-remote",
            )
        if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", self.name):
            raise InputError(
                "this cannot be the name of a worker",
                given=self.name,
                allowed="letters, digits, _ . and -",
            )
        if self.trajectory_store is not None:
            parse_place(self.trajectory_store)
        for label, path in (("files", self.files_dir), ("scratch", self.work_dir)):
            if not path.is_absolute():
                raise InputError(
                    f"the folder of {label} must be the same wherever a job runs",
                    given=str(path),
                    allowed="an absolute path",
                )

    @property
    def store_file(self) -> Path | None:
        """Where workers find the URI of a store that asks for a password."""
        return self.folder / "store.uri" if has_password(self.store) else None

    @property
    def is_packed(self) -> bool:
        """Whether one job of the queue runs many steps."""
        return self.packed or self.side_by_side > 1

    @property
    def allocation(self) -> Resources:
        """What one job of the queue gets."""
        memory_gb = self.job.memory_gb and self.job.memory_gb * self.side_by_side
        return replace(self.job, cores=self.job.cores * self.side_by_side, memory_gb=memory_gb)

    @property
    def step_s(self) -> float:
        """Seconds after which a step stops with a checkpoint if its job says nothing else."""
        shares = 2 if self.is_packed and self.manager == "jobflow-remote" else 1
        return self.job.step_s / shares

    def preparation(self) -> list[str]:
        """Return the shell lines that prepare the environment of a job."""
        lines = [
            *(f"module load {name}" for name in self.modules),
            f'export PATH="{self.environment}/bin:$PATH"',
            f'export HALOFLOW_FILES_DIR="{self.files_dir}"',
            f"export HALOFLOW_THREADS_PER_WORKER={self.job.cores}",
            f"export HALOFLOW_DEVICE={'cuda' if self.job.gpus else 'cpu'}",
            f"export OMP_NUM_THREADS={self.job.cores}",
        ]
        if self.trajectory_store is not None:
            lines.append(f'export HALOFLOW_TRAJECTORY_STORE="{self.trajectory_store}"')
        if self.store_file is not None:
            lines.append(f'export HALOFLOW_STORE_FILE="{self.store_file}"')
        if self.scheduler != "shell" and self.is_packed:
            lines.append(f"export HALOFLOW_WALLTIME_S={self.step_s:.0f}")
        if self.side_by_side > 1:
            lines.append(f"export HALOFLOW_SIDE_BY_SIDE={self.side_by_side}")
            lines += _SHARED_GPU if self.job.gpus else ()
        return lines


def parse_walltime(text: str) -> float:
    """Return the seconds of ``[D-]HH:MM[:SS]``.

    Raises
    ------
    InputError
        If it is written otherwise, or zero.
    """
    if (match := _WALLTIME.fullmatch(text.strip())) is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        total = (days * _HOURS_PER_DAY + hours) * SECONDS_PER_HOUR + 60 * minutes + seconds
        if total > 0:
            return total
    raise InputError("this is not a walltime", given=text, allowed="HH:MM:SS, HH:MM or D-HH:MM:SS")


def queue_options(site: Site, job: Resources | None = None) -> dict[str, Any]:
    """Return the words of jobflow-remote's templates (qtoolkit) for what a job gets.

    Parameters
    ----------
    site
        The machine.
    job
        What this job gets; default: what the site gives.
    """
    options = options_of(
        site.scheduler,
        job or site.allocation,
        queue=site.queue,
        account=site.account,
        parallel_environment=site.parallel_environment,
    )
    return {key: value for key, value in options.items() if value is not None}


def adapter_options(site: Site) -> dict[str, Any]:
    """Return the words of FireWorks' templates for what a job of the queue gets."""
    words = adapter_words(site.scheduler, site.allocation, site.parallel_environment)
    words |= {"queue": site.queue, "account": site.account}
    return {key: value for key, value in words.items() if value is not None}
