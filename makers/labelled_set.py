"""A training set of frames that were labelled one by one, each by a step of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..engines.labels import read_labelled
from ..errors import InputError
from ..quantity import Status
from ..stores.training import TrainingSetDocument
from .division import FrameDivision, require_one_level
from .frame_sample import groups_of, read_sample
from .step import StepContext, StepMaker, step_job
from .vasp_labels import LABEL_ROLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from ase import Atoms

    from ..stores.step_files import StepFiles
    from ..stores.training import FrameLabelDocument, FrameSampleDocument

_MOST_NAMED = 5


@dataclass
class LabelledSetMaker(FrameDivision, StepMaker):
    """Gather the labels of a sample, leave out strong forces, split the frames by trajectory.

    The other fields are those of :class:`~haloflow.makers.division.FrameDivision`.

    Attributes
    ----------
    level
        Of the labels.
    least_labelled
        Share of the sample that must have labels. Frames without one are counted and named.
    """

    name: str = "training_set"
    level: str = "vasp-pbe-d3"
    least_labelled: float = 0.9

    kind: ClassVar[str] = "training_set"
    code_version: ClassVar[int] = 1
    needs_all_inputs: ClassVar[bool] = False
    essential: ClassVar[tuple[str, ...]] = ("sample",)

    def physics(self) -> dict[str, Any]:
        """Return what decides the set."""
        return super().physics() | {"labels": "one by one"}

    @step_job(needs_all_inputs=False)
    def make(
        self,
        sample: FrameSampleDocument | None,
        labels: list[FrameLabelDocument | None],
        parents: dict[str, str] | None = None,
    ) -> TrainingSetDocument | dict[str, Any]:
        """Gather `labels` of the frames of `sample`; ``None`` stands for a step that failed.

        Raises
        ------
        InputError
            There is no sample, its labels are of another sample or of several levels, too few
            frames have one, or there are too few trajectories to split.
        TrajectoryError
            A file is missing or was changed.
        """
        if sample is None:
            raise InputError(
                "there is no sample of frames to gather labels of",
                given="its step failed",
                remedy="look at that step with `haloflow show`, and run the sweep again",
            )
        there = [label for label in labels if label is not None]
        known = parents or {
            "sample": sample.identity,
            **{f"label{label.number}": label.identity for label in there},
        }
        used = {sample.identity, *(label.identity for label in there)}
        return self.run_step(
            lambda context: self._gather(sample, there, context),
            known,
            [identity for identity in known.values() if identity in used],
        )

    def _gather(
        self,
        sample: FrameSampleDocument,
        labels: Sequence[FrameLabelDocument],
        context: StepContext,
    ) -> TrainingSetDocument:
        own = {label.number: label for label in labels if label.trajectory}
        if not own:
            raise self._too_few(sample, {"frames": "their steps failed"})
        first = next(iter(own.values()))
        level = (first.level, first.level_sha256)
        require_one_level([(one.level, one.level_sha256) for one in own.values()], level)
        _require_of_sample(own.values(), sample)
        failed: dict[str, str] = {}
        frames: list[Atoms] = []
        for number, frame in enumerate(read_sample(sample, context.files), start=1):
            label = own.get(number)
            if label is not None and not label.failure:
                frames.append(_labelled(label, context.files))
                continue
            name = f"frame {number} of {frame.info['trajectory']}"
            failed[name] = "its step failed" if label is None else label.failure
        if len(frames) < self.least_labelled * sample.n_frames:
            raise self._too_few(sample, failed)
        groups = groups_of(sample, frames)
        n_strained = self.leave_out_strained(groups)
        groups = [group for group in groups if group.frames]
        self.require_frames(groups, n_strained, len(failed), self.level)
        self.divide(groups, ())
        return TrainingSetDocument(
            identity=context.identity,
            status=Status.UNCONVERGED if failed else Status.OK,
            note=f"{len(failed)} of {sample.n_frames} frames have no label: {_named(failed)}"
            if failed
            else "",
            provenance=self.provenance(context),
            level=first.level,
            level_sha256=first.level_sha256,
            n_duplicates=sample.n_duplicates,
            n_strained=n_strained,
            n_failed=len(failed),
            failed=failed,
            sample_hash=sample.content_hash,
            **self.written(groups, context),
        )

    def _too_few(self, sample: FrameSampleDocument, failed: Mapping[str, str]) -> InputError:
        return InputError(
            f"too few frames have a label of {self.level}",
            given=f"without one of {sample.n_frames}: {_named(failed)}",
            allowed=f"labels of {self.least_labelled:.0%} of the frames",
            remedy="look at the steps label-... with `haloflow status`, and run the sweep again: "
            "what failed is tried again",
        )


def _named(failed: Mapping[str, str]) -> str:
    said = [f"{name}: {why}" for name, why in failed.items()][:_MOST_NAMED]
    rest = len(failed) - len(said)
    return "; ".join([*said, *([f"and {rest} more"] if rest else [])])


def _require_of_sample(labels: Iterable[FrameLabelDocument], sample: FrameSampleDocument) -> None:
    strange = [label.number for label in labels if label.sample_hash != sample.content_hash]
    if strange:
        raise InputError(
            "labels are of another sample of frames",
            given=f"those of frames {strange}",
            allowed=f"sample {sample.content_hash[:12]}",
            remedy="run the sweep again: these frames are labelled again",
        )


def _labelled(label: FrameLabelDocument, files: StepFiles) -> Atoms:
    (file,) = (one for one in label.files if one.role == LABEL_ROLE)
    (frame,) = read_labelled(files.local(file), file.sha256)
    return frame
