"""The images of a band: between which ends, where they start, and the barrier they show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.geometry import find_mic
from ase.mep.neb import NEB, idpp_interpolate
from ase.utils.forcecurve import fit_images
from scipy.interpolate import CubicSpline

from ..quantity import TWO_SIDED_95, Quantity, Status, worst

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms
    from numpy.typing import NDArray

    from .relax_settings import RelaxResult

_IDPP_FMAX: Final = 0.1
_IDPP_STEPS: Final = 200
_LEAST_SHARE: Final = 0.5
"""Of the hop: an ion that comes less far between the relaxed ends has fallen back."""
_FROM_ITS_SITE_A: Final = 0.8
"""An ion that an end takes farther from the asked site sits in another one."""
_ANOTHER_HOP_A: Final = 1.0
"""Between the ends; an ion that goes so far has hopped too."""
_MEV: Final = 1e-3
_RATTLE_A: Final = 0.05
"""Standard deviation of the displacements that keep ends from resting where symmetry only
holds them, which is no minimum."""
_BELOW_EV: Final = 0.005
_CURVE_POINTS: Final = 400


@dataclass(frozen=True)
class NebResult:
    """A band, and the barrier on it.

    Attributes
    ----------
    status, note
        ``ok``, or what is wrong with the barrier.
    forward_ev, backward_ev
        Barriers in both directions; the error is that of the curve through the images.
    difference_ev
        Energy of the last end relative to the first.
    images
        From end to end, with energies and forces attached.
    path_a
        Distance along the band at each image, A.
    energies_ev
        Relative to the first end, shape (n_images + 2,).
    top
        Index of the highest image.
    max_force_ev_a
        Largest force on an atom across the band.
    n_steps, n_resumes
        Of all relaxations, and how often they were taken up again.
    """

    status: Status
    note: str
    forward_ev: Quantity
    backward_ev: Quantity
    difference_ev: float
    images: list[Atoms]
    path_a: list[float]
    energies_ev: list[float]
    top: int
    max_force_ev_a: float
    n_steps: int
    n_resumes: int


@dataclass
class Spent:
    """Steps that a hop has taken so far.

    Attributes
    ----------
    relaxations
        Of a potential; more may be added.
    n_steps, n_resumes
        Of others.
    """

    relaxations: Sequence[RelaxResult] = ()
    n_steps: int = 0
    n_resumes: int = 0

    @property
    def total(self) -> tuple[int, int]:
        """Steps, and how often they were taken up again."""
        steps = self.n_steps + sum(one.n_steps for one in self.relaxations)
        return steps, self.n_resumes + sum(one.n_resumes for one in self.relaxations)


def interpolated(
    first: Atoms, last: Atoms, n_images: int, ion: int, route: NDArray[np.float64] | None = None
) -> list[Atoms]:
    """Return all images of a band by IDPP, from a straight line or with the ion held on `route`."""
    images = [bare(first) for _ in range(n_images + 2)]
    move = last.positions - first.positions
    for share, image in zip(np.linspace(0, 1, n_images + 2), images, strict=True):
        image.positions += share * move
    if route is not None:
        line = np.linspace(0, 1, len(route))[:, None] * (route[-1] - route[0]) + route[0]
        for image, aside in zip(images, route - line, strict=True):
            image.positions[ion] += aside
            image.set_constraint(FixAtoms([ion]))  # IDPP knows none but the straight way
    band = NEB(images, method="improvedtangent", allow_shared_calculator=True)
    idpp_interpolate(band, traj=None, log=None, fmax=_IDPP_FMAX, mic=True, steps=_IDPP_STEPS)
    for image in images:
        image.set_constraint()
    return images


def barrier_of(
    images: list[Atoms], status: Status, note: str
) -> tuple[Quantity, Quantity, list[float], list[float]]:
    """Return the barriers forward and backward, the path in A and the energies in eV.

    Parameters
    ----------
    images
        From end to end, with energies and forces.
    status, note
        What is known of the band already. A band without a top between its ends gets a
        status and note of its own, and so does one that sinks below them.
    """
    energies = [image.get_potential_energy() - images[0].get_potential_energy() for image in images]
    steps = [
        float(np.linalg.norm(find_mic(b.positions - a.positions, a.cell)[0]))
        for a, b in pairwise(images)
    ]
    path = [0.0, *np.cumsum(steps).tolist()]
    top = int(np.argmax(energies))
    below = min(energies[0], energies[-1]) - min(energies)
    wrong = []
    if not 0 < top < len(images) - 1:
        wrong.append("no saddle between the ends")
    if below > _BELOW_EV:
        wrong.append(f"an image lies {below:.3f} eV below the lower end")
    if wrong:
        status = worst(status, Status.UNCONVERGED)
        note = "; ".join(filter(None, [*wrong, note]))
    error = max(abs(_curve_top(images, path, energies) - energies[top]), _MEV)

    def over(end: float) -> Quantity:
        if not 0 < top < len(images) - 1:
            return Quantity(status=status, note=note)
        height = energies[top] - end
        ends = (height - TWO_SIDED_95 * error, height + TWO_SIDED_95 * error)
        return Quantity(height, error, *ends, status, note)

    return over(0.0), over(energies[-1]), path, energies


def fell_back(asked: tuple[Atoms, Atoms], relaxed: tuple[Atoms, Atoms], ion: int) -> str:
    """Say that the relaxed ends are not those of the asked hop; nothing where they are."""
    far = float(np.linalg.norm(asked[1].positions[ion] - asked[0].positions[ion]))
    moves = relaxed[1].positions - relaxed[0].positions
    came = float(np.linalg.norm(moves[ion]))
    if came < _LEAST_SHARE * far:
        return f"the ion falls back: {came:.2f} A between the relaxed ends of {far:.2f} A"
    for name, end, site in zip(("start", "end"), relaxed, asked, strict=True):
        off = float(np.linalg.norm(end.positions[ion] - site.positions[ion]))
        if off > _FROM_ITS_SITE_A:
            return f"{name}: the ion comes to rest {off:.2f} A from the asked site"
    alike = relaxed[0].numbers == relaxed[0].numbers[ion]
    alike[ion] = False
    lengths = np.where(alike, np.linalg.norm(moves, axis=1), 0.0)
    other = int(np.argmax(lengths))
    if lengths[other] > _ANOTHER_HOP_A:
        symbol = relaxed[0].symbols[other]
        return f"{symbol}{other} hops too: {lengths[other]:.2f} A between the relaxed ends"
    return ""


def judged(
    status: Status, notes: Sequence[str], images: list[Atoms], force: float, spent: Spent
) -> NebResult:
    """Return the barrier of relaxed images; `force` is the largest one across the band."""
    forward, backward, path, energies = barrier_of(images, status, "; ".join(notes))
    n_steps, n_resumes = spent.total
    return NebResult(
        status=forward.status,
        note=forward.note,
        forward_ev=forward,
        backward_ev=backward,
        difference_ev=energies[-1],
        images=images,
        path_a=path,
        energies_ev=energies,
        top=int(np.argmax(energies)),
        max_force_ev_a=force,
        n_steps=n_steps,
        n_resumes=n_resumes,
    )


def without_barrier(
    status: Status, notes: Sequence[str], images: list[Atoms], spent: Spent
) -> NebResult:
    """Return a band without a barrier, and why."""
    note = "; ".join(notes)
    nothing = Quantity(status=status, note=note)
    return NebResult(
        status, note, nothing, nothing, math.nan, images, [], [], 0, math.nan, *spent.total
    )


def _curve_top(images: list[Atoms], path: Sequence[float], energies: Sequence[float]) -> float:
    """Return the top of the curve through energies, and forces where they are known."""
    if all("forces" in image.calc.results for image in images):
        return float(np.max(fit_images(images).fit_energies))
    fine = np.linspace(path[0], path[-1], _CURVE_POINTS)
    return float(CubicSpline(path, energies)(fine).max())


def rattled(atoms: Atoms) -> Atoms:
    """Return the atoms a little displaced, the same way every time."""
    moved = bare(atoms)
    noise = np.random.default_rng(1).normal(scale=_RATTLE_A, size=moved.positions.shape)
    moved.positions += noise - noise.mean(axis=0)
    return moved


def bare(atoms: Atoms) -> Atoms:
    """Return the atoms alone."""
    copy = atoms.copy()
    copy.calc = None
    return copy


def continuous(asked: tuple[Atoms, Atoms], relaxed: tuple[Atoms, Atoms]) -> tuple[Atoms, Atoms]:
    """Return the relaxed ends, every atom at its image next to where it was asked to be."""
    first, last = (_next_to(*pair) for pair in zip(asked, relaxed, strict=True))
    return first, last


def _next_to(asked: Atoms, relaxed: Atoms) -> Atoms:
    moved = relaxed.copy()
    move = find_mic(relaxed.positions - asked.positions, asked.cell)[0]
    moved.positions[:] = asked.positions + move
    moved.calc = SinglePointCalculator(moved, **relaxed.calc.results)
    return moved
