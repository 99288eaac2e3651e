"""Curves of documents: thinned, rounded, without numbers that are not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..errors import AnalysisError, MissingDependencyError
from ..stores.analyses import CurveAnalysis

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

_DIGITS = 6
FoundT = TypeVar("FoundT")


def thinned(first: int, last: int, n_points: int) -> NDArray[np.int64]:
    """Return at most `n_points` whole numbers from `first` to `last`, evenly in their logarithm."""
    return np.unique(np.rint(np.geomspace(first, max(first, last), n_points)).astype(np.int64))


def rounded(values: ArrayLike) -> list[float | None]:
    """Return plain numbers of six digits; ``None`` where a value is not finite."""
    return [
        float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None
        for value in np.asarray(values, dtype=np.float64).ravel().tolist()
    ]


def numbers(values: ArrayLike) -> list[float]:
    """Return plain numbers of six digits; those that are not finite count as 0."""
    return [value or 0.0 for value in rounded(values)]


def curve(x: ArrayLike, y: ArrayLike, sd: ArrayLike | None = None) -> CurveAnalysis:
    """Return a curve; points whose value is not finite are left out."""
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    kept = np.isfinite(ys)
    errors = [] if sd is None else rounded(np.asarray(sd)[kept])
    return CurveAnalysis(x=numbers(xs[kept]), y=numbers(ys[kept]), sd=errors)


def if_possible(work: Callable[[], FoundT]) -> FoundT | None:
    """Return what `work` finds, or nothing where the data or the installation do not allow it."""
    try:
        return work()
    except (AnalysisError, MissingDependencyError):  # so this function is asked for
        return None
