"""Evidence that a sample melted, is a glass, and where the glass transition lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ..errors import AnalysisError
from ..quantity import Quantity, Status
from .displacement import accumulate, displacement_steps
from .evidence import Evidence
from .frames import as_frames, as_species, require_species
from .msd import msd_fft
from .neighbours import nearest_distance_a
from .scattering import bragg_test, structure_factor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from .frames import FloatArray
    from .scattering import BraggTest

_LONG_LAG_SHARE = 0.75
GROWTH = 1.2
_MIN_FRAMES = 8
_LARGEST_RATIO = 1e6
_FRAMES_FOR_SCATTERING = 20
_REFERENCE_RATTLE_A = 0.2
_POINTS_PER_BRANCH = 3
_MIN_DELTA_BIC = 10.0
_KINK_PARAMETERS = 4
_TG_GRID = 200


@dataclass(frozen=True, slots=True)
class Crystal:
    """A crystal's cell, to say what a test would have shown for it.

    Attributes
    ----------
    positions
        Cartesian, A, shape (n_atoms, 3).
    cell
        Row vectors, A, shape (3, 3).
    species
        Element symbols, shape (n_atoms,).
    """

    positions: FloatArray
    cell: FloatArray
    species: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GlassTransition:
    """A kink of density, volume or enthalpy over temperature.

    Attributes
    ----------
    tg_k
        Temperature with its 95 % interval; without a value where the data show no kink.
    delta_bic
        Bayesian information criterion of the better of a line and a parabola minus that of
        two lines; ``None`` with too few points.
    """

    tg_k: Quantity
    delta_bic: float | None


def melting_evidence(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    network: Sequence[str],
    *,
    unwrapped: bool = False,
) -> Evidence:
    """Judge whether the network of a sample melted during a run.

    For each species of `network` (formers and anions) the mean squared displacement, relative
    to the mean motion of all atoms, must exceed the square of its mean nearest-neighbour
    distance at a lag of three quarters of the run, and must there be at least 1.2 times that
    at half the lag: still growing.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3), of a run at constant temperature.
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    species
        Element symbols, shape (n_atoms,).
    network
        Species that must have left their places.
    unwrapped
        Whether the positions are continuous already.

    Raises
    ------
    AnalysisError
        For arrays that do not fit or a species that does not occur.
    """
    frames, boxes = as_frames(positions, cells)
    symbols = as_species(species, frames.shape[1])
    require_species(network, symbols)
    criterion = (
        f"MSD of {', '.join(network)} beyond the square of the nearest-neighbour distance "
        f"and still growing ({GROWTH:g} times from half the lag)"
    )
    if len(frames) < _MIN_FRAMES:
        return Evidence(holds=False, criterion=criterion, numbers={"n_frames": len(frames)})
    steps = displacement_steps(frames, boxes, unwrapped=unwrapped)
    path = accumulate(steps - steps.mean(axis=1, keepdims=True))
    lag = int(_LONG_LAG_SHARE * (len(frames) - 1))
    numbers: dict[str, float] = {}
    holds = True
    for name in network:
        chosen = symbols == name
        msd = msd_fft(path[:, chosen]).self_a2
        nearest = float(nearest_distance_a(frames[-1], boxes[-1], chosen).mean())
        growth = min(msd[lag] / msd[lag // 2], _LARGEST_RATIO) if msd[lag // 2] > 0 else 0.0
        holds = holds and bool(msd[lag] > nearest**2 and growth >= GROWTH)
        numbers[f"msd_{name}_a2"] = float(msd[lag])
        numbers[f"nearest_neighbour_{name}_a"] = nearest
        numbers[f"growth_{name}"] = float(growth)
    return Evidence(holds=holds, criterion=criterion, numbers=numbers)


def amorphous_evidence(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    *,
    reference: Crystal | None = None,
) -> Evidence:
    """Judge whether a sample shows no Bragg peak above its own S(q).

    See :func:`bragg_test` for the test and what it cannot see. At most 20 frames are averaged.
    With a `reference` crystal the same test is made on it, repeated to about the size of the
    sample and rattled by 0.2 A; where that shows no peak either, the criterion says that the
    box is too small to tell.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3) or (n_atoms, 3).
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    species
        Element symbols, shape (n_atoms,).
    reference
        The crystal the sample might have become.
    """
    frames, boxes = as_frames(positions, cells)
    kept = np.unique(
        np.linspace(0, len(frames) - 1, min(len(frames), _FRAMES_FOR_SCATTERING)).astype(np.int64)
    )
    test = bragg_test(structure_factor(frames[kept], boxes[kept], species))
    criterion = "no reflection above twice the speckle of the sample's own S(q)"
    numbers = {
        "strongest_reflection_ratio": test.ratio,
        "threshold_ratio": test.threshold,
        "q_inv_a": test.q_inv_a,
        "n_wave_vectors": float(test.n_wave_vectors),
    }
    if reference is not None:
        expected = _test_of_reference(reference, float(np.abs(np.linalg.det(boxes[-1]))))
        numbers["reference_crystal_ratio"] = expected.ratio
        if not expected.has_peak:
            criterion += "; the box is too small to show the reference crystal's reflections"
    return Evidence(holds=not test.has_peak, criterion=criterion, numbers=numbers)


def _test_of_reference(crystal: Crystal, volume_a3: float) -> BraggTest:
    lengths = np.linalg.norm(crystal.cell, axis=1)
    repeats = np.maximum(1, np.rint(np.cbrt(volume_a3) / lengths)).astype(np.int64)
    shifts = np.stack(np.meshgrid(*[np.arange(n) for n in repeats], indexing="ij"), -1)
    images = shifts.reshape(-1, 1, 3) @ crystal.cell + crystal.positions
    rng = np.random.default_rng(0)
    shape = (_FRAMES_FOR_SCATTERING, images.size // 3, 3)
    frames = images.reshape(-1, 3) + rng.normal(0.0, _REFERENCE_RATTLE_A, shape)
    species = list(crystal.species) * int(repeats.prod())
    return bragg_test(structure_factor(frames, repeats[:, None] * crystal.cell, species))


def glass_transition(temperatures_k: Sequence[float], values: Sequence[float]) -> GlassTransition:
    """Find the kink between two straight lines, where the data show one.

    Two lines that meet must beat one line, and one parabola, since thermal expansion is
    curved, by more than 10 in the Bayesian information criterion, with three points or more
    on each side. The line above must be the steeper one, as expansivity and heat capacity rise
    at a glass transition. The interval is that of the profile likelihood.

    Parameters
    ----------
    temperatures_k
        K, shape (n,), in any order.
    values
        Density or enthalpy at each, shape (n,); a density rather than a volume, because
        constant expansivity bends a density towards slower change and a volume towards
        faster, as a glass transition does.

    Raises
    ------
    AnalysisError
        If lengths differ or values are not finite.
    """
    temperature = np.asarray(temperatures_k, dtype=np.float64)
    observed = np.asarray(values, dtype=np.float64)
    if temperature.shape != observed.shape or temperature.ndim != 1:
        raise AnalysisError(
            "temperatures and values do not pair up",
            given=f"shapes {temperature.shape} and {observed.shape}",
        )
    if not (np.isfinite(temperature).all() and np.isfinite(observed).all()):
        raise AnalysisError("temperatures or values are not finite", given="NaN or infinity")
    order = np.argsort(temperature)
    temperature, observed = temperature[order], observed[order]
    n = len(temperature)
    if n < 2 * _POINTS_PER_BRANCH:
        note = f"{n} temperatures, {2 * _POINTS_PER_BRANCH} needed to look for a kink"
        return GlassTransition(Quantity(status=Status.UNCONVERGED, note=note), None)
    grid = np.linspace(
        temperature[_POINTS_PER_BRANCH - 1], temperature[n - _POINTS_PER_BRANCH], _TG_GRID
    )
    floor = 1e-12 * float(np.square(observed - observed.mean()).sum()) + 1e-300
    line = np.column_stack([np.ones(n), (temperature - temperature.mean()) / np.ptp(temperature)])
    kinks = [np.column_stack([line, np.maximum(0.0, temperature - kink)]) for kink in grid]
    squares = np.array([_squares(design, observed) for design in kinks]) + floor
    best = int(squares.argmin())
    rivals = {"a line": line, "a parabola": np.column_stack([line, line[:, 1] ** 2])}
    gains = {
        name: n * np.log((_squares(design, observed) + floor) / squares[best])
        - (_KINK_PARAMETERS - design.shape[1]) * np.log(n)
        for name, design in rivals.items()
    }
    rival = min(gains, key=gains.__getitem__)
    delta = float(gains[rival])
    below, above = _slopes(kinks[best], observed, float(np.ptp(temperature)))
    if delta <= _MIN_DELTA_BIC:
        note = (
            f"no kink: change of BIC from {rival} {delta:.1f}, more than {_MIN_DELTA_BIC:g} needed"
        )
    elif abs(above) <= abs(below):
        note = "no glass transition: values change less above the kink than below it"
    else:
        return GlassTransition(_profile(grid, squares, n), delta)
    return GlassTransition(Quantity(status=Status.UNCONVERGED, note=note), delta)


def _profile(grid: FloatArray, squares: FloatArray, n: int) -> Quantity:
    """Return the kink with the interval of its profile likelihood."""
    best = int(squares.argmin())
    n_free = n - _KINK_PARAMETERS
    inside = grid[squares <= (1.0 + special.fdtri(1, n_free, 0.95) / n_free) * squares[best]]
    lower, upper = float(inside.min()), float(inside.max())
    sd = (upper - lower) / (2.0 * float(special.stdtrit(n_free, 0.975)))
    return Quantity(float(grid[best]), sd, lower, upper)


def _slopes(design: FloatArray, observed: FloatArray, range_k: float) -> tuple[float, float]:
    """Return the slopes below and above the kink of the best fit."""
    _, slope, change = np.linalg.lstsq(design, observed)[0].tolist()
    return slope / range_k, slope / range_k + change


def _squares(design: FloatArray, observed: FloatArray) -> float:
    solution = np.linalg.lstsq(design, observed)[0]
    return float(np.square(observed - design @ solution).sum())
