"""Trained models by the checksum of their weights: those of the package, those of this machine.

A model is a card (the JSON of its document) with its files beside it, under one name:
``NAME.json``, ``NAME.nep.txt``, ``NAME.nep.domain.npz``. The package brings some along; what a
store has trained is brought into a folder of this machine, one folder per checksum, from which
nothing is ever deleted.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import PotentialError, UnknownNameError
from ..identity import file_sha256
from ..settings import cache_folder
from .weights import cached_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHIPPED: Final = Path(__file__).with_name("students")
"""Folder of the models that come with the package."""
TRAINED_SCHEMES: Final = ("nep", "chgnet", "mace")
WEIGHTS: Final[str] = "weights"
DOMAIN: Final[str] = "domain"
DIGITS: Final = 12
"""Of a checksum, in the name of a model."""
_ROLES: Final = (WEIGHTS, DOMAIN)
_CARD: Final = ".json"
_NAME: Final = re.compile(r"(?:[^/?]*@)?(?P<digits>[0-9a-f]{8,64})")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_found_before: dict[tuple[str, Path, Path], TrainedModel] = {}
"""What a name led to, and where: plans of many candidates ask for one model again and again."""


@dataclass(frozen=True)
class ModelFile:
    """A file of a model: its role, the name it was trained under, its checksum."""

    role: str
    name: str
    sha256: str


@dataclass(frozen=True)
class TrainedModel:
    """A trained model on this machine.

    Attributes
    ----------
    card
        JSON of its document.
    architecture
        One of `TRAINED_SCHEMES`.
    level, teacher
        Levels of theory: its own, and that of its labels.
    weights_sha256
        What it is known by.
    files
        Weights and, for a student, its domain.
    elements
        What it was trained on.
    """

    card: Path
    architecture: str
    level: str
    teacher: str
    weights_sha256: str
    files: tuple[ModelFile, ...]
    elements: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name as a potential, the same on all machines."""
        return name_of(self.level)

    @property
    def is_shipped(self) -> bool:
        """Whether it came with the package."""
        return self.card.parent == SHIPPED

    def document(self) -> dict[str, Any]:
        """Return its document as JSON."""
        found: dict[str, Any] = json.loads(self.card.read_text(encoding="utf-8"))
        return found

    def file(self, role: str) -> ModelFile | None:
        """Return the file of this role; ``None`` where the model has none."""
        return next((file for file in self.files if file.role == role), None)

    def path(self, role: str) -> Path:
        """Return where the file of a role lies, or should lie."""
        file = self.file(role)
        assert file is not None
        ending = file.name.partition(".")[2]
        return self.card.with_name(f"{self.card.name.removesuffix(_CARD)}.{ending}")

    def damage(self) -> str:
        """Say which of its files is missing or was changed; empty where it is whole."""
        for file in self.files:
            path = self.path(file.role)
            try:
                if cached_sha256(path) != file.sha256:
                    return f"{path} was changed"
            except OSError as error:
                return f"{path} ({error.strerror})"
        return ""


def models_folder() -> Path:
    """Return the folder of trained models of this machine."""
    return cache_folder() / "models"


def digits_of(name: str) -> str | None:
    """Return the digits of a checksum that a potential's name points to a model by.

    ``None`` for all other names: ``nep:0123456789ab`` and the level ``nep:Cl-Na.nep.txt@...``
    name a model, ``nep:./0123456789ab`` a file.
    """
    scheme, found, rest = name.partition(":")
    if not found or scheme not in TRAINED_SCHEMES:
        return None
    matched = _NAME.fullmatch(rest.partition("?")[0])
    return matched["digits"] if matched else None


def name_of(level: str) -> str:
    """Return the short name of a trained model, ``nep:0123456789ab``, from its level."""
    digits = digits_of(level)
    if digits is None:
        return level
    _, mark, keywords = level.partition("?")
    return f"{level.partition(':')[0]}:{digits[:DIGITS]}{mark}{keywords}"


def models_here() -> list[TrainedModel]:
    """Return the models of the package and of this machine's folder, each checksum once.

    Of two with the same weights it is the one that is whole, or else that of the folder.
    """
    cards = [*sorted(SHIPPED.glob(f"*{_CARD}")), *sorted(models_folder().glob(f"*/*{_CARD}"))]
    found: dict[str, TrainedModel] = {}
    for card in cards:
        model = _read(card)
        if model is None:
            continue
        before = found.get(model.weights_sha256)
        if before is None or before.damage():
            found[model.weights_sha256] = model
    return list(found.values())


def find_trained(name: str) -> TrainedModel:
    """Return the model that a potential's name points to.

    Raises
    ------
    UnknownNameError
        No model of this machine has such a checksum, or several have.
    PotentialError
        One of its files is missing or was changed.
    """
    place = (name, SHIPPED, models_folder())
    before = _found_before.get(place)
    if before is not None and _read(before.card) == before and not before.damage():
        return before
    scheme, digits = name.partition(":")[0], digits_of(name)
    here = models_here()
    found = [
        model
        for model in here
        if digits and model.weights_sha256.startswith(digits) and model.architecture == scheme
    ]
    if len(found) != 1:
        raise unknown_model(name, [model.name for model in here])
    if damage := found[0].damage():
        raise PotentialError(
            "a file of a trained model is not what it was",
            given=damage,
            allowed=f"the files that {found[0].card.name} names",
            remedy="reinstall haloflow"
            if found[0].is_shipped
            else f"delete {found[0].card.parent} and name the store that holds the model",
        )
    _found_before[place] = found[0]
    return found[0]


def held_model(weights_sha256: str) -> TrainedModel | None:
    """Return the model with these weights, if this machine has it whole."""
    found = (model for model in models_here() if model.weights_sha256 == weights_sha256)
    return next((model for model in found if not model.damage()), None)


def unknown_model(name: str, known: list[str]) -> UnknownNameError:
    """Return the error that no model, or more than one, is called this."""
    error = UnknownNameError.of("trained model", name, known)
    error.remedy = "; ".join(
        [*filter(None, [error.remedy]), "name the store that trained it (`haloflow models`)"]
    )
    return error


def keep_model(document: str, sources: Mapping[str, Path]) -> TrainedModel:
    """Copy a model into this machine's folder, whole or not at all.

    Parameters
    ----------
    document
        JSON of its document.
    sources
        Where its files lie now, by role.

    Raises
    ------
    PotentialError
        A file is not what the document says, or the document names other weights.
    """
    known = json.loads(document)
    sha256, files = str(known["weights_sha256"]), _files(known)
    if not _names_its_weights(sha256, files):
        raise PotentialError(
            "the document of a trained model names other weights than its files are",
            given=f"weights {sha256[:DIGITS]}, files "
            + ", ".join(f"{file.role} {file.sha256[:DIGITS]}" for file in files),
            allowed="a file of weights of that checksum",
            remedy="restore the document from a backup, or train the model again",
        )
    stem = next(file.name for file in files if file.role == WEIGHTS).partition(".")[0]
    folder = models_folder() / sha256
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        target = folder / f"{stem}.{file.name.partition('.')[2]}"
        if target.is_file() and cached_sha256(target) == file.sha256:
            continue
        with _placed(target) as part:
            shutil.copyfile(sources[file.role], part)
            if file_sha256(part) != file.sha256:
                raise PotentialError(
                    "a file of a trained model was changed",
                    given=str(sources[file.role]),
                    allowed=f"sha256 {file.sha256[:DIGITS]}",
                    remedy="restore it from a backup, or train the model again",
                )
    card = folder / f"{stem}{_CARD}"
    with _placed(card) as part:
        part.write_text(document, encoding="utf-8")
    model = _read(card)
    assert model is not None
    return model


@contextmanager
def _placed(target: Path) -> Iterator[Path]:
    """Give a path to write to, and put what is there in place of `target` in one step.

    Others may do the same at the same time.
    """
    part = target.with_name(f".{target.name}-{secrets.token_hex(4)}.part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _read(card: Path) -> TrainedModel | None:
    """Read a card; ``None`` for what is none: a store brings it again."""
    try:
        status = card.stat()
        return _parsed(card, status.st_size, status.st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError):  # none, or not a whole one
        return None


@lru_cache(maxsize=256)
def _parsed(card: Path, _size: int, _mtime_ns: int) -> TrainedModel:
    known = json.loads(card.read_text(encoding="utf-8"))
    sha256, files = str(known["weights_sha256"]), _files(known)
    if not _names_its_weights(sha256, files):
        msg = f"{card} names other weights than its files are"
        raise ValueError(msg)
    return TrainedModel(
        card,
        str(known["architecture"]),
        str(known["level"]),
        str(known["teacher"]),
        sha256,
        files,
        tuple(known["domain"]["elements"]),
    )


def _names_its_weights(sha256: str, files: tuple[ModelFile, ...]) -> bool:
    """Tell whether a checksum is one, and that of the file of weights."""
    weights = [file.sha256 for file in files if file.role == WEIGHTS]
    return _SHA256.fullmatch(sha256) is not None and weights == [sha256]


def _files(known: Mapping[str, Any]) -> tuple[ModelFile, ...]:
    return tuple(
        ModelFile(file["role"], Path(file["path"]).name, file["sha256"])
        for file in known["files"]
        if file["role"] in _ROLES
    )
