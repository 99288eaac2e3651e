"""Releasing trajectories by rules: marked in the document first, deleted after."""

from __future__ import annotations

import getpass
import shutil
import socket
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ..engines.trajectory import THERMO, TrajectoryReader, TrajectoryWriter
from ..errors import StoreError, TrajectoryError
from ..identity import step_uuid
from ..makers.references import references_to
from ..makers.step import step_directory
from ..makers.stored_trajectories import open_stored
from ..settings import cache_folder
from ..stores.documents import FileReference
from ..stores.documents import Release as Mark
from ..stores.exclusive import alone
from ..stores.file_paths import ROLE, require_inside
from ..stores.homes import require_own_files
from ..stores.mongodb import SEEN, translated
from ..stores.retention import THINNED, plan_retention
from ..stores.saved_runs import PRUNING
from ..stores.trajectory_places import own_places, remember_place, require_own
from .status import update_summaries

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ..stores.blobs import Blobs
    from ..stores.connection import HaloflowStore
    from ..stores.retention import Release, Retention, RetentionPlan
    from ..stores.streams import Report

_TASK: Final = PRUNING.partition(" ")[0]
_FRAMES_AT_ONCE: Final = 200
_STRAY_AGE_S: Final = 3 * 86_400.0


@dataclass
class Pruned:
    """What came of pruning.

    Attributes
    ----------
    n_files, n_bytes
        Files that are deleted wherever they were, and their size by the documents.
    n_shared
        Files that are marked and stay, since another document has the same content.
    n_strays, n_stray_bytes
        Files in places for all machines that no document and no running step knows.
    left
        Places where nothing was looked for or deleted, and why.
    failures
        Steps that nothing was done about, and why.
    """

    plan: RetentionPlan
    n_files: int = 0
    n_bytes: int = 0
    n_shared: int = 0
    n_strays: int = 0
    n_stray_bytes: int = 0
    left: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def prune(
    store: HaloflowStore, rules: Retention | None = None, report: Report | None = None
) -> Pruned:
    """Release what rules do not keep, and clear up what nothing knows.

    Killed at any moment and called again, it goes on: documents are marked before files go,
    and what is marked and still there is deleted the next time.

    Parameters
    ----------
    store
        Open for writing, with nothing running on it.
    rules
        For all runs; default: those that the sweeps have.
    report
        Told how far it is.

    Raises
    ------
    ClaimError, StoreError
        Another process prunes, or steps are running. A place that does not answer is left
        for the next time.
    """
    with translated(store.uri), alone(store, _TASK):
        require_own(store)
        unreadable = update_summaries(store)
        done = Pruned(plan_retention(store, rules, unreadable=unreadable))
        by_run: dict[str, list[Release]] = defaultdict(list)
        for one in done.plan.releases:
            by_run[one.identity].append(one)
        for count, (identity, releases) in enumerate(by_run.items(), start=1):
            _release(store, identity, releases, done)
            if report is not None:
                report("marking documents", count, len(by_run))
        _delete(store, done, report)
        update_summaries(store)
    return done


def _release(store: HaloflowStore, identity: str, releases: list[Release], done: Pruned) -> None:
    """Mark the files of some parts of a run in its document, thinned copies stored before."""
    row = store.outputs.query_one({"uuid": step_uuid(identity)})
    if row is None:
        return
    mark = Mark(
        rule="", by=f"{getpass.getuser()}@{socket.gethostname()}",
        at=datetime.now(UTC).replace(microsecond=0),
    )  # fmt: skip
    files = [FileReference.model_validate(file) for file in row["output"]["files"]]
    thinned: list[FileReference] = []
    try:
        for one in releases:
            if one.keep_every is not None:
                own = [f for f in files if f.role == ROLE + one.part and f.released is None]
                remember_place(store)
                require_own_files(store)
                thinned += _thinned(store, one, own)
    except Exception as error:  # noqa: BLE001  (one damaged run must not stop the others)
        done.failures[identity] = str(error)
        return
    rules = {ROLE + one.part: one.rule for one in releases}
    changed = [
        file.model_copy(update={"released": mark.model_copy(update={"rule": rules[file.role]})})
        if file.role in rules and file.released is None
        else file
        for file in files
    ]
    row["output"]["files"] = [f.model_dump(mode="json") for f in [*changed, *thinned]]
    row.pop(SEEN, None)
    store.outputs._collection.replace_one({"_id": row["_id"]}, row)  # noqa: SLF001  (maggma would look by uuid alone)


def _thinned(store: HaloflowStore, one: Release, files: list[FileReference]) -> list[FileReference]:
    """Write every so many frames of a part to files of their own, and store them."""
    reader = open_stored(files, store.files)
    name = f"{one.part}{THINNED}"
    folder = step_directory(store.files.folder, one.identity) / name / "trajectory"
    shutil.rmtree(folder, ignore_errors=True)  # of one that was killed, perhaps by another rule
    writer = TrajectoryWriter(
        folder,
        reader.numbers,
        chunk_frames=_FRAMES_AT_ONCE,
        signature=f"{one.identity}/{name}/{one.keep_every}",
    )
    _copy_frames(reader, writer, one.keep_every or 1)
    writer.close()
    chunks = TrajectoryReader(folder).files
    for chunk in chunks:
        store.files.put(chunk.path, chunk.sha256)
    return references_to(chunks, name, store.files.folder)


def _copy_frames(reader: TrajectoryReader, writer: TrajectoryWriter, every: int) -> None:
    for start in range(0, reader.n_frames, _FRAMES_AT_ONCE * every):
        bounds = (start, start + _FRAMES_AT_ONCE * every, every)
        thermo = reader.thermo(*bounds)
        frames = zip(reader.positions(*bounds), reader.cells(*bounds), strict=True)
        for row, (positions, cell) in enumerate(frames):
            writer.append(positions, cell, [float(thermo[name][row]) for name in THERMO])


def _delete(store: HaloflowStore, done: Pruned, report: Report | None) -> None:
    """Delete marked files that no document needs, and what nothing knows."""
    needed, marked = _named(store)
    done.n_shared = len(marked.keys() & needed)
    gone = {sha256: files for sha256, files in marked.items() if sha256 not in needed}
    _look_at_files(store, done.left)
    with _listed(store, done.left) as present:
        _delete_marked(store, gone, present, done, report)
        for place, key, size in _strays(present, needed | gone.keys()):
            store.files.remove(place, key)
            done.n_strays += 1
            done.n_stray_bytes += size
        for place, _ in present:
            try:
                place.clear_up()
            except StoreError as error:
                done.left[place.name] = str(error)


def find_strays(store: HaloflowStore) -> tuple[dict[str, int], dict[str, str]]:
    """Look for what `prune` would clear up since nothing knows it.

    Returns
    -------
    strays : dict
        Key and size.
    left : dict
        Places where nothing would be deleted, and why.
    """
    left: dict[str, str] = {}
    with translated(store.uri):
        require_own(store)
        _look_at_files(store, left)
        needed, marked = _named(store)
        with _listed(store, left) as present:
            found = {key: size for _, key, size in _strays(present, needed | marked.keys())}
    return found, left


def _look_at_files(store: HaloflowStore, left: dict[str, str]) -> None:
    """Note where the folder of files is not surely this store's own."""
    try:
        require_own_files(store)
    except StoreError as error:
        left[str(store.files_dir)] = str(error)


@contextmanager
def _listed(
    store: HaloflowStore, left: dict[str, str]
) -> Iterator[list[tuple[Blobs, dict[str, int]]]]:
    """Give the places that are this store's own, and what is there."""
    with ExitStack() as opened:
        places, others = own_places(store)
        left.update(others)
        found = []
        for place in places:
            opened.callback(place.close)
            try:
                found.append((place, dict(place.sizes())))
            except StoreError as error:
                left[place.name] = str(error)
        yield found


def _strays(
    present: list[tuple[Blobs, dict[str, int]]], known: Collection[str]
) -> Iterator[tuple[Blobs, str, int]]:
    """Yield what nothing knows, and has lain there for long: a step may be about to say it."""
    for place, sizes in present:
        for key, size in sizes.items():
            if key not in known:
                written_at = place.written_at(key)
                if written_at is not None and time.time() - written_at >= _STRAY_AGE_S:
                    yield place, key, max(size, 0)


def _delete_marked(
    store: HaloflowStore,
    gone: Mapping[str, list[FileReference]],
    present: list[tuple[Blobs, dict[str, int]]],
    done: Pruned,
    report: Report | None,
) -> None:
    is_own = str(store.files_dir) not in done.left
    for count, (sha256, files) in enumerate(gone.items(), start=1):
        paths = map(store.files.here, files) if is_own else ()
        here = {path for path in paths if path is not None}
        for path in here:
            path.unlink()
        (cache_folder() / sha256[:2] / sha256).unlink(missing_ok=True)
        holding = [place for place, sizes in present if sha256 in sizes]
        for place in holding:
            store.files.remove(place, sha256)
        n_gone = max(len(here), len(holding[:1]))
        done.n_files += n_gone
        done.n_bytes += n_gone * files[0].n_bytes
        if report is not None:
            report("deleting files", count, len(gone))


def _named(store: HaloflowStore) -> tuple[set[str], dict[str, list[FileReference]]]:
    """Return the checksums of files that are needed, and the files that are marked."""
    needed: set[str] = set()
    marked: dict[str, list[FileReference]] = defaultdict(list)
    for row in store.outputs.query({"output.files.0": {"$exists": True}}, ["output.files"]):
        for file in _files(row["output"].get("files", ())):
            if file.get("released"):
                with suppress(TrajectoryError):  # what leads out of the folder is not the store's
                    marked_file = FileReference.model_validate(file)
                    require_inside(marked_file)
                    marked[marked_file.sha256].append(marked_file)
            else:
                needed.add(file["sha256"])
    for row in store.saved.query({}, ["files"]):
        needed.update(file.get("key", file["sha256"]) for file in row["files"])
    return needed, marked


def _files(files: Iterable[Any]) -> Iterable[dict[str, Any]]:
    return (file for file in files if isinstance(file, dict))
