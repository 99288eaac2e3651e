"""How far an atom lies beyond those that a NEP was trained on: the extrapolation grade.

An atom is represented by the gradient of its energy with respect to the weights of its element's
network: what the student would have to change to have another energy there. Each element has an
active set: those atoms of the training frames whose gradients span the largest volume (MaxVol).
Another atom's gradient is a combination of them; the largest coefficient is its grade. Up to 1
the student interpolates, beyond it extrapolates. Directions almost without weight in the active
set are left out of the combination; how much an atom has of those, over the most that a training
atom had, is a grade as well, and the larger one counts.

Descriptors instead of gradients see less: over frames of a glass from 600 to 2500 K, packed too
densely and too loosely, ranks of grades and of true force errors correlate by 0.34 with them,
and by 0.71 with gradients.

References
----------
Goreinov et al., in Matrix Methods: Theory, Algorithms and Applications (2010) (MaxVol);
Podryabinkin, Shapeev, Comput. Mater. Sci. 140, 171 (2017),
https://doi.org/10.1016/j.commatsci.2017.08.031 (the grade);
Lysogorskiy et al., Phys. Rev. Materials 7, 043801 (2023),
https://doi.org/10.1103/PhysRevMaterials.7.043801 (of non-linear models).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

if TYPE_CHECKING:
    from collections.abc import Iterator

FloatArray: TypeAlias = NDArray[np.float64]

_LEAST_WEIGHT: Final = 1e-3
"""Singular values below this share of the largest do not count."""
_TOLERANCE: Final = 1.01
_MOST_SWAPS: Final = 10_000
_MOST_ROUNDS: Final = 50
_MOST_ROWS: Final = 20_000
_ROWS_AT_ONCE: Final = 2_000


@dataclass(frozen=True)
class ElementNetwork:
    """The network of one element: E = w1 . tanh(w0 q - b0) + constant.

    Attributes
    ----------
    w0, b0, w1
        Shapes (n_neurons, n_descriptors), (n_neurons,), (n_neurons,).
    """

    w0: FloatArray
    b0: FloatArray
    w1: FloatArray

    def gradients(self, descriptors: FloatArray) -> FloatArray:
        """Return dE/d(w0, b0, w1) of atoms, (n_atoms, n_neurons * (n_descriptors + 2))."""
        hidden = np.tanh(descriptors @ self.w0.T - self.b0)
        slope = self.w1 * (1.0 - hidden**2)
        parts = [slope[:, :, None] * descriptors[:, None, :], -slope[:, :, None]]
        found: FloatArray = np.concatenate([*parts, hidden[:, :, None]], axis=2)
        return found.reshape(len(descriptors), -1)


class ElementDomain:
    """The active set of one element.

    Parameters
    ----------
    network
        Of the element.
    active
        Descriptors of the active atoms, (n_active, n_descriptors).
    rest
        Largest part of a training atom's gradient that the active set does not span.
    """

    def __init__(self, network: ElementNetwork, active: FloatArray, rest: float) -> None:
        self.network, self.active, self.rest = network, active, rest
        left, weights, right = np.linalg.svd(network.gradients(active), full_matrices=False)
        kept = weights > _LEAST_WEIGHT * weights[0]
        self._basis = right[kept].T
        self._combine = (left[:, kept] / weights[kept]).T

    @classmethod
    def of(cls, network: ElementNetwork, descriptors: FloatArray) -> ElementDomain:
        """Find the active set among training atoms, (n_atoms, n_descriptors)."""
        known = descriptors.astype(np.float32).astype(np.float64)  # as they are saved
        active = _first_active(network, known)
        for _ in range(_MOST_ROUNDS):
            domain = cls(network, known[active], np.inf)
            grades = domain.grades(known)
            worst = np.argsort(-grades)[: max(1, len(active) // 10)]
            worst = worst[grades[worst] > _TOLERANCE]
            if not len(worst):
                break
            active = np.concatenate([active, worst])
        rest = max(domain._parts(some)[1].max() for some in _some_rows(known))
        return cls(network, known[active], max(float(rest), np.finfo(np.float64).tiny))

    def grades(self, descriptors: FloatArray) -> FloatArray:
        """Return the grade of each atom, (n_atoms,)."""
        found = []
        for some in _some_rows(descriptors):
            inside, outside = self._parts(some)
            found.append(np.maximum(inside, outside / self.rest))
        return np.concatenate(found)

    def _parts(self, descriptors: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the largest coefficients, and the norms of what is not spanned."""
        gradients = self.network.gradients(descriptors)
        spanned = gradients @ self._basis
        rest = np.square(gradients).sum(axis=1) - np.square(spanned).sum(axis=1)
        return np.abs(spanned @ self._combine).max(axis=1), np.sqrt(np.maximum(rest, 0.0))


def _first_active(network: ElementNetwork, descriptors: FloatArray) -> NDArray[np.intp]:
    """Return the atoms that span the largest volume in the whitened leading directions."""
    stride = -(-len(descriptors) // _MOST_ROWS)
    sample = np.arange(0, len(descriptors), stride)
    gram = sum(g.T @ g for g in map(network.gradients, _some_rows(descriptors[sample])))
    weights, directions = np.linalg.eigh(np.asarray(gram))
    kept = weights > _LEAST_WEIGHT**2 * weights[-1]
    whiten = directions[:, kept] / np.sqrt(weights[kept] / len(sample))
    rows = np.vstack([network.gradients(s) @ whiten for s in _some_rows(descriptors[sample])])
    return sample[maxvol(rows)]


def _some_rows(descriptors: FloatArray) -> Iterator[FloatArray]:
    for start in range(0, len(descriptors), _ROWS_AT_ONCE):
        yield descriptors[start : start + _ROWS_AT_ONCE]


def maxvol(rows: FloatArray) -> NDArray[np.intp]:
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
