"""Frames of amorphous MD at rest, and how far above the hull they lie."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from pymatgen.core import Structure

from ..errors import InputError
from ..quantity import Quantity, Status, worst
from ..stores.ensemble_documents import EnsembleDocument, FrameEnergy
from .from_structure import StructureMaker
from .hull import HullMaker, energy_of
from .relax import RelaxMaker
from .run_data import production_of
from .step import require_sound, step_job
from .vasp import VaspRelaxMaker

if TYPE_CHECKING:
    from ..stores.documents import MDDocument, RelaxDocument, StepDocument
    from ..stores.step_files import StepFiles
    from .step import StepContext

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_FEWEST_FOR_SPREAD = 2
SCATTER = "sd and interval are the scatter of the frames, without the error of the level"


class EnsembleProtocol(BaseModel):
    """Frames of a glass's MD, relaxed: the distribution of their energy above the hull."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_frames: int = Field(40, ge=2, le=99, description="Evenly spaced in the production.")
    level: str | None = Field(
        None, description="Level of theory of frames and competing phases; default: stages.hull."
    )
    temperature_k: float | None = Field(
        None, gt=0, description="Of the MD run, one of md.temperatures_k; default: the hottest."
    )
    fmax_ev_a: float | None = Field(
        None, gt=0, description="Largest force at convergence, eV/A; default: relax.fmax_ev_a."
    )


@dataclass
class _Frame(StructureMaker):
    """Starts a relaxation from a frame of an MD run.

    Attributes
    ----------
    share
        Place of the frame in the production, from 0 to 1.
    """

    share: float = 1.0

    @step_job()
    def make(
        self, start: MDDocument, parents: dict[str, str] | None = None
    ) -> StepDocument | dict[str, Any]:
        """Relax a frame of the run `start`; errors as of any relaxation.

        Raises
        ------
        InputError
            The run broke down, or has no production.
        """
        require_sound(start)
        return self.run_step(
            lambda context: self.work(frame_of(start, self.share, context.files), context),
            parents or {"start": start.identity},
        )


@dataclass
class FrameRelaxMaker(_Frame, RelaxMaker):
    """Relax a frame of an MD run with a potential."""


@dataclass
class VaspFrameRelaxMaker(_Frame, VaspRelaxMaker):
    """Relax a frame of an MD run with VASP."""


def frame_of(run: MDDocument, share: float, files: StepFiles) -> Structure:
    """Return the frame of a run's production that lies at `share` of it.

    Raises
    ------
    InputError
        The run has no production.
    """
    reader = production_of(run, files)
    if reader is None:
        raise InputError(
            "a frame of an MD run is to be relaxed, and it has none",
            given=f"{run.temperature_k:g} K, {run.status.value}",
            remedy="look at that step with `haloflow show`",
        )
    at = place_of(share, reader.n_frames)
    return Structure(
        reader.cells(at, at + 1)[0],
        reader.species.tolist(),
        reader.positions(at, at + 1)[0],
        coords_are_cartesian=True,
        to_unit_cell=True,
    )


def shares(n_frames: int) -> list[float]:
    """Return the places of evenly spaced frames, the last one at the end of the run."""
    return [round((k + 1) / n_frames, 6) for k in range(n_frames)]


def place_of(share: float, n_stored: int) -> int:
    """Return the index of the stored frame at `share` of a production."""
    return round(share * (n_stored - 1))


@dataclass
class EnsembleMaker(HullMaker):
    """Place relaxed frames of a glass on the hull, and describe their distribution.

    The fields are those of :class:`~haloflow.makers.hull.HullMaker`.

    Attributes
    ----------
    temperature_k
        Of the MD run that they are from.
    """

    name: str = "ensemble"
    temperature_k: float = 1000.0

    kind: ClassVar[str] = "ensemble"
    code_version: ClassVar[int] = 1
    needs_all_inputs: ClassVar[bool] = False

    @step_job(needs_all_inputs=False)
    def make(
        self,
        frames: list[RelaxDocument | None],
        phases: dict[str, RelaxDocument | None] | None = None,
        parents: dict[str, str] | None = None,
    ) -> EnsembleDocument | dict[str, Any]:
        """Compare `frames`, ``None`` where one failed, with the phases.

        Raises
        ------
        InputError
            No frame is left, a competing phase is missing, or levels differ.
        AnalysisError
            An element has no phase of its own.
        """
        sound = {
            index: frame
            for index, frame in enumerate(frames)
            if frame is not None and not frame.status.is_broken
        }
        known = {name: phase for name, phase in (phases or {}).items() if phase is not None}
        if not sound or len(known) < len(phases or {}):
            raise InputError(
                "an ensemble needs a relaxed frame and all competing phases",
                given=f"{len(sound)} frames, {len(known)} of {len(phases or {})} phases",
                remedy="look at these steps with `haloflow status`",
            )
        asked = parents or {
            **{f"frame-{i}": frame.identity for i, frame in sound.items()},
            **{name: phase.identity for name, phase in known.items()},
        }
        used = [one.identity for one in (*sound.values(), *known.values())]
        return self.run_step(
            lambda context: self._describe(sound, known, len(frames), context), asked, used
        )

    def identity(self, parents: dict[str, str]) -> str:
        """Identify the step; phases count as of a hull, frames by themselves."""
        frames = {k: v for k, v in parents.items() if k.startswith("frame-")}
        phases = {k: v for k, v in parents.items() if k not in frames}
        described = {"candidate": "|".join(f"{k}:{v}" for k, v in sorted(frames.items()))}
        return super().identity(phases | described)

    def _describe(
        self,
        frames: dict[int, RelaxDocument],
        phases: dict[str, RelaxDocument],
        n_asked: int,
        context: StepContext,
    ) -> EnsembleDocument:
        energies = {i: energy_of(frame) for i, frame in frames.items()}
        lowest = min(energies, key=energies.__getitem__)
        hull = self._place(frames[lowest], phases, context)
        placed = hull.energy_above_hull_ev_per_atom.value
        assert placed is not None  # of a hull that was made
        base = placed - energies[lowest]
        above = {i: energy + base for i, energy in energies.items()}
        loose = [i for i, frame in frames.items() if frame.status is not Status.OK]
        notes = [f"{n_asked - len(frames)} of {n_asked} frames have no result"] \
            if len(frames) < n_asked else []  # fmt: skip
        if loose:
            notes.append(f"{len(loose)} frames are not converged")
        status = worst(hull.energy_above_hull_ev_per_atom.status, *(
            [Status.UNCONVERGED] if notes else []
        ))  # fmt: skip
        notes.append(SCATTER)
        note = "; ".join(filter(None, [*notes, hull.energy_above_hull_ev_per_atom.note]))
        values = list(above.values())
        spread = stdev(values) if len(values) >= _FEWEST_FOR_SPREAD else None
        low, *_, high = np.quantile(values, (0.025, 0.975)).tolist()
        return EnsembleDocument(
            identity=context.identity,
            status=status,
            note=note,
            provenance=self.provenance(context),
            level=hull.level,
            formula=hull.formula,
            temperature_k=self.temperature_k,
            n_asked=n_asked,
            energy_above_hull_ev_per_atom=Quantity(fmean(values), spread, low, high, status, note),
            lowest_ev_per_atom=hull.energy_above_hull_ev_per_atom,
            quantiles_ev_per_atom={
                f"{q:g}": float(value)
                for q, value in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)
            },
            decomposition=hull.decomposition,
            frames=[
                FrameEnergy(
                    frame=index,
                    energy_ev_per_atom=energies[index],
                    energy_above_hull_ev_per_atom=above[index],
                    status=frames[index].status,
                    n_steps=frames[index].n_steps,
                    density_g_cm3=frames[index].density_g_cm3,
                )
                for index in sorted(frames)
            ],
        )
