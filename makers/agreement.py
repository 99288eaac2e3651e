"""Whether two runs at the same conditions give the same numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_masses
from scipy import special

from ..analysis.blocks import block_means
from ..analysis.bonds import ANIONS
from ..analysis.diffusion import estimate_diffusivity
from ..analysis.rdf import (
    coordination_quantity,
    first_maximum_a,
    first_minimum_a,
    pair_distributions,
)
from ..quantity import Quantity, Status
from ..stores.student_checks import Agreement
from ..units import FS_PER_PS, density_g_cm3
from .run_data import part_of, production_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..analysis.rdf import PairDistributions, PartialRdf
    from ..engines.trajectory import TrajectoryReader
    from ..stores.documents import MDDocument
    from ..stores.step_files import StepFiles
    from ..stores.student_checks import ComparedRun

_RANGE_A = 6.0
_BINS = 300
_BLOCKS = 4
_TAIL = 0.025
_LEAST_NEIGHBOURS = 0.3
"""Below that, a peak is made of too few pairs to have a place."""


@dataclass(frozen=True)
class Tolerances:
    """How much two runs may differ.

    Attributes
    ----------
    density
        Over the first run's.
    peak_a
        First peak of a pair distribution.
    coordination
        Neighbours.
    """

    density: float
    peak_a: float
    coordination: float


def compare_runs(
    first: MDDocument,
    second: MDDocument,
    files: StepFiles,
    tolerances: Tolerances,
    *,
    mobile: str | None = None,
) -> list[Agreement]:
    """Compare density, first peaks, neighbours and, of a `mobile` ion, diffusivity.

    Parameters
    ----------
    first, second
        The same settings, from the same atoms: teacher and student.
    files
        Where their trajectories are.
    tolerances
        Beyond the statistical error.
    mobile
        Ion whose diffusivities are compared.
    """
    found = []
    relaxed = [part_of(run, "equilibration", files) for run in (first, second)]
    if relaxed[0] is not None and relaxed[1] is not None:
        one, other = _density(relaxed[0]), _density(relaxed[1])
        limit = tolerances.density * (one.value or 0.0)
        found.append(_within("density / g/cm3", one, other, limit))
    readers = [production_of(run, files) for run in (first, second)]
    if readers[0] is None or readers[1] is None:
        return found
    found += _structure(_pairs(readers[0]), _pairs(readers[1]), tolerances)
    if mobile is not None:
        one, other = (
            _diffusivity(run, reader, mobile)
            for run, reader in zip((first, second), readers, strict=True)
            if reader is not None
        )
        found.append(_overlap(f"D of {mobile} / cm2/s", one, other))
    return found


def _density(reader: TrajectoryReader) -> Quantity:
    """Return the mean density of the second half, with its error from blocks."""
    volumes = np.abs(np.linalg.det(reader.cells(reader.n_frames // 2)))
    mass = float(atomic_masses[reader.numbers].sum())
    densities = [density_g_cm3(mass, float(volume)) for volume in volumes]
    return _blocked(densities)


def _blocked(values: list[float]) -> Quantity:
    n_blocks = min(_BLOCKS, len(values))
    if n_blocks < 2:  # noqa: PLR2004  (a deviation needs two)
        return Quantity(values[0])
    means = block_means(values, n_blocks)
    return Quantity(float(np.mean(values)), sd=float(np.std(means, ddof=1) / np.sqrt(n_blocks)))


def _pairs(reader: TrajectoryReader) -> PairDistributions:
    return pair_distributions(
        reader.positions(),
        reader.cells(),
        reader.species.tolist(),
        r_max_a=_RANGE_A,
        n_bins=_BINS,
        n_blocks=_BLOCKS,
    )


def _structure(
    first: PairDistributions, second: PairDistributions, tolerances: Tolerances
) -> list[Agreement]:
    """Compare each cation's anions: where they are and how many, within the first's shell."""
    found = []
    for cation in sorted(first.numbers.keys() - set(ANIONS)):
        for anion in sorted(first.numbers.keys() & set(ANIONS)):
            one, other = first.around(cation, anion), second.around(cation, anion)
            cutoff_a = first_minimum_a(one)
            if cutoff_a is None:
                continue
            counts = [coordination_quantity(rdf, cutoff_a) for rdf in (one, other)]
            if (counts[0].value or 0.0) < _LEAST_NEIGHBOURS:
                continue
            pair = f"{cation}-{anion}"
            found += [
                _within(f"first peak of {pair} / A", _peak(one), _peak(other), tolerances.peak_a),
                _within(f"{anion} around {cation}", counts[0], counts[1], tolerances.coordination),
            ]
    return found


def _peak(rdf: PartialRdf) -> Quantity:
    """Return the first peak, with its error from blocks of frames."""
    blocks = [first_maximum_a(replace(rdf, g=g)) for g in rdf.g_blocks]
    known = [peak for peak in blocks if peak is not None]
    sd = float(np.std(known, ddof=1) / np.sqrt(len(known))) if len(known) > 1 else None
    return Quantity(first_maximum_a(rdf), sd=sd)


def _diffusivity(run: MDDocument, reader: TrajectoryReader, mobile: str) -> Quantity:
    return estimate_diffusivity(
        reader.positions(),
        reader.cells(),
        reader.species == mobile,
        frame_ps=run.trajectory_interval_steps * run.timestep_fs / FS_PER_PS,
        unwrapped=True,
    ).diffusivity_cm2_s


def judged_together(runs: Sequence[ComparedRun]) -> list[ComparedRun]:
    """Return the runs with the verdicts of all their numbers at once.

    Of many numbers, some differ beyond their own 95 % interval by chance: the intervals are
    those that hold all differences with 95 % (Bonferroni).
    """
    n = sum(one.limit is not None for run in runs for one in run.agreements)
    return [
        run.model_copy(
            update={
                "agreements": [
                    one if one.limit is None
                    else _within(one.what, one.teacher, one.student, one.limit, n)
                    for one in run.agreements
                ]
            }
        )
        for run in runs
    ]  # fmt: skip


def _within(
    what: str, one: Quantity, other: Quantity, limit: float, n_compared: int = 1
) -> Agreement:
    """Compare two numbers; what is beyond the limit, but not beyond its error, is unconverged."""
    if one.value is None or other.value is None:
        status = Status.OUT_OF_DOMAIN if one.value is not None else Status.UNCONVERGED
        return Agreement(what=what, teacher=one, student=other, limit=limit, status=status)
    beyond = abs(other.value - one.value) - limit
    error = half_width_95(one.sd or 0.0, other.sd or 0.0, n_compared=n_compared)
    status = Status.OK
    if beyond > 0:
        status = Status.UNCONVERGED if beyond <= error else Status.OUT_OF_DOMAIN
    return Agreement(what=what, teacher=one, student=other, limit=limit, status=status)


def half_width_95(*sds: float, n_compared: int = 1) -> float:
    """Return half the 95 % interval of a difference of two means of blocks, as Welch has it.

    With `n_compared`, half of those intervals that hold so many differences at once.
    """
    variances = np.square(sds)
    if not variances.any():
        return 0.0
    freedom = variances.sum() ** 2 / np.square(variances).sum() * (_BLOCKS - 1)
    return float(special.stdtrit(freedom, 1.0 - _TAIL / n_compared) * np.sqrt(variances.sum()))


def _overlap(what: str, one: Quantity, other: Quantity) -> Agreement:
    """Compare two numbers by their 95 % intervals; an end that is not known overlaps."""
    apart = any(
        upper is not None and lower is not None and upper < lower
        for upper, lower in ((one.upper, other.lower), (other.upper, one.lower))
    )
    status = Status.OUT_OF_DOMAIN
    if not apart:
        known = one.status is Status.OK and other.status is Status.OK
        status = Status.OK if known else Status.UNCONVERGED
    return Agreement(what=what, teacher=one, student=other, limit=None, status=status)
