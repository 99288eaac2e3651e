"""The inner loops of :mod:`.hops`; imported when used, since numba is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .frames import FloatArray, IntArray

IMAGES = 2048


@numba.njit(cache=True)
def same_place(places: IntArray, lags: IntArray, n_origins: int) -> FloatArray:
    """Return how often each ion is in the same place after each lag, shape (n_lags, n_ions)."""
    n_frames, n_ions = places.shape
    same = np.full((len(lags), n_ions), np.nan)
    for index in range(len(lags)):
        lag = lags[index]
        stride = max(1, (n_frames - lag) // n_origins)
        hits = np.zeros(n_ions)
        trials = np.zeros(n_ions)
        for start in range(0, n_frames - lag, stride):
            for ion in range(n_ions):
                if places[start, ion] >= 0:
                    trials[ion] += 1.0
                    if places[start, ion] == places[start + lag, ion]:
                        hits[ion] += 1.0
        for ion in range(n_ions):
            if trials[ion] > 0:
                same[index, ion] = hits[ion] / trials[ion]
    return same


@numba.njit(cache=True)
def follow_hops(
    fractional: NDArray[np.float32],
    core: NDArray[np.int32],
    centres: FloatArray,
    places: IntArray,
    events: IntArray,
) -> tuple[int, int]:
    """Write the place of each ion and frame, and the hops that fit into `events`.

    Parameters
    ----------
    fractional
        Continuous fractions, shape (n_frames, n_ions, 3).
    core
        Site of each voxel, -1 for none, shape (n_a, n_b, n_c).
    centres
        Fractions of the sites, shape (n_sites, 3).
    places
        Receives a number for site and image, -1 before the first, shape (n_frames, n_ions).
    events
        Receives ion, frame, old site, new site and the images between them, shape (n, 7).

    Returns
    -------
    tuple
        The number of hops, and that of ions and frames within a core.
    """
    n_frames, n_ions, _ = fractional.shape
    n_a, n_b, n_c = core.shape
    site_of = np.full(n_ions, -1, dtype=np.int64)
    image_of = np.zeros((n_ions, 3), dtype=np.int64)
    image = np.zeros(3, dtype=np.int64)
    n_events, n_inside = 0, 0
    for frame in range(n_frames):
        for ion in range(n_ions):
            a, b, c = fractional[frame, ion]
            i = int((a - np.floor(a)) * n_a) % n_a
            j = int((b - np.floor(b)) * n_b) % n_b
            k = int((c - np.floor(c)) * n_c) % n_c
            site = core[i, j, k]
            if site >= 0:
                n_inside += 1
                same = site == site_of[ion]
                for axis in range(3):
                    image[axis] = int(np.rint(fractional[frame, ion, axis] - centres[site, axis]))
                    same = same and image[axis] == image_of[ion, axis]
                if site_of[ion] >= 0 and not same:
                    if n_events < len(events):
                        events[n_events, 0] = ion
                        events[n_events, 1] = frame
                        events[n_events, 2] = site_of[ion]
                        events[n_events, 3] = site
                        for axis in range(3):
                            events[n_events, 4 + axis] = image[axis] - image_of[ion, axis]
                    n_events += 1
                site_of[ion] = site
                for axis in range(3):
                    image_of[ion, axis] = image[axis]
            if site_of[ion] < 0:
                places[frame, ion] = -1
            else:
                code = image_of[ion, 0] % IMAGES
                code = code * IMAGES + image_of[ion, 1] % IMAGES
                code = code * IMAGES + image_of[ion, 2] % IMAGES
                places[frame, ion] = code * len(centres) + site_of[ion]
    return n_events, n_inside
