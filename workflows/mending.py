"""Letting steps run again whose files were damaged, so that what failed over them can go on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..engines.repair import remove_damage
from ..errors import TrajectoryError
from ..identity import file_sha256
from ..makers.step import step_directory
from ..stores.claims import Claims
from ..stores.documents import FileReference
from ..stores.homes import refuse_originals_files
from ..stores.results import failures, forget, stored_outputs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import Any

    from ..stores.connection import HaloflowStore
    from ..stores.step_files import StepFiles
    from .plan import Plan

_STEP_FOLDER = re.compile(r"\b([0-9a-f]{2})[/\\](\1[0-9a-f]{62})\b")


def mend(store: HaloflowStore, identities: Collection[str]) -> set[str]:
    """Undo damage of files that failed steps of `identities` name in their errors.

    Damaged files of a run and the checkpoints that count on them are removed: it goes on from
    before the damage, or starts over. The documents of steps with damaged files are removed,
    so that the steps run again.

    Returns
    -------
    set
        Identities of the steps whose documents were removed.
    """
    return make_again(store, failures(store, identities).values())


def make_again(store: HaloflowStore, complaints: Iterable[str]) -> set[str]:
    """Do as `mend` with the steps whose files texts name, e.g. findings of a check.

    Returns
    -------
    set
        Identities of the steps whose documents were removed.

    Raises
    ------
    StoreError
        The store is a copy, and the files are those of its original.
    """
    blamed = {found.group(2) for text in complaints for found in _STEP_FOLDER.finditer(text)}
    blamed -= Claims(store.claims).live(blamed).keys()
    blamed = {identity for identity in blamed if _is_known_here(identity, store)}
    if blamed:
        refuse_originals_files(store)
    stored = stored_outputs(store, blamed)
    lost = {i for i, document in stored.items() if not _is_whole(document, store.files)}
    forget(store, lost)
    for identity in blamed - (stored.keys() - lost):
        remove_damage(step_directory(store.files_dir, identity))
    return lost


def _is_known_here(identity: str, store: HaloflowStore) -> bool:
    """Tell whether the files of a step can be judged here, and do not lie on another machine."""
    return step_directory(store.files_dir, identity).is_dir() or bool(store.files.places)


def _is_whole(document: Mapping[str, Any], files: StepFiles) -> bool:
    """Tell whether the files of a document, less those released, are somewhere as it says."""
    named = map(FileReference.model_validate, document.get("files", ()))
    try:
        return all(
            file_sha256(files.local(file)) == file.sha256 for file in named if file.released is None
        )
    except TrajectoryError:  # it is nowhere
        return False


def dependants(plan: Plan, identities: Collection[str]) -> set[str]:
    """Return the steps of `plan` to run that start, directly or not, from `identities`."""
    found, size = set(identities), -1
    while len(found) > size:
        size = len(found)
        found |= {i for i, step in plan.to_run.items() if found.intersection(step.after)}
    return found - set(identities)
