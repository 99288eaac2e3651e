"""How far an atom lies beyond those that a network was trained on: the extrapolation grade.

An atom is represented by the gradient of its energy with respect to the weights of its element's
network, or of a readout: what a model would have to change to have another energy there. Each
element has an active set: those atoms of the training frames whose gradients span the largest
volume (MaxVol). Another atom's gradient is a combination of them; the largest coefficient is its
grade. Up to 1 the model interpolates, beyond it extrapolates. Directions almost without weight in
the active set are left out of the combination; how much an atom has of those, over the most that
a training atom had, is a grade as well, and the larger one counts.

Descriptors of a NEP instead of gradients see less: over frames of a glass from 600 to 2500 K,
packed too densely and too loosely, ranks of grades and of true force errors correlate by 0.34
with them, and by 0.71 with gradients.

References
----------
Goreinov et al., in Matrix Methods: Theory, Algorithms and Applications (2010) (MaxVol);
Podryabinkin, Shapeev, Comput. Mater. Sci. 140, 171 (2017),
https://doi.org/10.1016/j.commatsci.2017.08.031 (the grade);
Lysogorskiy et al., Phys. Rev. Materials 7, 043801 (2023),
https://doi.org/10.1103/PhysRevMaterials.7.043801 (of non-linear models).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

if TYPE_CHECKING:
    from collections.abc import Iterator

FloatArray: TypeAlias = NDArray[np.float64]

_LEAST_WEIGHT: Final = 1e-3
"""Singular values below this share of the largest do not count."""
_TOLERANCE: Final = 1.01
_TINY: Final = float(np.finfo(np.float64).tiny)
_MOST_SWAPS: Final = 10_000
_MOST_ROUNDS: Final = 50
_MOST_ROWS: Final = 20_000
_ROWS_AT_ONCE: Final = 2_000


class Readout(Protocol):
    """What makes the energy of an atom of its descriptors."""

    def gradients(self, descriptors: FloatArray) -> FloatArray:
        """Return dE/d(weights) of atoms, (n_atoms, n_weights)."""
        ...

    def scaled_to(self, active: FloatArray) -> Self:
        """Return it with what scales it takes from the active atoms, if it takes any."""
        ...


@dataclass(frozen=True)
class FeatureReadout:
    """One that is linear in features, E = w . f + b, or has a hidden layer besides.

    E = w . f + w2 . act(W1 q) + b; of descriptors (f, q, s, h), s is the slope of the energy with
    respect to what enters the hidden layer, and h what leaves it. What is common to all atoms of
    an element, often most of a descriptor, is left to b, and the gradients with respect to w, W1
    and w2 are brought to one spread: the directions in which atoms differ are weighed against
    each other.

    Attributes
    ----------
    n_last, n_hidden
        Lengths of q, and of s and h; none without a hidden layer.
    scales
        Center and spread of each kind of gradients.
    """

    n_last: int = 0
    n_hidden: int = 0
    scales: tuple[tuple[FloatArray, float], ...] = ()

    def gradients(self, descriptors: FloatArray) -> FloatArray:
        """Return dE/d(w, W1, w2, b) of atoms, (n_atoms, n_weights), scaled."""
        kinds = self._kinds(descriptors)
        if self.scales:
            pairs = zip(kinds, self.scales, strict=True)
            kinds = [(kind - center) / spread for kind, (center, spread) in pairs]
        return np.column_stack([*kinds, np.ones(len(descriptors))])

    def scaled_to(self, active: FloatArray) -> FeatureReadout:
        """Return it with the centers and the spreads of the active atoms."""
        scales = []
        for kind in self._kinds(active):
            center = kind.mean(axis=0)
            spread = float(np.sqrt(np.square(kind - center).sum(axis=1).mean()))
            scales.append((center, spread or 1.0))
        return replace(self, scales=tuple(scales))

    def _kinds(self, descriptors: FloatArray) -> list[FloatArray]:
        if not self.n_hidden:
            return [descriptors]
        ends = np.cumsum([-self.n_hidden, -self.n_hidden, -self.n_last])[::-1]
        features, last, slope, hidden = np.split(descriptors, ends, axis=1)
        of_first = slope[:, :, None] * last[:, None, :]
        return [features, of_first.reshape(len(descriptors), -1), hidden]


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

    def scaled_to(self, active: FloatArray) -> ElementNetwork:  # noqa: ARG002  (it has none)
        """Return it as it is: its weights have scales of their own."""
        return self


class ElementDomain:
    """The active set of one element.

    Parameters
    ----------
    readout
        Of the element.
    active
        Descriptors of the active atoms, (n_active, n_descriptors).
    rest
        Largest part of a training atom's gradient that the active set does not span.
    """

    def __init__(self, readout: Readout, active: FloatArray, rest: float) -> None:
        self.readout, self.active, self.rest = readout.scaled_to(active), active, rest
        left, weights, right = np.linalg.svd(self.readout.gradients(active), full_matrices=False)
        kept = weights > _LEAST_WEIGHT * weights[0]
        self._basis = right[kept].T
        self._combine = (left[:, kept] / weights[kept]).T

    @classmethod
    def of(
        cls, readout: Readout, descriptors: FloatArray, *, least_rest: float = _TINY
    ) -> ElementDomain:
        """Find the active set among training atoms, (n_atoms, n_descriptors).

        Parameters
        ----------
        readout
            Of the element.
        descriptors
            Of its training atoms.
        least_rest
            Of `rest`. Where there are too few atoms to leave any of them out of the active set,
            only this tells how much is little.
        """
        known = descriptors.astype(np.float32).astype(np.float64)  # as they are saved
        active = _first_active(readout.scaled_to(known), known)
        for _ in range(_MOST_ROUNDS):
            domain = cls(readout, known[active], np.inf)
            grades = domain.grades(known)
            worst = np.argsort(-grades)[: max(1, len(active) // 10)]
            worst = worst[grades[worst] > _TOLERANCE]
            if not len(worst):
                break
            active = np.concatenate([active, worst])
        rest = max(domain._parts(some)[1].max() for some in _some_rows(known))
        return cls(readout, known[active], max(float(rest), least_rest))

    def grades(self, descriptors: FloatArray) -> FloatArray:
        """Return the grade of each atom, (n_atoms,)."""
        found = []
        for some in _some_rows(descriptors):
            inside, outside = self._parts(some)
            found.append(np.maximum(inside, outside / self.rest))
        return np.concatenate(found)

    def _parts(self, descriptors: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the largest coefficients, and the norms of what is not spanned."""
        gradients = self.readout.gradients(descriptors)
        spanned = gradients @ self._basis
        rest = np.square(gradients).sum(axis=1) - np.square(spanned).sum(axis=1)
        return np.abs(spanned @ self._combine).max(axis=1), np.sqrt(np.maximum(rest, 0.0))


def _first_active(readout: Readout, descriptors: FloatArray) -> NDArray[np.intp]:
    """Return the atoms that span the largest volume in the whitened leading directions."""
    stride = -(-len(descriptors) // _MOST_ROWS)
    sample = np.arange(0, len(descriptors), stride)
    gram = sum(g.T @ g for g in map(readout.gradients, _some_rows(descriptors[sample])))
    weights, directions = np.linalg.eigh(np.asarray(gram))
    kept = weights > _LEAST_WEIGHT**2 * weights[-1]
    whiten = directions[:, kept] / np.sqrt(weights[kept] / len(sample))
    rows = np.vstack([readout.gradients(s) @ whiten for s in _some_rows(descriptors[sample])])
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
