"""Whether a run stays inside what the model that drives it was trained on."""

from __future__ import annotations

import io
import json
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Self
from zipfile import BadZipFile

import numpy as np

from ..errors import InputError, PotentialError
from ..identity import file_sha256
from ..quantity import Status
from .active_set import ElementDomain, ElementNetwork
from .durable import write_durably
from .guards import Guard, GuardVerdict
from .potential_loaders import load_nep, optional_package

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from .active_set import FloatArray, Readout

SELECT_GRADE: Final = 2.0
"""Frames above this extend what a model knows, and are worth a label."""
STOP_GRADE: Final = 10.0
"""Above this a model's forces mean nothing any more, and a run ends."""
ACCEPTED_SHARE: Final = 0.05
"""Of a run's frames may lie above `SELECT_GRADE`."""
_SUFFIX: Final = ".domain.npz"
_OF_WEIGHTS: Final = (".txt", ".pth", ".model")
_META: Final = "meta"
_DAMAGED: Final = (
    OSError, ValueError, KeyError, TypeError, EOFError, NotImplementedError, BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and zipfile raise of a broken archive: of its end, its method, its sums, its names."""


class Domain(ABC):
    """What a model was trained on, as far as its descriptors tell.

    Parameters
    ----------
    model
        The file of its weights.
    parts
        By element.
    teacher
        Name of the potential that it learned from, which may check it.
    """

    def __init__(
        self, model: Path, parts: Mapping[str, ElementDomain] | None = None, teacher: str = ""
    ) -> None:
        self.model, self.parts, self.teacher = model, dict(parts or {}), teacher

    @abstractmethod
    def _describe(self, atoms: Atoms) -> FloatArray:
        """Return the descriptors of each atom, (n_atoms, n_descriptors)."""

    @abstractmethod
    def _readout(self, symbol: str) -> Readout:
        """Return what makes the energy of an element's atoms of their descriptors."""

    def grades(self, atoms: Atoms) -> FloatArray:
        """Return the grade of each atom, (n_atoms,).

        Infinite in frames with an element that was not learned, or without finite positions.
        """
        symbols = np.array(atoms.get_chemical_symbols())
        grades = np.full(len(atoms), np.inf)
        if not set(symbols.tolist()) <= self.parts.keys() or not np.isfinite(atoms.positions).all():
            return grades
        found = self._describe(atoms)
        for symbol in dict.fromkeys(symbols.tolist()):
            mine = symbols == symbol
            grades[mine] = self.parts[symbol].grades(found[mine])
        return grades

    def grade(self, atoms: Atoms) -> float:
        """Return the largest grade of a frame."""
        return float(self.grades(atoms).max())

    def save(self) -> Path:
        """Write the domain beside its model, and return the path."""
        arrays: dict[str, Any] = {}
        for symbol, part in self.parts.items():
            arrays[f"{symbol}.active"] = part.active.astype(np.float32)
            arrays[f"{symbol}.rest"] = np.array(part.rest)
        known = {"model_sha256": file_sha256(self.model), "teacher": self.teacher}
        meta = json.dumps(known | {"elements": [*self.parts]})
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **{_META: np.array(meta)}, **arrays)
        path = domain_path(self.model)
        write_durably(path, buffer.getvalue())
        return path

    def learn(self, frames: Iterable[Atoms]) -> Self:
        """Find the active sets among the atoms of the training frames.

        Raises
        ------
        InputError
            If there are none.
        """
        rows: dict[str, list[FloatArray]] = {}
        for frame in frames:
            found, symbols = self._describe(frame), np.array(frame.get_chemical_symbols())
            for symbol in dict.fromkeys(symbols.tolist()):
                rows.setdefault(symbol, []).append(found[symbols == symbol])
        if not rows:
            raise InputError(
                "the domain of a model needs the frames that it was trained on",
                given="no frames",
                remedy="give the training frames",
            )
        self.parts = {
            symbol: self._part(symbol, np.vstack(found)) for symbol, found in rows.items()
        }
        return self

    def _part(self, symbol: str, descriptors: FloatArray) -> ElementDomain:
        return ElementDomain.of(self._readout(symbol), descriptors)

    def read(self) -> Self:
        """Take what lies beside the model.

        Raises
        ------
        PotentialError
            If it is missing, damaged, or of another model.
        """
        path = domain_path(self.model)
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                meta = json.loads(str(file[_META]))
                own, teacher = meta["model_sha256"], meta["teacher"]
                saved = {
                    symbol: (file[f"{symbol}.active"], float(file[f"{symbol}.rest"]))
                    for symbol in meta["elements"]
                }
        except _DAMAGED as error:
            raise PotentialError(
                "the domain of a model cannot be read",
                given=f"{path} ({error})",
                remedy="restore it from a backup, or train the model again",
            ) from error
        if own != file_sha256(self.model):
            raise PotentialError(
                "a domain is of another model than the one beside it",
                given=str(path),
                allowed=f"one made for {self.model}",
                remedy="keep the two files of a model together",
            )
        self.teacher = teacher
        self.parts = {
            symbol: ElementDomain(self._readout(symbol), active.astype(np.float64), rest)
            for symbol, (active, rest) in saved.items()
        }
        return self


class NepDomain(Domain):
    """That of a NEP student: gradients with respect to the weights of its networks."""

    def __init__(
        self, model: Path, parts: Mapping[str, ElementDomain] | None = None, teacher: str = ""
    ) -> None:
        super().__init__(model, parts, teacher)
        self._calculator: Calculator = load_nep(model, {}, "cpu")
        self._networks = _networks(model)

    @classmethod
    def of_frames(cls, model: Path, frames: Iterable[Atoms]) -> NepDomain:
        """Return the domain of the student `model` that was trained on `frames`.

        Raises
        ------
        InputError
            If there are no frames.
        """
        return cls(model).learn(frames)

    @classmethod
    def load(cls, model: Path) -> NepDomain:
        """Read the domain that lies beside the student `model`.

        Raises
        ------
        PotentialError
            If it is missing, damaged, or of another student.
        """
        return cls(model).read()

    def _describe(self, atoms: Atoms) -> FloatArray:
        calculator: Any = self._calculator
        found: FloatArray = np.asarray(calculator.get_descriptors(atoms.copy()))
        return found

    def _readout(self, symbol: str) -> Readout:
        return self._networks[symbol]


def _networks(model: Path) -> dict[str, ElementNetwork]:
    """Read the network of each element; descriptors reach it as calorine gives them."""
    with optional_package("calorine", "nep"):
        from calorine.nep import read_model  # noqa: PLC0415  (optional package)

        weights = read_model(str(model)).ann_parameters
    return {
        symbol: ElementNetwork(np.asarray(own["w0"]), np.ravel(own["b0"]), np.ravel(own["w1"]))
        for symbol, own in weights.items()
        if isinstance(own, dict)
    }


def domain_path(model: Path) -> Path:
    """Return where the domain of the model with the weights `model` lies."""
    own = next((end for end in _OF_WEIGHTS if model.name.endswith(end)), "")
    return model.with_name(model.name.removesuffix(own) + _SUFFIX)


def domain_guard(
    domain: Domain,
    *,
    stop_grade: float = STOP_GRADE,
    doubt_grade: float | None = None,
    every_steps: int = 100,
) -> Guard:
    """Return a guard that ends a run as out of domain when an atom's grade is too high.

    Parameters
    ----------
    domain
        Of the model that drives the run.
    stop_grade
        Largest grade that is allowed.
    doubt_grade
        Above this the run goes on, and its states are no longer trusted; default: no doubts.
    every_steps
        Steps between looks; one costs half an evaluation.

    Raises
    ------
    InputError
        If the grade is not above 1 or the interval not positive.
    """
    if not stop_grade > 1.0 or every_steps < 1:
        raise InputError(
            "a domain guard is out of range",
            given=f"stop_grade {stop_grade:g}, every {every_steps} steps",
            allowed="a grade above 1, an interval from 1",
            remedy="correct them",
        )

    def guard(atoms: Atoms, step: int) -> GuardVerdict | None:
        if step % every_steps or not np.isfinite(atoms.positions).all():
            return None
        grades = domain.grades(atoms)
        worst = int(np.argmax(grades))
        if grades[worst] <= stop_grade:
            doubted = doubt_grade is not None and grades[worst] > doubt_grade
            note = f"an extrapolation grade of {grades[worst]:.1f} at step {step}"
            return GuardVerdict(Status.OUT_OF_DOMAIN, note, ends=False) if doubted else None
        return GuardVerdict(
            Status.OUT_OF_DOMAIN,
            f"{atoms.symbols[worst]} number {worst} has an extrapolation grade of "
            f"{grades[worst]:.1f} at step {step}, above {stop_grade:g}: the model was not "
            "trained for this",
        )

    return guard


def share_above(domain: Domain, frames: Sequence[Atoms], grade: float = SELECT_GRADE) -> float:
    """Return the share of `frames` in which an atom's grade is above `grade`."""
    return float(np.mean([domain.grade(frame) > grade for frame in frames])) if frames else 0.0
