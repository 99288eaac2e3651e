"""A trained model as files: its card as JSON and Markdown, its weights, its domain."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from ..engines.potentials import load_potential
from ..engines.trained_models import DOMAIN, WEIGHTS, find_trained
from ..errors import InputError, TrajectoryError
from ..makers.learned import errors_by_temperature
from ..makers.training_set import read_set
from ..stores.records import step_of
from ..stores.training import TrainingSetDocument
from .model_cards import ModelCard

if TYPE_CHECKING:
    from pathlib import Path

    from ..stores.connection import HaloflowStore
    from .models import StoredModel

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def card_of(model: StoredModel, name: str, store: HaloflowStore | None) -> ModelCard:
    """Return the card of a model, with what else the store knows of it.

    Parameters
    ----------
    model
        Of the store, or of the package.
    name
        Of the files.
    store
        Where the check and the frames are; not needed of a model of the package.
    """
    document = model.document
    data = _data_of(document.data_hash, store) if store is not None else None
    by_temperature = document.errors_by_temperature
    if not by_temperature and document.fine_tuning is None and store is not None and data:
        calculator = load_potential(model.name).calculator
        try:
            frames = read_set(data, store.files, "test")
        except TrajectoryError:  # the frames are gone; the card says what the document knows
            frames = []
        by_temperature = errors_by_temperature(calculator, frames)
    update = {"check": model.check, "errors_by_temperature": by_temperature}
    return ModelCard(name, model.name, document.model_copy(update=update), data)


def export_model(
    model: StoredModel, folder: Path, name: str, store: HaloflowStore | None
) -> list[Path]:
    """Write weights, domain, document and card of a model to `folder`, and return the files.

    The files are those that haloflow brings along in ``engines/students``.

    Raises
    ------
    InputError
        If the name cannot be that of files.
    PotentialError
        If the model's own files are missing or damaged.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            "a model cannot be called this",
            given=name,
            allowed="letters, digits, - and _",
            remedy="give another --name",
        )
    here = find_trained(model.name)
    card = card_of(model, name, store)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for role in (WEIGHTS, DOMAIN):
        file = here.file(role)
        if file is not None:
            path = folder / f"{name}.{file.name.partition('.')[2]}"
            shutil.copyfile(here.path(role), path)
            written.append(path)
    for path, text in (
        (folder / f"{name}.json", card.document.model_dump_json(indent=1) + "\n"),
        (folder / f"{name}.md", card.markdown()),
    ):
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _data_of(data_hash: str, store: HaloflowStore) -> TrainingSetDocument | None:
    criteria = {"output.kind": "training_set", "output.content_hash": data_hash}
    row = store.outputs.query_one(criteria, ["output"])
    if row is None:
        return None
    document = step_of(row["output"])
    assert isinstance(document, TrainingSetDocument)
    return document
