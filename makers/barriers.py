"""The barrier that an ion meets where it sits: from its site over the lowest pass to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..analysis.density import thermal_energy_ev
from ..analysis.percolation import site_barriers
from ..quantity import TWO_SIDED_95, Quantity, Status

if TYPE_CHECKING:
    from ..analysis.density import DensityGrid, FreeEnergy
    from ..analysis.frames import FloatArray
    from ..analysis.sites import Sites

_N_RESAMPLES = 10
_LEAST_VISITS = 10.0
_LARGEST_SHARE = 0.1


def local_barrier(grid: DensityGrid, sites: Sites, landscape: FreeEnergy) -> Quantity | None:
    """Return the lowest barrier out of a site, mean over sites by their occupancy.

    A site whose pass was seen fewer than ten independent times, or never, is not known; with
    more than a tenth of the ions in such sites the mean is ``unconverged`` and has no lower
    end, since a thin density lifts its barriers. The standard deviation is the mean of those
    of the sites, as if all erred alike.

    Parameters
    ----------
    grid
        The counted density.
    sites
        Found in it.
    landscape
        Its free energy.

    Returns
    -------
    Quantity or None
        eV; ``None`` for a single site.
    """
    if sites.n_sites < 2:  # noqa: PLR2004  (from one to another)
        return None
    found = site_barriers(grid, sites, landscape.temperature_k, n_resamples=_N_RESAMPLES)
    others = np.where(np.eye(sites.n_sites, dtype=bool), np.inf, found.barrier_ev)
    nearest = np.where(found.connected, others, np.inf).argmin(axis=1)
    rows = np.arange(sites.n_sites)
    lowest, sd = others[rows, nearest], found.sd_ev[rows, nearest]
    seen = found.connected[rows, nearest] & np.isfinite(lowest) & np.isfinite(sd)
    weight = np.where(seen, sites.occupancy, 0.0)
    if not weight.any():
        return Quantity(status=Status.UNCONVERGED, note="no site connects to another one")
    known = seen & (_visits(grid, sites, landscape, lowest) >= _LEAST_VISITS)
    unknown = 1.0 - float(sites.occupancy[known].sum() / sites.occupancy.sum())
    value = float(np.average(lowest[seen], weights=weight[seen]))
    error = float(np.average(sd[seen], weights=weight[seen]))
    ends = (max(0.0, value - TWO_SIDED_95 * error), value + TWO_SIDED_95 * error)
    if unknown <= _LARGEST_SHARE:
        return Quantity(value, error, *ends)
    note = f"{unknown:.0%} of the ions are in sites whose pass was hardly seen"
    return Quantity(value, error, None, ends[1], Status.UNCONVERGED, note)


def _visits(
    grid: DensityGrid, sites: Sites, landscape: FreeEnergy, barrier_ev: FloatArray
) -> FloatArray:
    """Return how many independent times the lowest pass of each site was seen."""
    thermal = thermal_energy_ev(landscape.temperature_k)
    most = np.zeros(sites.n_sites, dtype=np.int64)
    inside = sites.basin >= 0
    np.maximum.at(most, sites.basin[inside], grid.counts[inside])
    visited = landscape.visited
    excess = np.square(landscape.sd_ev[visited] / thermal) * grid.counts[visited]
    visits: FloatArray = most * np.exp(-barrier_ev / thermal) / float(np.median(excess))
    return visits
