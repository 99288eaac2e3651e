"""Settings of a user or a site, read from ``HALOFLOW_*`` environment variables."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where things lie and how the machine is used; nothing that changes a result."""

    model_config = SettingsConfigDict(env_prefix="HALOFLOW_", extra="ignore", frozen=True)

    store: str = Field(
        "haloflow-store",
        description="Folder of the embedded store, or a mongodb:// URI.",
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
        description="Folder of files fetched from there; default: haloflow/files in "
        "$XDG_CACHE_HOME, else in ~/.cache.",
    )
    cache_gb: float = Field(20.0, gt=0, description="Most that is kept in that folder.")
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
    walltime_s: float | None = Field(
        None,
        gt=0,
        description="Stop each worker process with a checkpoint after this many seconds.",
    )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings of this process; the environment is read once."""
    return Settings()
