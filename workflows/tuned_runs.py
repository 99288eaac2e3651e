"""MD by the model that a sweep trains, of each sample, and the analyses of its runs."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from ..makers.md import MDMaker
from ..makers.tuned_md import TunedMDMaker
from ..stores.samples import ANALYSES, TUNED
from .chain import StepChain, output_of
from .cost import analysis_cost, dynamics_cost

if TYPE_CHECKING:
    from ..makers.finetune_protocol import FineTuneProtocol
    from .chain import PlannedStep
    from .plan import CandidatePlan

_OWN = {field.name for field in fields(MDMaker)} - {"name", "level"}


def tuned_runs(
    draft: CandidatePlan, model: PlannedStep, asked: FineTuneProtocol
) -> list[PlannedStep]:
    """Return runs of a candidate's samples by `model`, each sample from where its MD begins.

    Their analyses are those of the sweep's own runs.
    """
    assert asked.md is not None
    chain = StepChain()
    by_sample: dict[str, list[PlannedStep]] = {}
    for step in draft.steps:
        if isinstance(step.maker, MDMaker):
            by_sample.setdefault(_sample_of(step), []).append(step)
    for suffix, likes in by_sample.items():
        start = [step for step in draft.steps if step.identity in likes[0].after]
        runs = _runs(chain, suffix, likes, (*start, model), asked)
        for step in draft.steps:
            if step.name in {f"{stage}{suffix}" for stage in ANALYSES}:
                chain.add(
                    f"{TUNED}{step.name}",
                    step.maker,
                    inputs={"runs": [output_of(run) for run in runs]},
                    parents={run.name: run.identity for run in runs},
                    after=tuple(runs),
                    cost=analysis_cost(),
                )
    return list(chain.steps.values())


def _sample_of(step: PlannedStep) -> str:
    """Return the part of a run's name that is its sample: ``-seed1``, or nothing."""
    return step.name.removeprefix("md").rpartition("-")[0]


def _runs(
    chain: StepChain,
    suffix: str,
    likes: list[PlannedStep],
    after: tuple[PlannedStep, ...],
    asked: FineTuneProtocol,
) -> list[PlannedStep]:
    assert asked.md is not None
    like, model = likes[0], after[-1]
    assert isinstance(like.maker, MDMaker)
    known = {name: getattr(like.maker, name) for name in _OWN}
    lengths = asked.md.model_dump(exclude={"temperatures_k"}, exclude_none=True)
    own = sorted(step.maker.settings()["temperature_k"] for step in likes)
    level = "mace" if asked.mace is not None else asked.parent
    runs = []
    for kelvin in sorted(asked.md.temperatures_k or own):
        maker = TunedMDMaker(**known | lengths | {"temperature_k": kelvin})
        runs.append(
            chain.add(
                f"{TUNED}md{suffix}-{kelvin:g}K",
                maker,
                inputs={"start": like.inputs["start"], "model": output_of(model)},
                parents=like.parents | {"model": model.identity},
                after=after,
                cost=dynamics_cost(
                    level, like.cost.n_atoms, maker.n_steps, maker.trajectory_interval
                ),
            )
        )
    return runs
