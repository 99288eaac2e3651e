"""Mean squared displacements of every species, the framework's own included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .frames import as_species, as_trajectory, frame_blocks, require_species
from .msd import Msd, cross_displacements, msd_fft
from .passage import read_passage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from .frames import FloatArray

_ATOMS_PER_PART = 60


def species_msd(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    *,
    mobile: Sequence[str],
    unwrapped: bool = False,
    checked: bool = True,
) -> dict[str, Msd]:
    """Return self and collective mean squared displacement of all species at all lags.

    Displacements are relative to the framework: the mean, unweighted, of all atoms that are
    not mobile. Atoms are read in parts, so that a long trajectory may lie in a memory map.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3).
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    species
        Element symbols, shape (n_atoms,).
    mobile
        Species that are not framework. With all of them nothing is subtracted.
    unwrapped
        Whether the positions are continuous already.
    checked
        Whether steps of half a cell or more are refused; frames picked out of a continuous
        path may lie that far apart.

    Raises
    ------
    AnalysisError
        For a mobile species that does not occur, or as in :func:`displacement_steps`.
    """
    frames, boxes = as_trajectory(positions, cells)
    symbols = as_species(species, frames.shape[1])
    require_species(mobile, symbols)
    names = sorted(set(symbols.tolist()))
    counts = {name: int((symbols == name).sum()) for name in names}
    own: dict[str, FloatArray] = {}
    sums: dict[str, FloatArray] = {}
    for name in names:
        own[name] = np.zeros(len(frames))
        sums[name] = np.zeros((len(frames), 3))
        atoms = np.flatnonzero(symbols == name)
        for part in np.array_split(atoms, -(-len(atoms) // _ATOMS_PER_PART)):
            blocks = ((r, b) for _, r, b in frame_blocks(frames[:, part], boxes))
            passage = read_passage(
                blocks, [name] * len(part), name, unwrapped=unwrapped, checked=checked
            )
            own[name] += len(part) * msd_fft(passage.path_a).self_a2
            sums[name] += passage.sums_a[name]
    drift = np.zeros((len(frames), 3))
    framework = [name for name in names if name not in set(mobile)]
    if framework:
        n_framework = sum(counts[name] for name in framework)
        drift = np.sum([sums[name] for name in framework], axis=0) / n_framework
    return {name: _relative(own[name], sums[name], drift, counts[name]) for name in names}


def _relative(own: FloatArray, total: FloatArray, drift: FloatArray, number: int) -> Msd:
    """Return what is left of the sum of squared displacements when all drift alike.

    sum_i |dr_i - d|^2 = sum_i |dr_i|^2 - 2 (sum_i dr_i) . d + n |d|^2.
    """
    products = cross_displacements(np.stack([total, drift], axis=2))
    left = own - 2.0 * products[:, 0, 1] + number * products[:, 1, 1]
    total_left = cross_displacements((total - number * drift)[:, None])
    collective = np.einsum("fii->f", total_left)
    return Msd(np.maximum(left, 0.0) / number, np.maximum(collective, 0.0) / number)
