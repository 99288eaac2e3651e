"""What a job asks of a scheduler, in the words of qtoolkit's templates and of FireWorks' ones."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .resources import Resources

QUEUE_TYPES = {"slurm": "SLURM", "pbs": "PBS", "sge": "SGE", "lsf": "LoadSharingFacility"}
"""Schedulers as FireWorks calls them."""
_MB_PER_GB = 1000
_MEMORY = re.compile(r"\bmem=\w+|\bh_vmem=\w+")
_ON_A_NODE = ("gpu", "gpus", "gpus_per_node", "gpus_per_job")
_MANY_WORDS = ("gres", "select", "nodes")
_KIND = r"(?:[\w.-]*[A-Za-z][\w.-]*:)?"
_NUMBER = re.compile(_KIND + r"(\d+)")
_GPUS = re.compile(r"\bn?gpus?\b(?:[:=]" + _KIND + r"(\d+)\b)?")
"""``gpu:2``, ``gpu:a100:4``, ``ngpus=3``; without a number it is one."""

_TAIL = """
$${pre_rocket}
cd $${launch_dir}
$${rocket_launch}
$${post_rocket}
"""
TEMPLATES = {
    "pbs": """#!/bin/bash
#PBS -S /bin/bash
#PBS -l select=$${select}
#PBS -l walltime=$${walltime}
#PBS -q $${queue}
#PBS -A $${account}
#PBS -N $${job_name}
#PBS -o FW_job.out
#PBS -e FW_job.error
"""
    + _TAIL,
    "sge": """#!/bin/bash
#$ -S /bin/bash
#$ -cwd
#$ -l h_rt=$${walltime}
#$ -pe $${parallel_environment} $${cores}
#$ -l gpu=$${gpus}
#$ -l h_vmem=$${memory_per_core}
#$ -q $${queue}
#$ -P $${account}
#$ -N $${job_name}
#$ -o FW_job.out
#$ -e FW_job.error
"""
    + _TAIL,
    "lsf": """#!/bin/bash
#BSUB -L /bin/bash
#BSUB -n $${cores}
#BSUB -R "span[hosts=1]"
#BSUB -W $${walltime}
#BSUB -gpu "num=$${gpus}"
#BSUB -M $${memory}
#BSUB -R "rusage[mem=$${memory_per_core}]"
#BSUB -q $${queue}
#BSUB -P $${account}
#BSUB -J $${job_name}
#BSUB -o $${job_name}-%J.out
#BSUB -e $${job_name}-%J.error
"""
    + _TAIL,
}
"""Of submit files, where FireWorks' own cannot say all that a step asks for."""


def options_of(
    scheduler: str,
    job: Resources,
    *,
    queue: str | None = None,
    account: str | None = None,
    parallel_environment: str = "smp",
) -> dict[str, Any]:
    """Return the words of qtoolkit's template of `scheduler` for what `job` gets.

    Those that are ``None`` take back what a worker gives otherwise.
    """
    memory = megabytes(job)
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
        options = {
            "queue": queue,
            "account": account,
            "select": f"select={_select(job)}",
            "walltime": job.walltime,
        }
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
    return options


def step_options(scheduler: str, given: Mapping[str, Any], job: Resources) -> dict[str, Any]:
    """Return what `given`, the options of a worker, become for a step that asks for `job`."""
    job = _with_estimate(job, given)
    environment = str(given.get("model", "smp")).split()[0]
    wanted = options_of(scheduler, job, parallel_environment=environment)
    kept = ("partition", "queue", "account", "device", *(() if job.memory_gb else ("mem",)))
    wanted = {key: value for key, value in wanted.items() if key not in kept}
    if job.memory_gb is None and (memory := _memory_in(given)):
        wanted["select"] = _with_memory(wanted["select"], memory)
    return {key: value for key, value in {**given, **wanted}.items() if value is not None}


def adapter_words(scheduler: str, job: Resources, parallel_environment: str) -> dict[str, Any]:
    """Return the words of FireWorks' templates for what `job` gets.

    Those that are ``None`` take back what a submit file asks for otherwise.
    """
    memory = megabytes(job)
    per_core = memory and memory // job.cores
    if scheduler == "slurm":
        return {
            "nodes": 1,
            "ntasks": 1,
            "cpus_per_task": job.cores,
            "walltime": job.walltime,
            "gpus_per_node": job.gpus or None,
            "mem": memory and f"{memory}M",
        }
    if scheduler == "pbs":
        return {"select": _select(job), "walltime": job.walltime}
    if scheduler == "sge":
        return {
            "parallel_environment": parallel_environment,
            "cores": job.cores,
            "walltime": job.walltime,
            "gpus": job.gpus or None,
            "memory_per_core": per_core and f"{per_core}M",
        }
    hours, minutes, _ = job.walltime.split(":")
    return {
        "cores": job.cores,
        "walltime": f"{hours}:{minutes}",
        "gpus": job.gpus or None,
        "memory": memory and f"{memory}MB",
        "memory_per_core": per_core and f"{per_core}MB",
    }


def step_words(adapter: Mapping[str, Any] | None, job: Resources) -> dict[str, Any]:
    """Return what goes into a firework, so that `adapter` asks the queue for `job`.

    Parameters
    ----------
    adapter
        ``my_qadapter.yaml``. One of PBS, SGE or LSF that was written by hand, without the
        template of `haloflow setup`, is told what FireWorks' own templates have words for.
    """
    given = adapter or {}
    job = _with_estimate(job, given)
    kind = str(given.get("_fw_q_type", "SLURM"))
    scheduler = next((name for name, known in QUEUE_TYPES.items() if known == kind), "slurm")
    words = adapter_words(scheduler, job, str(given.get("parallel_environment", "smp")))
    if scheduler == "pbs" and job.memory_gb is None and (memory := _memory_in(given)):
        words["select"] = _with_memory(words["select"], memory)
    if job.memory_gb is None:
        words = {key: value for key, value in words.items() if not key.startswith("mem")}
    if scheduler != "slurm" and "_fw_template_file" not in given:
        own = {"pbs": {"nnodes": 1, "ppnode": job.cores}, "lsf": {"ntasks": job.cores}}
        timed = {} if scheduler == "sge" else {"walltime": words["walltime"]}
        return own.get(scheduler, {}) | timed
    return words


def _with_estimate(job: Resources, given: Mapping[str, Any]) -> Resources:
    """Return `job` with the memory that it is estimated to need, where nobody names any."""
    named = any(str(key).startswith("mem") for key in given) or _memory_in(given) is not None
    return job if named or job.memory_gb else replace(job, memory_gb=job.estimated_gb)


def gpus_in(given: Mapping[str, Any]) -> int | None:
    """Return how many GPUs a job of a worker has on a node, by its options: 1 if none speaks.

    ``None`` if they speak of GPUs, but not of how many.
    """
    found: list[int | None] = []
    for key, value in given.items():
        if not value:
            continue
        if "gpu" in key:
            number = _NUMBER.fullmatch(str(value))
            is_plain = key.removeprefix("n") in _ON_A_NODE
            found.append(int(number[1]) if number and is_plain else None)
        elif key in _MANY_WORDS and (counts := _GPUS.findall(str(value))):
            found.append(sum(int(n or 1) for n in counts))
    known = [n for n in found if n is not None]
    return max(known, default=1) if len(known) == len(found) else None


def megabytes(job: Resources) -> int | None:
    """Return the memory of `job` in whole megabytes."""
    return None if job.memory_gb is None else round(_MB_PER_GB * job.memory_gb)


def _select(job: Resources) -> str:
    select = f"1:ncpus={job.cores}" + (f":ngpus={job.gpus}" if job.gpus else "")
    memory = megabytes(job)
    return select + (f":mem={memory}mb" if memory else "")


def _memory_in(given: Mapping[str, Any]) -> str | None:
    """Return the memory that a worker of PBS or SGE gives, in its words."""
    found = _MEMORY.search(str(given.get("select", "")))
    return found[0] if found else None


def _with_memory(select: str | None, memory: str) -> str:
    separator = "," if memory.startswith("h_vmem") else ":"
    return separator.join(part for part in (select, memory) if part)
