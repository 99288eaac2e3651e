"""Barriers of single hops: a nudged elastic band with a climbing image, resumable.

All images of a band go through :func:`~haloflow.engines.relax.relax` as one set of atoms, whose
forces are those of the band: checkpoints, walltime, signals and the criterion of convergence are
those of any relaxation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.mep.neb import NEB

from ..errors import InputError
from ..quantity import Status, worst
from .evaluator import forget_history
from .neb_images import (
    Spent,
    bare,
    continuous,
    fell_back,
    interpolated,
    judged,
    rattled,
    without_barrier,
)
from .relax import relax
from .relax_settings import RelaxSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray

    from .neb_images import NebResult
    from .relax_settings import RelaxResult

_SPRING_EV_A2: Final = 1.0
_BEFORE_CLIMBING: Final = 4.0
"""The band is first relaxed to so many times the criterion without a climbing image."""
_FEWEST_IMAGES: Final = 1


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
        self.images = [first, *[bare(first) for _ in range(n_images)], last]
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
        moved(name, rattled(atoms), calculator, settings.relaxation())
        for name, atoms in zip(names, ends, strict=True)
    ]
    first, last = continuous(ends, (relaxed[0].atoms, relaxed[1].atoms))
    notes = [f"{name}: {one.note}" for name, one in zip(names, relaxed, strict=True) if one.note]
    status = worst(*(one.status for one in relaxed))
    spent = Spent(done)
    if status.is_broken:
        return without_barrier(status, notes, [first, last], spent)
    if fell := fell_back(ends, (first, last), ion):
        return without_barrier(Status.UNCONVERGED, [*notes, fell], [first, last], spent)
    start = interpolated(first, last, settings.n_images, ion, route)
    loose = settings.relaxation(fmax_ev_a=_BEFORE_CLIMBING * settings.fmax_ev_a)
    band = Band((first, last), settings.n_images, calculator, climb=False)
    near = moved("band", _joined(start), band, loose)
    if near.status.is_broken:
        return without_barrier(near.status, [near.note], [first, last], spent)
    climbing = Band((first, last), settings.n_images, calculator, climb=True)
    top = moved("climb", near.atoms, climbing, settings.relaxation())
    if top.status.is_broken:
        return without_barrier(top.status, [top.note], [first, last], spent)
    forget_history(climbing)
    climbing.forget()
    final = _joined(start)
    final.positions[:] = top.atoms.positions
    climbing.calculate(final)
    if top.note:
        notes.append(f"band: {top.note}")
    return judged(worst(status, top.status), notes, climbing.images, top.max_force_ev_a, spent)


def _joined(images: Sequence[Atoms]) -> Atoms:
    """Return the images between the ends as one set of atoms."""
    joined = bare(images[1])
    for image in images[2:-1]:
        joined += image
    return joined


def _evaluate(image: Atoms, calculator: Any) -> None:  # noqa: ANN401  (ASE calculators share no base class)
    """Attach the energy and forces of an image, as if no other had been evaluated before."""
    forget_history(calculator)
    forces = np.array(calculator.get_property("forces", image), dtype=np.float64)
    results = calculator.results
    energy = float(results.get("free_energy", results.get("energy")))
    image.calc = SinglePointCalculator(image, energy=energy, forces=forces)
