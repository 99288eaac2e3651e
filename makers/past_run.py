"""What an MD run that left the domain of its model leaves to the run that goes on from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ..engines.checkpoint import Checkpoint  # noqa: TC001  (a field of a dataclass)
from ..engines.trusted import begin_from, chunks_before, first_frame, read_trusted, trusted_file
from ..quantity import Status
from ..stores.file_paths import ROLE
from .domain_check import domain_verdict
from .references import reference_to
from .stored_trajectories import chunks_of, open_stored, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from ase import Atoms
    from numpy.typing import NDArray

    from ..engines.md import MDResult
    from ..engines.potentials import PotentialIdentity
    from ..engines.trajectory import TrajectoryFile
    from ..stores.documents import FileReference, MDDocument
    from ..stores.domain_report import DomainReport
    from ..stores.step_files import StepFiles
    from .step import StepContext

STATE_ROLE: Final = "checkpoint-"
"""Of the file of the last trusted state; the part of the run follows."""
PARTS: Final = ("equilibration", "production")


def kept_state(
    parts: Mapping[str, MDResult], context: StepContext, report: DomainReport | None
) -> Iterator[FileReference]:
    """Yield the file of the last trusted state of a run; none where there is no such state.

    It lies in the last part, or in the one before. A run that was ended by its grade, and by then
    had no more frames above the lower one than allowed, is trusted up to its end, or that of the
    part before; others up to the first of these.
    """
    last = list(parts)[-1]
    was_sound = domain_verdict(report)[0] is Status.OK
    for part in reversed(list(parts)):
        path = trusted_file(context.directory / part, though_doubted=was_sound)
        if path is None:
            continue
        is_end = read_trusted(path).step == parts[part].n_steps
        if part == last and is_end and parts[part].status is Status.OK:
            continue  # its frames were found wanting though no look at it was
        yield reference_to(path, f"{STATE_ROLE}{part}", context)
        return


@dataclass(frozen=True)
class PastRun:
    """A run that another goes on from, with the state to begin with.

    Attributes
    ----------
    run
        Its document.
    part
        Part that the state belongs to.
    state
        Positions, momenta, cell, thermostat, step.
    chunks
        Files of that part's frames up to the state.
    sha256
        Of the file of the state.
    """

    run: MDDocument
    part: str
    state: Checkpoint
    chunks: list[TrajectoryFile]
    sha256: str

    @classmethod
    def of(cls, run: MDDocument, files: StepFiles) -> PastRun | None:
        """Return what is to be gone on from; ``None`` where no state was kept.

        Raises
        ------
        CheckpointError, TrajectoryError, StoreError
            Files are damaged, missing, released, or their place does not answer.
        """
        for file in run.files:
            if file.role.startswith(STATE_ROLE):
                part = file.role.removeprefix(STATE_ROLE)
                state = read_trusted(files.local(file))
                references = parts_of(run).get(part, [])
                chunks = chunks_before(state, chunks_of(references, files))
                here = [
                    replace(chunk, path=files.local(reference))
                    for chunk, reference in zip(chunks, references, strict=False)
                ]
                return cls(run, part, state, here, file.sha256)
        return None

    @property
    def parts_before(self) -> tuple[str, ...]:
        """Parts that were done before the state."""
        return PARTS[: PARTS.index(self.part)]

    @property
    def files_before(self) -> list[FileReference]:
        """Files of the frames of these parts."""
        roles = {f"{ROLE}{part}" for part in self.parts_before}
        return [file for file in self.run.files if file.role in roles]

    def begin(self, directory: Path, signature: str, potential: PotentialIdentity) -> Atoms:
        """Prepare the folder of the part that goes on; return the atoms that it began with."""
        before = self.run.provenance.potential
        begin_from(
            directory,
            self.state,
            self.chunks,
            signature=signature,
            same_potential=before is not None and before.weights_sha256 == potential.weights_sha256,
        )
        return first_frame(self.state, self.chunks)

    def equilibration_volumes_a3(self, files: StepFiles) -> NDArray[np.float64] | None:
        """Return the volumes of an equilibration that was done before; ``None`` without one."""
        chunks = parts_of(self.run).get(PARTS[0], [])
        if not chunks:
            return None
        return open_stored(chunks, files).thermo()["volume_a3"]
