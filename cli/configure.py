"""What ``haloflow setup`` does: ask, write, show, examine."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from ..errors import InputError, UnknownNameError
from ..settings import get_settings
from ..workflows.managers.resources import Resources
from ..workflows.managers.setup import configuration, differences, make_scratch, write_configuration
from ..workflows.managers.site import (
    MANAGERS,
    SCHEDULERS,
    Scheduler,
    Site,
    parse_walltime,
)
from .console import console

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT_FOLDERS = {"fireworks": "~/.fireworks", "jobflow-remote": "~/.jfremote"}


@dataclass(frozen=True)
class Wishes:
    """What the user said; ``None`` where nothing.

    Attributes
    ----------
    rest
        Further fields of `Site`.
    """

    manager: str
    store: str | None
    scheduler: str | None
    files_dir: Path | None
    folder: Path | None
    walltime: str
    cores: int
    gpus: int
    memory_gb: float | None
    rest: Mapping[str, Any]


def configure(wishes: Wishes, *, force: bool) -> Site:
    """Write the configuration that was wished for, asking for what is missing."""
    site = _site(wishes)
    out = console()
    files = configuration(site)
    for diff in differences(files).values():
        out.print(diff)
    for path in write_configuration(files, force=force):
        out.print(f"written: {path}")
    make_scratch(site)
    if settings := _settings_of(site):
        out.print("Put into your profile:")
        for key, value in settings.items():
            out.print(f"  export {key}={value}")
    return site


def examined(site: Site, deadline_s: float) -> bool:
    """Let a worker examine itself by the new configuration; return whether all is well.

    A process of its own does it: engines read their configuration as they are imported.
    """
    own = {"HALOFLOW_STORE": site.store, "HALOFLOW_FILES_DIR": str(site.files_dir)}
    command = ("doctor", "--remote", site.manager, "--deadline", str(deadline_s))
    sys.stdout.flush()
    done = subprocess.run(  # noqa: S603  (this program)
        [sys.executable, "-c", "from haloflow.cli.main import run; run()", *command],
        env=os.environ | _settings_of(site) | own,
        check=False,
    )
    return done.returncode == 0


def _site(wishes: Wishes) -> Site:
    if wishes.manager not in MANAGERS:
        raise UnknownNameError.of("manager", wishes.manager, MANAGERS)
    settings = get_settings()
    uri = settings.store if "://" in settings.store else None
    store = _asked(wishes.store or uri, "--store", "Store (mongodb://host/database)")
    kind = _asked(wishes.scheduler, "--scheduler", f"Scheduler ({', '.join(SCHEDULERS)})")
    files = _asked(
        wishes.files_dir or settings.files_dir,
        "--files-dir",
        "Folder of trajectories, the same on all workers",
    )
    folder = wishes.folder or Path(_DEFAULT_FOLDERS[wishes.manager])
    walltime_s = parse_walltime(wishes.walltime)
    return Site(
        store=str(store),
        files_dir=Path(files).expanduser(),
        manager=wishes.manager,
        scheduler=cast("Scheduler", kind),
        folder=folder.expanduser().absolute(),
        job=Resources(wishes.cores, wishes.gpus, wishes.memory_gb, walltime_s),
        **{name: value for name, value in wishes.rest.items() if value is not None},
    )


def _asked(given: str | Path | None, option: str, question: str) -> str | Path:
    """Return what was given, or else the answer of whoever sits there."""
    if given is not None:
        return given
    if sys.stdin.isatty():
        return str(typer.prompt(question))
    raise InputError("setup needs to know more", given=f"no {option}", remedy=f"pass {option}")


def _settings_of(site: Site) -> dict[str, str]:
    """Return the variables that name files which do not lie where they are looked for."""
    found = {} if site.store_file is None else {"HALOFLOW_STORE_FILE": str(site.store_file)}
    if site.folder == Path(_DEFAULT_FOLDERS[site.manager]).expanduser().absolute():
        return found
    if site.manager == "fireworks":
        return found | {"FW_CONFIG_FILE": str(site.folder / "FW_config.yaml")}
    return found | {"JFREMOTE_PROJECTS_FOLDER": str(site.folder), "JFREMOTE_PROJECT": site.name}
