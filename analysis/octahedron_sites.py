"""How many sites of the mobile ion a crystal has for each octahedron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from ..quantity import Quantity, Status
from .density import SPACING_A, density_grid
from .host_paths import HostPaths
from .sites import Sites, find_sites

if TYPE_CHECKING:
    from .frames import FloatArray

_PROMINENCES_KT = (0.5, 1.0, 2.0)
_MIN_OCCUPANCY = 0.05


@dataclass(frozen=True, slots=True)
class OctahedronSites:
    """Sites of the mobile ion in the repeated cell of a crystal.

    Attributes
    ----------
    sites_per_octahedron
        Number of sites over number of octahedra. Its interval spans what the halves of the
        run and other prominences (0.5 and 2 kT instead of 1) give; ``unconverged`` where the
        halves differ.
    occupancy
        Mean number of ions of each site, of one cell, shape (n_sites,).
    sites
        The sites, in the repeated cell.
    """

    sites_per_octahedron: Quantity
    occupancy: FloatArray
    sites: Sites


def fold_paths(paths: HostPaths, repeats: tuple[int, int, int]) -> HostPaths:
    """Fold the paths of a supercell into the cell that it repeats.

    Parameters
    ----------
    paths
        In the supercell.
    repeats
        Repeats of the cell along each vector.

    Raises
    ------
    AnalysisError
        For repeats below 1.
    """
    if min(repeats) < 1:
        raise AnalysisError("repeats of a cell must be positive", given=repeats, allowed="1, 2 ...")
    number = np.asarray(repeats)
    folded = (paths.fractional % 1.0) * number.astype(np.float32)
    return HostPaths(folded, paths.cell / number[:, None])


def sites_per_octahedron(
    paths: HostPaths,
    repeats: tuple[int, int, int],
    n_octahedra: int,
    *,
    spacing_a: float = SPACING_A,
    min_occupancy: float = _MIN_OCCUPANCY,
) -> OctahedronSites:
    """Count the sites of the mobile ion in the repeated cell of a crystal.

    All cells of the supercell are laid over each other; a site is a basin of that density
    (see :func:`find_sites`).

    Parameters
    ----------
    paths
        Paths relative to the host, in the supercell.
    repeats
        Repeats of the crystal's cell along each vector.
    n_octahedra
        Octahedra of the supercell.
    spacing_a
        Largest edge of a voxel, A.
    min_occupancy
        Least mean number of ions of a site, of one cell.

    Raises
    ------
    AnalysisError
        For repeats that do not divide the number of octahedra, or as in :func:`find_sites`.
    """
    folded = fold_paths(paths, repeats)
    n_cells = int(np.prod(repeats))
    if n_octahedra < 1 or n_octahedra % n_cells:
        raise AnalysisError(
            "the supercell does not hold whole cells",
            given=f"{n_octahedra} octahedra in {n_cells} cells",
            allowed="a multiple of the number of cells",
        )
    per_cell = n_octahedra // n_cells

    def found(part: slice, prominence_kt: float = 1.0) -> Sites:
        return find_sites(
            density_grid(
                HostPaths(folded.fractional[part], folded.cell), spacing_a=spacing_a, n_blocks=1
            ),
            prominence_kt=prominence_kt,
            min_occupancy=min_occupancy * n_cells,
        )

    middle = folded.n_frames // 2
    halves = [found(part).n_sites for part in (slice(max(middle, 1)), slice(middle, None))]
    at = {kt: found(slice(None), kt) for kt in _PROMINENCES_KT}
    numbers = [*halves, *(sites.n_sites for sites in at.values())]
    differ = halves[0] != halves[1]
    return OctahedronSites(
        sites_per_octahedron=Quantity(
            at[1.0].n_sites / per_cell,
            lower=min(numbers) / per_cell,
            upper=max(numbers) / per_cell,
            status=Status.UNCONVERGED if differ else Status.OK,
            note=f"{halves[0]} and {halves[1]} sites in the halves of the run" if differ else "",
        ),
        occupancy=at[1.0].occupancy / n_cells,
        sites=at[1.0],
    )
