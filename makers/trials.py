"""A student's own MD, which looks for the end of what the student knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.fingerprints import farthest_points, frame_fingerprint
from ..engines.domain import domain_guard
from ..engines.guards import LARGEST_VOLUME_RATIO
from ..engines.md import MDSettings, run_md
from ..engines.relax import relax
from ..engines.relax_settings import RelaxSettings
from ..engines.trajectory import TrajectoryReader
from ..quantity import Status
from ..units import density_g_cm3
from .frames import frame_at, reduced_formula
from .guards import Stage, dynamics_guards
from .training_set import domain_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from ..engines.domain import NepDomain
    from ..engines.md import MDResult
    from ..stores.training import FrameGroup

_GRADED_FRAMES = 200
_PACKING = "packing"
_RELAX_STEPS = (3, 10, 30, 100)


@dataclass(frozen=True)
class Trial:
    """One run of a student.

    Attributes
    ----------
    name
        Of its folder.
    start
        Structure that it starts from.
    settings
        Ensemble, temperatures, length.
    is_packing
        Whether the start is packed at random, and is relaxed first.
    """

    name: str
    start: Atoms
    settings: MDSettings
    is_packing: bool = False


@dataclass
class Tried:
    """A trial that ran.

    Attributes
    ----------
    frames, grades
        Of the relaxation and evenly spread over the run, and their largest grades.
    """

    trial: Trial
    result: MDResult
    frames: list[Atoms]
    grades: list[float]

    def share_above(self, grade: float) -> float:
        """Return the share of frames above `grade`."""
        return float(np.mean(np.array(self.grades) > grade))

    @property
    def boiled(self) -> bool:
        """Whether its volume grew beyond all bounds, as volatile liquids' do at no pressure."""
        grown = self.result.atoms.get_volume() / self.trial.start.get_volume()
        return self.result.status is Status.DIVERGED and bool(grown > LARGEST_VOLUME_RATIO)

    @property
    def density_g_cm3(self) -> tuple[float, float]:
        """From and to."""
        mass = float(self.frames[0].get_masses().sum())
        volumes = self.result.thermo["volume_a3"]
        volumes = volumes[np.isfinite(volumes)]
        return density_g_cm3(mass, float(volumes.max())), density_g_cm3(mass, float(volumes.min()))


def trial_starts(
    frames: Sequence[Atoms], groups: Sequence[FrameGroup]
) -> tuple[list[Atoms], list[Atoms], list[Atoms]]:
    """Return what trials start from, of the frames of a training set.

    The coldest frame of a run of each formula, each crystal, and for each formula the two
    packings of middle density.
    """
    origin = {group.name: group.origin for group in groups}
    runs: dict[str, Atoms] = {}
    crystals: dict[str, Atoms] = {}
    packings: dict[str, list[Atoms]] = {}
    for frame in frames:
        name = frame.info["trajectory"]
        formula = domain_of([frame]).formulas[0]
        match origin.get(name):
            case "packing":
                packings.setdefault(formula, []).append(frame)
            case "crystal":
                crystals.setdefault(name, frame)
            case str():
                if formula not in runs or _heat(frame) < _heat(runs[formula]):
                    runs[formula] = frame
    middle = [frame for packed in packings.values() for frame in _of_middle_density(packed)]
    return (
        [_bare(frame) for frame in runs.values()],
        [_bare(frame) for frame in crystals.values()],
        [_bare(frame) for frame in middle],
    )


def _heat(frame: Atoms) -> float:
    return float(frame.info.get("temperature_k", np.inf))


def _of_middle_density(packed: list[Atoms]) -> list[Atoms]:
    by_density = sorted(packed, key=lambda frame: len(frame) / float(frame.get_volume()))
    middle = len(by_density) // 2
    return by_density[max(0, middle - 1) : middle + 1]


def _bare(frame: Atoms) -> Atoms:
    bare = frame.copy()
    bare.calc = None
    return bare


def plan_trials(
    starts: Sequence[Atoms],
    crystals: Sequence[Atoms],
    packings: Sequence[Atoms] = (),
    *,
    temperatures_k: Sequence[float],
    density_scales: Sequence[float],
    n_steps: int,
    timestep_fs: float,
    seed: int,
) -> list[Trial]:
    """Return the trials of a student.

    From one disordered frame of each formula: constant pressure at each temperature but the
    highest, that of the melt, which may boil; constant volume there, as it is, at each density,
    and in a quench to the lowest. From each crystal: its whole cell free at the lowest
    temperature. From each packing: relaxed, then molten, as glasses are made.
    """
    hot, cold = max(temperatures_k), min(temperatures_k)
    common = {"n_steps": n_steps, "timestep_fs": timestep_fs, "trajectory_interval": 10}
    trials: list[Trial] = []

    def add(kind: str, start: Atoms, ensemble: str, start_k: float, end_k: float | None) -> None:
        name = f"{len(trials):02d}-{reduced_formula(start)}-{kind}"
        settings = MDSettings(
            ensemble, start_k, temperature_end_k=end_k, seed=seed + len(trials), **common  # type: ignore[arg-type]  # numbers by name
        )  # fmt: skip
        trials.append(Trial(name, start, settings, kind == _PACKING))

    for start in starts:
        for temperature in sorted(temperatures_k):
            ensemble = "npt-isotropic" if temperature < hot else "nvt-langevin"
            add(f"{temperature:g}K", start, ensemble, temperature, None)
        if hot > cold:
            add("quench", start, "nvt-langevin", hot, cold)
        for scale in density_scales:
            squeezed = start.copy()
            squeezed.set_cell(start.cell.array * scale ** (-1 / 3), scale_atoms=True)
            add(f"density{scale:g}", squeezed, "nvt-langevin", hot, None)
    for crystal in crystals:
        add("crystal", crystal, "npt-full", cold, None)
    for packing in packings:
        add(_PACKING, packing, "nvt-langevin", hot, None)
    return trials


def run_trial(
    trial: Trial,
    calculator: Calculator,
    domain: NepDomain,
    directory: Path,
    *,
    signature: str,
    stop_grade: float,
    on_progress: Callable[[int, int], None] | None = None,
    walltime_s: float | None = None,
) -> Tried:
    """Run a trial, or go on with it, and grade its frames; guards end it where they must."""
    settings = trial.settings
    frames: list[Atoms] = []
    if trial.is_packing:
        frames = _relaxation(trial.start, calculator, directory / "relax", signature, walltime_s)
    start = frames[-1] if frames else trial.start
    guards = dynamics_guards(start, settings, Stage(settled=False))
    result = run_md(
        start,
        calculator,
        settings,
        directory,
        signature=signature,
        guards=[domain_guard(domain, stop_grade=stop_grade, every_steps=10), *guards],
        on_progress=on_progress,
        walltime_s=walltime_s,
    )
    reader = TrajectoryReader(result.trajectory)
    n = reader.n_frames
    indices = np.unique(np.linspace(0, n - 1, min(n, _GRADED_FRAMES)).round()).astype(int).tolist()
    for index in indices:
        frame = frame_at(reader, index)
        frame.info["temperature_k"] = round(
            settings.target_temperature_k(index * settings.trajectory_interval), 3
        )
        frames.append(frame)
    return Tried(trial, result, frames, [domain.grade(frame) for frame in frames])


def _relaxation(
    packed: Atoms, calculator: Calculator, directory: Path, signature: str, walltime_s: float | None
) -> list[Atoms]:
    """Take the overlaps out of a packing, and return its ever more relaxed frames.

    Each has a folder of its own, so that it is found again where the longest is done.
    """
    frames = []
    for n_steps in _RELAX_STEPS:
        result = relax(
            packed,
            calculator,
            directory / f"{n_steps}-steps",
            RelaxSettings(fmax_ev_a=1.0, cell=None, max_steps=n_steps),
            signature=signature,
            walltime_s=walltime_s,
        )
        frame = result.atoms.copy()
        frame.calc = None
        if not np.isfinite(frame.positions).all():
            break
        frames.append(frame)
    return frames


def select_new(
    tried: Sequence[Tried],
    *,
    above: float,
    most: int,
    known: Sequence[Atoms],
    least_distance: float,
) -> list[list[Atoms]]:
    """Choose frames of high grade, different from each other and from those known.

    Returns
    -------
    list of list of ase.Atoms
        For each run; the highest grade of a run comes first, and runs share `most` equally.
    """
    pools = [
        sorted(
            (i for i, g in enumerate(one.grades) if g > above),
            key=lambda i, one=one: -one.grades[i],  # type: ignore[misc]  # mypy knows no default here
        )
        for one in tried
    ]
    n_pools = sum(bool(pool) for pool in pools)
    elements = sorted({s for one in tried for f in one.frames[:1] for s in f.symbols}
                      | {s for frame in known for s in frame.symbols})  # fmt: skip
    seen = [_fingerprint(frame, elements) for frame in known]
    chosen: list[list[Atoms]] = []
    for one, pool in zip(tried, pools, strict=True):
        if not pool:
            chosen.append([])
            continue
        share = math.ceil(most / n_pools)
        prints = np.array([_fingerprint(one.frames[i], elements) for i in pool])
        picks = farthest_points(
            prints,
            share,
            least_distance=least_distance,
            known=np.array(seen) if seen else None,
        ).tolist() or [0]
        chosen.append([one.frames[pool[i]] for i in picks])
        seen += [prints[i] for i in picks]
    return chosen


def _fingerprint(frame: Atoms, elements: list[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return frame_fingerprint(frame.positions, frame.cell.array, list(frame.symbols), elements)
