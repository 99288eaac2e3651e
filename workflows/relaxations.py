"""Relaxations as steps: of candidates, competing phases and supercells alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engines.gpaw_levels import is_gpaw
from ..engines.vasp_levels import is_vasp
from ..identity import structure_hash
from ..makers.relax import RelaxMaker
from ..makers.vasp import VaspRelaxMaker
from ..systems.phases import get_phase
from .chain import PlannedStep, StepChain, output_of
from .cost import dynamics_cost

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from .sweep import Sweep


def add_relaxation(
    chain: StepChain,
    name: str,
    level: str,
    start: Structure | PlannedStep,
    sweep: Sweep,
    *,
    n_atoms: int = 0,
) -> PlannedStep:
    """Add the relaxation of `start`, a structure or the step that makes one, at `level`."""
    make = VaspRelaxMaker if is_vasp(level) else RelaxMaker
    maker = make(level=level, fmax_ev_a=sweep.relax.fmax_ev_a, max_steps=sweep.relax.max_steps)
    size = n_atoms if isinstance(start, PlannedStep) else len(start)
    cost = dynamics_cost(level, size, sweep.relax.max_steps // 2, 0)
    if isinstance(start, PlannedStep):
        return chain.add(
            name,
            maker,
            inputs={"start": output_of(start)},
            parents={"start": start.identity},
            after=(start,),
            cost=cost,
        )
    parents = {"start": structure_hash(start)}
    return chain.add(name, maker, inputs={"start": start}, parents=parents, cost=cost)


def phase_cell(phase_id: str, level: str) -> Structure:
    """Return the cell in which a competing phase is relaxed: the smallest one for GPAW."""
    cell = get_phase(phase_id).structure()
    return cell.get_primitive_structure() if is_gpaw(level) else cell
