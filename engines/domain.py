"""How far a NEP student is asked beyond what it was trained on: the extrapolation grade.

Each element has an active set: those atoms of the training frames whose descriptors span the
largest volume (MaxVol). Another atom's descriptors are a combination of them; the largest
coefficient is its grade. Up to 1 the student interpolates, beyond it extrapolates. Descriptors
without weight in the training frames are left out of the combination; how much an atom has of
those, over the most that a training atom had, is a grade as well, and the larger one counts.

References
----------
Goreinov et al., in Matrix Methods: Theory, Algorithms and Applications (2010) (MaxVol);
Podryabinkin, Shapeev, Comput. Mater. Sci. 140, 171 (2017),
https://doi.org/10.1016/j.commatsci.2017.08.031 (the grade).
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zipfile import BadZipFile

import numpy as np
from scipy.linalg import qr

from ..errors import InputError, PotentialError
from ..identity import file_sha256
from ..quantity import Status
from .durable import write_durably
from .guards import Guard, GuardVerdict
from .potential_loaders import load_nep

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from numpy.typing import NDArray

SELECT_GRADE: Final = 2.0
"""Frames above this extend what a student knows, and are worth a label."""
STOP_GRADE: Final = 10.0
"""Above this a student's forces mean nothing any more, and a run ends."""
_LEAST_WEIGHT: Final = 1e-5
_TOLERANCE: Final = 1.01
_MOST_SWAPS: Final = 10_000
_SUFFIX: Final = ".domain.npz"
_META: Final = "meta"


@dataclass(frozen=True)
class ElementDomain:
    """The active set of one element.

    Attributes
    ----------
    mean
        Of the descriptors, (n_descriptors,).
    basis
        Whitened directions with weight in the training frames, (n_descriptors, rank).
    rest
        Directions without, over the largest component that a training atom had,
        (n_descriptors, n_descriptors - rank).
    inverse
        Of the matrix of active rows, (rank + 1, rank + 1); the first column is a constant.
    """

    mean: NDArray[np.float64]
    basis: NDArray[np.float64]
    rest: NDArray[np.float64]
    inverse: NDArray[np.float64]

    @classmethod
    def of(cls, descriptors: NDArray[np.float64]) -> ElementDomain:
        """Find the active set of `descriptors`, (n_atoms, n_descriptors)."""
        mean = descriptors.mean(axis=0)
        centred = descriptors - mean
        _, weights, directions = np.linalg.svd(centred, full_matrices=True)
        weights = np.concatenate([weights, np.zeros(len(directions) - len(weights))])
        kept = weights > _LEAST_WEIGHT * max(float(weights[0]), np.finfo(np.float64).tiny)
        basis = directions[kept].T * (np.sqrt(len(centred)) / weights[kept])
        rest = directions[~kept].T
        if rest.size:
            most = float(np.linalg.norm(centred @ rest, axis=1).max())
            rest = rest / max(most, _LEAST_WEIGHT * float(weights[0]), np.finfo(np.float64).tiny)
        rows = np.column_stack([np.ones(len(centred)), centred @ basis])
        active = maxvol(rows)
        return cls(mean, basis, rest, np.linalg.pinv(rows[active]))

    def grades(self, descriptors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the grade of each atom, (n_atoms,)."""
        centred = descriptors - self.mean
        rows = np.column_stack([np.ones(len(centred)), centred @ self.basis])
        inside = np.abs(rows @ self.inverse).max(axis=1)
        outside = np.linalg.norm(centred @ self.rest, axis=1)
        grades: NDArray[np.float64] = np.maximum(inside, outside)
        return grades


def maxvol(rows: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the rows that span about the largest volume.

    Starts from the pivots of a QR decomposition and swaps rows while one of the others has a
    coefficient above 1.01; each swap multiplies the volume by it.

    Parameters
    ----------
    rows
        Shape (n_rows, rank), of full rank, where there are as many rows.

    Returns
    -------
    NDArray
        Indices, shape (min(n_rows, rank),).
    """
    _, _, pivots = qr(rows.T, mode="economic", pivoting=True)
    active: NDArray[np.intp] = np.array(pivots[: rows.shape[1]])
    if len(active) < rows.shape[1]:
        return active
    coefficients = np.linalg.solve(rows[active].T, rows.T).T
    for _ in range(_MOST_SWAPS):
        row, column = np.unravel_index(np.abs(coefficients).argmax(), coefficients.shape)
        pivot = coefficients[row, column]
        if abs(pivot) <= _TOLERANCE:
            break
        change = coefficients[row].copy()
        change[column] -= 1.0
        coefficients -= np.outer(coefficients[:, column] / pivot, change)
        active[column] = row
    return active


class NepDomain:
    """What a NEP student was trained on, as far as its descriptors tell.

    Parameters
    ----------
    model
        The student's ``nep.txt``.
    parts
        By element.
    """

    def __init__(self, model: Path, parts: dict[str, ElementDomain]) -> None:
        self.model, self.parts = model, parts
        self._calculator: Calculator = load_nep(model, {}, "cpu")

    @classmethod
    def of_frames(cls, model: Path, frames: Iterable[Atoms]) -> NepDomain:
        """Return the domain of the student `model` that was trained on `frames`.

        Raises
        ------
        InputError
            If there are no frames.
        """
        domain = cls(model, {})
        rows: dict[str, list[NDArray[np.float64]]] = {}
        for frame in frames:
            found, symbols = domain._descriptors(frame), np.array(frame.get_chemical_symbols())
            for symbol in dict.fromkeys(symbols.tolist()):
                rows.setdefault(symbol, []).append(found[symbols == symbol])
        if not rows:
            raise InputError(
                "the domain of a student needs the frames that it was trained on",
                given="no frames",
                remedy="give the training frames",
            )
        domain.parts = {s: ElementDomain.of(np.vstack(found)) for s, found in rows.items()}
        return domain

    def grades(self, atoms: Atoms) -> NDArray[np.float64]:
        """Return the grade of each atom, (n_atoms,); infinite for elements without a frame."""
        symbols = np.array(atoms.get_chemical_symbols())
        grades = np.full(len(atoms), np.inf)
        if not set(symbols.tolist()) <= self.parts.keys():
            return grades
        found = self._descriptors(atoms)
        for symbol in dict.fromkeys(symbols.tolist()):
            mine = symbols == symbol
            grades[mine] = self.parts[symbol].grades(found[mine])
        return grades

    def grade(self, atoms: Atoms) -> float:
        """Return the largest grade of a frame."""
        return float(self.grades(atoms).max())

    def save(self) -> Path:
        """Write the domain beside its student, and return the path."""
        arrays: dict[str, Any] = {
            f"{symbol}.{name}": array
            for symbol, part in self.parts.items()
            for name, array in vars(part).items()
        }
        meta = json.dumps({"model_sha256": file_sha256(self.model), "elements": [*self.parts]})
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **{_META: np.array(meta)}, **arrays)
        path = domain_path(self.model)
        write_durably(path, buffer.getvalue())
        return path

    @classmethod
    def load(cls, model: Path) -> NepDomain:
        """Read the domain that lies beside the student `model`.

        Raises
        ------
        PotentialError
            If it is missing, damaged, or of another student.
        """
        path = domain_path(model)
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                meta = json.loads(str(file[_META]))
                names = list(ElementDomain.__dataclass_fields__)
                parts = {
                    symbol: ElementDomain(*(file[f"{symbol}.{name}"] for name in names))
                    for symbol in meta["elements"]
                }
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise PotentialError(
                "the domain of a student cannot be read",
                given=f"{path} ({error})",
                remedy="restore it from a backup, or train the student again",
            ) from error
        if meta["model_sha256"] != file_sha256(model):
            raise PotentialError(
                "a domain is of another student than the one beside it",
                given=str(path),
                allowed=f"one made for {model}",
                remedy="keep the two files of a student together",
            )
        return cls(model, parts)

    def _descriptors(self, atoms: Atoms) -> NDArray[np.float64]:
        calculator: Any = self._calculator
        found: NDArray[np.float64] = np.asarray(calculator.get_descriptors(atoms.copy()))
        return found


def domain_path(model: Path) -> Path:
    """Return where the domain of the student `model` lies."""
    return model.with_name(model.name.removesuffix(".txt") + _SUFFIX)


def domain_guard(
    domain: NepDomain, *, stop_grade: float = STOP_GRADE, every_steps: int = 100
) -> Guard:
    """Return a guard that ends a run as out of domain when an atom's grade is too high.

    Parameters
    ----------
    domain
        Of the student that drives the run.
    stop_grade
        Largest grade that is allowed.
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
            return None
        return GuardVerdict(
            Status.OUT_OF_DOMAIN,
            f"{atoms.symbols[worst]} number {worst} has an extrapolation grade of "
            f"{grades[worst]:.1f} at step {step}, above {stop_grade:g}: the student was not "
            "trained for this",
        )

    return guard


def share_above(domain: NepDomain, frames: Sequence[Atoms], grade: float = SELECT_GRADE) -> float:
    """Return the share of `frames` in which an atom's grade is above `grade`."""
    return float(np.mean([domain.grade(frame) > grade for frame in frames])) if frames else 0.0
