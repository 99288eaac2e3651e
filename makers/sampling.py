"""Which frames a training takes from runs, packings and crystals, before they are labelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.fingerprints import farthest_points, frame_fingerprint
from ..identity import content_hash, structure_hash
from ..stores.training import DataDomain, FrameGroup
from ..units import density_g_cm3
from .frames import (
    Group,
    crystal_group,
    packing_groups,
    reduced_formula,
    run_group,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ase import Atoms
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from ..stores.documents import StepDocument
    from ..stores.step_files import StepFiles


@dataclass
class FrameSampling:
    """What Makers share that take frames.

    Attributes
    ----------
    frames_per_run
        Independent frames of a run, at most.
    last_frames
        Further frames of a run that left the domain of its student, before its end.
    least_distance
        Of two frames' fingerprints; frames nearer than this are duplicates. 20 fs apart in a
        melt of 84 atoms are 0.4, independent frames 1.
    packing_density_scales, packing_n_atoms
        Random packings of each mixture, over the density of its components.
    strains, rattles_a, n_distorted
        Of each crystal, as :func:`~haloflow.makers.frames.crystal_group`.
    seed
        Of packings and distortions.
    """

    frames_per_run: int = 60
    last_frames: int = 0
    least_distance: float = 0.4
    packing_density_scales: tuple[float, ...] = (0.7, 0.85, 1.0, 1.15)
    packing_n_atoms: int = 84
    strains: tuple[float, ...] = (-0.04, -0.02, 0.0, 0.02, 0.04, 0.08)
    rattles_a: tuple[float, ...] = (0.05, 0.15)
    n_distorted: int = 1
    seed: int = 1

    def groups(
        self,
        runs: Sequence[StepDocument],
        files: StepFiles,
        crystals: Mapping[str, Structure],
        mixtures: Sequence[Mapping[str, Any]],
    ) -> Iterable[Group]:
        """Yield the frames of each run, crystal and packing; errors as of `run_group`."""
        for run in runs:
            group = run_group(run, files, self.frames_per_run, self.last_frames)
            if group is not None:
                yield group
        for label, crystal in sorted(crystals.items()):
            yield crystal_group(
                label, crystal, strains=self.strains, rattles_a=self.rattles_a,
                n_each=self.n_distorted, seed=self.seed,
            )  # fmt: skip
        for mixture in mixtures:
            yield from packing_groups(
                mixture, self.packing_density_scales, n_atoms=self.packing_n_atoms, seed=self.seed
            )

    def leave_out_duplicates(
        self, groups: Sequence[Group], known: Sequence[Atoms], elements: list[str]
    ) -> int:
        """Keep what differs from `known` and from each other; return how many do not."""
        seen = [_fingerprint(frame, elements) for frame in known]
        left_out = 0
        for group in groups:
            prints = np.array([_fingerprint(frame, elements) for frame in group.frames])
            chosen = farthest_points(
                prints,
                len(prints),
                least_distance=self.least_distance,
                known=np.array(seen) if seen else None,
            )
            left_out += len(prints) - len(chosen)
            group.keep(sorted(chosen.tolist()))
            seen += [prints[index] for index in sorted(chosen.tolist())]
        return left_out


def leave_over(groups: Sequence[Group], most: int, elements: list[str]) -> int:
    """Keep `most` frames at most, those farthest from each other; return how many were left."""
    frames = [frame for group in groups for frame in group.frames]
    if len(frames) <= most:
        return 0
    prints = np.array([_fingerprint(frame, elements) for frame in frames])
    chosen = set(farthest_points(prints, most).tolist())
    before = 0
    for group in groups:
        places = range(before, before + len(group.frames))
        before = places.stop
        group.keep([place - places.start for place in places if place in chosen])
    return len(frames) - len(chosen)


def given_parents(
    runs: Mapping[str, StepDocument],
    crystals: Mapping[str, Structure],
    mixtures: Sequence[Mapping[str, Any]],
) -> dict[str, str]:
    """Return what frames are taken from, by the names that they have as parents of a step."""
    return {
        **{name: run.identity for name, run in runs.items()},
        **{name: structure_hash(crystal) for name, crystal in crystals.items()},
        **{f"mixture{i}": content_hash(dict(one)) for i, one in enumerate(mixtures)},
    }


def elements_of(groups: Iterable[Group], known: Iterable[Atoms] = ()) -> list[str]:
    """Return the elements of all frames."""
    frames = [*(frame for group in groups for frame in group.frames), *known]
    return sorted({symbol for frame in frames for symbol in frame.symbols})


def mark(groups: Iterable[Group]) -> None:
    """Note in each frame where it is from, and its temperature where it has one."""
    for group in groups:
        for frame, temperature in zip(group.frames, group.temperatures_k, strict=True):
            frame.info["trajectory"] = group.name
            if np.isfinite(temperature):
                frame.info["temperature_k"] = round(temperature, 3)


def domain_of(frames: Sequence[Atoms]) -> DataDomain:
    """Return what `frames` cover; temperatures are those noted in the frames."""
    densities = [_density(frame) for frame in frames]
    temperatures = [t for f in frames if (t := f.info.get("temperature_k")) is not None]
    return DataDomain(
        elements=sorted({symbol for frame in frames for symbol in frame.symbols}),
        formulas=sorted({reduced_formula(frame) for frame in frames}),
        temperature_k=(float(min(temperatures)), float(max(temperatures)))
        if temperatures
        else None,
        density_g_cm3=(min(densities), max(densities)),
    )


def group_document(group: Group) -> FrameGroup:
    """Describe a group."""
    known = domain_of(group.frames)
    return FrameGroup(
        name=group.name,
        origin=group.origin,
        source=group.source,
        start=group.start,
        formula=group.formula,
        split=group.split,
        n_frames=len(group.frames),
        n_offered=group.n_offered,
        stride=group.stride,
        temperature_k=known.temperature_k,
        density_g_cm3=known.density_g_cm3,
    )


def _density(frame: Atoms) -> float:
    return density_g_cm3(float(frame.get_masses().sum()), float(frame.get_volume()))


def _fingerprint(frame: Atoms, elements: list[str]) -> NDArray[np.float64]:
    return frame_fingerprint(frame.positions, frame.cell.array, list(frame.symbols), elements)
