"""Labelled frames divided into training, validation and test, and written as a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engines.labels import SIDECAR, read_labelled, write_labelled
from ..errors import InputError
from ..identity import content_hash
from ..stores.training import SPLITS, TrainingSetDocument
from .frames import split_groups
from .references import reference_to
from .sampling import domain_of, group_document, mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ase import Atoms

    from ..stores.documents import FileReference
    from ..stores.step_files import StepFiles
    from ..stores.training import SplitBy
    from .frames import Group
    from .step import StepContext

FRAMES_ROLE = "frames-"


@dataclass
class FrameDivision:
    """What Makers of training sets share.

    Attributes
    ----------
    max_force_ev_a
        Frames with a larger force teach nothing of what a run meets, and are left out.
    validation_fraction, test_fraction
        Of the frames; whole trajectories.
    split_by
        ``glass``: all runs of one glass go to one split, where there are five glasses or more;
        ``run``: each run by itself.
    """

    max_force_ev_a: float = 25.0
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    split_by: SplitBy = "glass"

    def leave_out_strained(self, groups: Iterable[Group]) -> int:
        """Keep frames whose forces are known and below the limit; return how many are not."""
        left_out = 0
        for group in groups:
            strongest = [float(np.linalg.norm(f.get_forces(), axis=1).max()) for f in group.frames]
            sound = [i for i, force in enumerate(strongest) if force <= self.max_force_ev_a]
            left_out += len(strongest) - len(sound)
            group.keep(sound)
        return left_out

    def require_frames(
        self, groups: Sequence[Group], n_strained: int, n_failed: int, level: str
    ) -> None:
        """Refuse a set of no frames.

        Raises
        ------
        InputError
            With what became of them.
        """
        if not groups:
            raise InputError(
                "no frame is left for a training set",
                given=f"{n_strained} frames with forces above {self.max_force_ev_a:g} eV/A, "
                f"{n_failed} that {level} could not evaluate",
                remedy="give other frames, or raise max_force_ev_a",
            )

    def divide(self, groups: list[Group], earlier: Sequence[TrainingSetDocument]) -> None:
        """Divide new groups; a set that grows keeps its validation and test frames.

        Raises
        ------
        InputError
            There are too few trajectories.
        """
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

    def written(
        self,
        groups: Sequence[Group],
        context: StepContext,
        *,
        earlier: Sequence[TrainingSetDocument] = (),
        known: Sequence[Atoms] = (),
    ) -> dict[str, Any]:
        """Write the frames of a set, and return the fields of its document that they decide.

        Parameters
        ----------
        groups
            New frames, divided.
        context
            Of the step.
        earlier, known
            Sets that this one goes on from, and their frames.
        """
        split_of = {group.name: group.split for one in earlier for group in one.groups}
        parts: dict[str, list[Atoms]] = {split: [] for split in SPLITS}
        for frame in known:
            parts[split_of[frame.info["trajectory"]]].append(frame)
        mark(groups)
        for group in groups:
            parts[group.split] += group.frames
        hashes = {
            split: write_labelled(context.directory / f"{split}.xyz", frames)
            for split, frames in parts.items()
        }
        every = [frame for frames in parts.values() for frame in frames]
        return {
            "files": [*_references(context, hashes)],
            "content_hash": content_hash(hashes),
            "n_frames": {split: len(frames) for split, frames in parts.items()},
            "max_force_ev_a": self.max_force_ev_a,
            "rms_force_ev_a": float(
                np.sqrt(np.mean(np.concatenate([f.get_forces().ravel() for f in every]) ** 2))
            ),
            "groups": [*(g for one in earlier for g in one.groups), *map(group_document, groups)],
            "domain": domain_of(every),
        }


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


def _references(context: StepContext, hashes: dict[str, str]) -> Iterable[FileReference]:
    for split in hashes:
        path = context.directory / f"{split}.xyz"
        for file, role in (
            (path, f"{FRAMES_ROLE}{split}"),
            (path.with_name(path.name + SIDECAR), f"checksum-{split}"),
        ):
            yield reference_to(file, role, context)
