"""A frame with what VASP says of it: the labels that a potential learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress

if TYPE_CHECKING:
    from ase import Atoms

    from .vasp_relax import VaspResult


def labelled_by_vasp(frame: Atoms, result: VaspResult) -> Atoms:
    """Return a copy of `frame` with energy, forces and stress of its static calculation.

    The energy is the free energy, whose derivatives forces and stress are.

    Parameters
    ----------
    frame
        As it was given to VASP; its ``info`` is kept.
    result
        Of :func:`~haloflow.engines.vasp_relax.evaluate_with_vasp`.
    """
    outcome = result.outcome
    atoms = frame.copy()
    atoms.calc = SinglePointCalculator(
        atoms,
        energy=outcome.free_energy_ev,
        forces=outcome.forces_ev_a[np.argsort(result.order)],
        stress=full_3x3_to_voigt_6_stress(outcome.stress_gpa * units.GPa),
    )
    return atoms
