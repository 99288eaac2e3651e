"""Labels and values of a model, frame by frame, in a file that figures are drawn from."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engines.durable import write_durably
from ..stores.fine_tuning import ParityPoints
from ..units import EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ..engines.assessment import Comparison

_MOST_POINTS = 300
_DIGITS = 5


def parity_file(compared: Mapping[str, Comparison], path: Path) -> Path:
    """Write labels and values of each split, and return the path.

    The arrays of a split are called ``SPLIT.energy`` (eV per atom; 2, n_frames),
    ``SPLIT.forces`` (eV/A; 2, n_atoms, 3), ``SPLIT.stress`` (GPa, Voigt; 2, n_frames, 6), all
    with labels first, ``SPLIT.symbols`` and ``SPLIT.frame`` (of each atom).
    """
    arrays: dict[str, Any] = {}
    for split, one in compared.items():
        arrays[f"{split}.energy"] = one.energies
        arrays[f"{split}.forces"] = one.forces.astype(np.float32)
        arrays[f"{split}.stress"] = (one.stresses * EV_PER_A3_IN_GPA).astype(np.float32)
        arrays[f"{split}.symbols"] = one.symbols
        arrays[f"{split}.frame"] = one.frame_of
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_durably(path, buffer.getvalue())
    return path


def parity_points(compared: Comparison) -> ParityPoints:
    """Return the points of a figure: all where there are few, else some, always the same."""
    return ParityPoints(
        energy_ev_per_atom=_some(compared.energies),
        force_ev_a=_some(compared.forces),
        stress_gpa=_some(compared.stresses * EV_PER_A3_IN_GPA),
    )


def _some(values: NDArray[np.float64]) -> list[tuple[float, float]]:
    pairs = values.reshape(2, -1).T
    if len(pairs) > _MOST_POINTS:
        pairs = np.random.default_rng(0).choice(pairs, _MOST_POINTS, replace=False)
    return [(round(float(x), _DIGITS), round(float(y), _DIGITS)) for x, y in pairs]
