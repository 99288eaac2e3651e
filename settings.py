"""Settings of a user or a site, read from ``HALOFLOW_*`` environment variables."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .errors import InputError

_OTHERS = 0o077


class Settings(BaseSettings):
    """Where things lie and how the machine is used; nothing that changes a result."""

    model_config = SettingsConfigDict(env_prefix="HALOFLOW_", extra="ignore", frozen=True)

    store: str = Field(
        "haloflow-store",
        description="Folder of the embedded store, or a mongodb:// URI; default: that in the "
        "`store_file`, else ./haloflow-store.",
    )
    store_file: Path | None = Field(
        None,
        description="File, readable by you alone, with the mongodb:// URI of the store and its "
        "password, which jobs in queues do not carry.",
    )
    files_dir: Path | None = Field(
        None,
        description="Folder of trajectories and checkpoints; default: inside the embedded "
        "store's folder. Needed with a mongodb:// store.",
    )
    trajectory_store: str | None = Field(
        None,
        description="Place that all machines reach for trajectories and checkpoints: a folder, "
        "gridfs or s3://bucket/prefix; default: that of the sweep file.",
    )
    saving_interval_s: float = Field(
        300.0,
        ge=0,
        description="Least time between two savings of a running step in that place: at most so "
        "much is lost with a machine.",
    )
    cache_dir: Path | None = Field(
        None,
        description="Folder of files fetched from there, and of trained models; default: "
        "haloflow/files in $XDG_CACHE_HOME, else in ~/.cache.",
    )
    cache_gb: float = Field(
        20.0, gt=0, description="Most that is kept of fetched files in that folder."
    )
    patience_s: float = Field(
        180.0,
        gt=0,
        description="How long running steps wait for a MongoDB server that is gone.",
    )
    workers: int | None = Field(
        None, ge=1, description="Steps that run side by side; default: one per core, up to 8."
    )
    threads_per_worker: int = Field(
        1, ge=1, description="Threads of one worker. Part of bit-for-bit reproducibility."
    )
    device: str = Field("cpu", description="Device of potentials: cpu, cuda or mps.")
    runner: str = Field(
        "auto",
        description="What evaluates potentials: ase, torch-sim, or auto, which is torch-sim where "
        "the device is cuda and it is installed and knows the potential.",
    )
    batch: int = Field(
        64, ge=1, description="Melts and MD runs that torch-sim evaluates together, at most."
    )
    gpu_memory_gb: float = Field(
        16.0, gt=0, description="Of one GPU; decides how many steps may share it."
    )
    side_by_side: int = Field(
        1, ge=1, description="Steps that share this allocation; each takes its part of the GPUs."
    )
    watch_s: float = Field(
        300.0, gt=0, description="How often lost jobs of submitted sweeps are looked for."
    )
    gpu_share: float | None = Field(
        None, gt=0, le=1, description="Part of a GPU's memory that this process may take."
    )
    walltime_s: float | None = Field(
        None,
        gt=0,
        description="Stop each worker process with a checkpoint after this many seconds.",
    )

    @model_validator(mode="before")
    @classmethod
    def _store_of_file(cls, data: dict[str, Any]) -> dict[str, Any]:
        if data.get("store_file") and "store" not in data:
            return data | {"store": _uri_in(Path(data["store_file"]))}
        return data

    def uri_in_file(self) -> str:
        """Return the URI in the `store_file`.

        Raises
        ------
        InputError
            There is none, or others can read it.
        """
        return _uri_in(Path(self.store_file or ""))


def _uri_in(path: Path) -> str:
    path = path.expanduser()
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InputError(
            "the file with the URI of the store cannot be read",
            given=f"HALOFLOW_STORE_FILE={path}: {error.strerror}",
            remedy="copy it to this machine, or let `haloflow setup` write one",
        ) from error
    if mode & _OTHERS:
        raise InputError(
            "others can read the file with the password of the store",
            given=f"HALOFLOW_STORE_FILE={path}",
            remedy=f"chmod 600 {path}",
        )
    return text


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings of this process; the environment is read once."""
    return Settings()


def cache_folder() -> Path:
    """Return the folder of fetched files and trained models on this machine."""
    chosen = get_settings().cache_dir
    if chosen is not None:
        return chosen.expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "haloflow" / "files"
