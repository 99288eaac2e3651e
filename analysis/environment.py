"""What surrounds the mobile ions: octahedron or trigonal prism, and of which anions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .blocks import mean_quantity
from .frames import as_frames, as_species, require_species
from .neighbours import PairVectors, pair_vectors_within
from .shape_kernels import OCTAHEDRON, TRIGONAL_PRISM, assignments, shape_measures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from ..quantity import Quantity
    from .frames import FloatArray

ANIONS = ("O", "S", "F", "Cl", "Br", "I")
BOND_CUTOFFS_A: Mapping[str, float] = {
    "O": 3.2, "S": 3.9, "F": 3.3, "Cl": 3.8, "Br": 4.0, "I": 4.2
}  # fmt: skip
"""Where the first shell of an anion around Na ends, A: near the first minimum of g(r) for O, S
and Cl; for the others that of Cl by the difference of their ionic radii, rounded."""

SHAPE_LIMIT = 8.0
"""Largest shape measure of an octahedron or prism. A regular one at 2.8 A whose atoms all
vibrate by 0.3 A along each axis has 2.5 (95 % below 4.4); six random directions have less in
1 % of cases; half the way from octahedron to prism lies at 4.4."""

_SIX = 6
_LIMIT_STEP = 2.0
_FIRST_RADIUS_A = 4.0
_LARGEST_RADIUS_A = 16.0
_RADIUS_STEP = 1.4
_CLASSES = ("other", "octahedral", "prismatic")


@dataclass(frozen=True, slots=True)
class IonEnvironment:
    """Surroundings of the mobile ions over a trajectory.

    Attributes
    ----------
    octahedron_measure, prism_measure
        Continuous shape measures of the six nearest anions, 0 to 100, shape
        (n_frames, n_mobile).
    kind
        0 other, 1 octahedral, 2 prismatic, same shape.
    octahedral, prismatic, other
        Shares of ions and frames, with the error of the time average.
    sensitivity
        The three shares (other, octahedral, prismatic) at other limits of the measure.
    coordination
        Mean number of each anion within its cutoff.
    in_nearest_six
        Mean number of each anion among the six nearest.
    limit
        Largest shape measure of an octahedron or a prism.
    cutoffs_a
        Longest bond to each anion, A.
    """

    octahedron_measure: NDArray[np.float32]
    prism_measure: NDArray[np.float32]
    kind: NDArray[np.int8]
    octahedral: Quantity
    prismatic: Quantity
    other: Quantity
    sensitivity: dict[float, tuple[float, float, float]]
    coordination: dict[str, Quantity]
    in_nearest_six: dict[str, float]
    limit: float
    cutoffs_a: dict[str, float]


def ion_environment(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    *,
    mobile: str = "Na",
    anions: Sequence[str] = ANIONS,
    cutoffs_a: Mapping[str, float] = BOND_CUTOFFS_A,
    limit: float = SHAPE_LIMIT,
) -> IonEnvironment:
    """Sort the surroundings of mobile ions into octahedral, prismatic and other.

    The six nearest anions, with the ion in their middle, are compared with a regular
    octahedron and with a trigonal prism of square sides by the continuous shape measure
    (Pinsky and Avnir, Inorg. Chem. 37, 5575 (1998); codes OC-6 and TPR-6 of Alvarez et al.,
    New J. Chem. 26, 996 (2002)): 100 times the squared distance to the ideal vertices over
    the squared size, least over rotation, size and order of the vertices. The shape with the
    lower measure is taken, unless that exceeds `limit`.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3) or (n_atoms, 3).
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    species
        Element symbols, shape (n_atoms,).
    mobile, anions
        Symbols of the ion and of what may surround it; those that do not occur are left out.
    cutoffs_a
        Longest bond to each anion, A, for the coordination numbers.
    limit
        Largest shape measure of an octahedron or a prism.

    Raises
    ------
    AnalysisError
        For arrays that do not fit, a species that does not occur, no anion, or fewer than
        six anions within 16 A.
    """
    frames = np.asarray(positions)
    n_atoms = frames.shape[-2] if frames.ndim > 1 else 0
    symbols = as_species(species, n_atoms)
    present = [anion for anion in anions if anion in symbols]
    require_species([mobile], symbols)
    if not present:
        raise AnalysisError(
            f"no anion is around to surround {mobile}",
            given=sorted(set(symbols.tolist())),
            allowed=list(anions),
        )
    missing = [anion for anion in present if anion not in cutoffs_a]
    if missing:
        raise AnalysisError(
            "an anion has no bond cutoff", given=missing, remedy="name its longest bond, A"
        )
    kept = np.flatnonzero(np.isin(symbols, [mobile, *present]))
    frames = frames[None] if frames.ndim == 2 else frames  # noqa: PLR2004  (a matrix: one frame)
    boxes = np.broadcast_to(cells, (len(frames), 3, 3))
    parts = [
        _one_frame(
            *as_frames(frame[kept], box, number),
            symbols[kept],
            mobile=mobile,
            anions=present,
            cutoffs_a=cutoffs_a,
        )
        for number, (frame, box) in enumerate(zip(frames, boxes, strict=True))
    ]
    octahedron, prism = (np.array([part[k] for part in parts]) for k in (0, 1))
    within, among = (np.array([part[k] for part in parts]) for k in (2, 3))
    kind = _kinds(octahedron, prism, limit)
    shares = [
        mean_quantity((kind == k).mean(axis=1), least=0.0, most=1.0) for k in range(len(_CLASSES))
    ]
    return IonEnvironment(
        octahedron_measure=octahedron,
        prism_measure=prism,
        kind=kind,
        octahedral=shares[1],
        prismatic=shares[2],
        other=shares[0],
        sensitivity={
            other: _shares(_kinds(octahedron, prism, other))
            for other in (limit - _LIMIT_STEP, limit + _LIMIT_STEP)
            if other > 0
        },
        coordination={
            anion: mean_quantity(within[:, k], least=0.0) for k, anion in enumerate(present)
        },
        in_nearest_six={anion: float(among[:, k].mean()) for k, anion in enumerate(present)},
        limit=limit,
        cutoffs_a={anion: float(cutoffs_a[anion]) for anion in present},
    )


def _one_frame(
    frames: FloatArray,
    boxes: FloatArray,
    symbols: NDArray[np.str_],
    *,
    mobile: str,
    anions: list[str],
    cutoffs_a: Mapping[str, float],
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[float], list[float]]:
    least = max(_FIRST_RADIUS_A, *(cutoffs_a[anion] for anion in anions))
    ions = np.flatnonzero(symbols == mobile)
    shell, pairs = _six_nearest(frames[0], boxes[0], symbols == mobile, least)
    around = symbols[pairs.second]
    within = [
        float((around[pairs.distance_a <= cutoffs_a[a]] == a).sum() / len(ions)) for a in anions
    ]
    among = [float((around[shell] == a).sum() / len(ions)) for a in anions]
    bonds = np.ascontiguousarray(pairs.vector_a[shell])
    octahedron = shape_measures(bonds, OCTAHEDRON, assignments("octahedron"))
    prism = shape_measures(bonds, TRIGONAL_PRISM, assignments("prism"))
    return octahedron.astype(np.float32), prism.astype(np.float32), within, among


def _six_nearest(
    positions: FloatArray, cell: FloatArray, mobile: NDArray[np.bool_], radius: float
) -> tuple[NDArray[np.int64], PairVectors]:
    """Return the six nearest anions of each ion as rows of the pairs, (n_ions, 6)."""
    while True:
        pairs = pair_vectors_within(positions, cell, radius)
        wanted = mobile[pairs.first] & ~mobile[pairs.second]
        kept = PairVectors(
            pairs.first[wanted],
            pairs.second[wanted],
            pairs.distance_a[wanted],
            pairs.vector_a[wanted],
        )
        number = np.bincount(kept.first, minlength=len(mobile))[mobile]
        if number.min() >= _SIX:
            break
        if radius >= _LARGEST_RADIUS_A:
            raise AnalysisError(
                "an ion has fewer than six anions around it",
                given=f"{number.min()} within {radius:.0f} A",
                remedy="check cell and positions: angstrom?",
            )
        radius = min(radius * _RADIUS_STEP, _LARGEST_RADIUS_A)
    order = np.lexsort((kept.distance_a, kept.first))
    starts = np.concatenate([[0], np.cumsum(number)[:-1]])
    shell: NDArray[np.int64] = order[starts[:, None] + np.arange(_SIX)]
    return shell, kept


def _kinds(
    octahedron: NDArray[np.float32], prism: NDArray[np.float32], limit: float
) -> NDArray[np.int8]:
    nearer = np.where(octahedron <= prism, 1, 2)
    kinds: NDArray[np.int8] = np.where(np.minimum(octahedron, prism) <= limit, nearer, 0).astype(
        np.int8
    )
    return kinds


def _shares(kind: NDArray[np.int8]) -> tuple[float, float, float]:
    other, octahedral, prismatic = np.bincount(kind.ravel(), minlength=3) / kind.size
    return float(other), float(octahedral), float(prismatic)
