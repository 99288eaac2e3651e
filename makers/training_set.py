"""A training set as a step: frames of runs, packings and crystals, labelled by one level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..analysis.fingerprints import farthest_points, frame_fingerprint
from ..engines.labels import SIDECAR, label_frames, read_labelled, write_labelled
from ..engines.potentials import require_coverage
from ..errors import InputError
from ..identity import content_hash, structure_hash
from ..stores.training import SPLITS, DataDomain, FrameGroup, TrainingSetDocument
from ..units import density_g_cm3
from .frames import (
    Group,
    crystal_group,
    packing_groups,
    reduced_formula,
    run_group,
    split_groups,
)
from .references import reference_to
from .step import LevelMaker, StepContext, step_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ase import Atoms
    from pymatgen.core import Structure

    from ..stores.documents import FileReference, StepDocument
    from ..stores.step_files import StepFiles
    from ..stores.training import SplitBy

FRAMES_ROLE = "frames-"


@dataclass
class TrainingSetMaker(LevelMaker):
    """Collect frames, leave out what is alike, label the rest, split them by trajectory.

    Attributes
    ----------
    level
        The teacher, which labels all frames, whatever level the runs were made at.
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
    max_force_ev_a
        Frames with a larger force teach nothing of what a run meets, and are left out.
    validation_fraction, test_fraction
        Of the frames; whole trajectories.
    split_by
        ``glass``: all runs of one glass go to one split, where there are five glasses or more;
        ``run``: each run by itself.
    seed
        Of packings and distortions.
    """

    name: str = "training_set"
    level: str = "chgnet-r2scan-d3"
    frames_per_run: int = 60
    last_frames: int = 0
    least_distance: float = 0.4
    packing_density_scales: tuple[float, ...] = (0.7, 0.85, 1.0, 1.15)
    packing_n_atoms: int = 84
    strains: tuple[float, ...] = (-0.04, -0.02, 0.0, 0.02, 0.04, 0.08)
    rattles_a: tuple[float, ...] = (0.05, 0.15)
    n_distorted: int = 1
    max_force_ev_a: float = 25.0
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    split_by: SplitBy = "glass"
    seed: int = 1

    kind: ClassVar[str] = "training_set"
    code_version: ClassVar[int] = 1
    needs_all_inputs: ClassVar[bool] = False

    def physics(self) -> dict[str, Any]:
        """Return what decides the frames; sets of before have neither of these settings."""
        found = super().physics()
        if not self.last_frames:
            del found["last_frames"]
        if self.split_by == "run":
            del found["split_by"]
        return found

    @step_job(needs_all_inputs=False)
    def make(
        self,
        runs: list[StepDocument | None] | None = None,
        crystals: dict[str, Structure] | None = None,
        mixtures: list[dict[str, Any]] | None = None,
        earlier: list[TrainingSetDocument | None] | None = None,
        parents: dict[str, str] | None = None,
    ) -> TrainingSetDocument | dict[str, Any]:
        """Make a set of the frames of `runs`, `crystals` and packings of `mixtures`.

        Parameters
        ----------
        runs
            MD and melt-quench documents of any level; ``None`` stands for one that failed.
        crystals
            Label to structure.
        mixtures
            As ``Mixture.canonical()``.
        earlier
            Sets of the same level, whose labels and splits are kept.

        Raises
        ------
        InputError
            If nothing is given, an earlier set is of another level, or there are too few
            trajectories to split.
        CoverageError
            If the level does not know an element.
        """
        there = [run for run in runs or [] if run is not None]
        sets = [one for one in earlier or [] if one is not None]
        given = parents or {
            **{f"run{i}": run.identity for i, run in enumerate(there)},
            **{f"set{i}": one.identity for i, one in enumerate(sets)},
            **{name: structure_hash(crystal) for name, crystal in (crystals or {}).items()},
            **{f"mixture{i}": content_hash(one) for i, one in enumerate(mixtures or [])},
        }
        used = [*(run.identity for run in there), *(one.identity for one in sets)]

        def work(context: StepContext) -> TrainingSetDocument:
            groups = [*self._groups(there, context.files, crystals or {}, mixtures or [])]
            return self._collect(groups, sets, context)

        return self.run_step(work, given, [i for i in given.values() if i in used] or None)

    def _groups(
        self,
        runs: Sequence[StepDocument],
        files: StepFiles,
        crystals: dict[str, Structure],
        mixtures: Sequence[dict[str, Any]],
    ) -> Iterable[Group]:
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

    def _collect(
        self, groups: list[Group], earlier: Sequence[TrainingSetDocument], context: StepContext
    ) -> TrainingSetDocument:
        potential = context.load(self.level)
        weights = potential.identity.weights_sha256
        require_one_level([(s.level, s.level_sha256) for s in earlier],
                          (potential.identity.level, weights))  # fmt: skip
        known = [frame for one in earlier for frame in read_set(one, context.files)]
        if not groups and not known:
            raise InputError(
                "a training set has no frames",
                given="no runs with frames, crystals or mixtures",
                remedy="give MD or melt-quench runs, crystals, or mixtures to pack",
            )
        elements = sorted({s for g in groups for a in g.frames for s in a.symbols}
                          | {s for a in known for s in a.symbols})  # fmt: skip
        require_coverage(potential.identity, elements)
        n_duplicates = self._leave_out_duplicates(groups, known, elements)
        groups = [group for group in groups if group.frames]
        frames = [frame for group in groups for frame in group.frames]
        labelled = iter(
            label_frames(
                frames,
                potential.calculator,
                context.directory,
                signature=f"{potential.identity.level}/{weights}",
                on_progress=context.progress(len(frames)).stage("label", len(frames)),
                walltime_s=context.walltime_s,
            )
        )
        for group in groups:
            group.frames = [next(labelled) for _ in group.frames]
        n_failed = sum(not np.isfinite(f.get_forces()).all() for g in groups for f in g.frames)
        n_strained = self._leave_out_strained(groups) - n_failed
        groups = [group for group in groups if group.frames]
        if not groups and not known:
            raise InputError(
                "no frame is left for a training set",
                given=f"{n_strained} frames with forces above {self.max_force_ev_a:g} eV/A, "
                f"{n_failed} that {self.level} could not evaluate",
                remedy="give other frames, or raise max_force_ev_a",
            )
        if groups:
            self._split(groups, earlier)
        return self._document(groups, earlier, known, (n_duplicates, n_strained, n_failed), context)

    def _leave_out_duplicates(
        self, groups: list[Group], known: Sequence[Atoms], elements: list[str]
    ) -> int:
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

    def _leave_out_strained(self, groups: list[Group]) -> int:
        left_out = 0
        for group in groups:
            strongest = [float(np.linalg.norm(f.get_forces(), axis=1).max()) for f in group.frames]
            sound = [i for i, force in enumerate(strongest) if force <= self.max_force_ev_a]
            left_out += len(strongest) - len(sound)
            group.keep(sound)
        return left_out

    def _split(self, groups: list[Group], earlier: Sequence[TrainingSetDocument]) -> None:
        """Divide new groups; a set that grows keeps its validation and test frames."""
        if not earlier:
            split_groups(
                groups,
                {"validation": self.validation_fraction, "test": self.test_fraction},
                self.split_by,
            )
            return
        before = {group.name: group.split for one in earlier for group in one.groups}
        for group in groups:
            group.split = before.get(group.name, "train")

    def _document(
        self,
        groups: list[Group],
        earlier: Sequence[TrainingSetDocument],
        known: Sequence[Atoms],
        left_out: tuple[int, int, int],
        context: StepContext,
    ) -> TrainingSetDocument:
        split_of = {group.name: group.split for one in earlier for group in one.groups}
        parts: dict[str, list[Atoms]] = {split: [] for split in SPLITS}
        for frame in known:
            parts[split_of[frame.info["trajectory"]]].append(frame)
        for group in groups:
            for frame, temperature in zip(group.frames, group.temperatures_k, strict=True):
                frame.info["trajectory"] = group.name
                if np.isfinite(temperature):
                    frame.info["temperature_k"] = round(temperature, 3)
            parts[group.split] += group.frames
        hashes = {
            split: write_labelled(context.directory / f"{split}.xyz", frames)
            for split, frames in parts.items()
        }
        every = [frame for frames in parts.values() for frame in frames]
        known_potential = context.potential
        assert known_potential is not None
        return TrainingSetDocument(
            identity=context.identity,
            provenance=self.provenance(context),
            files=[*_references(context, hashes)],
            level=known_potential.identity.level,
            level_sha256=known_potential.identity.weights_sha256,
            content_hash=content_hash(hashes),
            n_frames={split: len(frames) for split, frames in parts.items()},
            n_duplicates=left_out[0],
            n_strained=left_out[1],
            n_failed=left_out[2],
            max_force_ev_a=self.max_force_ev_a,
            rms_force_ev_a=float(
                np.sqrt(np.mean(np.concatenate([f.get_forces().ravel() for f in every]) ** 2))
            ),
            groups=[*(g for one in earlier for g in one.groups), *map(_group_document, groups)],
            domain=domain_of(every),
        )


def require_one_level(found: Sequence[tuple[str, str]], wanted: tuple[str, str]) -> None:
    """Refuse labels of different levels, given as (level, sha256 of its weights), in one set.

    Raises
    ------
    InputError
        Naming the levels.
    """
    strange = sorted({level for level, weights in found if (level, weights) != wanted})
    if strange:
        raise InputError(
            "labels of different levels cannot be mixed in one training set",
            given=[*strange, wanted[0]],
            allowed="one level, with the same weights",
            remedy="label all frames by one level, or train a student for each",
        )


def read_set(document: TrainingSetDocument, files: StepFiles, *splits: str) -> list[Atoms]:
    """Return the labelled frames of a set, of the `splits` named or of all.

    Raises
    ------
    TrajectoryError
        If a file is missing or was changed.
    """
    frames: list[Atoms] = []
    for split in splits or SPLITS:
        for file in document.files:
            if file.role == f"{FRAMES_ROLE}{split}" and document.n_frames[split]:
                frames += read_labelled(files.local(file), file.sha256)
    return frames


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


def _density(frame: Atoms) -> float:
    return density_g_cm3(float(frame.get_masses().sum()), float(frame.get_volume()))


def _fingerprint(frame: Atoms, elements: list[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return frame_fingerprint(frame.positions, frame.cell.array, list(frame.symbols), elements)


def _group_document(group: Group) -> FrameGroup:
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


def _references(context: StepContext, hashes: dict[str, str]) -> Iterable[FileReference]:
    for split in hashes:
        path = context.directory / f"{split}.xyz"
        for file, role in (
            (path, f"{FRAMES_ROLE}{split}"),
            (path.with_name(path.name + SIDECAR), f"checksum-{split}"),
        ):
            yield reference_to(file, role, context)
