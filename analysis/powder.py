"""Powder patterns of crystals and glasses in the same units, on one axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .form_factors import form_factors
from .frames import as_species, as_trajectory
from .scattering import intensity_blocks, wave_vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from .frames import FloatArray
    from .scattering import WaveVectors

CU_K_ALPHA_A = 1.54184
CRYSTAL_WIDTH_INV_A = 0.02
GLASS_WIDTH_INV_A = 0.15
_SIGMA_PER_WIDTH = 1.0 / np.sqrt(8.0 * np.log(2.0))
_REACH_IN_SIGMA = 5.0
_RIGHT_ANGLE_DEG = 90.0


@dataclass(frozen=True, slots=True)
class PowderPattern:
    """Scattering of a powder per atom.

    Attributes
    ----------
    two_theta_deg
        Scattering angle, degrees, shape (n,).
    q_inv_a
        4 pi sin(theta) / wavelength, 1/A, same shape.
    intensity_e2_per_atom
        Coherent intensity per atom and solid angle, electron units, with the polarisation
        factor (1 + cos^2 2 theta) / 2 of an unpolarised beam, same shape. The area of a
        reflection over two theta is proportional to multiplicity |F|^2 Lp.
    wavelength_a
        A.
    """

    two_theta_deg: FloatArray
    q_inv_a: FloatArray
    intensity_e2_per_atom: FloatArray
    wavelength_a: float


def crystal_pattern(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    *,
    two_theta_deg: ArrayLike,
    wavelength_a: float = CU_K_ALPHA_A,
    width_inv_a: float = CRYSTAL_WIDTH_INV_A,
) -> PowderPattern:
    """Return the pattern of a crystal whose repeat unit is the given cell.

    Reflections are Gaussian in q. Frames of a supercell give thermal motion and the diffuse
    scattering between the reflections as well; one cell gives a crystal at rest.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_atoms, 3) or (n_frames, n_atoms, 3).
    cells
        Row vectors, A, shape (3, 3) or (n_frames, 3, 3).
    species
        Element symbols, shape (n_atoms,).
    two_theta_deg
        Angles, degrees, increasing, shape (n,).
    wavelength_a
        A; default: mean of Cu K alpha.
    width_inv_a
        Full width of a reflection at half maximum, 1/A.

    Raises
    ------
    AnalysisError
        For arrays that do not fit, angles out of range or no reflection in range.
    """
    angle, q = _axis(two_theta_deg, wavelength_a)
    frames, boxes = as_trajectory(positions, cells)
    sigma = width_inv_a * _SIGMA_PER_WIDTH
    vectors = wave_vectors(boxes, float(q[-1]) + _REACH_IN_SIGMA * sigma)
    per_atom = _intensity(frames, boxes, species, vectors)
    volume = float(np.abs(np.linalg.det(boxes)).mean())
    area = 2.0 * 2.0 * np.pi**2 / (volume * vectors.q_inv_a**2) * per_atom
    total = _smeared(q, vectors.q_inv_a, area, sigma) / (sigma * np.sqrt(2.0 * np.pi))
    return PowderPattern(angle, q, _polarisation(angle) * total, wavelength_a)


def glass_pattern(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    *,
    two_theta_deg: ArrayLike,
    wavelength_a: float = CU_K_ALPHA_A,
    width_inv_a: float = GLASS_WIDTH_INV_A,
) -> PowderPattern:
    """Return the pattern of a disordered box: the mean of |F|^2 over wave vectors near each q.

    Unlike the sum over pairs at minimum-image distances (Debye), this is the scattering of the
    periodic box itself. Angles below its smallest wave vector are left out.

    Parameters
    ----------
    width_inv_a
        Full width at half maximum of the Gaussian mean, 1/A: 2 pi over the length of the box
        or less.

    Other parameters and errors are those of :func:`crystal_pattern`.
    """
    angle, q = _axis(two_theta_deg, wavelength_a)
    frames, boxes = as_trajectory(positions, cells)
    sigma = width_inv_a * _SIGMA_PER_WIDTH
    vectors = wave_vectors(boxes, float(q[-1]) + _REACH_IN_SIGMA * sigma)
    per_atom = _intensity(frames, boxes, species, vectors)
    inside = q >= vectors.q_inv_a[0] - sigma
    if not inside.any():
        raise AnalysisError(
            "all angles lie below the smallest wave vector of the box",
            given=f"up to {angle[-1]:g} degrees",
            remedy="ask for larger angles, or simulate a larger box",
        )
    angle, q = angle[inside], q[inside]
    # one wave vector stands for a volume of reciprocal space, so each counts as 1 / q^2
    share = 1.0 / vectors.q_inv_a**2
    total = _smeared(q, vectors.q_inv_a, share * per_atom, sigma)
    number = _smeared(q, vectors.q_inv_a, share, sigma)
    mean = np.interp(q, q[number > 0], total[number > 0] / number[number > 0])
    return PowderPattern(angle, q, _polarisation(angle) * mean, wavelength_a)


def _axis(two_theta_deg: ArrayLike, wavelength_a: float) -> tuple[FloatArray, FloatArray]:
    angle = np.asarray(two_theta_deg, dtype=np.float64)
    if (
        angle.ndim != 1
        or not len(angle)
        or not (np.diff(angle) > 0).all()
        or not (angle[0] > 0.0 and angle[-1] < 2.0 * _RIGHT_ANGLE_DEG and wavelength_a > 0.0)
    ):
        raise AnalysisError(
            "a powder pattern needs increasing angles and a wavelength",
            given=f"{angle.size} angles, wavelength {wavelength_a:g} A",
            allowed="angles two theta between 0 and 180 degrees, wavelengths above 0",
        )
    return angle, 4.0 * np.pi * np.sin(np.radians(angle) / 2.0) / wavelength_a


def _intensity(
    positions: ArrayLike, cells: ArrayLike, species: Sequence[str], vectors: WaveVectors
) -> FloatArray:
    frames, boxes = as_trajectory(positions, cells)
    symbols = as_species(species, frames.shape[1])
    names = [str(name) for name in np.unique(symbols)]
    weights = dict(zip(names, form_factors(names, vectors.q_inv_a), strict=True))
    blocks = intensity_blocks(frames, boxes, symbols, vectors, weights)
    per_atom: FloatArray = blocks[0] / len(symbols)
    return per_atom


def _smeared(q: FloatArray, at: FloatArray, height: FloatArray, sigma: float) -> FloatArray:
    """Sum Gaussians of unit height, scaled, at increasing positions."""
    total = np.zeros(len(q))
    first = np.searchsorted(at, q - _REACH_IN_SIGMA * sigma)
    last = np.searchsorted(at, q + _REACH_IN_SIGMA * sigma)
    for place, (start, stop) in enumerate(zip(first, last, strict=True)):
        near = slice(start, stop)
        total[place] = np.exp(-0.5 * ((q[place] - at[near]) / sigma) ** 2) @ height[near]
    return total


def _polarisation(two_theta_deg: FloatArray) -> FloatArray:
    factor: FloatArray = 0.5 * (1.0 + np.cos(np.radians(two_theta_deg)) ** 2)
    return factor
