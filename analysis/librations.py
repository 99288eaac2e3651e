"""How octahedra of a chain roll and tilt, and where their terminal ligands point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from ..errors import AnalysisError
from ..quantity import Quantity
from .blocks import mean_quantity
from .octahedra import LOST_BOND_A, bond_blocks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .frames import FloatArray
    from .octahedra import Octahedra, OctahedronAxes

_FOURFOLD = 4
_COVERED = 0.1
_STRAIGHT = 0.5
_PARALLEL = 0.1


@dataclass(frozen=True, slots=True)
class Librations:
    """Roll of octahedra about their chain and tilt away from it.

    Attributes
    ----------
    lag_frames
        0 to half the run, shape (n_lags,).
    onefold, fourfold
        <cos k (phi(t + lag) - phi(t))> of the roll angle phi for k = 1 and 4, over all
        octahedra and origins. The first forgets when an octahedron turns by 90 degrees; the
        second, which sees ligands of one kind as alike, only when it finds no rest.
    roll_deg
        Root mean square of the roll about each octahedron's own mean angle, degrees; about
        104 for free rotation.
    tilt_deg
        Root mean square angle between O-M-O axis and chain, degrees.
    """

    lag_frames: NDArray[np.int64]
    onefold: FloatArray
    fourfold: FloatArray
    roll_deg: Quantity
    tilt_deg: Quantity


@dataclass(frozen=True, slots=True)
class AngularDensity:
    """Directions of the terminal ligands about the chain.

    Attributes
    ----------
    angle_deg
        Bin centres, 0 to 360, counter-clockwise seen against the chain's sense; 0 is the
        first ligand of the first octahedron in the reference structure. Shape (n_bins,).
    density_per_degree
        Over all ligands and frames, integrates to 1, same shape.
    covered_fraction
        Share of the circle where that density exceeds a tenth of the uniform one.
    covered_fraction_of_a_ligand
        Share of the circle that one ligand visits, mean over ligands: at most about 0.25
        while none turns, 1 where each covers all 360 degrees.
    """

    angle_deg: FloatArray
    density_per_degree: FloatArray
    covered_fraction: float
    covered_fraction_of_a_ligand: float


def librations(axes: OctahedronAxes) -> Librations:
    """Return how octahedra roll and tilt; see :class:`Librations`.

    The chain's direction is the mean of its O-M-O axes over the run; broken octahedra are
    left out while they are broken.

    Parameters
    ----------
    axes
        As :func:`octahedron_axes` returns them.

    Raises
    ------
    AnalysisError
        If no octahedron is intact, or a chain has no direction (a coil).
    """
    intact = axes.intact
    if not intact.any():
        raise AnalysisError(
            "no octahedron is intact in any frame", given=f"{intact.size} looked at"
        )
    bridge = np.nan_to_num(axes.bridge).astype(np.float64)
    along = _chain_directions(bridge.sum(axis=0), intact.sum(axis=0), axes.chain)
    reference = np.nan_to_num(axes.terminal[np.argwhere(intact)[0][0], :, 0]).sum(axis=0)
    roll = _roll(axes.terminal, along, reference)
    mean = (roll * intact).sum(axis=0)
    deviation = np.angle(roll * np.conj(mean), deg=True)
    cosine = np.clip(np.einsum("fmi,mi->fm", bridge, along), -1.0, 1.0)
    n_lags = max(1, len(roll) // 2)
    return Librations(
        lag_frames=np.arange(n_lags),
        onefold=_autocorrelation(roll, intact)[:n_lags],
        fourfold=_autocorrelation(roll**_FOURFOLD, intact)[:n_lags],
        roll_deg=_root_mean_square(np.where(intact, deviation, np.nan)),
        tilt_deg=_root_mean_square(np.where(intact, np.rad2deg(np.arccos(cosine)), np.nan)),
    )


def _chain_directions(sums: FloatArray, counts: ArrayLike, chain: ArrayLike) -> FloatArray:
    """Return the unit direction of each octahedron's chain, shape (n_octahedra, 3)."""
    numbers = np.asarray(chain)
    direction = np.zeros((numbers.max() + 1, 3))
    np.add.at(direction, numbers, sums)
    length = np.linalg.norm(direction, axis=1)
    total = np.bincount(numbers, weights=np.asarray(counts, dtype=np.float64))
    if (length < _STRAIGHT * total).any():
        raise AnalysisError(
            "a chain has no direction to roll about",
            given=f"mean O-M-O axis of length {float((length / np.maximum(total, 1)).min()):.2f}",
            allowed=f"{_STRAIGHT} or more: straight chains, as in a crystal",
            remedy="use axis_correlation, which also holds for a glass or a melt",
        )
    unit = direction / np.maximum(length, np.finfo(np.float64).tiny)[:, None]
    of_octahedra: FloatArray = unit[numbers]
    return of_octahedra


def _plane(along: FloatArray, reference: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return two unit vectors across each chain, the first towards `reference` if it can."""
    first = reference - (along @ reference)[:, None] * along
    parallel = np.linalg.norm(first, axis=1) < _PARALLEL * np.linalg.norm(reference)
    other = np.eye(3)[np.abs(along).argmin(axis=1)]
    other -= np.einsum("mi,mi->m", along, other)[:, None] * along
    first = np.where(parallel[:, None], other, first)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return first, np.cross(along, first)


def _roll(
    terminal: NDArray[np.float32], along: FloatArray, reference: FloatArray
) -> NDArray[np.complex128]:
    """Return exp(i phi) of each octahedron, shape (n_frames, n_octahedra); 0 where broken."""
    first, second = _plane(along, reference)
    diagonals = np.nan_to_num(terminal).astype(np.float64)
    projected = np.einsum("fmki,mi->fmk", diagonals, first) + 1j * np.einsum(
        "fmki,mi->fmk", diagonals, second
    )
    phase = projected[..., 0] - 1j * projected[..., 1]
    size = np.abs(phase)
    unit: NDArray[np.complex128] = np.where(size > 0, phase / np.where(size > 0, size, 1.0), 0.0)
    return unit


def _autocorrelation(values: NDArray[np.complex128], present: ArrayLike) -> FloatArray:
    """Return Re<v*(t) v(t + lag)> over all columns and origins where both are present."""
    n = len(values)
    length = fft.next_fast_len(2 * n)
    weights = np.asarray(present, dtype=np.float64)
    sums = [
        fft.ifft(np.square(np.abs(fft.fft(series, length, axis=0))).sum(axis=1)).real[:n]
        for series in (values * weights, weights)
    ]
    counted = np.rint(sums[1]) > 0
    correlation: FloatArray = np.where(counted, sums[0] / np.where(counted, sums[1], 1.0), np.nan)
    return correlation


def _root_mean_square(angles: FloatArray) -> Quantity:
    counted = np.isfinite(angles)
    number = counted.sum(axis=1)
    squares = np.where(counted, angles, 0.0) ** 2
    series = np.where(number > 0, squares.sum(axis=1) / np.maximum(number, 1), np.nan)
    mean = mean_quantity(series)
    ends = [None if x is None else float(np.sqrt(max(x, 0.0))) for x in (mean.lower, mean.upper)]
    value = float(np.sqrt(mean.value or 0.0))
    sd = None if mean.sd is None else mean.sd / (2.0 * value) if value > 0 else 0.0
    return Quantity(value, sd, ends[0], ends[1], mean.status, mean.note)


def terminal_angular_density(
    positions: ArrayLike,
    cells: ArrayLike,
    octahedra: Octahedra,
    axes: OctahedronAxes,
    *,
    n_bins: int = 72,
) -> AngularDensity:
    """Return where the terminal ligands point about their chain.

    Parameters
    ----------
    positions, cells
        A, shapes (n_frames, n_atoms, 3) and (n_frames, 3, 3) or (3, 3).
    octahedra, axes
        As :func:`find_octahedra` and :func:`octahedron_axes` return them.
    n_bins
        Bins over 360 degrees.

    Raises
    ------
    AnalysisError
        As in :func:`librations`, or for fewer than four bins.
    """
    if n_bins < _FOURFOLD:
        raise AnalysisError("too few bins for a circle", given=n_bins, allowed="4 or more")
    bridge = np.nan_to_num(axes.bridge).astype(np.float64)
    if not axes.intact.any():
        raise AnalysisError(
            "no octahedron is intact in any frame", given=f"{axes.intact.size} looked at"
        )
    along = _chain_directions(bridge.sum(axis=0), axes.intact.sum(axis=0), axes.chain)
    counts = np.zeros((octahedra.ligands[:, 2:].size, n_bins))
    planes: tuple[FloatArray, FloatArray] | None = None
    row = np.arange(len(counts))
    for _, bonds in bond_blocks(positions, cells, octahedra):
        terminal = bonds[:, :, 2:]
        if planes is None:
            planes = _plane(along, terminal[0, 0, 0])
        x, y = (np.einsum("fmki,mi->fmk", terminal, vectors) for vectors in planes)
        turn = np.arctan2(y, x) / (2.0 * np.pi) % 1.0
        shell = np.minimum((turn * n_bins).astype(np.int64), n_bins - 1).reshape(len(bonds), -1)
        kept = (np.linalg.norm(bonds, axis=-1) <= LOST_BOND_A).all(axis=-1)
        weight = np.broadcast_to(kept[..., None], terminal.shape[:-1]).reshape(len(bonds), -1)
        flat = np.bincount(
            (row * n_bins + shell).ravel(), weights=weight.ravel(), minlength=counts.size
        )
        counts += flat.reshape(counts.shape)
    density = counts.sum(axis=0) / counts.sum() * n_bins / 360.0
    visited = (counts > 0).mean(axis=1)[counts.sum(axis=1) > 0]
    return AngularDensity(
        angle_deg=(np.arange(n_bins) + 0.5) * 360.0 / n_bins,
        density_per_degree=density,
        covered_fraction=float((density * 360.0 > _COVERED).mean()),
        covered_fraction_of_a_ligand=float(visited.mean()),
    )
