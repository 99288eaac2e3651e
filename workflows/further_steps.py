"""Steps that a sweep has only if it asks for them: barriers of single hops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..makers.neb import NebMaker
from .chain import output_of
from .cost import dynamics_cost

if TYPE_CHECKING:
    from .candidates import Candidate
    from .chain import PlannedStep, StepChain
    from .sweep import Sweep

_KINDS_OF_HOPS = 5
_SHARE_OF_STEPS = 0.5


def further_steps(
    chain: StepChain,
    candidate: Candidate,
    sweep: Sweep,
    start: PlannedStep,
    *,
    suffix: str,
    n_atoms: int,
) -> None:
    """Add what the sweep asks for beyond stability and transport of one sample.

    Parameters
    ----------
    chain
        Holds the steps of this sample up to its analyses.
    candidate, sweep
        As of all steps.
    start
        What MD of the sample starts from.
    suffix
        Of the sample: empty, ``-seed1``...
    n_atoms
        Of the sample.
    """
    if sweep.neb is not None:
        _neb(chain, candidate, sweep, start, suffix=suffix, n_atoms=n_atoms)


def _neb(
    chain: StepChain,
    candidate: Candidate,
    sweep: Sweep,
    start: PlannedStep,
    *,
    suffix: str,
    n_atoms: int,
) -> None:
    asked = sweep.neb
    assert asked is not None
    settings = asked.model_dump(exclude={"level"})
    maker = NebMaker(
        level=asked.level or sweep.stages.md,
        mobile=candidate.mobile,
        anions=tuple(sorted(candidate.mixture.anions())),
        **settings,
    )
    landscape = chain.steps[f"landscape{suffix}"]
    n_bands = _KINDS_OF_HOPS * asked.per_kind
    n_steps = round(n_bands * (asked.n_images + 2) * _SHARE_OF_STEPS * asked.max_steps)
    chain.add(
        f"{maker.kind}{suffix}",
        maker,
        inputs={"start": output_of(start), "landscape": output_of(landscape)},
        parents={"start": start.identity, "landscape": landscape.identity},
        after=(start, landscape),
        cost=dynamics_cost(maker.level, n_atoms, n_steps, 0),
    )
