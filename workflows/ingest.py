"""Existing folders of VASP, at any depth, as documents of a store."""

from __future__ import annotations

import os
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..engines.vasp_ingest import FILES, examine
from ..errors import HaloflowError, InputError
from ..identity import step_uuid
from ..makers.step import release_claims, step_directory
from ..makers.vasp_ingest import IngestMaker, parents_of_folder
from ..stores.purpose import is_for_tests
from ..stores.results import clear_failures, stored_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..stores.connection import HaloflowStore


@dataclass(frozen=True)
class Ingested:
    """What became of a folder.

    Attributes
    ----------
    folder
        Where the run lies.
    identity
        Of its document; empty where it was skipped.
    words
        What it is, or why it was skipped.
    is_new
        Whether its document was written now.
    """

    folder: Path
    identity: str
    words: str
    is_new: bool = False


def ingest(store: HaloflowStore, places: Iterable[Path]) -> Iterator[Ingested]:
    """Take every VASP run below `places` that passes the gates; tell of each as it comes.

    A run is examined before anything of it is written; a bad one leaves nothing behind.

    Raises
    ------
    InputError
        If a place does not exist, or none holds a run.
    """
    folders = list(find_runs(places))
    if not folders:
        raise InputError(
            "there is no VASP run in these folders",
            given=[str(place) for place in places],
            allowed=f"folders that hold {' or '.join(FILES)}, at any depth",
            remedy="check the paths",
        )
    for_tests = is_for_tests(store)
    for folder in folders:
        try:
            yield _take(store, folder, for_tests=for_tests)
        except HaloflowError as error:
            yield Ingested(folder, "", str(error))
        except (OSError, EOFError, zlib.error) as error:
            yield Ingested(folder, "", f"its files cannot be read: {error}")


def find_runs(places: Iterable[Path]) -> Iterator[Path]:
    """Yield the folders below `places` with a vasprun.xml, each once, in order.

    Raises
    ------
    InputError
        If a place is no folder.
    """
    seen: set[Path] = set()
    for place in places:
        if not place.is_dir():
            raise InputError(
                "there is no such folder",
                given=str(place),
                remedy="check the path",
            )
        for where, folders, names in os.walk(place):
            folders.sort()
            folder = Path(where).resolve()
            if folder not in seen and not set(FILES).isdisjoint(names):
                seen.add(folder)
                yield folder


def _take(store: HaloflowStore, folder: Path, *, for_tests: bool) -> Ingested:
    parents = parents_of_folder(folder)
    maker = IngestMaker()
    identity = maker.identity(parents)
    stored = stored_output(store, identity)
    if stored is not None:
        return Ingested(folder, identity, f"{stored['kind']} at {stored['level']}, there already")
    run = examine(folder, for_tests=for_tests)
    job = maker.make(str(folder), parents=parents)
    job.set_uuid(step_uuid(identity))
    job.metadata = {"haloflow_identity": identity, "haloflow_step": maker.name}
    directory = step_directory(store.files_dir, identity)
    was_there = directory.exists()  # e.g. of the store that this is a copy of
    try:
        job.run(store.jobstore)
    except BaseException:  # raised again: nothing half is left
        if not was_there:
            shutil.rmtree(directory, ignore_errors=True)
        clear_failures(store, [identity])
        raise
    finally:
        release_claims()
    formula = run.outcome.structure.composition.reduced_formula
    return Ingested(folder, identity, f"{formula}, {run.kind} at {run.level}", is_new=True)
