"""Hops that the structure offers a mobile ion, and what links the two sites of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.spatial import Voronoi

from ..errors import AnalysisError
from .free_volume import IONIC_RADII_A

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .frames import FloatArray, IntArray

MAX_DISTANCE_A: Final = 4.0
"""Lin et al. (x Na2O2-MCl_y) look at hops within 4 A."""
BOND_FACTOR: Final = 1.25
"""An anion nearer than so many sums of the radii coordinates a site."""
_LINKAGES: Final = ("apart", "corner", "edge")
_LEAST_HOP_A: Final = 0.5
_LEAST_ROOM: Final = 0.85
_CATION_ROOM_A: Final = 2.4
_LEAST_ANIONS: Final = 4
_SAME_SITE_A: Final = 1.2
_SAME_A: Final = 0.1
_SMALLEST_VOID_A: Final = 1.5
_ROUNDING: Final = 1e-6


@dataclass(frozen=True)
class Hop:
    """A way from the site of an ion to another site.

    Attributes
    ----------
    ion
        Index of the ion that moves.
    vacated
        Index of the ion that is taken out, into whose site it moves; ``None`` for a site that
        is empty anyway.
    displacement
        From site to site, in fractions of the cell, shape (3,).
    distance_a
        Its length.
    shared
        Anions that coordinate both sites: element to number.
    n_alike
        Hops of the structure that are the same by symmetry, this one among them.
    """

    ion: int
    vacated: int | None
    displacement: FloatArray
    distance_a: float
    shared: dict[str, int]
    n_alike: int = 1

    @property
    def linkage(self) -> str:
        """How the polyhedra of the sites touch: ``corner``, ``edge``, ``face`` or ``apart``."""
        n = sum(self.shared.values())
        return _LINKAGES[n] if n < len(_LINKAGES) else "face"

    @property
    def shared_by(self) -> str:
        """Return the elements of the shared anions, e.g. ``Cl+O``; empty where none is."""
        return "+".join(sorted(self.shared))

    @property
    def kind(self) -> str:
        """Linkage and elements, e.g. ``O corner``."""
        return f"{self.shared_by} {self.linkage}".strip()


@dataclass(frozen=True)
class Surroundings:
    """A structure as hops see it.

    Attributes
    ----------
    symbols
        Element of each atom.
    fractional
        Shape (n_atoms, 3).
    cell
        Row vectors, A, shape (3, 3).
    mobile
        Element that hops.
    anions
        Elements that coordinate it.
    """

    symbols: tuple[str, ...]
    fractional: FloatArray
    cell: FloatArray
    mobile: str
    anions: tuple[str, ...]

    @property
    def ions(self) -> IntArray:
        """Return the indices of the mobile ions."""
        return np.flatnonzero(np.array(self.symbols) == self.mobile)

    def images(self, place: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return vectors from `place` to the nearest images of all atoms, and those around them.

        In fractions, shape (n_atoms, 27, 3), and their lengths in A, shape (n_atoms, 27).
        """
        steps = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T
        apart = self.fractional - place
        found = (apart - np.rint(apart))[:, None] + steps
        return found, np.linalg.norm(found @ self.cell, axis=2)

    def vectors(self, place: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the shortest vectors from `place` to all atoms: in fractions, and lengths in A."""
        images, lengths = self.images(place)
        nearest = lengths.argmin(axis=1)
        rows = np.arange(len(images))
        return images[rows, nearest], lengths[rows, nearest]

    def bond_a(self, anion: str) -> float:
        """Return the distance within which `anion` coordinates the mobile ion, A."""
        return BOND_FACTOR * (_radius(self.mobile) + _radius(anion))

    def coordinating(self, place: FloatArray) -> set[tuple[int, tuple[int, ...]]]:
        """Return the anions around `place`, each as its index and the cell it lies in."""
        images, lengths = self.images(place)
        found = set()
        for index, symbol in enumerate(self.symbols):
            if symbol not in self.anions:
                continue
            for vector in images[index][lengths[index] <= self.bond_a(symbol)]:
                image = np.rint(place + vector - self.fractional[index]).astype(int)
                found.add((index, tuple(image.tolist())))
        return found


def vacancy_hops(around: Surroundings, max_distance_a: float = MAX_DISTANCE_A) -> list[Hop]:
    """Return the hops of mobile ions into each other's sites, each way between two sites once.

    In a small cell there are several ways from an ion to the images of another.

    Parameters
    ----------
    around
        The structure.
    max_distance_a
        Longest hop.

    Raises
    ------
    AnalysisError
        For an ion without a known radius.
    """
    hops = []
    for ion in around.ions.tolist():
        images, lengths = around.images(around.fractional[ion])
        hops += [
            _hop(around, ion, other, vector)
            for other in around.ions[around.ions > ion].tolist()
            for vector in images[other][lengths[other] <= max_distance_a]
        ]
    return hops


def empty_site_hops(
    around: Surroundings, sites: FloatArray, max_distance_a: float = MAX_DISTANCE_A
) -> list[Hop]:
    """Return the hops of mobile ions to `sites` (fractions, shape (n_sites, 3)) without ions."""
    hops = []
    for site in sites:
        images, lengths = around.images(site)
        near = (lengths > _LEAST_HOP_A) & (lengths <= max_distance_a)
        hops += [
            _hop(around, ion, None, -vector)
            for ion in around.ions.tolist()
            for vector in images[ion][near[ion]]
        ]
    return hops


def empty_sites(around: Surroundings) -> FloatArray:
    """Return places with room for one more mobile ion, in fractions, shape (n_sites, 3).

    They are corners of the Voronoi cells of all atoms (points as far from four of them as can
    be) that at least four anions coordinate, that no anion is closer to than 0.85 sums of the
    radii, and no other ion closer than 2.4 A. Of corners within 1.2 A the roomiest is taken.
    """
    steps = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T
    points = (around.fractional[None] + steps[:, None]).reshape(-1, 3) @ around.cell
    corners = Voronoi(points).vertices @ np.linalg.inv(around.cell)
    corners = corners[((corners > -_ROUNDING) & (corners < 1 + _ROUNDING)).all(axis=1)]
    roomy = [(room, place) for place in corners if (room := _room_a(around, place)) > 0]
    kept: list[FloatArray] = []
    for _, place in sorted(roomy, key=lambda pair: -pair[0]):
        apart = [place - other for other in kept]
        if all(np.linalg.norm((d - np.rint(d)) @ around.cell) > _SAME_SITE_A for d in apart):
            kept.append(place)
    return np.array(kept).reshape(-1, 3)


def distinct_hops(
    hops: Sequence[Hop],
    around: Surroundings,
    operations: Sequence[tuple[FloatArray, FloatArray]],
) -> list[Hop]:
    """Return one of each set of hops that symmetry, or going back, makes the same.

    Parameters
    ----------
    hops, around
        The hops of this structure.
    operations
        Rotations and translations of fractional coordinates.
    """
    kept: list[Hop] = []
    counts: list[int] = []
    images: list[list[tuple[FloatArray, FloatArray]]] = []
    for hop in hops:
        start = around.fractional[hop.ion]
        ends = ((start, hop.displacement), (start + hop.displacement, -hop.displacement))
        known = next(
            (
                i
                for i, (other, found) in enumerate(zip(kept, images, strict=True))
                if abs(other.distance_a - hop.distance_a) < _SAME_A
                and other.shared == hop.shared
                and any(_same(a, b, around.cell) for a in ends for b in found)
            ),
            None,
        )
        if known is not None:
            counts[known] += 1
            continue
        kept.append(hop)
        counts.append(1)
        images.append([(r @ start + t, r @ hop.displacement) for r, t in operations])
    return [replace(hop, n_alike=n) for hop, n in zip(kept, counts, strict=True)]


def chosen_hops(hops: Sequence[Hop], per_kind: int) -> list[Hop]:
    """Return at most `per_kind` hops of each kind, spread evenly over their lengths."""
    kinds: dict[str, list[Hop]] = {}
    for hop in sorted(hops, key=lambda one: (one.distance_a, one.ion)):
        kinds.setdefault(hop.kind, []).append(hop)
    chosen = []
    for name in sorted(kinds):
        found = kinds[name]
        n = min(per_kind, len(found))
        chosen += [found[i] for i in np.unique(np.linspace(0, len(found) - 1, n).round())
                   .astype(int)]  # fmt: skip
    return chosen


def window(around: Surroundings, place: FloatArray, n: int = 3) -> tuple[tuple[str, float], ...]:
    """Return the `n` anions nearest to `place`: element and distance in A, nearest first."""
    _, lengths = around.vectors(place)
    nearest = [i for i in np.argsort(lengths) if around.symbols[i] in around.anions][:n]
    return tuple((around.symbols[i], float(lengths[i])) for i in nearest)


def _hop(around: Surroundings, ion: int, vacated: int | None, displacement: FloatArray) -> Hop:
    start = around.fractional[ion]
    both = around.coordinating(start) & around.coordinating(start + displacement)
    shared = Counter(around.symbols[index] for index, _ in both)
    length = float(np.linalg.norm(displacement @ around.cell))
    return Hop(ion, vacated, displacement, length, dict(sorted(shared.items())))


def _room_a(around: Surroundings, place: FloatArray) -> float:
    """Return the distance to the nearest anion, or nothing where an ion would not fit."""
    _, images = around.images(place)
    if images.min() < _SMALLEST_VOID_A:
        return 0.0
    n_near, nearest = 0, np.inf
    for symbol, lengths in zip(around.symbols, images, strict=True):
        length = float(lengths.min())
        if symbol not in around.anions:
            if length < _CATION_ROOM_A:
                return 0.0
            continue
        bond = around.bond_a(symbol)
        if length < _LEAST_ROOM * bond / BOND_FACTOR:
            return 0.0
        n_near += int((lengths <= bond).sum())
        nearest = min(nearest, length)
    return nearest if n_near >= _LEAST_ANIONS else 0.0


def _same(
    one: tuple[FloatArray, FloatArray], other: tuple[FloatArray, FloatArray], cell: FloatArray
) -> bool:
    apart = one[0] - other[0]
    apart = (apart - np.rint(apart)) @ cell
    turned = (one[1] - other[1]) @ cell
    return bool(np.abs(apart).max() < _SAME_A and np.abs(turned).max() < _SAME_A)


def _radius(symbol: str) -> float:
    if symbol not in IONIC_RADII_A:
        raise AnalysisError(
            "hops between sites need the radii of the ions",
            given=symbol,
            allowed=sorted(IONIC_RADII_A),
            remedy="leave the hops of this candidate out",
        )
    return IONIC_RADII_A[symbol]
