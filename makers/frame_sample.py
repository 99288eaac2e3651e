"""Frames of runs, packings and crystals, as a step: to be labelled one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..engines.labels import read_labelled, write_labelled
from ..errors import InputError
from ..stores.training import FrameSampleDocument
from .frames import Group
from .references import reference_to
from .sampling import (
    FrameSampling,
    domain_of,
    elements_of,
    given_parents,
    group_document,
    leave_over,
    mark,
)
from .step import StepContext, StepMaker, step_job
from .training_set import no_frames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ase import Atoms
    from pymatgen.core import Structure

    from ..stores.documents import StepDocument
    from ..stores.step_files import StepFiles

_ROLE = "frames"


@dataclass
class FrameSampleMaker(FrameSampling, StepMaker):
    """Collect frames and leave out what is alike; each gets its label by a step of its own.

    The other fields are those of :class:`~haloflow.makers.sampling.FrameSampling`.

    Attributes
    ----------
    most_frames
        At most; those farthest from each other stay.
    """

    name: str = "frame_sample"
    most_frames: int = 200

    kind: ClassVar[str] = "frame_sample"
    code_version: ClassVar[int] = 1
    needs_all_inputs: ClassVar[bool] = False

    @step_job(needs_all_inputs=False)
    def make(
        self,
        runs: list[StepDocument | None] | None = None,
        crystals: dict[str, Structure] | None = None,
        mixtures: list[dict[str, Any]] | None = None,
        starts: dict[str, StepDocument | None] | None = None,
        parents: dict[str, str] | None = None,
    ) -> FrameSampleDocument | dict[str, Any]:
        """Take frames of `runs`, `crystals` and packings of `mixtures`.

        Parameters
        ----------
        runs, crystals, mixtures
            As of :class:`~haloflow.makers.training_set.TrainingSetMaker`.
        starts
            What each run starts from, by its place among `runs`.

        Raises
        ------
        InputError
            If nothing is given, a step has no trajectory, or a run has no result though what it
            starts from is sound: labels are dear, and frames are taken once.
        """
        _require_all(runs or [], starts or {})
        there = [run for run in runs or [] if run is not None]
        given = parents or given_parents(
            {f"run{i}": run for i, run in enumerate(there)}, crystals or {}, mixtures or []
        )
        used = {run.identity for run in there}

        def work(context: StepContext) -> FrameSampleDocument:
            groups = [*self.groups(there, context.files, crystals or {}, mixtures or [])]
            return self._sample(groups, context)

        return self.run_step(work, given, [i for i in given.values() if i in used] or None)

    def _sample(self, groups: list[Group], context: StepContext) -> FrameSampleDocument:
        if not groups:
            raise no_frames()
        elements = elements_of(groups)
        n_duplicates = self.leave_out_duplicates(groups, (), elements)
        n_left_over = leave_over(groups, self.most_frames, elements)
        groups = [group for group in groups if group.frames]
        mark(groups)
        frames = [frame for group in groups for frame in group.frames]
        path = context.directory / "frames.xyz"
        return FrameSampleDocument(
            identity=context.identity,
            provenance=self.provenance(context),
            content_hash=write_labelled(path, frames),
            files=[reference_to(path, _ROLE, context)],
            n_frames=len(frames),
            n_duplicates=n_duplicates,
            n_left_over=n_left_over,
            groups=[group_document(group) for group in groups],
            domain=domain_of(frames),
        )


def _require_all(
    runs: Sequence[StepDocument | None], starts: Mapping[str, StepDocument | None]
) -> None:
    """Refuse to go without runs that may still come."""
    lost = {place for place, start in starts.items() if start and start.status.is_broken}
    missing = [i for i, run in enumerate(runs) if run is None and str(i) not in lost]
    if missing:
        raise InputError(
            "runs that frames are to be taken of have no result",
            given=f"{len(missing)} of {len(runs)}: {', '.join(f'run{i}' for i in missing)}",
            allowed="runs that ended, however they did; frames are taken once and then labelled",
            remedy="look at the md steps with `haloflow status`, and run the sweep again",
        )


def read_sample(document: FrameSampleDocument, files: StepFiles) -> list[Atoms]:
    """Return the frames of a sample, in the order of their numbers.

    Raises
    ------
    TrajectoryError
        If the file is missing or was changed.
    """
    (file,) = (one for one in document.files if one.role == _ROLE)
    return read_labelled(files.local(file), document.content_hash)


def groups_of(document: FrameSampleDocument, frames: Sequence[Atoms]) -> list[Group]:
    """Return those of a sample's groups that `frames` are from."""
    parts: dict[str, list[Atoms]] = {}
    for frame in frames:
        parts.setdefault(frame.info["trajectory"], []).append(frame)
    return [
        Group(
            known.name, known.origin, known.source, own,
            [float(frame.info.get("temperature_k", "nan")) for frame in own],
            stride=known.stride, n_offered=known.n_offered, start=known.start,
        )
        for known in document.groups
        if (own := parts.get(known.name))
    ]  # fmt: skip
