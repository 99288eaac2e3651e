"""Trained models on their way from a store to the machine whose step evaluates them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..engines.trained_models import (
    DOMAIN,
    WEIGHTS,
    digits_of,
    find_trained,
    held_model,
    keep_model,
    models_here,
    name_of,
    unknown_model,
)
from ..errors import PotentialError, TrajectoryError, UnknownNameError
from ..stores.models import TrainedModelDocument
from ..stores.records import step_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..engines.trained_models import TrainedModel
    from ..stores.connection import HaloflowStore
    from ..stores.step_files import StepFiles

_KIND = "trained_model"
_NEEDED = {"nep": (WEIGHTS, DOMAIN)}
"""Files that a model cannot do without, where it is more than the weights."""


def bring_models(names: Iterable[str], store: HaloflowStore) -> None:
    """Bring the trained models among the potentials `names` to this machine.

    Their teachers come along where the store has trained them too: they check runs.

    Raises
    ------
    UnknownNameError
        Neither this machine nor the store knows one.
    PotentialError
        Its files are gone or damaged.
    StoreError
        A place of files does not answer.
    """
    for name in dict.fromkeys(names):
        if digits_of(name) is None:
            continue
        try:
            model = find_trained(name)
        except (UnknownNameError, PotentialError):
            model = bring_model(stored_model(name, store), store.files)
        with suppress(UnknownNameError):  # a run's report says that its teacher is not here
            bring_models([model.teacher], store)


def bring_model(document: TrainedModelDocument, files: StepFiles) -> TrainedModel:
    """Bring one model of a store to this machine, unless it is here.

    Raises
    ------
    PotentialError, StoreError
        As `bring_models`.
    """
    if (held := held_model(document.weights_sha256)) is not None:
        return held
    named = {file.role: file for file in document.files}
    needed = _NEEDED.get(document.architecture, (WEIGHTS,))
    if missing := [role for role in needed if role not in named]:
        raise _unreadable(document, f"its document names no {' and no '.join(missing)}")
    try:
        sources = {role: files.local(named[role]) for role in (WEIGHTS, DOMAIN) if role in named}
        return keep_model(document.model_dump_json(), sources)
    except (TrajectoryError, PotentialError) as error:
        raise _unreadable(document, f"{error.problem}: {error.given}") from error
    except OSError as error:
        raise _unreadable(document, str(error)) from error


def stored_model(name: str, store: HaloflowStore) -> TrainedModelDocument:
    """Return the document of the store's model that a name points to.

    Raises
    ------
    UnknownNameError
        The store has none, or several.
    """
    digits, scheme = digits_of(name), name.partition(":")[0]
    fields = ["weights_sha256", "architecture", "level", "handed_from"]
    asked = ["uuid", *(f"output.{name}" for name in fields)]
    every = store.outputs.query({"output.kind": _KIND}, properties=asked)
    rows = [row for row in every if not row["output"].get("handed_from")]
    found = {
        row["output"]["weights_sha256"]: row["uuid"]
        for row in rows
        if digits
        and row["output"]["weights_sha256"].startswith(digits)
        and row["output"]["architecture"] == scheme
    }
    if len(found) != 1:
        here = [model.name for model in models_here()]
        raise unknown_model(name, [*here, *(name_of(row["output"]["level"]) for row in rows)])
    row = store.outputs.query_one({"uuid": next(iter(found.values()))}, ["output"])
    assert row is not None
    document = step_of(row["output"])
    assert isinstance(document, TrainedModelDocument)
    return document


def _unreadable(document: TrainedModelDocument, why: str) -> PotentialError:
    return PotentialError(
        "the files of a trained model cannot be had",
        given=f"{document.level}: {why}",
        remedy="restore them from a backup or from the machine that trained it "
        "(`haloflow db upload` there), or train it again",
    )
