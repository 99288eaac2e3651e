"""What a worker can find out about itself."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sys
import time
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from ... import __version__
from ...engines.potentials import identify
from ...errors import HaloflowError
from ...identity import file_sha256
from ...makers.trained_models import bring_models
from ...settings import get_settings
from ...stores.trajectory_places import remember_place
from ..doctor import BYTES_PER_GB, Check

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ...stores.connection import HaloflowStore

LEAST_FREE_GB = 1.0
_CLOCK_LOOKS = 5
_CLOCK_TOLERANCE_S = 5.0
_PROBE_BYTES = 1_000_000


def examine_here(store: HaloflowStore, expected: Mapping[str, Any]) -> list[Check]:
    """Return what this process finds about its machine.

    Parameters
    ----------
    store
        As it was reached from here.
    expected
        As `examine_remotely` makes it.
    """
    folder = store.files_dir
    return [
        _check_package(str(expected["version"])),
        _check_store(store, str(expected["token"])),
        *_check_weights(store, expected["weights"]),
        check_folder("files", folder, float(expected["disk_gb"])),
        check_trajectories(store, Path.cwd()) or _check_shared(folder / str(expected["token"])),
        check_folder("scratch", Path.cwd(), LEAST_FREE_GB),
        check_clock(clock_offset_s(store) - float(expected["clock_s"])),
        *_check_device(),
    ]


def clock_offset_s(store: HaloflowStore) -> float:
    """Return how far this machine's clock is ahead of the server's, by its quickest answer."""
    client = store.meta._collection.database.client  # noqa: SLF001  (maggma has no public way in)
    found = []
    for _ in range(_CLOCK_LOOKS):
        before = time.time()
        server = client.admin.command("hello")["localTime"].replace(tzinfo=UTC)
        after = time.time()
        found.append((after - before, (before + after) / 2 - float(server.timestamp())))
    return min(found)[1]


def _check_package(version: str) -> Check:
    here = f"haloflow {__version__}, {sys.executable}"
    if __version__ != version:
        remedy = f"install haloflow {version} on the worker"
        return Check("package", "problem", f"{here}; the plan is made by {version}", remedy)
    return Check("package", "ok", here)


def _check_store(store: HaloflowStore, token: str) -> Check:
    try:
        known = store.meta.query_one({"_id": token}) is not None
        store.outputs.query_one({}, ["uuid"])
        mine = {"_id": f"{token}-writing"}
        store.meta.update([mine], key="_id")
        store.meta.remove_docs(mine)
    except (HaloflowError, PyMongoError) as error:
        return Check("store", "problem", str(error), "let the worker reach and write the store")
    if not known:
        remedy = "let both name the same server and database in --store"
        return Check("store", "problem", f"{store.name} is another store here", remedy)
    return Check("store", "ok", f"{store.name}, writable; each job carries it")


def _check_weights(store: HaloflowStore, weights: Mapping[str, str]) -> list[Check]:
    checks = []
    for level, sha256 in weights.items():
        try:
            bring_models([level], store)
            found = identify(level).weights_sha256
        except HaloflowError as error:
            checks.append(Check(level, "problem", error.problem, error.remedy or ""))
            continue
        if found == sha256:
            checks.append(Check(level, "ok", f"weights {sha256[:12]}"))
        else:
            message = f"weights {found[:12]} here, {sha256[:12]} in the plan"
            remedy = "install the versions that made the plan, or plan with those of the worker"
            checks.append(Check(level, "problem", message, remedy))
    return checks


def check_folder(subject: str, folder: Path, needed_gb: float) -> Check:
    """Check that a folder takes files and has room."""
    probe = folder / f".haloflow-{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with probe.open("wb") as file:
            file.write(os.urandom(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()
        free_gb = shutil.disk_usage(folder).free / BYTES_PER_GB
    except OSError as error:
        remedy = "name another folder with haloflow setup, or make this one writable"
        return Check(subject, "problem", f"{folder}: {error.strerror}", remedy)
    message = f"{folder}, writable, {free_gb:.1f} GB free"
    if free_gb < needed_gb:
        remedy = f"make room for {needed_gb:.1f} GB, or name another folder"
        return Check(subject, "problem", message, remedy)
    return Check(subject, "ok", message)


def check_trajectories(store: HaloflowStore, folder: Path) -> Check | None:
    """Send a file to the place for all machines and read it back; ``None`` without a place."""
    place, subject = store.files.target, "trajectories"
    if place is None:
        return None
    probe = folder / f".haloflow-{secrets.token_hex(8)}"
    try:
        remember_place(store)  # as a job does: in another store's place nothing is tried
        probe.write_bytes(os.urandom(_PROBE_BYTES))
        sha256 = file_sha256(probe)
        store.files.put(probe, sha256)
        found = hashlib.sha256(b"".join(place.read(sha256))).hexdigest()
        place.remove(sha256)
    except HaloflowError as error:
        return Check(subject, "problem", f"{error.problem}: {error.given}", error.remedy or "")
    finally:
        probe.unlink(missing_ok=True)
    if found != sha256:
        return Check(subject, "problem", f"{place.name} gives back other bytes", "take another")
    return Check(subject, "ok", f"{place.name}, writable, read back")


def _check_shared(made_there: Path) -> Check:
    if made_there.is_dir():
        return Check("shared files", "ok", "the submitting machine sees the same folder")
    remedy = "trajectories are read where they were made; dashboards elsewhere do not see them"
    message = f"{made_there.parent} is not the submitting machine's"
    return Check("shared files", "note", message, remedy)


def check_clock(ahead_s: float) -> Check:
    """Check that two clocks agree, by which a process knows another's claim as stale."""
    side = "ahead of" if ahead_s > 0 else "behind"
    message = f"{abs(ahead_s):.1f} s {side} the submitting machine"
    if abs(ahead_s) > _CLOCK_TOLERANCE_S:
        return Check("clock", "problem", message, "let both keep time by NTP")
    return Check("clock", "ok", message)


def _check_device() -> Collection[Check]:
    if get_settings().device != "cuda":
        return ()
    try:
        from torch import cuda  # noqa: PLC0415  (heavy, and an extra)
    except ImportError:  # told
        return (Check("GPU", "problem", "torch is not installed", "install a potential's extra"),)
    if not cuda.is_available():
        remedy = "ask the queue for a GPU, and install torch for its driver"
        return (Check("GPU", "problem", "torch finds none", remedy),)
    return (Check("GPU", "ok", str(cuda.get_device_name(0))),)
