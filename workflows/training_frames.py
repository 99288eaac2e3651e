"""The step that collects labelled frames of a sweep's runs for a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobflow import OutputReference

from ..errors import SweepError
from ..identity import content_hash, step_uuid, structure_hash
from ..systems.phases import get_phase
from .chain import PlannedStep, StepChain, output_of
from .cost import dynamics_cost
from .models import AUTO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..makers.frames_protocol import FramesProtocol
    from .plan import CandidatePlan
    from .sweep import Sweep

_RUNS = ("melt_quench", "md")


def teacher_of(
    sweep: Sweep, asked: FramesProtocol, section: str, default: str | None = None
) -> str:
    """Return the level that labels the frames of a section of the sweep file.

    Where the section names none, it is the `default`, or else the level of MD.

    Raises
    ------
    SweepError
        If it is not named.
    """
    teacher = asked.teacher or default or sweep.stages.md
    if teacher == AUTO:
        raise SweepError(
            f"{section}.teacher: a {section.replace('_', '-')} needs a teacher that is named",
            given="stages.md: auto",
            allowed="the name of a potential",
            remedy=f"write {section}: {{teacher: chgnet-r2scan-d3}}",
        )
    return teacher


def runs_of(drafts: Sequence[CandidatePlan]) -> list[PlannedStep]:
    """Return the runs of candidates that frames are taken from, each once."""
    return [*{s.identity: s for d in drafts for s in d.steps if s.kind in _RUNS}.values()]


def n_frames_of(drafts: Sequence[CandidatePlan], asked: FramesProtocol) -> int:
    """Estimate how many frames a training set of these candidates holds."""
    crystals = len(asked.strains) * len(asked.rattles_a) * len(_crystal_ids(drafts))
    return asked.frames_per_run * len(runs_of(drafts)) + crystals


def frames_step(
    chain: StepChain,
    name: str,
    drafts: Sequence[CandidatePlan],
    asked: FramesProtocol,
    teacher: str,
    *,
    earlier: str | None = None,
) -> PlannedStep:
    """Add the training set of some candidates: their runs, crystals, packings of mixtures.

    The set of identity `earlier`, which the store holds, is taken along.
    """
    runs = runs_of(drafts)
    crystals = {i: get_phase(i).structure() for i in _crystal_ids(drafts)}
    mixtures = [d.candidate.mixture.canonical() for d in drafts if d.candidate.phase == "glass"]
    n_atoms = max(draft.document.n_atoms for draft in drafts)
    return chain.add(
        name,
        asked.training_set(teacher),
        inputs={
            "runs": [output_of(run) for run in runs],
            "crystals": crystals,
            "mixtures": mixtures,
            **({"earlier": [stored(earlier)]} if earlier else {}),
        },
        parents={f"run{index}": run.identity for index, run in enumerate(runs)}
        | ({"set0": earlier} if earlier else {})
        | {phase_id: structure_hash(crystal) for phase_id, crystal in crystals.items()}
        | {f"mixture{index}": content_hash(one) for index, one in enumerate(mixtures)},
        after=tuple(runs),
        cost=dynamics_cost(teacher, n_atoms, n_frames_of(drafts, asked), 1),
    )


def stored(identity: str) -> OutputReference:
    """Refer to the document of a step that is in the store already."""
    return OutputReference(step_uuid(identity))


def _crystal_ids(drafts: Sequence[CandidatePlan]) -> list[str]:
    ids = {i for d in drafts for i in (d.candidate.phase_id, *d.candidate.crystal_ids)}
    return sorted(filter(None, ids))
