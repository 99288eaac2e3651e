"""X-ray total scattering of a simulated sample: S(q) and the reduced pair function G(r)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import AnalysisError
from .blocks import N_BLOCKS, block_error, block_of_frame
from .form_factors import form_factors
from .frames import as_species, as_trajectory
from .rdf import pair_distributions
from .scattering import intensity_blocks, wave_vectors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from .frames import FloatArray
    from .rdf import PairDistributions

Window = Literal["lorch", "none"]
Q_MAX_INV_A = 20.0
Q_JOIN_INV_A = 3.0
_Q_STEP_INV_A = 0.02
_DIRECT_WIDTH_INV_A = 0.05
_BIN_WIDTH_A = 0.02
_LEAST_RANGE_A = 10.0


@dataclass(frozen=True, slots=True)
class TotalScattering:
    """X-ray structure factor of an isotropic sample (Faber and Ziman).

    S(q) = 1 + (I(q) / N - <f^2>) / <f>^2; see Keen, J. Appl. Cryst. 34, 172 (2001).

    Attributes
    ----------
    q_inv_a
        Length of the wave vector, 1/A, increasing, shape (n_q,).
    s, s_sd
        S(q) and its standard error from blocks of frames, NaN for one block, same shape.
    intensity_e2_per_atom
        Coherent intensity I / N, electron units, same shape.
    method
        How it was computed.
    """

    q_inv_a: FloatArray
    s: FloatArray
    s_sd: FloatArray
    intensity_e2_per_atom: FloatArray
    method: str


@dataclass(frozen=True, slots=True)
class ReducedPdf:
    """Reduced pair distribution function, as a PDF measurement gives it.

    Attributes
    ----------
    r_a
        A, shape (n_r,).
    g_inv_a2
        G(r) = (2 / pi) integral of q (S(q) - 1) sin(q r) M(q), 1/A2, same shape.
    g_sd_inv_a2
        Standard error where S(q) has one: that of independent values of S(q).
    q_max_inv_a, window
        Upper end of the integral and M(q).
    """

    r_a: FloatArray
    g_inv_a2: FloatArray
    g_sd_inv_a2: FloatArray
    q_max_inv_a: float
    window: Window


def partial_structure_factors(
    distributions: PairDistributions, q_inv_a: ArrayLike, *, window: Window = "lorch"
) -> dict[tuple[str, str], FloatArray]:
    """Return the Faber-Ziman S_ab(q) of each pair, the mean and then each block of frames.

    S_ab(q) = 1 + rho integral of 4 pi r^2 (g_ab - g_inf) sin(q r) / (q r) w(r), where g_inf is
    1 - 1/n for like and 1 for unlike atoms of a closed box.

    Parameters
    ----------
    distributions
        Partial g(r).
    q_inv_a
        1/A, shape (n_q,).
    window
        w(r), which damps the ripples of a g(r) that ends: sin(x) / x with x = pi r / r_max,
        or none.

    Returns
    -------
    dict
        Arrays of shape (1 + n_blocks, n_q).
    """
    q = np.asarray(q_inv_a, dtype=np.float64)
    r = distributions.r_a
    width = 2.0 * r[0]
    damping = _window(r / (r[-1] + 0.5 * width), window)
    shell = 4.0 * np.pi * (r**2 + width**2 / 12.0) * width * distributions.density_per_a3
    ripples = np.sinc(np.outer(r, q) / np.pi) / np.sinc(0.5 * width * q / np.pi)
    factors = {}
    for (a, b), rdf in distributions.partials.items():
        limit = 1.0 - (1.0 / distributions.numbers[a] if a == b else 0.0)
        excess = np.concatenate([rdf.g[None], rdf.g_blocks]) - limit
        factors[a, b] = 1.0 + (excess * shell * damping) @ ripples
    return factors


def scattering_from_pairs(
    distributions: PairDistributions, q_inv_a: ArrayLike, *, window: Window = "lorch"
) -> TotalScattering:
    """Return the X-ray S(q) from partial g(r): smooth, blurred by about 2 pi / r_max.

    Parameters and errors are those of :func:`partial_structure_factors` and
    :func:`form_factor`.
    """
    q = np.asarray(q_inv_a, dtype=np.float64)
    share = distributions.concentrations
    factor = dict(zip(share, form_factors(list(share), q), strict=True))
    mean_square = _mean(share, {name: f**2 for name, f in factor.items()})
    square = _mean(share, factor) ** 2
    partials = partial_structure_factors(distributions, q, window=window)
    excess = sum(
        (1.0 if a == b else 2.0) * share[a] * share[b] * factor[a] * factor[b] * (s - 1.0)
        for (a, b), s in partials.items()
    )
    s = 1.0 + np.asarray(excess) / square
    return TotalScattering(
        q_inv_a=q,
        s=s[0],
        s_sd=block_error(s[1:]),
        intensity_e2_per_atom=mean_square + square * (s[0] - 1.0),
        method=f"g(r) to {distributions.r_a[-1] + distributions.r_a[0]:g} A, window {window}",
    )


def scattering_direct(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    *,
    q_max_inv_a: float = Q_JOIN_INV_A,
    width_inv_a: float = _DIRECT_WIDTH_INV_A,
    n_blocks: int = N_BLOCKS,
) -> TotalScattering:
    """Return the X-ray S(q) from the wave vectors of the box: exact where g(r) is too short.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3) or (n_atoms, 3).
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    species
        Element symbols, shape (n_atoms,).
    q_max_inv_a
        Largest wave vector, 1/A.
    width_inv_a
        Width of the bins of |q| in which directions are averaged, 1/A; empty ones are left
        out.
    n_blocks
        Contiguous blocks of frames for the errors.
    """
    frames, boxes = as_trajectory(positions, cells)
    symbols = as_species(species, frames.shape[1])
    vectors = wave_vectors(boxes, q_max_inv_a)
    names, number = np.unique(symbols, return_counts=True)
    share = {str(name): n / len(symbols) for name, n in zip(names, number, strict=True)}
    factor = dict(zip(share, form_factors(list(share), vectors.q_inv_a), strict=True))
    blocks = intensity_blocks(frames, boxes, symbols, vectors, factor, n_blocks=n_blocks)
    intensity = blocks / len(symbols)
    mean_square = _mean(share, {name: f**2 for name, f in factor.items()})
    s = 1.0 + (intensity - mean_square) / _mean(share, factor) ** 2
    bins = (vectors.q_inv_a / width_inv_a).astype(np.int64)
    filled, place, n_in_bin = np.unique(bins, return_inverse=True, return_counts=True)
    gather = np.zeros((len(bins), len(filled)))
    gather[np.arange(len(bins)), place] = 1.0 / n_in_bin[place]
    binned = s @ gather
    weight = np.bincount(block_of_frame(len(frames), n_blocks)) / len(frames)
    return TotalScattering(
        q_inv_a=vectors.q_inv_a @ gather,
        s=weight @ binned,
        s_sd=block_error(binned),
        intensity_e2_per_atom=weight @ intensity @ gather,
        method="wave vectors of the box",
    )


def total_scattering(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    *,
    q_max_inv_a: float = Q_MAX_INV_A,
    q_join_inv_a: float = Q_JOIN_INV_A,
    r_max_a: float | None = None,
    window: Window = "lorch",
    n_blocks: int = N_BLOCKS,
) -> TotalScattering:
    """Return the X-ray S(q): from wave vectors of the box at low q, from g(r) above.

    Parameters
    ----------
    positions, cells, species, n_blocks
        As in :func:`scattering_direct`.
    q_max_inv_a
        Largest q, 1/A.
    q_join_inv_a
        Where g(r) takes over, 1/A.
    r_max_a
        Range of g(r), A; default: half the smallest distance between opposite faces of the
        mean cell, 10 A or more.
    window
        Window on g(r), see :func:`partial_structure_factors`.
    """
    frames, boxes = as_trajectory(positions, cells)
    low = scattering_direct(
        frames, boxes, species, q_max_inv_a=min(q_join_inv_a, q_max_inv_a), n_blocks=n_blocks
    )
    if r_max_a is None:
        height = 1.0 / np.linalg.norm(np.linalg.inv(boxes.mean(axis=0)), axis=0)
        r_max_a = max(_LEAST_RANGE_A, 0.5 * float(height.min()))
    n_bins = max(1, round(r_max_a / _BIN_WIDTH_A))
    pairs = pair_distributions(
        frames, boxes, species, r_max_a=r_max_a, n_bins=n_bins, n_blocks=n_blocks
    )
    first = float(low.q_inv_a[0])
    q = np.arange(first, q_max_inv_a + 0.5 * _Q_STEP_INV_A, _Q_STEP_INV_A)
    high = scattering_from_pairs(pairs, q, window=window)
    direct = q <= q_join_inv_a

    def joined(low_values: FloatArray, high_values: FloatArray) -> FloatArray:
        return np.where(direct, np.interp(q, low.q_inv_a, low_values), high_values)

    return TotalScattering(
        q_inv_a=q,
        s=joined(low.s, high.s),
        s_sd=joined(low.s_sd, high.s_sd),
        intensity_e2_per_atom=joined(low.intensity_e2_per_atom, high.intensity_e2_per_atom),
        method=f"{low.method} up to {q_join_inv_a:g} 1/A, then {high.method}",
    )


def reduced_pdf(
    scattering: TotalScattering,
    r_a: ArrayLike,
    *,
    q_max_inv_a: float | None = None,
    q_min_inv_a: float = 0.0,
    window: Window = "lorch",
    q_damp_inv_a: float = 0.0,
) -> ReducedPdf:
    """Return G(r) as an experiment with this range of q and this window would.

    Parameters
    ----------
    scattering
        S(q).
    r_a
        Distances, A, shape (n_r,).
    q_max_inv_a, q_min_inv_a
        Range of the integral, 1/A; default: all of `scattering`.
    window
        M(q): sin(x) / x with x = pi q / q_max (Lorch), or none.
    q_damp_inv_a
        Resolution of the instrument: G(r) is multiplied by exp(-(r q_damp)^2 / 2).

    Raises
    ------
    AnalysisError
        If S(q) does not reach `q_max_inv_a`, or the range is empty.
    """
    q_all = scattering.q_inv_a
    q_max = float(q_all[-1]) if q_max_inv_a is None else q_max_inv_a
    kept = (q_all >= q_min_inv_a) & (q_all <= q_max)
    if q_max > q_all[-1] * (1.0 + 1e-9) or kept.sum() <= 1:
        raise AnalysisError(
            "S(q) does not span the range of the transform",
            given=f"{q_min_inv_a:g} to {q_max:g} 1/A",
            allowed=f"within {q_all[0]:.2f} to {q_all[-1]:.2f} 1/A",
        )
    q, r = q_all[kept], np.asarray(r_a, dtype=np.float64)
    step = np.gradient(q)
    step[[0, -1]] *= 0.5
    weight = (2.0 / np.pi) * q * _window(q / q_max, window) * step
    waves = np.sin(np.outer(r, q)) * weight
    damping = np.exp(-0.5 * (r * q_damp_inv_a) ** 2)
    return ReducedPdf(
        r_a=r,
        g_inv_a2=damping * (waves @ (scattering.s[kept] - 1.0)),
        g_sd_inv_a2=damping * np.sqrt(waves**2 @ scattering.s_sd[kept] ** 2),
        q_max_inv_a=q_max,
        window=window,
    )


def _window(fraction: FloatArray, window: Window) -> FloatArray:
    if window not in {"lorch", "none"}:
        raise AnalysisError("unknown window", given=window, allowed=["lorch", "none"])
    return np.sinc(fraction) if window == "lorch" else np.ones_like(fraction)


def _mean(share: Mapping[str, float], values: Mapping[str, FloatArray]) -> FloatArray:
    return np.asarray(sum(share[name] * values[name] for name in share))
