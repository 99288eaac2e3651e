"""A NEP4 potential of random weights, written to a file."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path


def random_nep(path: Path, seed: int = 1, scale: float = 0.3) -> Path:
    """Write a NEP4 of random weights for Na, Ta, O and Cl; skip where nothing can read it."""
    if importlib.util.find_spec("calorine") is None and os.environ.get("CI") != "true":
        pytest.skip("no calorine here: install the extra [nep], which needs a C++ compiler")
    symbols, n_max, basis, neurons = ("Na", "Ta", "O", "Cl"), (3, 3), (4, 4), 5
    angular = 2
    descriptors = (n_max[0] + 1) + (n_max[1] + 1) * angular
    n_network = len(symbols) * neurons * (descriptors + 2) + 1
    pairs = len(symbols) ** 2
    n_basis = pairs * sum((n + 1) * (b + 1) for n, b in zip(n_max, basis, strict=True))
    weights = scale * np.random.default_rng(seed).standard_normal(n_network + n_basis)
    lines = [
        f"nep4 {len(symbols)} {' '.join(symbols)}", "cutoff 5 4 100 100",
        f"n_max {n_max[0]} {n_max[1]}", f"basis_size {basis[0]} {basis[1]}",
        f"l_max {angular} 0 0", f"ANN {neurons} 0",
        *(f"{x:.7e}" for x in weights), *(["1.0"] * descriptors),
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    return path
