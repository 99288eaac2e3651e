"""A project of jobflow-remote for a site."""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo.uri_parser import parse_uri

from ...stores.connection import DEFAULT_DATABASE
from .site import queue_options

if TYPE_CHECKING:
    from .site import Site

QUEUE_RECORDS = "queue_records"
"""Collection of what jobflow-remote notes of its jobs; documents of steps go to the store."""
_LONGEST_SOCKET = 97
_PACKED_JOBS = 10


def database_of(uri: str) -> str:
    """Return the database that a ``mongodb://`` URI names."""
    return str(parse_uri(uri)["database"] or DEFAULT_DATABASE)


def project_of(site: Site) -> dict[str, Any]:
    """Return the project as its model takes it."""
    database = database_of(site.store)
    worker: dict[str, Any] = {
        "type": "remote" if site.host else "local",
        "scheduler_type": site.scheduler,
        "work_dir": str(site.work_dir),
        "resources": queue_options(site),
        "pre_run": "\n".join(site.preparation()) + "\n",
    }
    worker |= {"host": site.host} if site.host else {}
    if site.is_packed:
        worker["batch"] = {
            "jobs_handle_dir": str(site.work_dir / "batch-handles"),
            "work_dir": str(site.work_dir / "batch-jobs"),
            "max_time": site.step_s,
            "max_wait": max(3 * site.poll_s, 60),
            "parallel_jobs": site.side_by_side,
            "sleep_time": min(site.poll_s, 10),
        }
    if (most := _most_jobs(site)) is not None:
        worker["max_jobs"] = most
    on_server = {"type": "MongoStore", "uri": site.store, "database": database}
    made = {
        "name": site.name,
        "base_dir": str(site.folder / site.name),
        "workers": {site.name: worker},
        "queue": {"store": on_server | {"collection_name": "jobs"}},
        "jobstore": {"docs_store": on_server | {"collection_name": QUEUE_RECORDS}},
        "runner": {
            "delay_checkout": site.poll_s,
            "delay_check_run_status": site.poll_s,
            "delay_advance_status": site.poll_s,
            "delay_update_batch": site.poll_s,
            "delay_ping_db": 60,
            "lock_timeout": 300,
        },
    }
    return made | _short_daemon_dir(site)


def _most_jobs(site: Site) -> int | None:
    """Return how many jobs the queue gets at once; jobflow-remote must know it of packed ones."""
    if site.max_jobs is not None:
        return site.max_jobs
    if site.is_packed:
        return _PACKED_JOBS
    if site.scheduler == "shell" and not site.host:
        return max((os.cpu_count() or 1) // site.job.cores, 1)
    return None


def _short_daemon_dir(site: Site) -> dict[str, str]:
    """Place the runner's socket where its path fits into what systems allow."""
    usual = site.folder / site.name / "daemon" / "s.sock"
    if len(str(usual)) <= _LONGEST_SOCKET:
        return {}
    digest = sha256(str(usual).encode()).hexdigest()[:12]
    return {"daemon_dir": str(Path(tempfile.gettempdir(), f"jobflow-remote-{digest}"))}
