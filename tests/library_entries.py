"""The phase library as entries of a hull, at the level whose energies come with the package."""

from __future__ import annotations

from functools import cache

from pymatgen.core import Composition

from haloflow.analysis.competition import HullEntry
from haloflow.systems.phases import REFERENCE_LEVEL, load_phases

LEVEL = REFERENCE_LEVEL


def entry(phase_id, formula, energy, role="reference", level=LEVEL):
    return HullEntry(phase_id, formula, energy, role, level)


@cache
def library():
    return [
        entry(phase.id, phase.formula, phase.energy_per_atom_ev[LEVEL], phase.role)
        for phase in load_phases().values()
    ]


def energy_of(phase_id):
    return next(e.energy_ev_per_atom for e in library() if e.phase_id == phase_id)


def lowest_energy(formula):
    reduced = Composition(formula).reduced_formula
    return min(
        e.energy_ev_per_atom for e in library() if Composition(e.formula).reduced_formula == reduced
    )
