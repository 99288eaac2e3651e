"""Structure over the glasses of a candidate: means, with the scatter from glass to glass.

The interval of one box is that of its time average, and tells nothing of the next glass that is
quenched; that of a mean here is for one more glass (see :func:`~haloflow.stores.combine.combine`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pymatgen.core import Element

from ..quantity import Quantity
from .combine import combine
from .trust import limited

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .analyses import StructureDocument, StructurePoint

_SHAPES = ("prismatic", "octahedral", "other")


@dataclass(frozen=True)
class StructureMeans:
    """Means over glasses at the coldest temperature that all of them were run at.

    Attributes
    ----------
    temperature_k
        K.
    n_samples
        Glasses that were analysed.
    populations
        Shares of polyhedra, the most frequent first; one that a glass has not counts as 0.
    surroundings
        Shares of prismatic, octahedral and other surroundings of the mobile ion.
    coordination
        Of cations by anions that are a first shell in every glass, up to its first minimum.
    """

    temperature_k: float
    n_samples: int
    populations: dict[str, Quantity]
    surroundings: dict[str, Quantity]
    coordination: dict[str, Quantity]


def structure_means(
    documents: Sequence[StructureDocument], *, n_expected: int
) -> StructureMeans | None:
    """Return the means over the documents of several glasses; ``None`` for fewer than two.

    Parameters
    ----------
    documents
        One per glass.
    n_expected
        How many there will be; with fewer the means are ``unconverged``.
    """
    of_each = [{point.temperature_k: point for point in document.points} for document in documents]
    shared = set.intersection(*map(set, of_each)) if of_each else set()
    if len(documents) < 2 or not shared:  # noqa: PLR2004  (several)
        return None
    at = min(shared)
    points = [points[at] for points in of_each]

    def mean(rows: Sequence[Quantity], *, most: float | None = None) -> Quantity:
        own = [limited(row, document) for row, document in zip(rows, documents, strict=True)]
        return _within(combine(own, n_expected=n_expected), most)

    shares = [_populations(point) for point in points]
    names = {name: None for share in shares for name in share}
    populations = {
        name: mean([share.get(name, Quantity(0.0)) for share in shares], most=1.0)
        for name in names
        if all(shares)
    }
    around = [point.environment for point in points if point.environment is not None]
    whole = len(around) == len(points)
    shells = [_shells(point) for point in points]
    return StructureMeans(
        temperature_k=at,
        n_samples=len(points),
        populations=dict(sorted(populations.items(), key=lambda row: -(row[1].value or 0.0))),
        surroundings={
            shape: mean([getattr(one, shape) for one in around], most=1.0)
            for shape in _SHAPES
            if whole
        },
        coordination={
            pair: mean([shell[pair] for shell in shells])
            for pair in shells[0]
            if all(pair in shell for shell in shells)
        },
    )


def _populations(point: StructurePoint) -> Mapping[str, Quantity]:
    if point.speciation is None:
        return {}
    rows = point.speciation.populations.items()
    return {name: Quantity(row.value, row.sd) for name, row in rows}


def _shells(point: StructurePoint) -> Mapping[str, Quantity]:
    rows = point.structure.coordination.items()
    return {
        pair: Quantity(row.n, row.sd)
        for pair, row in rows
        if [_is_anion(name) for name in pair.split("-")] == [False, True]
    }


def _is_anion(symbol: str) -> bool:
    return bool(Element(symbol).is_halogen or Element(symbol).is_chalcogen)


def _within(quantity: Quantity, most: float | None) -> Quantity:
    """Cut the interval of a number that cannot be negative, or a share."""
    lower, upper = quantity.lower, quantity.upper
    return replace(
        quantity,
        lower=None if lower is None else max(0.0, lower),
        upper=upper if upper is None or most is None else min(most, upper),
    )
