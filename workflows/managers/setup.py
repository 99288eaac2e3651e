"""Configuration of FireWorks and of jobflow-remote, in their own formats, checked by themselves."""

from __future__ import annotations

import tempfile
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jobflow import JobStore

from ...errors import InputError, MissingDependencyError
from ...settings import get_settings
from ...stores.connection import open_store
from ...stores.mongodb import redacted
from ...stores.trajectory_places import use_place
from .base import require_server
from .queue_words import QUEUE_TYPES, TEMPLATES
from .remote_project import database_of, project_of
from .site import adapter_options
from .worker_names import WORKER_FILE, mark_for, register

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .site import Site

_PING_S = 60
_LOST_AFTER_S = 300
_JOB_NAME_CHARS = 15
"""PBS takes no longer ones."""
_PRIVATE, _PRIVATE_FOLDER = 0o600, 0o700


def configuration(site: Site) -> dict[Path, str]:
    """Return the files that configure the manager of `site`, by where they go.

    The store must be reachable. What is returned has been read back by the manager's own
    classes.

    Raises
    ------
    StoreError
        The store is an embedded one, or cannot be reached.
    MissingDependencyError
        The manager is not installed.
    InputError
        The manager does not read back what was written, or another user or host has a worker
        of this name.
    """
    with open_store(site.store, files_dir=site.files_dir) as store:
        require_server(store)
        if site.manager == "fireworks":
            register(store, site.name, mark_for(site.folder, site.name))
        if site.trajectory_store is not None:
            use_place(store, site.trajectory_store)
        jobstore = JobStore(store.outputs)
    make = _fireworks_files if site.manager == "fireworks" else _project_file
    try:
        files = make(site, jobstore)
    except ModuleNotFoundError as error:
        package = (error.name or site.manager).partition(".")[0]
        raise MissingDependencyError.of(package, site.manager, "setup") from None
    return files if site.store_file is None else {site.store_file: site.store + "\n", **files}


def differences(files: Mapping[Path, str]) -> dict[Path, str]:
    """Return a unified diff, without passwords, of each file with other contents than wanted."""
    found = {}
    for path, text in files.items():
        if path.exists() and (old := path.read_text()) != text:
            lines = unified_diff(
                old.splitlines(), text.splitlines(), str(path), "what would be written", lineterm=""
            )
            found[path] = "\n".join(map(redacted, lines))
    return found


def write_configuration(files: Mapping[Path, str], *, force: bool = False) -> list[Path]:
    """Write the files, for the user's eyes only: a URI may hold a password.

    Parameters
    ----------
    files
        From `configuration`.
    force
        Replace files with other contents.

    Returns
    -------
    Paths of those that were written; others had these contents already.

    Raises
    ------
    InputError
        A file is there with other contents; nothing is written.
    """
    different = differences(files)
    if different and not force:
        raise InputError(
            "there is another configuration already",
            given=", ".join(map(str, different)),
            remedy="look at the difference, then pass --force to replace it, or name another "
            "--folder",
        )
    written = []
    for path, text in files.items():
        if path.exists() and path not in different:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        beside.touch(mode=_PRIVATE)
        beside.write_text(text)
        beside.replace(path)
        written.append(path)
    return written


def make_scratch(site: Site) -> None:
    """Make the folder in which jobflow-remote runs jobs from here, for the user alone.

    The input of a job lies there, as it was planned.

    Raises
    ------
    InputError
        It cannot be made.
    """
    if site.manager == "fireworks" or site.host is not None:
        return
    try:
        site.work_dir.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "the scratch folder cannot be made",
            given=f"{site.work_dir}: {error.strerror}",
            remedy="name another one with --work-dir",
        ) from error


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _plain(made: dict[str, Any]) -> str:
    return yaml.dump(made, Dumper=_Dumper, sort_keys=False, width=100)


def _fireworks_files(site: Site, jobstore: JobStore) -> dict[Path, str]:
    from fireworks import FWorker, LaunchPad  # noqa: PLC0415  (an extra)
    from fireworks.user_objects.queue_adapters.common_adapter import (  # noqa: PLC0415  (idem)
        CommonAdapter,
    )
    from jobflow.settings import JobflowSettings  # noqa: PLC0415  (only for FireWorks)

    folder = site.folder
    patience_ms = round(1000 * get_settings().patience_s)
    pad = LaunchPad(
        host=site.store,
        name=database_of(site.store),
        uri_mode=True,
        mongoclient_kwargs={"serverSelectionTimeoutMS": patience_ms, "journal": True},
    )
    pad.connection.close()
    files = {
        "my_launchpad.yaml": _plain(pad.to_dict()),
        WORKER_FILE: _plain(FWorker(name=site.name, env=mark_for(folder, site.name)).to_dict()),
        "FW_config.yaml": _plain(_fireworks_settings(folder)),
        "jobflow.yaml": _plain({"JOB_STORE": jobstore.as_dict()}),
    }
    if site.scheduler != "shell":
        files["my_qadapter.yaml"] = _plain(_adapter(site))
        CommonAdapter.from_format(files["my_qadapter.yaml"], "yaml")
        if site.scheduler in TEMPLATES:
            files[_template_name(site)] = TEMPLATES[site.scheduler]
    FWorker.from_format(files[WORKER_FILE], "yaml")
    LaunchPad.from_format(files["my_launchpad.yaml"], "yaml").connection.close()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "jobflow.yaml")
        path.write_text(files["jobflow.yaml"])
        found = JobflowSettings(CONFIG_FILE=str(path)).JOB_STORE
    if found.docs_store.as_dict() != jobstore.docs_store.as_dict():
        raise InputError(
            "jobflow would not use this store", given=found.name, allowed=jobstore.name
        )
    return {folder / name: text for name, text in files.items()}


def _fireworks_settings(folder: Path) -> dict[str, Any]:
    from fireworks.fw_config import config_to_dict  # noqa: PLC0415  (an extra)

    settings = {
        "CONFIG_FILE_DIR": str(folder),
        "PRINT_FW_JSON": False,
        "PING_TIME_SECS": _PING_S,
        "RUN_EXPIRATION_SECS": _LOST_AFTER_S,
    }
    _require_known(settings, config_to_dict())
    return settings


def _require_known(settings: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    if unknown := sorted(settings.keys() - known.keys()):
        raise InputError(
            "this FireWorks does not know these settings",
            given=unknown,
            remedy="pip install -c constraints.txt 'haloflow[fireworks]'",
        )


def _adapter(site: Site) -> dict[str, Any]:
    # exec: signals reach Python
    launch = f"exec {site.environment}/bin/rlaunch -c {site.folder} singleshot"
    if site.is_packed:
        launch = f"exec {site.environment}/bin/python -m {__package__}.fireworks_packed"
    exports = [
        f"export FW_CONFIG_FILE={site.folder}/FW_config.yaml",
        f"export JOBFLOW_CONFIG_FILE={site.folder}/jobflow.yaml",
    ]
    made = {
        "_fw_name": "CommonAdapter",
        "_fw_q_type": QUEUE_TYPES[site.scheduler],
        "rocket_launch": launch,
        "job_name": site.name[:_JOB_NAME_CHARS].rstrip("-."),
        **adapter_options(site),
        "pre_rocket": "\n".join([*site.preparation(), *exports]) + "\n",
    }
    if site.scheduler in TEMPLATES:
        made["_fw_template_file"] = str(site.folder / _template_name(site))
    return made


def _template_name(site: Site) -> str:
    return f"{site.scheduler}_template.txt"


def _project_file(site: Site, _jobstore: JobStore) -> dict[Path, str]:
    from jobflow_remote.config.base import Project  # noqa: PLC0415  (an extra)

    project = Project.model_validate(project_of(site))
    kept = project.model_dump(mode="json", exclude_unset=True)
    text = _plain(kept)
    Project.model_validate(yaml.safe_load(text))
    return {site.folder / f"{site.name}.yaml": text}
