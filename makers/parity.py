"""Labels and values of a model, frame by frame, in a file that figures are drawn from."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engines.durable import write_durably
from ..units import EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..engines.assessment import Comparison


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
