"""What Makers share that analyse the MD runs of a candidate: each run read once, in blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ..analysis.passage import Passage, read_passage
from ..errors import HaloflowError, InputError
from ..quantity import worst
from ..stores.learned_runs import shared_level
from ..units import FS_PER_PS
from .run_data import production_of
from .step import StepContext, StepMaker, step_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..analysis.frames import FloatArray
    from ..engines.trajectory import TrajectoryReader
    from ..stores.documents import MDDocument, StepDocument

_SAMPLE_FRAMES = 100
_COORDINATES_PER_BLOCK = 3_000_000
FoundT = TypeVar("FoundT")


@dataclass(frozen=True)
class Lost:
    """MD runs that were asked for and failed.

    Attributes
    ----------
    n_asked, n_lost
        Of all runs.
    n_cold
        Failed ones colder than the first that is there.
    """

    n_asked: int
    n_lost: int
    n_cold: int

    @property
    def note(self) -> str:
        """What to tell the reader; empty where nothing is lost."""
        return f"{self.n_lost} of {self.n_asked} MD runs failed" if self.n_lost else ""


@dataclass(frozen=True)
class Reading:
    """One MD run, read."""

    run: MDDocument
    reader: TrajectoryReader
    passage: Passage

    @property
    def frame_ps(self) -> float:
        """Time between frames, ps."""
        return self.run.trajectory_interval_steps * self.run.timestep_fs / FS_PER_PS

    def blocks(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Read the run again."""
        return blocks_of(self.reader)


def blocks_of(reader: TrajectoryReader) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield positions and cells of a trajectory in blocks."""
    per_block = max(2, _COORDINATES_PER_BLOCK // (3 * reader.n_atoms))
    for start in range(0, reader.n_frames, per_block):
        stop = start + per_block
        yield reader.positions(start, stop), reader.cells(start, stop)


@dataclass
class RunsMaker(StepMaker, ABC):
    """Base of Makers that analyse MD runs at several temperatures, of those that are there."""

    mobile: str = "Na"

    needs_all_inputs: ClassVar[bool] = False

    @step_job(needs_all_inputs=False)
    def make(
        self, runs: list[MDDocument | None], parents: dict[str, str] | None = None
    ) -> StepDocument | dict[str, Any]:
        """Analyse `runs` at different temperatures; ``None`` stands for one that failed.

        In the order from cold to hot a ``None`` before the first result is the coldest asked
        for: what is extrapolated past it is `unconverged`.

        Raises
        ------
        InputError
            If none is left, or they are of different levels.
        """
        present = self._present(runs)
        known = parents or {f"{run.temperature_k:g}K": run.identity for run in present}
        used = [run.identity for run in present]
        n_cold = next(index for index, run in enumerate(runs) if run is not None)
        lost = Lost(len(runs), len(runs) - len(present), n_cold)
        return self.run_step(lambda context: self.analyse(present, context, lost), known, used)

    @abstractmethod
    def analyse(self, runs: Sequence[MDDocument], context: StepContext, lost: Lost) -> StepDocument:
        """Return the document of the runs, from cold to hot."""

    def _present(self, runs: Sequence[MDDocument | None]) -> list[MDDocument]:
        present = [run for run in runs if run is not None]
        if not present or shared_level(present) is None:
            raise InputError(
                f"{self.kind} needs MD runs of one level of theory",
                given=[f"{run.temperature_k:g} K at {run.level}" for run in present],
                remedy="look at the md steps with `haloflow show`",
            )
        return sorted(present, key=lambda run: run.temperature_k)

    def each(
        self,
        runs: Sequence[MDDocument],
        context: StepContext,
        left_out: dict[str, str],
        measure: Callable[[Reading], FoundT],
    ) -> list[FoundT]:
        """Return what `measure` finds in each run; why not, goes to `left_out`."""
        found = []
        for run in runs:
            reader = production_of(run, context.files)
            if reader is None:
                left_out[f"{run.temperature_k:g} K"] = "no production"
                continue
            try:
                passage = read_passage(
                    blocks_of(reader),
                    reader.species.tolist(),
                    self.mobile,
                    unwrapped=True,
                    n_sample=_SAMPLE_FRAMES,
                )
                found.append(measure(Reading(run, reader, passage)))
            except HaloflowError as error:
                left_out[f"{run.temperature_k:g} K"] = str(error)
        return found

    def common(
        self,
        runs: Sequence[MDDocument],
        context: StepContext,
        lost: Lost,
        left_out: dict[str, str],
    ) -> dict[str, Any]:
        """Return the fields that all documents of this module share."""
        notes = [lost.note] if lost.n_lost else []
        notes += [f"{at}: {why}" for at, why in left_out.items()]
        return {
            "identity": context.identity,
            "status": worst(*(run.status for run in runs)),
            "note": "; ".join(notes),
            "provenance": self.provenance(context),
            "level": shared_level(runs) or runs[0].level,
            "left_out": left_out,
        }
