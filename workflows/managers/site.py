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
_MINUTES_PER_HOUR = 60
_MB_PER_GB = 1000


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
        Of the worker, and of the project of jobflow-remote.
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
    name: str = "haloflow"
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
        return replace(self.job, cores=self.job.cores * self.side_by_side)

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
        if self.scheduler != "shell" and (self.manager == "fireworks" or self.is_packed):
            lines.append(f"export HALOFLOW_WALLTIME_S={self.step_s:.0f}")
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
    job = job or site.allocation
    return options_of(
        site.scheduler,
        job,
        queue=site.queue,
        account=site.account,
        parallel_environment=site.parallel_environment,
    )


def options_of(
    scheduler: str,
    job: Resources,
    *,
    queue: str | None = None,
    account: str | None = None,
    parallel_environment: str = "smp",
) -> dict[str, Any]:
    """Return the words of qtoolkit's template of `scheduler` for what `job` gets."""
    memory = _megabytes(job)
    options: dict[str, Any] = {}
    if scheduler == "slurm":
        options = {
            "partition": queue,
            "account": account,
            "nodes": 1,
            "ntasks": 1,
            "cpus_per_task": job.cores,
            "time": job.walltime,
            "gres": f"gpu:{job.gpus}" if job.gpus else None,
            "mem": memory and f"{memory}M",
        }
    elif scheduler == "pbs":
        select = f"select=1:ncpus={job.cores}"
        select += f":ngpus={job.gpus}" if job.gpus else ""
        select += f":mem={memory}mb" if memory else ""
        options = {"queue": queue, "account": account, "select": select, "walltime": job.walltime}
    elif scheduler == "sge":
        limits = [f"gpu={job.gpus}"] if job.gpus else []
        limits += [f"h_vmem={memory // job.cores}M"] if memory else []
        options = {
            "queue": queue,
            "device": account,  # qtoolkit's word for -P
            "model": f"{parallel_environment} {job.cores}",
            "select": ",".join(limits) or None,
            "walltime": job.walltime,
            "qverbatim": "#$ -S /bin/bash",
        }
    return {key: value for key, value in options.items() if value is not None}


def adapter_options(site: Site) -> tuple[dict[str, Any], list[str]]:
    """Return the words of FireWorks' templates, and directives that those have no words for."""
    job, memory = site.allocation, _megabytes(site.allocation)
    options: dict[str, Any] = {"queue": site.queue, "account": site.account}
    directives: list[str] = []
    if site.scheduler == "slurm":
        options |= {
            "nodes": 1,
            "ntasks": 1,
            "cpus_per_task": job.cores,
            "walltime": job.walltime,
            "gpus_per_node": job.gpus or None,
            "mem": memory and f"{memory}M",
        }
    elif site.scheduler == "pbs":
        gpus = f":gpus={job.gpus}" if job.gpus else ""
        options |= {
            "nnodes": 1,
            "ppnode": f"{job.cores}{gpus}",
            "walltime": job.walltime,
            "pmem": memory and f"{memory // job.cores}mb",
        }
    elif site.scheduler == "sge":
        directives = [
            *("#$ -S /bin/bash", "#$ -cwd"),
            f"#$ -l h_rt={job.walltime}",
            f"#$ -pe {site.parallel_environment} {job.cores}",
        ]
        directives += [f"#$ -l gpu={job.gpus}"] if job.gpus else []
        directives += [f"#$ -l h_vmem={memory // job.cores}M"] if memory else []
    else:
        hours, minutes, _ = job.walltime.split(":")
        options |= {"account": None, "ntasks": job.cores, "walltime": f"{hours}:{minutes}"}
        directives = ["#BSUB -L /bin/bash", '#BSUB -R "span[hosts=1]"']
        directives += [f"#BSUB -P {site.account}"] if site.account else []
        directives += [f'#BSUB -gpu "num={job.gpus}"'] if job.gpus else []
        directives += [f"#BSUB -M {memory}MB"] if memory else []
    return {key: value for key, value in options.items() if value is not None}, directives


def _megabytes(job: Resources) -> int | None:
    return None if job.memory_gb is None else round(_MB_PER_GB * job.memory_gb)
