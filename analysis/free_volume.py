"""Room between hard ions: how much, and how large a probe fits where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np

from ..errors import AnalysisError
from ..quantity import Quantity
from .blocks import mean_quantity
from .frames import as_frames, as_species, require_species

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from .frames import FloatArray

IONIC_RADII_A: Mapping[str, float] = {
    "Na": 1.02,
    "O": 1.40,
    "S": 1.84,
    "F": 1.33,
    "Cl": 1.81,
    "Br": 1.96,
    "I": 2.20,
    "Y": 0.90,
    "Zr": 0.72,
    "Hf": 0.71,
    "Nb": 0.64,
    "Ta": 0.64,
}
"""Effective ionic radii of six-fold coordinated Na+, O2-, S2-, F-, Cl-, Br-, I-, Y3+, Zr4+, Hf4+,
Nb5+ and Ta5+, A: Shannon, Acta Cryst. A32, 751 (1976)."""

_RADIUS_BIN_A = 0.05
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class FreeVolume:
    """Volume outside the framework's hard ions, mean over frames.

    Attributes
    ----------
    probe_radius_a
        Radii of probes, A, from 0 on, shape (n_radii,).
    insertable_fraction
        Share of the cell in which the centre of such a probe touches no ion, same shape:
        one minus the distribution of insertion radii.
    insertable_fraction_sd
        Standard error of each, from the time series, same shape.
    free_fraction
        Share of the cell outside all ions (probe of radius 0).
    free_a3_per_mobile
        That volume per mobile ion, A3.
    mobile_fraction
        Share of the cell in which a mobile ion's centre fits.
    mobile_a3_per_mobile
        That volume per mobile ion, A3.
    largest_probe_a
        Radius of the largest probe that fits anywhere, A; a lower bound by up to a voxel.
    radii_a
        Radii used, A; the mobile ion's is that of its probe.
    voxel_a
        Largest edge of a voxel, A.
    """

    probe_radius_a: FloatArray
    insertable_fraction: FloatArray
    insertable_fraction_sd: FloatArray
    free_fraction: Quantity
    free_a3_per_mobile: Quantity
    mobile_fraction: Quantity
    mobile_a3_per_mobile: Quantity
    largest_probe_a: Quantity
    radii_a: dict[str, float]
    voxel_a: float


def free_volume(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    *,
    mobile: str = "Na",
    radii_a: Mapping[str, float] = IONIC_RADII_A,
    voxel_a: float = 0.3,
    largest_probe_a: float = 2.5,
) -> FreeVolume:
    """Insert probes on a grid between the hard ions of the framework (all but the mobile ones).

    At each grid point the radius of the largest probe that touches no ion is found, periodic
    images included. A voxel counts by its centre: the fractions converge with its size as the
    volume of a surface layer does, better than the layer's thickness suggests, since its
    errors average out.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3) or (n_atoms, 3).
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    species
        Element symbols, shape (n_atoms,).
    mobile
        Symbol of the mobile ion; its radius is that of its probe.
    radii_a
        Hard radii by symbol, A.
    voxel_a
        Largest edge of a voxel, A.
    largest_probe_a
        Radius, A, up to which the distribution reaches; larger insertion radii count there.

    Raises
    ------
    AnalysisError
        For arrays that do not fit, a species without a radius, no framework, or sizes that
        are not positive.
    """
    frames = np.asarray(positions)
    frames = frames[None] if frames.ndim == 2 else frames  # noqa: PLR2004  (a matrix: one frame)
    symbols = as_species(species, frames.shape[1] if frames.ndim > 1 else 0)
    require_species([mobile], symbols)
    unknown = sorted(set(symbols.tolist()) - set(radii_a))
    if unknown:
        raise AnalysisError(
            "a species has no radius", given=unknown, allowed=sorted(radii_a), remedy="pass radii_a"
        )
    if not (voxel_a > 0 and largest_probe_a > radii_a[mobile] > 0):
        raise AnalysisError(
            "probes and voxels need sizes",
            given=f"voxel_a={voxel_a}, largest_probe_a={largest_probe_a}",
            allowed=f"above 0, and probes beyond {mobile}'s {radii_a[mobile]} A",
        )
    framework = np.flatnonzero(symbols != mobile)
    if not len(framework):
        raise AnalysisError("there is no framework to leave room", given=f"only {mobile}")
    radius = np.array([radii_a[symbol] for symbol in symbols[framework].tolist()])
    boxes = np.broadcast_to(cells, (len(frames), 3, 3))
    edges = np.arange(0.0, largest_probe_a + _RADIUS_BIN_A / 2, _RADIUS_BIN_A)
    parts = [
        _one_frame(
            *as_frames(frame[framework], box, number), radius, voxel_a, (edges, radii_a[mobile])
        )
        for number, (frame, box) in enumerate(zip(frames, boxes, strict=True))
    ]
    inserted = np.array([part[0] for part in parts])
    for_mobile = np.array([part[1] for part in parts])
    volume = np.abs(np.linalg.det(boxes)) / int((symbols == mobile).sum())
    quantities = [mean_quantity(inserted[:, k], least=0.0, most=1.0) for k in range(len(edges))]
    return FreeVolume(
        probe_radius_a=edges,
        insertable_fraction=inserted.mean(axis=0),
        insertable_fraction_sd=np.array([np.nan if q.sd is None else q.sd for q in quantities]),
        free_fraction=quantities[0],
        free_a3_per_mobile=mean_quantity(inserted[:, 0] * volume, least=0.0),
        mobile_fraction=mean_quantity(for_mobile, least=0.0, most=1.0),
        mobile_a3_per_mobile=mean_quantity(for_mobile * volume, least=0.0),
        largest_probe_a=_largest_probe([part[2] for part in parts], largest_probe_a),
        radii_a={s: float(radii_a[s]) for s in sorted(set(symbols.tolist()))},
        voxel_a=voxel_a,
    )


def _largest_probe(found: Sequence[float], limit_a: float) -> Quantity:
    """Return the mean radius; a bound where probes beyond the largest one would fit too."""
    if max(found) < limit_a:
        return mean_quantity(found)
    note = f"probes above {limit_a:g} A fit; the distribution ends there"
    return Quantity(lower=min(limit_a, float(np.mean(found))), note=note)


def _one_frame(
    frames: FloatArray,
    boxes: FloatArray,
    radius: FloatArray,
    voxel_a: float,
    probes: tuple[FloatArray, float],
) -> tuple[FloatArray, float, float]:
    """Return the insertable fraction of each probe, that of the ion, and the largest probe."""
    edges, ion = probes
    field = insertion_radii(frames[0], boxes[0], radius, voxel_a, edges[-1] + _RADIUS_BIN_A)
    ordered = np.sort(field, axis=None)
    fits = 1.0 - np.searchsorted(ordered, edges) / ordered.size
    for_ion = 1.0 - float(np.searchsorted(ordered, ion)) / ordered.size
    return fits, for_ion, float(ordered[-1])


def insertion_radii(
    positions: FloatArray,
    cell: FloatArray,
    radius: FloatArray,
    voxel_a: float,
    largest_a: float,
) -> NDArray[np.float64]:
    """Return the radius of the largest probe that fits at each voxel, negative inside an ion.

    Parameters
    ----------
    positions, cell, radius
        Hard spheres: A, shapes (n, 3), (3, 3) row vectors, (n,).
    voxel_a
        Largest edge of a voxel, A.
    largest_a
        Radii are cut here, A.

    Returns
    -------
    NDArray
        A, one for each voxel, shape (na, nb, nc).
    """
    lengths = np.linalg.norm(cell, axis=1)
    shape = np.maximum(1, np.ceil(lengths / voxel_a - _ROUNDING)).astype(np.int64)
    inverse = np.linalg.inv(cell)
    reach = np.linalg.norm(inverse, axis=0) * shape
    field = np.full(tuple(shape), largest_a)
    place = (positions @ inverse) % 1.0 * shape
    _carve(field, place, cell / shape[:, None], radius, reach, largest_a)
    return field


@numba.njit(cache=True, error_model="numpy")
def _carve(  # noqa: PLR0917  (numba compiles positional arguments)
    field: NDArray[np.float64],
    place: FloatArray,
    step: FloatArray,
    radius: FloatArray,
    reach: FloatArray,
    largest: float,
) -> None:
    """Lower `field` to the distance to the nearest surface; `place` counts in voxels."""
    na, nb, nc = field.shape
    a, b, c = step
    across = c[0] * c[0] + c[1] * c[1] + c[2] * c[2]
    for atom in range(len(place)):
        limit = (largest + radius[atom]) ** 2
        half = reach * (largest + radius[atom])
        u, v, w = place[atom]
        for i in range(int(np.floor(u - half[0])), int(np.ceil(u + half[0])) + 1):
            for j in range(int(np.floor(v - half[1])), int(np.ceil(v + half[1])) + 1):
                x = (i - u) * a[0] + (j - v) * b[0]
                y = (i - u) * a[1] + (j - v) * b[1]
                z = (i - u) * a[2] + (j - v) * b[2]
                square = x * x + y * y + z * z
                along = x * c[0] + y * c[1] + z * c[2]
                inside = along * along - across * (square - limit)
                if inside < 0.0:
                    continue
                chord = np.sqrt(inside)
                row = field[i % na, j % nb]
                for k in range(
                    int(np.ceil(w - (along + chord) / across)),
                    int(np.floor(w - (along - chord) / across)) + 1,
                ):
                    t = k - w
                    here = square + t * (2.0 * along + t * across)
                    room = row[k % nc] + radius[atom]
                    if room > 0.0 and here < room * room:
                        row[k % nc] = np.sqrt(max(here, 0.0)) - radius[atom]
