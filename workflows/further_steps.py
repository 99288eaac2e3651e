"""Steps that a sweep has only if it asks for them: barriers of hops, ensembles of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engines.potentials import level_of
from ..engines.vasp_levels import is_vasp
from ..makers.ensemble import EnsembleMaker, FrameRelaxMaker, VaspFrameRelaxMaker, shares
from ..makers.hull import HullMaker
from ..makers.neb import NebMaker
from ..makers.vasp_neb import VaspNebMaker
from .chain import output_of
from .cost import analysis_cost, dynamics_cost
from .references import competing_phases, missing_phases, shipped_energies
from .relaxations import add_relaxation, phase_cell

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
    if sweep.ensemble is not None and candidate.phase == "glass":
        _ensemble(chain, candidate, sweep, suffix=suffix, n_atoms=n_atoms)


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
    level = asked.level or sweep.stages.md
    make = VaspNebMaker if is_vasp(level) else NebMaker
    maker = make(
        level=level,
        mobile=candidate.mobile,
        anions=tuple(sorted(candidate.mixture.anions())),
        **settings,
    )
    if level_of(level) not in {level_of(sweep.stages.md), level_of(start.maker.level)}:
        start = add_relaxation(chain, f"relax-neb{suffix}", level, start, sweep, n_atoms=n_atoms)
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


def _ensemble(
    chain: StepChain, candidate: Candidate, sweep: Sweep, *, suffix: str, n_atoms: int
) -> None:
    """Relax frames of an MD run, the competing phases at the same level, and compare them."""
    asked = sweep.ensemble
    assert asked is not None
    level = asked.level or sweep.stages.hull
    kelvin = asked.temperature_k or max(sweep.md.temperatures_k)
    run = chain.steps[f"md{suffix}-{kelvin:g}K"]
    fmax = asked.fmax_ev_a or sweep.relax.fmax_ev_a
    most = sweep.relax.max_steps
    make = VaspFrameRelaxMaker if is_vasp(level) else FrameRelaxMaker
    frames = [
        chain.add(
            f"frame{suffix}-{kelvin:g}K-{number:02d}",
            make(level=level, fmax_ev_a=fmax, max_steps=most, share=share),
            inputs={"start": output_of(run)},
            parents={"start": run.identity},
            after=(run,),
            cost=dynamics_cost(level, n_atoms, most // 2, 0),
        )
        for number, share in enumerate(shares(asked.n_frames), start=1)
    ]
    hull = chain.steps[f"hull{suffix}"].maker
    assert isinstance(hull, HullMaker)
    same = level_of(level) == level_of(sweep.stages.hull)
    fetched = hull.fetched if same else {}
    phases = [] if fetched else competing_phases(candidate, sweep.hull.include_hypothetical)
    shipped = shipped_energies(phases, level)
    computed = {
        phase_id: chain.steps[f"phase-{phase_id}"]
        if same
        else add_relaxation(
            chain, f"reference-{phase_id}", level, phase_cell(phase_id, level), sweep
        )
        for phase_id in phases
        if phase_id not in shipped
    }
    elements = {e.symbol for e in candidate.mixture.composition.elements}
    maker = EnsembleMaker(
        level=level,
        include_hypothetical=hull.include_hypothetical,
        components=hull.components,
        oxidation_states=hull.oxidation_states,
        shipped_energies=shipped,
        mobile=hull.mobile,
        library_gap=hull.library_gap if same else missing_phases(elements),
        fetched=fetched,
        fetched_from=hull.fetched_from if same else "",
        temperature_k=kelvin,
    )
    chain.add(
        f"{maker.kind}{suffix}",
        maker,
        inputs={
            "frames": [output_of(frame) for frame in frames],
            "phases": {phase_id: output_of(step) for phase_id, step in computed.items()},
        },
        parents={f"frame-{i}": frame.identity for i, frame in enumerate(frames)}
        | {phase_id: step.identity for phase_id, step in computed.items()},
        after=(*frames, *computed.values()),
        cost=analysis_cost(),
    )
