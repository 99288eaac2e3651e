"""Barriers of single hops: a nudged elastic band with a climbing image, resumable.

All images of a band go through :func:`~haloflow.engines.relax.relax` as one set of atoms, whose
forces are those of the band: checkpoints, walltime, signals and the criterion of convergence are
those of any relaxation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import find_mic
from ase.mep.neb import NEB, idpp_interpolate
from ase.utils.forcecurve import fit_images

from ..errors import InputError
from ..quantity import TWO_SIDED_95, Quantity, Status, worst
from .evaluator import forget_history
from .relax import relax
from .relax_settings import RelaxSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray

    from .relax_settings import RelaxResult

_SPRING_EV_A2: Final = 1.0
_BEFORE_CLIMBING: Final = 4.0
"""The band is first relaxed to so many times the criterion without a climbing image."""
_IDPP_FMAX: Final = 0.1
_IDPP_STEPS: Final = 200
_LEAST_SHARE: Final = 0.5
"""Of the hop: an ion that comes less far between the relaxed ends has fallen back."""
_FEWEST_IMAGES: Final = 1
_MEV: Final = 1e-3
_RATTLE_A: Final = 0.05
"""Standard deviation of the displacements that keep ends from resting where symmetry only
holds them, which is no minimum."""
_BELOW_EV: Final = 0.005


@dataclass(frozen=True)
class NebSettings:
    """How a band is relaxed.

    Attributes
    ----------
    n_images
        Between the ends.
    fmax_ev_a
        Largest force on an atom at convergence: of the ends, and across the band.
    max_steps
        Of each end and of the climbing band, after which they count as unconverged.
    checkpoint_interval
        Steps between checkpoints.
    """

    n_images: int = 5
    fmax_ev_a: float = 0.05
    max_steps: int = 300
    checkpoint_interval: int = 10

    def __post_init__(self) -> None:
        if self.n_images < _FEWEST_IMAGES:
            raise InputError(
                "a band needs images between its ends",
                given=self.n_images,
                allowed="1 or more",
                remedy="take 5",
            )

    def relaxation(self, *, fmax_ev_a: float | None = None) -> RelaxSettings:
        """Return the settings of a relaxation in a fixed cell."""
        return RelaxSettings(
            fmax_ev_a=fmax_ev_a or self.fmax_ev_a,
            cell=None,
            max_steps=self.max_steps,
            checkpoint_interval=self.checkpoint_interval,
        )


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


class Band(Calculator):
    """The images between two ends as one set of atoms: their energy is that of the highest.

    Parameters
    ----------
    ends
        First and last image, with energies.
    n_images
        Between them.
    calculator
        Evaluates one image at a time.
    climb
        Let the highest image climb.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(
        self, ends: tuple[Atoms, Atoms], n_images: int, calculator: Calculator, *, climb: bool
    ) -> None:
        super().__init__()
        first, last = ends
        self.images = [first, *[_bare(first) for _ in range(n_images)], last]
        self._calculator = calculator
        self._neb = NEB(
            self.images, k=_SPRING_EV_A2, climb=climb, method="improvedtangent",
            allow_shared_calculator=True,
        )  # fmt: skip

    def forget(self) -> None:
        """Make the next evaluation depend on nothing but the atoms it is given."""
        forget_history(self._calculator)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate every image, and project their forces."""
        super().calculate(atoms, properties, system_changes)
        positions = self.atoms.positions.reshape(len(self.images) - 2, -1, 3)
        for image, place in zip(self.images[1:-1], positions, strict=True):
            image.positions[:] = place
            _evaluate(image, self._calculator)
        forces = self._neb.get_forces()
        self.results = {"energy": float(np.max(self._neb.energies)), "forces": forces}


def find_barrier(
    ends: tuple[Atoms, Atoms],
    ion: int,
    calculator: Calculator,
    directory: Path,
    settings: NebSettings,
    *,
    signature: str,
    route: NDArray[np.float64] | None = None,
    walltime_s: Callable[[], float | None] = lambda: None,
    on_progress: Callable[[int, int], None] | None = None,
) -> NebResult:
    """Relax both ends and the band between them, or go on with what `directory` holds.

    Parameters
    ----------
    ends
        The atoms before and after the hop, in one order and one cell, which stays.
    ion
        Index of the atom that hops.
    calculator
        Any ASE calculator with energy and forces.
    directory
        Holds the checkpoints of this hop alone.
    settings
        See `NebSettings`.
    signature
        Identity of the step and hop; checkpoints of another one are refused.
    route
        Places of the ion from end to end at equal distances, A, shape (n_images + 2, 3), to
        start the band from; a straight line by default. IDPP (Smidstrup et al., J. Chem. Phys.
        140, 214106 (2014)) makes room for it.
    walltime_s
        Seconds that are left.
    on_progress
        Called with the steps done and those that there may be.

    Raises
    ------
    InputError
        There is no image between the ends.
    InterruptedRunError
        After a signal or the walltime; a checkpoint was written.
    CheckpointError
        `directory` holds another hop.
    """
    total = 4 * settings.max_steps
    done: list[RelaxResult] = []

    def moved(name: str, atoms: Atoms, by: Calculator, how: RelaxSettings) -> RelaxResult:
        before = len(done) * settings.max_steps
        report = (lambda n, _most: on_progress(before + n, total)) if on_progress else None
        result = relax(
            atoms, by, directory / name, how,
            signature=f"{signature} {name}", on_progress=report, walltime_s=walltime_s(),
        )  # fmt: skip
        done.append(result)
        return result

    names = ("start", "end")
    relaxed = [
        moved(name, _rattled(atoms), calculator, settings.relaxation())
        for name, atoms in zip(names, ends, strict=True)
    ]
    first, last = _continuous(relaxed[0].atoms, relaxed[1].atoms)
    notes = [f"{name}: {one.note}" for name, one in zip(names, relaxed, strict=True) if one.note]
    status = worst(*(one.status for one in relaxed))
    asked = find_mic(ends[1].positions[ion] - ends[0].positions[ion], first.cell)[1]
    came = float(np.linalg.norm(last.positions[ion] - first.positions[ion]))
    if status.is_broken or came < _LEAST_SHARE * asked:
        fell = f"the ion falls back: {came:.2f} A between the relaxed ends of {asked:.2f} A"
        return _none(worst(status, Status.UNCONVERGED), notes or [fell], [first, last], done)
    start = interpolated(first, last, settings.n_images, ion, route)
    loose = settings.relaxation(fmax_ev_a=_BEFORE_CLIMBING * settings.fmax_ev_a)
    band = Band((first, last), settings.n_images, calculator, climb=False)
    near = moved("band", _joined(start), band, loose)
    if near.status.is_broken:
        return _none(near.status, [near.note], [first, last], done)
    climbing = Band((first, last), settings.n_images, calculator, climb=True)
    top = moved("climb", near.atoms, climbing, settings.relaxation())
    if top.status.is_broken:
        return _none(top.status, [top.note], [first, last], done)
    forget_history(climbing)
    climbing.forget()
    final = _joined(start)
    final.positions[:] = top.atoms.positions
    climbing.calculate(final)
    if top.note:
        notes.append(f"band: {top.note}")
    return _result(worst(status, top.status), notes, climbing.images, top.max_force_ev_a, done)


def interpolated(
    first: Atoms, last: Atoms, n_images: int, ion: int, route: NDArray[np.float64] | None = None
) -> list[Atoms]:
    """Return all images of a band by IDPP, from a straight line or with the ion on `route`."""
    images = [_bare(first) for _ in range(n_images + 2)]
    move = last.positions - first.positions
    for share, image in zip(np.linspace(0, 1, n_images + 2), images, strict=True):
        image.positions += share * move
    if route is not None:
        line = np.linspace(0, 1, len(route))[:, None] * (route[-1] - route[0]) + route[0]
        for image, aside in zip(images, route - line, strict=True):
            image.positions[ion] += aside
    band = NEB(images, method="improvedtangent", allow_shared_calculator=True)
    idpp_interpolate(band, traj=None, log=None, fmax=_IDPP_FMAX, mic=True, steps=_IDPP_STEPS)
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
    fit = fit_images(images)
    energies = [image.get_potential_energy() - images[0].get_potential_energy() for image in images]
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
    error = max(abs(float(np.max(fit.fit_energies)) - energies[top]), _MEV)

    def over(end: float) -> Quantity:
        if not 0 < top < len(images) - 1:
            return Quantity(status=status, note=note)
        height = energies[top] - end
        ends = (height - TWO_SIDED_95 * error, height + TWO_SIDED_95 * error)
        return Quantity(height, error, *ends, status, note)

    return over(0.0), over(energies[-1]), [float(s) for s in fit.path], energies


def _result(
    status: Status, notes: list[str], images: list[Atoms], force: float, done: list[RelaxResult]
) -> NebResult:
    forward, backward, path, energies = barrier_of(images, status, "; ".join(notes))
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
        n_steps=sum(one.n_steps for one in done),
        n_resumes=sum(one.n_resumes for one in done),
    )


def _none(
    status: Status, notes: list[str], images: list[Atoms], done: list[RelaxResult]
) -> NebResult:
    """Return a band without a barrier."""
    note = "; ".join(notes)
    nothing = Quantity(status=status, note=note)
    return NebResult(
        status, note, nothing, nothing, math.nan, images, [], [], 0, math.nan,
        sum(one.n_steps for one in done), sum(one.n_resumes for one in done),
    )  # fmt: skip


def _rattled(atoms: Atoms) -> Atoms:
    moved = _bare(atoms)
    noise = np.random.default_rng(1).normal(scale=_RATTLE_A, size=moved.positions.shape)
    moved.positions += noise - noise.mean(axis=0)
    return moved


def _bare(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    copy.calc = None
    return copy


def _joined(images: Sequence[Atoms]) -> Atoms:
    """Return the images between the ends as one set of atoms."""
    joined = _bare(images[1])
    for image in images[2:-1]:
        joined += image
    return joined


def _continuous(first: Atoms, last: Atoms) -> tuple[Atoms, Atoms]:
    """Return both ends, every atom of the last one at its image next to the first one's."""
    moved = last.copy()
    move = find_mic(last.positions - first.positions, first.cell)[0]
    moved.positions[:] = first.positions + move
    moved.calc = SinglePointCalculator(
        moved, energy=last.get_potential_energy(), forces=last.get_forces()
    )
    return first, moved


def _evaluate(image: Atoms, calculator: Any) -> None:  # noqa: ANN401  (ASE calculators share no base class)
    """Attach the energy and forces of an image, as if no other had been evaluated before."""
    forget_history(calculator)
    forces = np.array(calculator.get_property("forces", image), dtype=np.float64)
    results = calculator.results
    energy = float(results.get("free_energy", results.get("energy")))
    image.calc = SinglePointCalculator(image, energy=energy, forces=forces)
