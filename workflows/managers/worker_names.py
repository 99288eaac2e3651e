"""Names of FireWorks' workers, and whose they are: by them each knows what is in its own queue."""

from __future__ import annotations

import getpass
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pymongo.errors import DuplicateKeyError

from ...errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...stores.connection import HaloflowStore

WORKER_FILE = "my_fworker.yaml"
_MARK = "haloflow_of"
"""In the ``env`` of a worker, which FireWorks notes with each reservation."""
_PREFIX = "worker-"


def default_name(folder: Path) -> str:
    """Return the name that the worker configured in `folder` has, or one of this user and host."""
    worker = _configured(folder)
    if _user_of(_mark_in(worker)) == getpass.getuser():
        return str(worker["name"])
    return re.sub(r"[^\w.-]", "_", f"haloflow-{getpass.getuser()}-{socket.gethostname()}")


def mark_for(folder: Path, name: str) -> dict[str, str]:
    """Return the ``env`` of a worker: who set it up and where, be it from another login node."""
    worker, user = _configured(folder), getpass.getuser()
    if worker.get("name") == name and _user_of(mark := _mark_in(worker)) == user:
        return {_MARK: mark}
    return {_MARK: f"{user}@{socket.gethostname()}"}


def is_marked(env: Mapping[str, Any]) -> bool:
    """Tell whether an ``env`` says whose the worker is."""
    return bool(env.get(_MARK))


def register(store: HaloflowStore, name: str, env: Mapping[str, str]) -> None:
    """Note in the store whose worker this is.

    Raises
    ------
    InputError
        Another user set it up, or another user or host has one of this name.
    """
    key, mark = f"{_PREFIX}{name}", env[_MARK]
    if _user_of(mark) != getpass.getuser():
        raise InputError(
            "this worker was set up by another user, whose jobs only it may put back",
            given=f"{name}, of {mark}",
            remedy="run `haloflow setup` with a --folder of your own",
        )
    try:
        store.meta._collection.insert_one({"_id": key, "of": mark})  # noqa: SLF001  (maggma only replaces)
    except DuplicateKeyError:
        other = (store.meta.query_one({"_id": key}) or {}).get("of")
        if other != mark:
            raise InputError(
                "there is a worker of this name elsewhere, whose jobs would be taken for lost here",
                given=f"{name}, of {other}",
                remedy="pass another --name",
            ) from None


def is_own(launch: Mapping[str, Any], env: Mapping[str, Any]) -> bool:
    """Tell whether a launch under this worker's name went to this user's queue here.

    Parameters
    ----------
    launch
        With ``fworker.env`` and ``launch_dir``.
    env
        Of this machine's worker.

    Of workers without a mark, which `setup` did not write, the folder of the launch tells.
    """
    own, other = str(env.get(_MARK, "")), _mark_in(launch.get("fworker") or {})
    if other:
        return other == own and _user_of(own) == getpass.getuser()
    try:
        return Path(launch["launch_dir"]).stat().st_uid == os.getuid()
    except OSError:  # no folder of this machine
        return False


def _configured(folder: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load((folder / WORKER_FILE).read_text())
    except (OSError, yaml.YAMLError):  # not written by setup
        return {}
    return found if isinstance(found, dict) else {}


def _mark_in(worker: Mapping[str, Any]) -> str:
    return str((worker.get("env") or {}).get(_MARK, ""))


def _user_of(mark: str) -> str:
    return mark.rpartition("@")[0]
