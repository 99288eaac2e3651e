"""The steps of a candidate: which Makers, from what, in which order."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..engines.potentials import level_of
from ..engines.vasp_levels import is_vasp
from ..errors import InputError
from ..identity import structure_hash
from ..makers.diffusion import DiffusionMaker
from ..makers.hull import HullMaker
from ..makers.md import MDMaker
from ..makers.melt_quench import MeltQuenchMaker, parents_of_mixture
from ..makers.registries import RegistryMaker
from ..makers.trajectory_makers import LandscapeMaker, StructureMaker, TransportMaker
from ..makers.vasp_glass import VaspMeltQuenchMaker
from ..makers.vasp_md import VaspMDMaker
from ..systems.phases import get_phase
from ..systems.registries import chain_registries, find_chains
from .chain import PlannedStep, StepChain, output_of
from .cost import analysis_cost, dynamics_cost
from .further_steps import further_steps
from .phase_snapshots import snapshot_of
from .references import competing_phases, lowest_crystal, missing_phases, shipped_energies
from .relaxations import add_relaxation, phase_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from ..systems.mixture import IntegerUnits
    from .candidates import Candidate
    from .sweep import Sweep

__all__ = [
    "PlannedStep",
    "StepChain",
    "crystal_steps",
    "glass_steps",
    "output_of",
    "relaxation_alone",
]

MoreTemperatures: TypeAlias = "Mapping[str, Sequence[float]]"
"""Temperatures beside those of the sweep, by sample: ``""``, ``"-seed1"``..."""
NO_MORE: MoreTemperatures = MappingProxyType({})

_SAME_CELL = 1e-3


def crystal_steps(
    candidate: Candidate, sweep: Sweep, supercell: Structure, more: MoreTemperatures = NO_MORE
) -> StepChain:
    """Relax, hull, then MD in the supercell, at `more` temperatures too, and its diffusion."""
    chain = StepChain()
    phase = get_phase(str(candidate.phase_id))
    unit_cell = phase.structure()
    relaxed = add_relaxation(chain, "relax", sweep.stages.relax, unit_cell, sweep)
    amounts = {part.formula: n for part, n in candidate.mixture.amounts.items()}
    at_hull = _at_hull_level(chain, sweep, relaxed, len(unit_cell), "")
    _hull(chain, candidate, sweep, at_hull, amounts)
    if sweep.registries:
        _registries(chain, candidate, sweep, unit_cell.get_primitive_structure())
    start = relaxed
    if not (_same_level(sweep.stages.md, sweep.stages.relax) and _same_cell(supercell, unit_cell)):
        start = add_relaxation(chain, "relax-md", sweep.stages.md, supercell, sweep)
    temperatures = sweep.md.crystal_temperatures_k or sweep.md.temperatures_k
    _transport(
        chain,
        candidate,
        sweep,
        start,
        temperatures_k=[*temperatures, *more.get("", ())],
        n_atoms=len(supercell),
        repeats=_repeats(supercell, unit_cell),
        n_octahedra=_n_octahedra(candidate, supercell),
    )
    return chain


def relaxation_alone(candidate: Candidate, sweep: Sweep) -> StepChain:
    """Relax the primitive cell of a crystal, no more."""
    chain = StepChain()
    cell = get_phase(str(candidate.phase_id)).structure().get_primitive_structure()
    add_relaxation(chain, "relax", sweep.stages.relax, cell, sweep)
    return chain


def chain_former(candidate: Candidate) -> str | None:
    """Return the centres of the chains of oxygen of a crystal that consists of such chains."""
    if candidate.phase != "crystal":
        return None
    cell = get_phase(str(candidate.phase_id)).structure().get_primitive_structure()
    for former in candidate.mixture.formers(candidate.mobile):
        try:
            find_chains(cell, former)
        except InputError:  # no chains of this one
            continue
        return former
    return None


def _registries(chain: StepChain, candidate: Candidate, sweep: Sweep, cell: Structure) -> None:
    former = chain_former(candidate)
    if former is None:
        return
    maker = RegistryMaker(
        level=sweep.stages.relax,
        former=former,
        fmax_ev_a=sweep.relax.fmax_ev_a,
        max_steps=sweep.relax.max_steps,
    )
    n_steps = len(chain_registries(cell, former)) * sweep.relax.max_steps // 2
    chain.add(
        maker.kind,
        maker,
        inputs={"start": cell},
        parents={"start": structure_hash(cell)},
        cost=dynamics_cost(maker.level, len(cell), n_steps, 0),
    )


def _same_level(one: str, other: str) -> bool:
    return level_of(one) == level_of(other)


def _same_cell(one: Structure, other: Structure) -> bool:
    """Tell whether two cells of one crystal have the same vectors."""
    return bool(np.abs(one.lattice.matrix - other.lattice.matrix).max() < _SAME_CELL)


def _repeats(supercell: Structure, unit_cell: Structure) -> tuple[int, int, int] | None:
    """Return the cells along each vector, where the supercell has the vectors of its cell."""
    matrix = np.linalg.solve(unit_cell.lattice.matrix.T, supercell.lattice.matrix.T).T
    whole = np.rint(np.diag(matrix)).astype(int)
    if np.abs(matrix - np.diag(whole)).max() > _SAME_CELL:
        return None
    a, b, c = whole.tolist()
    return a, b, c


def _n_octahedra(candidate: Candidate, supercell: Structure) -> int:
    formers = candidate.mixture.formers(candidate.mobile)
    return sum(round(float(supercell.composition[former])) for former in formers)


def glass_steps(
    candidate: Candidate, sweep: Sweep, units: IntegerUnits, more: MoreTemperatures = NO_MORE
) -> StepChain:
    """Per seed: melt and quench, then relax and hull, then MD, `more` of it, and its diffusion."""
    chain = StepChain()
    size = units.n_atoms
    mixture = candidate.mixture.canonical()
    melt_quench = VaspMeltQuenchMaker if is_vasp(sweep.stages.melt_quench) else MeltQuenchMaker
    for seed in sweep.seeds:
        suffix = f"-seed{seed}"
        maker = melt_quench(
            level=sweep.stages.melt_quench,
            seed=seed,
            protocol=sweep.melt_quench,
            n_mobile=sweep.size.glass_n_mobile,
            n_atoms=sweep.size.glass_n_atoms,
            mobile=candidate.mobile,
            crystal_phase_id=lowest_crystal(candidate.crystal_ids),
        )
        quenched = chain.add(
            f"melt_quench{suffix}",
            maker,
            inputs={"mixture": mixture},
            parents=parents_of_mixture(mixture),
            cost=dynamics_cost(
                maker.level, size, maker.protocol.max_steps, maker.protocol.trajectory_interval
            ),
        )
        relaxed = add_relaxation(
            chain, f"relax{suffix}", sweep.stages.relax, quenched, sweep, n_atoms=size
        )
        at_hull = _at_hull_level(chain, sweep, relaxed, size, suffix)
        _hull(chain, candidate, sweep, at_hull, units.counts, suffix=suffix)
        _transport(
            chain,
            candidate,
            sweep,
            quenched,
            temperatures_k=[*sweep.md.temperatures_k, *more.get(suffix, ())],
            n_atoms=size,
            suffix=suffix,
        )
    return chain


def _at_hull_level(
    chain: StepChain, sweep: Sweep, relaxed: PlannedStep, n_atoms: int, suffix: str
) -> PlannedStep:
    """Relax at the level of the hull, as its phases are."""
    level = sweep.stages.hull
    if _same_level(level, sweep.stages.relax):
        return relaxed
    return add_relaxation(chain, f"relax-hull{suffix}", level, relaxed, sweep, n_atoms=n_atoms)


def _hull(
    chain: StepChain,
    candidate: Candidate,
    sweep: Sweep,
    evaluated: PlannedStep,
    amounts: Mapping[str, float],
    *,
    suffix: str = "",
) -> None:
    level = sweep.stages.hull
    fetched = snapshot_of(sweep, candidate)
    phases = (
        competing_phases(candidate, sweep.hull.include_hypothetical)
        if fetched is None
        else list(candidate.crystal_ids)
    )
    shipped = shipped_energies(phases, level)
    computed = {
        phase_id: add_relaxation(
            chain, f"phase-{phase_id}", level, phase_cell(phase_id, level), sweep
        )
        for phase_id in phases
        if phase_id not in shipped
    }
    maker = HullMaker(
        level=level,
        include_hypothetical=sweep.hull.include_hypothetical,
        components=dict(amounts),
        oxidation_states=candidate.mixture.element_oxidation_states(),
        crystal_phase_ids=candidate.crystal_ids if candidate.phase == "glass" else (),
        shipped_energies=shipped,
        mobile=candidate.mobile,
        library_gap=missing_phases({e.symbol for e in candidate.mixture.composition.elements})
        if fetched is None
        else fetched.foreign_potcars(candidate.mixture.composition.elements),
        fetched=fetched.within(candidate.mixture.composition.elements) if fetched else {},
        fetched_from=fetched.said if fetched else "",
    )
    chain.add(
        f"hull{suffix}",
        maker,
        inputs={
            "candidate": output_of(evaluated),
            "phases": {phase_id: output_of(step) for phase_id, step in computed.items()},
        },
        parents={"candidate": evaluated.identity}
        | {phase_id: step.identity for phase_id, step in computed.items()},
        after=(evaluated, *computed.values()),
        cost=analysis_cost(),
    )


def _transport(
    chain: StepChain,
    candidate: Candidate,
    sweep: Sweep,
    start: PlannedStep,
    *,
    temperatures_k: list[float],
    n_atoms: int,
    suffix: str = "",
    repeats: tuple[int, int, int] | None = None,
    n_octahedra: int = 0,
) -> None:
    md = sweep.md
    runs = []
    run_md = VaspMDMaker if is_vasp(sweep.stages.md) else MDMaker
    for temperature in sorted(temperatures_k):
        maker = run_md(
            level=sweep.stages.md,
            temperature_k=temperature,
            timestep_fs=md.timestep_fs,
            equilibration_steps=md.equilibration_steps,
            full_cell=candidate.phase == "crystal",
            production_steps=md.production_steps,
            trajectory_interval=md.trajectory_interval,
            tether_species=tuple(sorted(md.tether.species)) if md.tether else (),
            tether_alpha_ev_a2=md.tether.alpha_ev_a2 if md.tether else 0.0,
            mobile=candidate.mobile,
            anions=tuple(candidate.mixture.anions()),
            seed=md.seed,
        )
        cost = dynamics_cost(maker.level, n_atoms, maker.n_steps, maker.trajectory_interval)
        runs.append(
            chain.add(
                f"md{suffix}-{temperature:g}K",
                maker,
                inputs={"start": output_of(start)},
                parents={"start": start.identity},
                after=(start,),
                cost=cost,
            )
        )
    runs_of = {"runs": [output_of(run) for run in runs]}
    parents, after = {run.name: run.identity for run in runs}, tuple(runs)
    charge = max(candidate.mixture.element_oxidation_states()[candidate.mobile])
    mobile, tg_k = candidate.mobile, candidate.glass_transition_k
    for made in (
        DiffusionMaker(mobile=mobile, charge=charge, known_glass_transition_k=tg_k),
        TransportMaker(mobile=mobile, charge=charge, known_glass_transition_k=tg_k),
        StructureMaker(
            mobile=mobile,
            crystal=candidate.phase == "crystal",
            crystal_phase_id=lowest_crystal(candidate.crystal_ids)
            if candidate.phase == "glass"
            else None,
        ),
        LandscapeMaker(
            mobile=mobile,
            repeats=repeats,
            n_octahedra=n_octahedra,
            known_glass_transition_k=tg_k,
            nmr=sweep.nmr,
        ),
    ):
        chain.add(
            f"{made.kind}{suffix}",
            made,
            inputs=runs_of,
            parents=parents,
            after=after,
            cost=analysis_cost(),
        )
    further_steps(chain, candidate, sweep, start, suffix=suffix, n_atoms=n_atoms)
