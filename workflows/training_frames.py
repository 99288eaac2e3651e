"""The step that collects labelled frames of a sweep's runs for a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobflow import OutputReference

from ..engines.vasp_levels import is_vasp
from ..errors import SweepError
from ..identity import content_hash, step_uuid, structure_hash
from ..makers.vasp_labels import VaspLabelMaker
from ..systems.phases import get_phase
from .chain import PlannedStep, StepChain, output_of
from .cost import analysis_cost, dynamics_cost
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
        If it is not named, or VASP is to label frames while the training goes on.
    """
    teacher = asked.teacher or default or sweep.stages.md
    if teacher == AUTO:
        raise SweepError(
            f"{section}.teacher: a {section.replace('_', '-')} needs a teacher that is named",
            given="stages.md: auto",
            allowed="the name of a potential",
            remedy=f"write {section}: {{teacher: chgnet-r2scan-d3}}",
        )
    if asked.asks_while_learning and is_vasp(teacher):
        raise SweepError(
            f"{section}.teacher: a NEP has frames of its own runs labelled as it learns, and VASP "
            "labels frames as steps of their own",
            given=teacher,
            allowed="a potential, or any calculator of ASE",
            remedy=f"fine-tune a potential on labels of {teacher} (fine_tune), and name that "
            "model as the teacher in a later sweep",
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

    The set of identity `earlier`, which the store holds, is taken along. What VASP labels is
    sampled first, labelled by a step for each frame, and gathered.
    """
    runs = runs_of(drafts)
    crystals = {i: get_phase(i).structure() for i in _crystal_ids(drafts)}
    mixtures = [d.candidate.mixture.canonical() for d in drafts if d.candidate.phase == "glass"]
    n_atoms = max(draft.document.n_atoms for draft in drafts)
    inputs = {
        "runs": [output_of(run) for run in runs],
        "crystals": crystals,
        "mixtures": mixtures,
    }
    parents = {f"run{index}": run.identity for index, run in enumerate(runs)}
    taken = {phase_id: structure_hash(crystal) for phase_id, crystal in crystals.items()}
    taken |= {f"mixture{index}": content_hash(one) for index, one in enumerate(mixtures)}
    if is_vasp(teacher):
        starts = {str(i): stored(run.after[0]) for i, run in enumerate(runs) if run.after}
        sample = chain.add(
            f"frame_sample-{name}",
            asked.sample(),
            inputs=inputs | {"starts": starts},
            parents=parents | taken,
            after=tuple(runs),
            cost=analysis_cost(),
        )
        n_crystal = 1 + len(asked.strains) * len(asked.rattles_a)
        n_offered = asked.frames_per_run * len(runs) + n_crystal * len(crystals)
        n_offered += len(asked.packing_density_scales) * len(mixtures)
        n_labels = min(asked.most_labels, n_offered)
        size = max(n_atoms, asked.packing_n_atoms)
        return _one_by_one(
            chain, name, sample, asked, teacher=teacher, n_labels=n_labels, n_atoms=size
        )
    return chain.add(
        name,
        asked.training_set(teacher),
        inputs=inputs | ({"earlier": [stored(earlier)]} if earlier else {}),
        parents=parents | ({"set0": earlier} if earlier else {}) | taken,
        after=tuple(runs),
        cost=dynamics_cost(teacher, n_atoms, n_frames_of(drafts, asked), 1),
    )


def _one_by_one(
    chain: StepChain,
    name: str,
    sample: PlannedStep,
    asked: FramesProtocol,
    *,
    teacher: str,
    n_labels: int,
    n_atoms: int,
) -> PlannedStep:
    """Add a static calculation of each frame of `sample`, and the set that gathers them."""
    labels = [
        chain.add(
            f"label-{name}-{number:03d}",
            VaspLabelMaker(level=teacher, number=number),
            inputs={"sample": output_of(sample)},
            parents={"sample": sample.identity},
            after=(sample,),
            cost=dynamics_cost(teacher, n_atoms, 1, 0),
        )
        for number in range(1, n_labels + 1)
    ]
    return chain.add(
        name,
        asked.labelled_set(teacher),
        inputs={"sample": output_of(sample), "labels": [output_of(label) for label in labels]},
        parents={"sample": sample.identity}
        | {f"label{number}": label.identity for number, label in enumerate(labels, start=1)},
        after=(sample, *labels),
        cost=analysis_cost(),
    )


def stored(identity: str) -> OutputReference:
    """Refer to the document of a step that is in the store already."""
    return OutputReference(step_uuid(identity))


def _crystal_ids(drafts: Sequence[CandidatePlan]) -> list[str]:
    ids = {i for d in drafts for i in (d.candidate.phase_id, *d.candidate.crystal_ids)}
    return sorted(filter(None, ids))
