"""Steps side by side in one allocation: each process takes its own cores and part of a GPU."""

from __future__ import annotations

import fcntl
import os
import tempfile
from functools import cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_JOB_IDS = ("SLURM_JOB_ID", "PBS_JOBID", "JOB_ID", "LSB_JOBID")
_MOST_PERCENT = 100
_held: list[Any] = []
"""Open files whose locks are the slot of this process, until it ends."""


def settings_of_slot(slot: int, n_slots: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of one of several processes that share an allocation.

    GPUs go round; processes on the same one get equal parts of its memory and, under CUDA's
    Multi-Process Service, twice an equal part of its processors, so that none stand idle while
    a process is busy elsewhere.
    """
    visible = [name for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if environment.get("HALOFLOW_DEVICE") != "cuda" and not visible:
        return {"HALOFLOW_SLOT": str(slot)}
    on_one = ceil(n_slots / max(len(visible), 1))
    found = {
        "HALOFLOW_SLOT": str(slot),
        "HALOFLOW_GPU_SHARE": f"{1 / on_one:.4f}",
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(max(min(200 // on_one, _MOST_PERCENT), 1)),
    }
    if visible:
        found["CUDA_VISIBLE_DEVICES"] = visible[slot % len(visible)]
    return found


def cores_of_slot(slot: int, n_slots: int, cores: set[int]) -> set[int]:
    """Return the processors of one of several processes; all where there are not enough."""
    each = len(cores) // n_slots
    return set(sorted(cores)[slot * each : (slot + 1) * each]) if each else cores


@cache
def own_share() -> dict[str, str]:
    """Take a place among the processes of this allocation, once and for all.

    Returns
    -------
    dict
        What was set for this process; nothing where it has the allocation for itself.
    """
    n_slots = get_settings().side_by_side
    if n_slots == 1 or (slot := _take_slot(n_slots)) is None:
        return {}
    found = settings_of_slot(slot, n_slots, os.environ)
    os.environ.update(found)
    get_settings.cache_clear()
    if hasattr(os, "sched_setaffinity"):
        cores = cores_of_slot(slot, n_slots, os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores)
        found["cores"] = ",".join(map(str, sorted(cores)))
    _limit_memory()
    return found


def _take_slot(n_slots: int) -> int | None:
    names = [os.environ[name] for name in _JOB_IDS if name in os.environ]
    allocation = names[0] if names else f"session-{os.getsid(0)}"
    folder = Path(tempfile.gettempdir(), f"haloflow-slots-{os.getuid()}-{allocation}")
    folder.mkdir(mode=0o700, exist_ok=True)
    for slot in range(n_slots):
        file = (folder / str(slot)).open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        _held.append(file)
        return slot
    return None


def _limit_memory() -> None:
    """Let torch take no more of the GPU than this process' part."""
    settings = get_settings()
    if settings.device != "cuda" or settings.gpu_share is None:
        return
    try:
        from torch import cuda  # noqa: PLC0415  (heavy, and an extra)
    except ImportError:  # told by the potential that wants it
        return
    if cuda.is_available():
        cuda.set_per_process_memory_fraction(settings.gpu_share)
