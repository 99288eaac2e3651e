"""What the commands of ``haloflow db`` do and print."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from ..dashboard.wording import duration_text, size_text
from ..settings import get_settings
from ..stores.checking import DAMAGES, check_store
from ..stores.connection import is_there, open_store
from ..stores.copying import copy_store, survey_copy
from ..stores.migrating import migrate, plan_migration
from ..stores.server import MongoServer
from ..workflows.importing import is_export, opened_export
from ..workflows.mending import make_again
from .bars import progress_bars
from .console import console, table
from .stores import store_uri

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ..stores.connection import HaloflowStore
    from ..stores.copying import CopyReport
    from ..stores.migrating import MigrationPlan
    from ..stores.streams import Report

_ANY_TIME_S = 7 * 86400.0
"""Reading all of a store takes as long as it takes."""
_EXAMPLES = 3
_SHOWN_DIGITS = 16


def start_server(folder: Path | None, port: int | None) -> None:
    """Start the server and print what to tell haloflow."""
    server = MongoServer(folder)
    uri = server.start(port)
    out = console()
    out.print(f"The server is up: {_server_line(server)}")
    out.print("Use it with:", end="\n\n")
    for name, value in (("STORE", uri), ("FILES_DIR", str(server.files_dir))):
        out.print(f"export HALOFLOW_{name}={shlex.quote(value)}", soft_wrap=True)


def stop_server(folder: Path | None) -> None:
    """Stop the server and say whether it ran."""
    server = MongoServer(folder)
    word = "The server has stopped" if server.stop() else "No server runs"
    console().print(f"{word}: {server.folder}")


def show_server(folder: Path | None) -> bool:
    """Print what is known of the server; return whether it is up and answers."""
    server = MongoServer(folder)
    status = server.status()
    out = console()
    if not status.is_up:
        out.print(f"down: {size_text(status.n_bytes)} of data in {status.folder}")
        return False
    word = Text("up", "green") if status.version else Text("up, but it does not answer", "red")
    out.print(word + Text(f": {_server_line(server)}"))
    return status.version is not None


def _server_line(server: MongoServer) -> str:
    status = server.status()
    return (
        f"MongoDB {status.version or '?'} at 127.0.0.1:{status.port}, process {status.pid}, "
        f"for {duration_text(status.uptime_s or 0.0)}, {size_text(status.n_bytes)} of data in "
        f"{status.folder}"
    )


def copy_between(
    source: tuple[str, Path | None],
    target: tuple[str, Path | None],
    *,
    merge: bool,
    dry_run: bool,
) -> bool:
    """Copy, or say what would be; return whether all files of the source are whole."""
    with progress_bars() as report, _source(*source, report) as old:
        if not dry_run:
            with _opened(*target) as new:
                done = copy_store(old, new, merge=merge, report=report)
        elif is_there(target[0]):
            with _opened(*target, read_only=True) as new:
                done = survey_copy(old, new, merge=merge, report=report)
        else:
            done = survey_copy(old, None, merge=merge, report=report)
    _show_copy(done, dry_run=dry_run)
    return not done.damaged


def _source(
    place: str, files: Path | None, report: Report
) -> AbstractContextManager[HaloflowStore]:
    """Open what is copied: a store, or an export."""
    if files is None and is_export(place):
        return opened_export(place, report)
    return _opened(place, files, read_only=True)


def _opened(place: str, files: Path | None, *, read_only: bool = False) -> HaloflowStore:
    """Open a store; one in a folder has its files there, whatever the settings say of servers."""
    if files is None and "://" not in place:
        own = Path(place).expanduser().absolute() / "files"
        files = own if own.is_dir() or not read_only else get_settings().files_dir or own
    opened = open_store(place, files_dir=files, read_only=read_only, timeout_s=_ANY_TIME_S)
    opened.files.patience_s = None
    return opened


def _show_copy(done: CopyReport, *, dry_run: bool) -> None:
    new = "to copy" if dry_run else "copied"
    made = table("collection", "documents", new, "checksum")
    for one in done.collections:
        counts = (str(one.n_documents), str(one.n_new))
        made.add_row(one.name, *counts, one.checksum[:_SHOWN_DIGITS])
    out = console()
    out.print(made)
    files = done.files
    out.print(
        f"{files.n_new} files ({size_text(files.n_bytes)}) {new}, {files.n_there} there already"
    )
    for names, what in (
        (files.missing, "that documents name are not in the source"),
        (done.damaged, "are damaged in the source and were not copied"),
    ):
        if names:
            out.print(f"{len(names)} files {what}: {_few(list(names))}")
    n_differing = sum(len(one.differing) for one in done.collections) + len(files.differing)
    if n_differing:
        out.print(f"{n_differing} documents or files differ: they would not be copied")
    elif not dry_run:
        out.print("Verified: count and checksum of every collection are the same.")


def migrate_documents(store: str | None, *, apply: bool) -> bool:
    """Upgrade, or say what would be; return whether all documents can be upgraded."""
    place = store_uri(store)
    with progress_bars() as report:
        if apply:
            with open_store(place, must_exist=True) as opened:
                plan = migrate(opened, report)
        else:
            with open_store(place, read_only=True, timeout_s=_ANY_TIME_S) as opened:
                plan = plan_migration(opened, report)
    _show_migration(plan, applied=apply)
    return not plan.newer and not plan.invalid


def _show_migration(plan: MigrationPlan, *, applied: bool) -> None:
    out = console()
    if not plan.is_needed and not plan.newer:
        out.print(f"All {plan.n_current} documents are of schema {plan.version}: nothing to do.")
        return
    made = table("collection", "kind", "from schema", "to", "documents")
    for (name, kind, version), count in sorted(plan.pending.items()):
        made.add_row(name, kind, str(version), str(plan.version), str(count))
    out.print(made)
    for names, what in (
        (plan.newer, "were written by a newer haloflow"),
        (plan.invalid, "would not be valid"),
    ):
        if names:
            out.print(f"{len(names)} documents {what}: {_few(names)}")
    if applied:
        out.print(f"Upgraded {plan.n_pending} documents to schema {plan.version}.")
        return
    for example in plan.examples.values():
        out.print(f"\n{example}")
    out.print("\nNothing was changed. To write it: haloflow db migrate --apply")


def check_documents(store: str | None, *, fast: bool, mend: bool = False) -> bool:
    """Print what is wrong with a store; return whether nothing is."""
    place = store_uri(store)
    with (
        open_store(place, read_only=True, timeout_s=_ANY_TIME_S) as opened,
        progress_bars() as report,
    ):
        found = check_store(opened, fast=fast, report=report)
    out = console()
    if found.findings:
        made = table("what is wrong", "how often", "for example")
        for fault, findings in found.by_fault().items():
            examples = "\n".join(map(str, findings[:_EXAMPLES]))
            made.add_row(Text(fault, style="red"), str(len(findings)), examples)
        out.print(made)
    looked = "size" if fast else "sha256"
    out.print(
        f"Looked at {found.n_documents} documents and the {looked} of {found.n_files} files "
        f"({size_text(found.n_bytes)})."
    )
    if found.n_released:
        out.print(f"{found.n_released} files were released by rules and are not looked for.")
    if found.n_only_here:
        out.print(f"{found.n_only_here} files are in the folder of this machine alone.")
    if found.n_old:
        out.print(f"{found.n_old} are of an older schema: haloflow db migrate upgrades them.")
    many = "1 finding." if len(found.findings) == 1 else f"{len(found.findings)} findings."
    out.print(many if found.findings else "Nothing is wrong.")
    if damaged := [str(one) for one in found.findings if one.fault in DAMAGES]:
        _tell_of_damage(place, damaged, mend=mend)
    return not found.findings


def _tell_of_damage(place: str, damaged: list[str], *, mend: bool) -> None:
    """Say what makes damaged files anew, or forget the steps that made them."""
    out = console()
    if not mend:
        out.print("To make damaged files anew: haloflow db check --mend")
        return
    with open_store(place, must_exist=True) as opened:
        n_steps = len(make_again(opened, damaged))
    what = "1 step is" if n_steps == 1 else f"{n_steps} steps are"
    out.print(
        f"{what} taken back, the damaged files removed: the next haloflow run or resume of "
        "their sweeps makes them anew."
    )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
    return ", ".join(names[:_EXAMPLES]) + more
