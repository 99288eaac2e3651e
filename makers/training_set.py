"""A training set as a step: frames of runs, packings and crystals, labelled by one level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..engines.labels import frames_hash, label_frames
from ..engines.potentials import require_coverage
from ..errors import InputError
from ..stores.training import TrainingSetDocument
from .division import FrameDivision, read_set, require_one_level
from .sampling import FrameSampling, domain_of, elements_of, given_parents
from .step import LevelMaker, StepContext, step_job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from ..stores.documents import StepDocument
    from .frames import Group

_DIGITS = 12
__all__ = ["TrainingSetMaker", "domain_of", "read_set", "require_one_level"]


@dataclass
class TrainingSetMaker(FrameDivision, FrameSampling, LevelMaker):
    """Collect frames, leave out what is alike, label the rest, split them by trajectory.

    The other fields are those of :class:`~haloflow.makers.sampling.FrameSampling` and
    :class:`~haloflow.makers.division.FrameDivision`.

    Attributes
    ----------
    level
        The teacher, which labels all frames, whatever level the runs were made at.
    """

    name: str = "training_set"
    level: str = "chgnet-r2scan-d3"

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
        steps: dict[str, StepDocument] = {f"run{i}": run for i, run in enumerate(there)}
        steps |= {f"set{i}": one for i, one in enumerate(sets)}
        given = parents or given_parents(steps, crystals or {}, mixtures or [])
        used = [*(run.identity for run in there), *(one.identity for one in sets)]

        def work(context: StepContext) -> TrainingSetDocument:
            groups = [*self.groups(there, context.files, crystals or {}, mixtures or [])]
            return self._collect(groups, sets, context)

        return self.run_step(work, given, [i for i in given.values() if i in used] or None)

    def _collect(
        self, groups: list[Group], earlier: Sequence[TrainingSetDocument], context: StepContext
    ) -> TrainingSetDocument:
        potential = context.load(self.level)
        weights = potential.identity.weights_sha256
        require_one_level([(s.level, s.level_sha256) for s in earlier],
                          (potential.identity.level, weights))  # fmt: skip
        known = [frame for one in earlier for frame in read_set(one, context.files)]
        if not groups and not known:
            raise no_frames()
        elements = elements_of(groups, known)
        require_coverage(potential.identity, elements)
        n_duplicates = self.leave_out_duplicates(groups, known, elements)
        groups = [group for group in groups if group.frames]
        frames = [frame for group in groups for frame in group.frames]
        labelled = iter(
            label_frames(
                frames,
                potential.calculator,
                context.directory / f"labels-{frames_hash(frames)[:_DIGITS]}",
                signature=f"{potential.identity.level}/{weights}",
                on_progress=context.progress(len(frames)).stage("label", len(frames)),
                walltime_s=context.walltime_s,
            )
        )
        for group in groups:
            group.frames = [next(labelled) for _ in group.frames]
        n_failed = sum(not np.isfinite(f.get_forces()).all() for g in groups for f in g.frames)
        n_strained = self.leave_out_strained(groups) - n_failed
        groups = [group for group in groups if group.frames]
        if not known:
            self.require_frames(groups, n_strained, n_failed, self.level)
        if groups:
            self.divide(groups, earlier)
        return TrainingSetDocument(
            identity=context.identity,
            provenance=self.provenance(context),
            level=potential.identity.level,
            level_sha256=weights,
            n_duplicates=n_duplicates,
            n_strained=n_strained,
            n_failed=n_failed,
            **self.written(groups, context, earlier=earlier, known=known),
        )


def no_frames() -> InputError:
    """Return the error of a set for which there is nothing to take."""
    return InputError(
        "a training set has no frames",
        given="no runs with frames, crystals or mixtures",
        remedy="give MD or melt-quench runs, crystals, or mixtures to pack",
    )
