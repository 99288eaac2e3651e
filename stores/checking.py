"""Looking for what is wrong in a store: documents, what they refer to, files and indexes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..errors import DocumentError
from ..identity import step_uuid
from .checking_files import CONTENT, MISSING, OUTSIDE, SIZE, FileLook
from .copying import COPY_MARK
from .migrating import MIGRATION_MARK, name_of, read_record, versioned
from .migrations import COLLECTIONS, MIGRATIONS, version_of
from .mongodb import translated
from .streams import batches

if TYPE_CHECKING:
    from .connection import HaloflowStore
    from .step_files import StepFiles
    from .streams import Report


class Fault(StrEnum):
    """What can be wrong."""

    UNFINISHED = "unfinished copy or migration"
    INDEX = "missing index"
    INVALID = "document not valid"
    IDENTITY = "identity does not hold"
    REFERENCE = "reference leads nowhere"
    FILE_MISSING = MISSING
    FILE_SIZE = SIZE
    FILE_CONTENT = CONTENT
    FILE_OUTSIDE = OUTSIDE


DAMAGES = frozenset((Fault.FILE_SIZE, Fault.FILE_CONTENT))
"""Of files that are there; one that is missing may lie on another machine."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: what, where, and what exactly."""

    fault: Fault
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}"


@dataclass
class Examination:
    """What was looked at, and what was found.

    Attributes
    ----------
    n_documents, n_old
        Versioned documents, and those of them of an older schema, which is not wrong.
    n_files, n_bytes
        Files that documents name, and their size by the documents.
    n_released
        Files that were released by a rule, which are not looked for.
    n_only_here
        Files in the folder of this machine alone, though there is a place for all.
    """

    findings: list[Finding] = field(default_factory=list)
    n_documents: int = 0
    n_old: int = 0
    n_files: int = 0
    n_bytes: int = 0
    n_released: int = 0
    n_only_here: int = 0

    def add(self, fault: Fault, subject: str, message: str) -> None:
        """Take in a finding."""
        self.findings.append(Finding(fault, subject, message))

    def by_fault(self) -> dict[Fault, list[Finding]]:
        """Return the findings of each kind that there are."""
        return {
            fault: own
            for fault in Fault
            if (own := [finding for finding in self.findings if finding.fault is fault])
        }


@dataclass
class _Seen:
    """What references can lead to, and the references."""

    steps: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    candidates: set[str] = field(default_factory=set)
    planned: set[str] = field(default_factory=set)
    parents: dict[str, str] = field(default_factory=dict)
    wanted: dict[str, tuple[str, str]] = field(default_factory=dict)
    summaries: set[str] = field(default_factory=set)
    keys: Counter[str] = field(default_factory=Counter)
    files: dict[str, tuple[str, int, str]] = field(default_factory=dict)


def check_store(
    store: HaloflowStore, *, fast: bool = False, report: Report | None = None
) -> Examination:
    """Look for all that can be wrong in a store; nothing is changed.

    Every document is read by its model, its identity compared with its place; planned steps
    that others were made from, and those that summaries show as done, must be there, and so
    must every file that a document names, with its size and sha256.

    Parameters
    ----------
    store
        Open store, best for reading only: to open it for writing makes its indexes.
    fast
        Leave the sha256 of files out.
    report
        Told how far it is.
    """
    found, seen = Examination(), _Seen()
    with translated(store.uri):
        _check_marks(store, found)
        for name in store.missing_indexes():
            found.add(Fault.INDEX, name, "it is made when the store is next written to")
        total = sum(int(store.collections[n]._collection.count_documents({})) for n in COLLECTIONS)
        done = 0
        for name in COLLECTIONS:
            for batch in batches(store.collections[name]):
                for row in batch.documents:
                    _check_record(name, row, found, seen)
                done += len(batch.documents)
                if report is not None:
                    report("reading documents", done, total)
    _check_references(found, seen)
    _check_files(store.files, found, seen, report, fast=fast)
    return found


def _check_marks(store: HaloflowStore, found: Examination) -> None:
    if mark := store.meta.query_one({"_id": COPY_MARK}):
        message = (
            f"from {mark['source']}, begun {mark['started_at']:%Y-%m-%d %H:%M} UTC; copy again"
        )
        found.add(Fault.UNFINISHED, "copy into this store", message)
    if mark := store.meta.query_one({"_id": MIGRATION_MARK}):
        message = f"to schema {mark['version']}; haloflow db migrate --apply goes on"
        found.add(Fault.UNFINISHED, "migration", message)


def _check_record(name: str, row: dict[str, Any], found: Examination, seen: _Seen) -> None:
    document = versioned(name, row)
    if document is None:
        return
    found.n_documents += 1
    found.n_old += version_of(document) < MIGRATIONS.version
    subject = name_of(name, row)
    try:
        read: Any = read_record(name, document)
    except DocumentError as error:
        found.add(Fault.INVALID, subject, str(error))
        seen.unread.add(str(document.get("identity")))
        return
    if name == "outputs":
        _take_step(subject, row, read, found, seen)
    elif name == "candidates":
        seen.candidates.add(read.candidate_id)
        seen.planned.update(read.steps.values())
        _once(f"candidate {read.candidate_id}", found, seen)
    else:
        seen.summaries.add(read.candidate_id)
        _once(f"summary {read.candidate_id}", found, seen)
        for step in read.steps:
            if step.state == "done":
                seen.wanted[step.identity] = (subject, f"its step {step.name}, said to be done,")


def _take_step(
    subject: str, row: dict[str, Any], step: Any, found: Examination, seen: _Seen
) -> None:
    seen.steps.add(step.identity)
    _once(f"{subject}, index {row.get('index')}", found, seen)
    if row.get("uuid") != step_uuid(step.identity):
        message = f"stored under uuid {row.get('uuid')}, which is not that of its identity"
        found.add(Fault.IDENTITY, subject, message)
    for parent in step.provenance.parents:
        seen.parents.setdefault(parent, subject)
    for file in step.files:
        if file.released is not None:
            found.n_released += 1
            continue
        known = seen.files.setdefault(file.path, (file.sha256, file.n_bytes, subject))
        if known[:2] != (file.sha256, file.n_bytes):
            message = f"{known[2]} names the same file with another sha256 or size"
            found.add(Fault.REFERENCE, f"{subject}, file {file.path}", message)


def _once(key: str, found: Examination, seen: _Seen) -> None:
    seen.keys[key] += 1
    if seen.keys[key] == 2:  # noqa: PLR2004  (said once, at the second)
        found.add(Fault.IDENTITY, key, "stored more than once")


def _check_references(found: Examination, seen: _Seen) -> None:
    known = seen.steps | seen.unread
    for parent in seen.parents.keys() & seen.planned:  # others are hashes of what a user gave
        seen.wanted.setdefault(parent, (seen.parents[parent], "what it was made from,"))
    for identity, (subject, what) in seen.wanted.items():
        if identity not in known:
            found.add(Fault.REFERENCE, subject, f"{what} is not there: step {identity[:12]}")
    for candidate in sorted(seen.summaries - seen.candidates):
        found.add(Fault.REFERENCE, f"summary {candidate}", "its candidate is not there")


def _check_files(
    files: StepFiles, found: Examination, seen: _Seen, report: Report | None, *, fast: bool
) -> None:
    found.n_files = len(seen.files)
    found.n_bytes = sum(n_bytes for _, n_bytes, _ in seen.files.values())
    look = FileLook.at(files, fast=fast) if seen.files else None
    done = 0
    for path, (sha256, n_bytes, subject) in sorted(seen.files.items()):
        assert look is not None
        faults, is_elsewhere = look.faults_of(path, sha256, n_bytes)
        for fault, message in faults:
            found.add(Fault(fault), f"{subject}, file {path}", message)
        found.n_only_here += bool(files.places) and not is_elsewhere and not faults
        done += n_bytes
        if report is not None:
            report("looking at files" if fast else "reading files", done, found.n_bytes)
