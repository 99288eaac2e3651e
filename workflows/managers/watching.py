"""Looking after submitted sweeps while nobody looks: what is lost runs again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from ...errors import HaloflowError
from ...settings import get_settings
from ...stores.claims import Claims, Owner
from ...stores.results import clear_failures
from .campaigns import campaigns, recover
from .follow import campaign_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ...stores.connection import HaloflowStore
    from .base import Manager

_WATCHDOG = "watchdog"
_MOST_TROUBLE_S = 24 * 3600.0
_COMMAND = "from haloflow.cli.main import run; run()"


def recover_all(store: HaloflowStore, manager: Manager | None = None) -> dict[str, set[str]]:
    """Find what was lost of all submitted sweeps, and let it run again.

    Parameters
    ----------
    manager
        Look after its sweeps only, through this one; default: as configured here.

    Returns
    -------
    dict
        Name of the sweep to identities.
    """
    with campaigns(store, manager=manager) as submitted:
        found = recover(submitted, store)
    clear_failures(store, set[str]().union(*found.values()))
    return found


def watch(store: HaloflowStore, every_s: float, tell: Callable[[str], None]) -> None:
    """Recover again and again, until nothing of the submitted sweeps runs or waits for a worker.

    Of several processes for a store, one does it.
    """
    claims = Claims(store.meta)  # not among those on steps
    with claims.held(_WATCHDOG, Owner.here()) as is_mine:
        if not is_mine:
            tell(f"{claims.holder(_WATCHDOG)} looks after the sweeps of this store")
            return
        trouble_since: float | None = None
        while True:
            try:
                for name, lost in recover_all(store).items():
                    if lost:
                        tell(f"{_now()} {name}: {len(lost)} lost and run again")
                if _is_settled(store):
                    tell(f"{_now()} nothing runs or waits for a worker")
                    return
                trouble_since = None
            except (HaloflowError, PyMongoError) as error:
                tell(f"{_now()} {error}")
                trouble_since = trouble_since or time.monotonic()
                if time.monotonic() - trouble_since > _MOST_TROUBLE_S:
                    raise
            time.sleep(every_s)


def _is_settled(store: HaloflowStore) -> bool:
    with campaigns(store) as submitted:
        return all(campaign_state(campaign, store).is_settled for campaign in submitted)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"


def start_watchdog(store: HaloflowStore, log: Path) -> None:
    """Start `watch` as a process of its own, which ends with the sweeps, unless one is at it."""
    if Claims(store.meta).live([_WATCHDOG]):
        return
    environment = os.environ | {
        "HALOFLOW_STORE": store.uri,  # not among the arguments, which others see
        "HALOFLOW_FILES_DIR": str(store.files_dir),
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        subprocess.Popen(  # noqa: S603  (this program)
            [sys.executable, "-c", _COMMAND, "recover", "--every", str(get_settings().watch_s)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
