"""Copying a store to another place or kind: complete, verified, and after a kill once more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from .builders import SummaryBuilder
from .checksums import Checksum, digest
from .exclusive import alone, refuse_running
from .file_copying import FileCopies, survey_files
from .homes import ID_MARK
from .mongodb import SEEN, translated
from .records import STEP_KEYS
from .streams import BATCH, batches
from .trajectory_places import PLACES_MARK, remember_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from maggma.core import Store

    from .connection import HaloflowStore
    from .streams import Report

COPY_MARK = "copy"
_NOT_COPIED = frozenset(("claims", "saved"))
"""Claims name processes; no step may be running while a store is copied. What is saved of
unfinished steps lies in a place of the source's."""
_DERIVED = "summaries"
_OWN_MARKS = frozenset((COPY_MARK, "migration", PLACES_MARK, ID_MARK))
_NOT_MERGED = frozenset((*_OWN_MARKS, "schema", "summary_builder"))
_TASK = "copying into"
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class CollectionCopy:
    """What a copy does, or did, with one collection.

    Attributes
    ----------
    n_documents
        In the source.
    n_new
        Of these, those that the target lacks.
    differing
        Names of those that the target has with other contents.
    checksum
        Of the source; the same as that of the target once it is copied.
    """

    name: str
    n_documents: int
    n_new: int
    differing: tuple[str, ...]
    checksum: str


@dataclass(frozen=True)
class CopyReport:
    """What a copy does, or did.

    Attributes
    ----------
    damaged
        Files of the source that are not what their documents say; they are not copied.
    """

    collections: list[CollectionCopy]
    files: FileCopies = field(default_factory=FileCopies)
    damaged: tuple[str, ...] = ()

    @property
    def n_documents(self) -> int:
        """Documents of the source."""
        return sum(one.n_documents for one in self.collections)

    @property
    def n_new(self) -> int:
        """Documents that the target lacks."""
        return sum(one.n_new for one in self.collections)


def survey_copy(
    source: HaloflowStore,
    target: HaloflowStore | None,
    *,
    merge: bool = False,
    report: Report | None = None,
) -> CopyReport:
    """Find out what a copy would do; nothing is written.

    Parameters
    ----------
    source, target
        Open stores; a target of ``None`` is one that does not exist yet.
    merge
        The target may hold documents.
    report
        Told how far it is.

    Raises
    ------
    StoreError
        The target is not empty, the stores are the same or of different versions, or steps
        are running on the source.
    """
    with translated(source.uri if target is None else target.uri):
        _refuse(source, target, merge=merge)
        references: dict[str, tuple[str, int]] = {}
        total = sum(_count(source, name) for name in _names(source, merge=merge))
        tell = _Teller(report, "comparing documents", total)
        collections = [
            _survey(source, target, name, references, tell, merge=merge)
            for name in _names(source, merge=merge)
        ]
        files = FileCopies()
        if target is None or source.files_dir != target.files_dir:
            place = None if target is None else target.files_dir
            files = survey_files(source.files, place, references, report)
        return CopyReport(collections, files)


def copy_store(
    source: HaloflowStore,
    target: HaloflowStore,
    *,
    merge: bool = False,
    report: Report | None = None,
) -> CopyReport:
    """Copy all documents, and the files where the folders differ.

    Killed at any moment and called again with the same stores, it goes on. Files come before
    the documents that name them; nothing of the target is ever replaced. At the end every
    collection is read again from the target: count and checksum are those of the source.

    Parameters
    ----------
    source, target
        Open stores, the source perhaps for reading only.
    merge
        Copy into a target that holds documents: those it has are left out, and its
        summaries are built anew from the documents.
    report
        Told how far it is.

    Raises
    ------
    StoreError
        As :func:`survey_copy`; or documents or files differ from those of the target, a file
        cannot be written, or the copy differs from its source.
    ClaimError
        Another process copies into the target.
    """
    with translated(target.uri), alone(target, _TASK):
        remember_place(target)
        unsettled = SummaryBuilder.of(source).changes.pending()  # a summary copied before it is old
        plan = survey_copy(source, target, merge=merge, report=report)
        _refuse_differing(plan)
        mark = {"_id": COPY_MARK, "source": source.name, "started_at": _now()}
        target.meta._collection.replace_one({"_id": COPY_MARK}, mark, upsert=True)
        damaged = plan.files.copy(source.files, target.files, report)
        tell = _Teller(report, "copying documents", plan.n_new)
        for one in plan.collections:
            for batch in batches(source.collections[one.name]):
                new = list(_taken(source, one.name, batch.documents, merge=merge))
                if one.n_new < one.n_documents:
                    there = _known(target, one.name, [row for _, row in new], merge=merge)
                    new = [(key, row) for key, row in new if key not in there]
                if new:
                    target.collections[one.name]._collection.insert_many([row for _, row in new])
                tell.more(len(new))
        _take_version(source, target, merge=merge)
        _verify(source, target, plan, report, merge=merge)
        if merge:
            SummaryBuilder.of(target).run()
        elif unsettled is not None:
            later = SummaryBuilder.of(source).changes.pending() or []
            SummaryBuilder.of(target).changes.settle_all([*unsettled, *later])
        target.meta.remove_docs({"_id": COPY_MARK})
    return replace(plan, damaged=damaged)


def _names(source: HaloflowStore, *, merge: bool) -> list[str]:
    left_out = _NOT_COPIED | ({_DERIVED} if merge else set())
    return [name for name in source.collections if name not in left_out]


def _count(store: HaloflowStore, name: str) -> int:
    """Count exactly: estimates are wrong after a crash of the server."""
    return int(store.collections[name]._collection.count_documents({}))


# -- what may not be copied ----------------------------------------------------------------


def _refuse(source: HaloflowStore, target: HaloflowStore | None, *, merge: bool) -> None:
    if target is not None and source.name == target.name:
        raise StoreError("source and target are the same store", given=source.name)
    refuse_running(source)
    if target is None:
        return
    known = target.meta.query_one({"_id": COPY_MARK})
    if merge:
        _refuse_other_version(source, target)
    elif known is not None and known["source"] != source.name:
        raise StoreError(
            "the target holds an unfinished copy of another store",
            given=f"{target.name}, from {known['source']}",
            remedy="finish that copy first, or copy to an empty place",
        )
    elif known is None and not _is_empty(target):
        raise StoreError(
            "the target is not empty",
            given=target.name,
            allowed="a place without documents",
            remedy="copy to another place, or add what is missing with --merge",
        )


def _is_empty(store: HaloflowStore) -> bool:
    others = (name for name in store.collections if name not in {"meta", *_NOT_COPIED})
    return not any(next(store.collections[name].query(limit=1), None) for name in others)


def _refuse_other_version(source: HaloflowStore, target: HaloflowStore) -> None:
    versions = [_schema(store) for store in (source, target)]
    if versions[0] != versions[1]:
        raise StoreError(
            "the stores are of different versions",
            given=f"schema {versions[0]} in {source.name}, {versions[1]} in {target.name}",
            remedy="haloflow db migrate --apply for the older one",
        )


def _schema(store: HaloflowStore) -> int | None:
    found = store.meta.query_one({"_id": "schema"})
    return found["version"] if found else None


def _refuse_differing(plan: CopyReport) -> None:
    names = [name for one in plan.collections for name in one.differing]
    names += [f"file {path}" for path in plan.files.differing]
    if names:
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        raise StoreError(
            f"{len(names)} documents or files are in the target with other contents",
            given=", ".join(names[:_MOST_NAMED]) + more,
            remedy="remove them from one of the stores, or copy to an empty place",
        )


# -- documents ------------------------------------------------------------------------------


@dataclass
class _Teller:
    report: Report | None
    what: str
    total: int
    done: int = 0

    def more(self, n: int) -> None:
        self.done += n
        if self.report is not None:
            self.report(self.what, self.done, self.total)


def _fields(store: Store) -> tuple[str, ...]:
    """Return what tells the documents of a collection apart."""
    return ("uuid", "index") if store.key == "uuid" else (store.key,)


def _without(name: str, fields: tuple[str, ...], *, merge: bool) -> frozenset[str]:
    """Return fields that do not count when documents are compared."""
    derived = {STEP_KEYS} if name == "candidates" else set()
    if merge and name == "candidates":
        derived.add("last_updated")
    if merge and fields != ("_id",):
        derived.add("_id")
    return frozenset(derived)


def _taken(
    store: HaloflowStore, name: str, documents: Iterable[dict[str, Any]], *, merge: bool
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield key and document of those that a copy takes along."""
    fields = _fields(store.collections[name])
    left_out = _NOT_MERGED if merge else {*_OWN_MARKS, "schema"}
    for document in documents:
        document.pop(SEEN, None)
        if name != "meta" or document["_id"] not in left_out:
            yield tuple(document.get(one) for one in fields), document


def _keyed(
    store: HaloflowStore, name: str, documents: Iterable[dict[str, Any]], *, merge: bool
) -> Iterator[tuple[tuple[Any, ...], bytes, dict[str, Any]]]:
    """Yield key, digest and document of those that a copy takes along."""
    without = _without(name, _fields(store.collections[name]), merge=merge)
    for key, document in _taken(store, name, documents, merge=merge):
        yield key, digest(document, without), document


def _known(
    target: HaloflowStore, name: str, documents: list[dict[str, Any]], *, merge: bool
) -> dict[tuple[Any, ...], bytes]:
    """Return key and digest of those of `documents` that the target has."""
    store = target.collections[name]
    first = _fields(store)[0]
    wanted = {first: {"$in": [document.get(first) for document in documents]}}
    rows = store._collection.find(wanted)
    return {key: one for key, one, _ in _keyed(target, name, rows, merge=merge)}


def _survey(
    source: HaloflowStore,
    target: HaloflowStore | None,
    name: str,
    references: dict[str, tuple[str, int]],
    tell: _Teller,
    *,
    merge: bool,
) -> CollectionCopy:
    total, n_new, differing = Checksum(), 0, []
    for batch in batches(source.collections[name], size=BATCH):
        keyed = list(_keyed(source, name, batch.documents, merge=merge))
        documents = [document for _, _, document in keyed]
        there = {} if target is None else _known(target, name, documents, merge=merge)
        for key, one, document in keyed:
            total.add(one)
            n_new += key not in there
            if there.get(key, one) != one:
                differing.append(f"{name} {' '.join(map(str, key))}")
            references.update(_references(document))
        tell.more(len(batch.documents))
    return CollectionCopy(name, total.count, n_new, tuple(differing), total.hexdigest())


def _references(document: dict[str, Any]) -> dict[str, tuple[str, int]]:
    output = document.get("output")
    files = output.get("files", ()) if isinstance(output, dict) else ()
    return {
        one["path"]: (one["sha256"], one["n_bytes"]) for one in files if not one.get("released")
    }


def _take_version(source: HaloflowStore, target: HaloflowStore, *, merge: bool) -> None:
    """Let the target say of which version its documents are, now that they are there."""
    known = source.meta.query_one({"_id": "schema"})
    if known is not None and not merge:
        target.meta._collection.replace_one({"_id": "schema"}, known, upsert=True)


def _verify(
    source: HaloflowStore,
    target: HaloflowStore,
    plan: CopyReport,
    report: Report | None,
    *,
    merge: bool,
) -> None:
    """Read everything again where it was copied to."""
    tell = _Teller(report, "verifying documents", plan.n_documents)
    for one in plan.collections:
        found = Checksum()
        for batch in batches((source if merge else target).collections[one.name]):
            keyed = list(_keyed(source, one.name, batch.documents, merge=merge))
            digests = [value for _, value, _ in keyed]
            if merge:  # the target holds more than the source
                documents = [document for _, _, document in keyed]
                digests = list(_known(target, one.name, documents, merge=True).values())
            for value in digests:
                found.add(value)
            tell.more(len(batch.documents))
        if (found.count, found.hexdigest()) != (one.n_documents, one.checksum):
            raise StoreError(
                f"the copy of {one.name} differs from its source",
                given=f"{found.count} documents, checksum {found.hexdigest()[:12]}",
                allowed=f"{one.n_documents} documents, checksum {one.checksum[:12]}",
                remedy="copy again to an empty place while nobody writes to the stores",
            )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
