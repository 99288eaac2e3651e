"""A campaign as a dataset: a folder or tar file that explains, cites and verifies itself.

The same store gives the same bytes: what is written is sorted, and no time or machine of the
export enters it.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

from pymatgen.io.cif import CifWriter

from ..engines.durable import sole_use
from ..errors import EngineError, InputError, NotFoundError, StoreError
from ..identity import step_uuid
from ..makers.stored_trajectories import parts_of
from ..stores.manifest import write_manifest
from ..stores.query import find_summaries
from ..stores.records import step_of
from ..stores.results import stored_outputs
from .export_bytes import line_of, pack, write_json, write_lines, write_tables
from .export_texts import LICENSES, licence_text, readme_text
from .fetching import bring, safe_name, write_indexes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from ..stores.connection import HaloflowStore
    from ..stores.documents import CandidateSummary, FileReference, StepDocument
    from ..stores.streams import Report

_BATCH: Final = 50
_SUBMITTED: Final = "submitted-"
_TAR: Final = (".tar", ".tar.gz", ".tgz")
_PARTIAL: Final = ".partial"


@dataclass(frozen=True)
class ExportWishes:
    """What goes into an export.

    Attributes
    ----------
    sweep
        Name of a sweep; ``None`` for all candidates.
    where
        Filters as of `haloflow query`.
    trajectories
        Whether the files of steps go along.
    licence
        One of `LICENSES`; ``None`` for none chosen.
    sweep_file
        A sweep file to go along.
    title
        Heading of the README.
    """

    sweep: str | None = None
    where: Sequence[str] = ()
    trajectories: bool = False
    licence: str | None = None
    sweep_file: Path | None = None
    title: str | None = None


@dataclass
class Contents:
    """What was written, for the README.

    Attributes
    ----------
    kinds
        Number of documents of each kind.
    packages, potentials
        Versions by package; name, level, package and sha256 of the weights.
    released
        Files that rules have released.
    """

    n_candidates: int = 0
    n_steps: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    n_structures: int = 0
    packages: dict[str, set[str]] = field(default_factory=dict)
    potentials: set[tuple[str, str, str, str]] = field(default_factory=set)
    levels: dict[str, set[str]] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    sweeps: list[str] = field(default_factory=list)
    released: int = 0
    n_files: int = 0
    n_bytes: int = 0


def export(
    store: HaloflowStore, target: Path, wishes: ExportWishes, report: Report | None = None
) -> Contents:
    """Write the dataset to a folder, or to a ``.tar`` or ``.tar.gz`` file.

    It is made beside the target and gets its name when it is complete, so that nothing half
    has it, whatever kills the process.

    Raises
    ------
    InputError
        The target is there already, a filter or the licence is not known.
    NotFoundError
        No candidate fits.
    TrajectoryError, StoreError
        A file that goes along is missing or damaged; or something cannot be written.
    """
    _require_free(target)
    if wishes.licence is not None and wishes.licence not in LICENSES:
        raise InputError("this licence is not known", given=wishes.licence, allowed=list(LICENSES))
    summaries = _summaries(store, wishes)
    is_tar = target.name.endswith(_TAR)
    name = target.name
    for suffix in sorted(_TAR, key=len, reverse=True):
        name = name.removesuffix(suffix) if is_tar else name
    beside = target.with_name(f".{target.name}{_PARTIAL}")
    try:
        with _alone_in(beside, target):
            folder = beside / "new" / name
            shutil.rmtree(folder.parent, ignore_errors=True)
            try:
                folder.mkdir(parents=True)
                contents = _write(store, summaries, folder, wishes, report)
                write_manifest(folder, report)
                if is_tar:
                    packed = beside / target.name
                    pack(folder, packed)
                    folder = packed
                _give_name(folder, target)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise StoreError(
            f"the export cannot be written: {error.strerror or error}",
            given=str(error.filename or target),
            remedy="make room, or name another place with --to",
        ) from error
    return contents


def _require_free(target: Path) -> None:
    if target.exists():
        raise InputError(
            "the export would replace what is there",
            given=str(target),
            remedy="name another place with --to, or remove that one",
        )


@contextmanager
def _alone_in(beside: Path, target: Path) -> Iterator[None]:
    """Be the only process that exports to `target`."""
    with ExitStack() as held:
        try:
            held.enter_context(sole_use(beside))
        except EngineError as error:
            raise InputError(
                "another export to the same place is at work",
                given=str(target),
                remedy="wait until it is done, or name another place with --to",
            ) from error
        yield


def _give_name(made: Path, target: Path) -> None:
    """Move what is complete to its place, never over what came there meanwhile."""
    _require_free(target)
    if made.is_dir():
        made.replace(target)  # fails where a folder with something in it is
        return
    try:
        os.link(made, target)
    except FileExistsError:
        _require_free(target)
        raise
    except OSError:  # a file system without links
        made.replace(target)


def _summaries(store: HaloflowStore, wishes: ExportWishes) -> list[CandidateSummary]:
    where = [*wishes.where, *([f"sweep={wishes.sweep}"] if wishes.sweep else [])]
    found = find_summaries(store.summaries, where)
    if not found:
        raise NotFoundError(
            "no candidate fits",
            given=" ".join(where) or store.name,
            remedy="look with `haloflow query`, which takes the same filters",
        )
    return sorted(found, key=lambda summary: summary.candidate_id)


def _write(
    store: HaloflowStore,
    summaries: list[CandidateSummary],
    folder: Path,
    wishes: ExportWishes,
    report: Report | None,
) -> Contents:
    contents = Contents(n_candidates=len(summaries))
    write_tables(summaries, folder)
    candidates = _candidates(store, summaries)
    write_lines(folder / "candidates.jsonl", candidates)
    names = _step_names(candidates)
    contents.n_steps = len(names)
    files = _write_documents(store, names, folder, contents, report)
    for summary in summaries:
        for stage, level in summary.levels.items():
            contents.levels.setdefault(stage, set()).add(level)
        contents.sources.update(row.source for row in summary.literature)
    _write_sweeps(store, summaries, folder, wishes, contents)
    if wishes.trajectories:
        _write_files(store, files, folder, contents, report)
    environment = {
        "packages": {name: sorted(known) for name, known in contents.packages.items()},
        "potentials": [
            dict(zip(("name", "level", "package", "weights_sha256"), one, strict=True))
            for one in sorted(contents.potentials)
        ],
    }
    write_json(folder / "environment.json", environment)
    (folder / "LICENSE.txt").write_text(licence_text(wishes.licence), encoding="utf-8")
    readme = readme_text(contents, title=wishes.title or wishes.sweep, licence=wishes.licence)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return contents


def _candidates(store: HaloflowStore, summaries: list[CandidateSummary]) -> list[dict[str, Any]]:
    found = []
    for start in range(0, len(summaries), _BATCH):
        ids = [summary.candidate_id for summary in summaries[start : start + _BATCH]]
        found += list(store.candidates.query({"candidate_id": {"$in": ids}}))
    plain = [{key: value for key, value in row.items() if key[0] != "_"} for row in found]
    return sorted(plain, key=lambda row: str(row["candidate_id"]))


def _step_names(candidates: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Return ``candidate/step`` names of each identity, in the order of the identities."""
    names: dict[str, list[str]] = {}
    for row in candidates:
        for step, identity in row["steps"].items():
            names.setdefault(identity, []).append(f"{row['candidate_id']}/{step}")
    return {identity: sorted(names[identity]) for identity in sorted(names)}


def _write_documents(
    store: HaloflowStore,
    names: dict[str, list[str]],
    folder: Path,
    contents: Contents,
    report: Report | None,
) -> list[tuple[StepDocument, FileReference]]:
    """Write documents, structures and provenance, some documents in memory at a time."""
    files: list[tuple[StepDocument, FileReference]] = []
    (folder / "documents").mkdir()
    with ExitStack() as opened:
        lines: dict[str, IO[str]] = {}
        origins = opened.enter_context((folder / "provenance.jsonl").open("w", encoding="utf-8"))
        for done, (identity, output) in enumerate(_outputs(store, names), start=1):
            document = step_of(output)
            if document.kind not in lines:
                path = folder / "documents" / f"{document.kind}.jsonl"
                lines[document.kind] = opened.enter_context(path.open("w", encoding="utf-8"))
            lines[document.kind].write(line_of(output))
            origins.write(line_of(_origin(document, names[identity])))
            _write_structure(document, names[identity], folder, contents)
            _take_note(document, contents)
            files += [(document, file) for file in document.files]
            if report is not None:
                report("writing documents", done, len(names))
    return files


def _outputs(
    store: HaloflowStore, names: dict[str, list[str]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    identities = list(names)
    for start in range(0, len(identities), _BATCH):
        found = stored_outputs(store, identities[start : start + _BATCH])
        yield from sorted(found.items())


def _origin(document: StepDocument, names: list[str]) -> dict[str, Any]:
    return {
        "identity": document.identity,
        "job_uuid": step_uuid(document.identity),
        "kind": document.kind,
        "steps": names,
        "status": document.status,
        "note": document.note,
        "provenance": document.provenance.model_dump(mode="json"),
        "files": [file.model_dump(mode="json") for file in document.files],
    }


def _write_structure(
    document: StepDocument, names: list[str], folder: Path, contents: Contents
) -> None:
    structure = getattr(document, "structure", None)
    if structure is None:
        return
    text = str(CifWriter(structure, symprec=None))
    for name in names:
        candidate, _, step = name.partition("/")
        path = folder / "structures" / safe_name(candidate) / f"{safe_name(step)}.cif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        contents.n_structures += 1


def _take_note(document: StepDocument, contents: Contents) -> None:
    made = document.provenance
    contents.kinds[document.kind] += 1
    versions = {
        **made.packages, "haloflow": made.haloflow_version, "python": made.python_version,
    }  # fmt: skip
    for name, version in versions.items():
        contents.packages.setdefault(name, set()).add(version)
    if (used := made.potential) is not None:
        package = f"{used.package} {used.package_version}"
        contents.potentials.add((used.name, used.level, package, used.weights_sha256))
    contents.released += sum(file.released is not None for file in document.files)


def _write_sweeps(
    store: HaloflowStore,
    summaries: list[CandidateSummary],
    folder: Path,
    wishes: ExportWishes,
    contents: Contents,
) -> None:
    names = sorted({name for summary in summaries for name in summary.sweeps})
    contents.sweeps = [wishes.sweep] if wishes.sweep else names
    known = {row["_id"]: row for row in store.meta.query({"_id": {"$regex": f"^{_SUBMITTED}"}})}
    (folder / "sweeps").mkdir()
    for name in contents.sweeps:
        if (row := known.get(_SUBMITTED + name)) is not None:
            write_json(folder / "sweeps" / f"{name}.json", row["sweep"])
    if wishes.sweep_file is not None:
        shutil.copyfile(wishes.sweep_file, folder / "sweeps" / wishes.sweep_file.name)
    if not any((folder / "sweeps").iterdir()):
        (folder / "sweeps").rmdir()


def _write_files(
    store: HaloflowStore,
    files: list[tuple[StepDocument, FileReference]],
    folder: Path,
    contents: Contents,
    report: Report | None,
) -> None:
    kept = [(document, file) for document, file in files if file.released is None]
    total, done = sum(file.n_bytes for _, file in kept), 0
    for _, file in kept:
        bring(store.files, file, folder / "files" / file.path)
        done += file.n_bytes
        if report is not None:
            report("fetching files", done, total)
    for document in {id(document): document for document, _ in kept}.values():
        for part, references in parts_of(document).items():
            if all(file.released is None for file in references):
                write_indexes(document, part, references, store.files, folder / "files")
    contents.n_files, contents.n_bytes = len(kept), total
