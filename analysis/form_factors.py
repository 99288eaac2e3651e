"""X-ray form factors of neutral atoms."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from ..systems.data import read_yaml

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .frames import FloatArray

LARGEST_Q_INV_A = 75.0


@cache
def _table() -> dict[str, list[float]]:
    rows: dict[str, list[float]] = read_yaml("xray_form_factors.yaml")
    return rows


def form_factor(element: str, q_inv_a: ArrayLike) -> FloatArray:
    """Return the X-ray form factor of a neutral atom, electrons, without dispersion.

    Waasmaier and Kirfel, Acta Cryst. A 51, 416 (1995).

    Parameters
    ----------
    element
        Symbol, hydrogen to californium.
    q_inv_a
        Length of the wave vector, 1/A, any shape.

    Raises
    ------
    AnalysisError
        For an element that is not in the table or a wave vector beyond 75 1/A.
    """
    row = _table().get(element)
    if row is None:
        raise AnalysisError("an element has no X-ray form factor", given=element, allowed="H to Cf")
    q = np.asarray(q_inv_a, dtype=np.float64)
    if not (np.abs(q) <= LARGEST_Q_INV_A).all():
        raise AnalysisError(
            "a wave vector lies outside the table of form factors",
            given=f"{np.abs(q).max():g} 1/A",
            allowed=f"0 to {LARGEST_Q_INV_A:g} 1/A",
        )
    square = (q / (4.0 * np.pi)) ** 2
    value: FloatArray = np.full(q.shape, row[-1])
    for height, width in zip(row[:5], row[5:10], strict=True):
        value = value + height * np.exp(-width * square)
    return value


def form_factors(elements: list[str], q_inv_a: FloatArray) -> FloatArray:
    """Return the form factors of several elements, shape (n_elements, n_q)."""
    return np.stack([form_factor(element, q_inv_a) for element in elements])
