"""Hops between sites: when an ion left one core for good and entered another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ..errors import AnalysisError
from ..quantity import Quantity, Status
from ..units import A2_PER_PS_IN_CM2_PER_S
from .msd import lag_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .frames import FloatArray, IntArray
    from .host_paths import HostPaths
    from .sites import Sites

_LEAST_HOPS = 20.0
_UPPER_TAIL = 0.975
_ONE_SIDED = 0.95
_LONGEST_LAG_SHARE = 0.5
_LARGEST_TAIL = 0.1
_MANY_ORIGINS = 4000
_DIMENSIONS = 3


@dataclass(frozen=True, slots=True)
class Hops:
    """Hops of the mobile ions between core sites.

    An ion belongs to the last core it was in until it enters another (milestoning), so that
    swinging out and back is no hop. Sites in different periodic images are different places.

    Attributes
    ----------
    ion, frame
        Who hopped, and the first frame in the new core, in the order of time, shape (n_hops,).
    from_site, to_site
        Sites, shape (n_hops,).
    vector_a
        From site to site, A, shape (n_hops, 3).
    dwell_ps
        Time in the old site since the hop into it, ps; NaN where the run began there, shape
        (n_hops,).
    returned
        Whether the hop undoes the ion's hop before, shape (n_hops,).
    transitions
        Hops from each site to each, shape (n_sites, n_sites).
    core_share
        Share of ions and frames within a core.
    residence_time_ps
        Mean time between hops, total time over number of hops: the most likely one if hops
        are random in time, censored times included.
    correlation_time_ps
        Integral of `memory`: how long the place of an ion is remembered, returns included.
    jump_diffusivity_cm2_s
        sum |hop|^2 / (6 t N): the diffusivity if hops knew nothing of each other.
    memory_lag_ps, memory
        Probability of an ion to be in the same place after a lag, ps, shapes (n_lags,).
    n_mobile, duration_ps
        Of the run.
    """

    ion: IntArray
    frame: IntArray
    from_site: IntArray
    to_site: IntArray
    vector_a: FloatArray
    dwell_ps: FloatArray
    returned: NDArray[np.bool_]
    transitions: IntArray
    core_share: float
    residence_time_ps: Quantity
    correlation_time_ps: Quantity
    jump_diffusivity_cm2_s: Quantity
    memory_lag_ps: FloatArray
    memory: FloatArray
    n_mobile: int
    duration_ps: float

    @property
    def n_hops(self) -> int:
        """Number of hops."""
        return len(self.ion)

    @property
    def length_a(self) -> FloatArray:
        """Length of each hop, A, shape (n_hops,)."""
        lengths: FloatArray = np.linalg.norm(self.vector_a, axis=1)
        return lengths


def find_hops(paths: HostPaths, sites: Sites, *, frame_ps: float) -> Hops:
    """Find the hops of the mobile ions between the cores of sites.

    Errors come from the scatter between ions where it exceeds that of chance: the count of
    hops is worth n over (variance over mean of the ions' counts), and its interval is that of
    a Poisson process of so many events. Fewer than 20 such events make it `unconverged`; none
    at all leaves a lower bound of the times.

    Parameters
    ----------
    paths
        Paths relative to the host, those that the sites were found with.
    sites
        Sites and their cores.
    frame_ps
        Time between frames, ps; hops that come faster are seen as one.

    Raises
    ------
    AnalysisError
        If the time is not positive, the run has a single frame, or no ion ever enters a core.
    """
    from .hop_kernels import follow_hops  # noqa: PLC0415  (numba is slow to import)

    if not frame_ps > 0:
        raise AnalysisError("frame_ps must be positive", given=frame_ps, allowed="a number above 0")
    if paths.n_frames < 2:  # noqa: PLR2004  (a time)
        raise AnalysisError("too few frames for a hop", given="1 frame", allowed="2 or more")
    core = sites.core.astype(np.int32)
    places = np.empty((paths.n_frames, paths.n_mobile), dtype=np.int64)
    events = np.empty((0, 7), dtype=np.int64)
    n_events, n_inside = follow_hops(paths.fractional, core, sites.fractional, places, events)
    if n_inside == 0:
        raise AnalysisError(
            "no ion enters a site", remedy="pass the sites that were found in the same paths"
        )
    events = np.empty((n_events, 7), dtype=np.int64)
    follow_hops(paths.fractional, core, sites.fractional, places, events)
    ion, frame, before, after = events[:, :4].T
    vector = (sites.fractional[after] - sites.fractional[before] + events[:, 4:7]) @ sites.cell
    duration = (paths.n_frames - 1) * frame_ps
    previous = _previous_hop(ion)
    had = previous >= 0
    dwell = np.where(had, (frame - frame[previous]) * frame_ps, np.nan)
    undone = np.linalg.norm(vector + vector[previous], axis=1) < 1e-3  # noqa: PLR2004  (A)
    transitions = np.zeros((sites.n_sites, sites.n_sites), dtype=np.int64)
    np.add.at(transitions, (before, after), 1)
    counts = np.bincount(ion, minlength=paths.n_mobile)
    lags = np.append(0, lag_grid(max(1, int(_LONGEST_LAG_SHARE * (paths.n_frames - 1)))))
    memory, correlation_time = _memory(places, lags, frame_ps)
    squares: FloatArray = np.bincount(
        ion, np.square(vector).sum(axis=1), minlength=paths.n_mobile
    ).astype(np.float64)
    return Hops(
        ion=ion,
        frame=frame,
        from_site=before,
        to_site=after,
        vector_a=vector,
        dwell_ps=dwell,
        returned=had & (after == before[previous]) & undone,
        transitions=transitions,
        core_share=n_inside / places.size,
        residence_time_ps=_residence_time(counts, duration),
        correlation_time_ps=correlation_time,
        jump_diffusivity_cm2_s=_jump_diffusivity(counts, squares, duration),
        memory_lag_ps=lags * frame_ps,
        memory=memory,
        n_mobile=paths.n_mobile,
        duration_ps=duration,
    )


def hop_length_histogram(
    hops: Hops, *, bin_width_a: float = 0.1
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the distribution of hop lengths.

    Returns
    -------
    tuple
        Bin centres, A, shape (n_bins,); the share of hops per A; and its standard deviation
        from counting, same shape.

    Raises
    ------
    AnalysisError
        If there is no hop, or the bin width is not positive.
    """
    if not bin_width_a > 0:
        raise AnalysisError(
            "bin_width_a must be positive", given=bin_width_a, allowed="a number above 0"
        )
    if not hops.n_hops:
        raise AnalysisError(
            "there is no hop to measure",
            given=f"0 hops of {hops.n_mobile} ions in {hops.duration_ps:g} ps",
            remedy="run longer or hotter",
        )
    n_bins = int(hops.length_a.max() / bin_width_a) + 1
    counts, edges = np.histogram(hops.length_a, bins=n_bins, range=(0.0, n_bins * bin_width_a))
    norm = hops.n_hops * bin_width_a
    return 0.5 * (edges[1:] + edges[:-1]), counts / norm, np.sqrt(counts) / norm


def _previous_hop(ion: IntArray) -> IntArray:
    """Return the index of the same ion's hop before, -1 for its first."""
    order = np.argsort(ion, kind="stable")
    previous = np.full(len(ion), -1, dtype=np.int64)
    same = ion[order][1:] == ion[order][:-1]
    previous[order[1:][same]] = order[:-1][same]
    return previous


def _effective_hops(counts: IntArray) -> float:
    """Return the number of independent hops that scatter like the ions' counts."""
    n_hops = float(counts.sum())
    if len(counts) < 2 or n_hops == 0:  # noqa: PLR2004  (a variance)
        return n_hops
    return n_hops / max(1.0, float(counts.var(ddof=1) / counts.mean()))


def _few_hops(effective: float) -> str:
    return f"{effective:.1f} independent hops, {_LEAST_HOPS:g} needed"


def _residence_time(counts: IntArray, duration_ps: float) -> Quantity:
    total = duration_ps * len(counts)
    n_hops = int(counts.sum())
    if n_hops == 0:
        bound = total / -float(np.log(1.0 - _ONE_SIDED))
        note = "no hop was seen: lower bound"
        return Quantity(lower=bound, status=Status.UNCONVERGED, note=note)
    effective = _effective_hops(counts)
    value = total / n_hops
    most = float(special.gammaincinv(effective + 1.0, _UPPER_TAIL))
    least = float(special.gammaincinv(effective, 1.0 - _UPPER_TAIL))
    few = effective < _LEAST_HOPS
    return Quantity(
        value,
        value / float(np.sqrt(effective)),
        value * effective / most,
        value * effective / least,
        Status.UNCONVERGED if few else Status.OK,
        _few_hops(effective) if few else "",
    )


def _jump_diffusivity(counts: IntArray, squares_a2: FloatArray, duration_ps: float) -> Quantity:
    if not counts.any():
        return Quantity(status=Status.UNCONVERGED, note="no hop was seen")
    each = squares_a2 / (2 * _DIMENSIONS * duration_ps) * A2_PER_PS_IN_CM2_PER_S
    effective = _effective_hops(counts)
    return _mean_over_ions(each, [_few_hops(effective)] if effective < _LEAST_HOPS else [])


def _mean_over_ions(each: FloatArray, doubts: list[str]) -> Quantity:
    """Return the mean of one number for each ion; ions count as independent."""
    mean, n_ions = float(each.mean()), len(each)
    if n_ions < 2:  # noqa: PLR2004  (a spread)
        note = "; ".join([*doubts, "one ion gives no error"])
        return Quantity(mean, status=Status.UNCONVERGED, note=note)
    sd = float(each.std(ddof=1)) / float(np.sqrt(n_ions))
    reach = float(special.stdtrit(n_ions - 1, _UPPER_TAIL)) * sd
    status = Status.UNCONVERGED if doubts else Status.OK
    return Quantity(mean, sd, max(0.0, mean - reach), mean + reach, status, "; ".join(doubts))


def _memory(places: IntArray, lags: IntArray, frame_ps: float) -> tuple[FloatArray, Quantity]:
    from .hop_kernels import same_place  # noqa: PLC0415  (numba is slow to import)

    same = same_place(places, lags, _MANY_ORIGINS)
    settled = np.isfinite(same).all(axis=0)
    if not settled.any():
        note = "no ion entered a site in the first half of the run"
        return np.full(len(lags), np.nan), Quantity(status=Status.UNCONVERGED, note=note)
    memory = same[:, settled].mean(axis=1)
    each = np.trapezoid(same[:, settled], lags * frame_ps, axis=0)
    if memory[-1] <= _LARGEST_TAIL:
        return memory, _mean_over_ions(each, [])
    note = f"{memory[-1]:.0%} of the ions are in their first place after half the run"
    found = _mean_over_ions(each, [note])
    return memory, Quantity(found.value, found.sd, found.lower, None, found.status, found.note)
