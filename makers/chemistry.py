"""What the analysis says about a structure or a run, as parts of documents."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.io.ase import AseAtomsAdaptor

from ..analysis.bonds import assign_oxygen_states, bond_cutoffs_a, count_bonds
from ..analysis.glass import Crystal
from ..engines.trajectory import TrajectoryReader
from ..stores.documents import GlassEvidence, OxygenStates
from ..systems.components import component
from ..systems.mixture import Mixture

if TYPE_CHECKING:
    from collections.abc import Collection

    from pymatgen.core import Structure

    from ..analysis.evidence import Evidence
    from ..engines.md import MDResult


def symbols_of(structure: Structure) -> list[str]:
    """Return the element symbol of each site."""
    return [site.specie.symbol for site in structure]


def crystal_of(structure: Structure) -> Crystal:
    """Return a structure as the crystal that tests and patterns compare with."""
    return Crystal(structure.cart_coords, structure.lattice.matrix, tuple(symbols_of(structure)))


def final_structure(run: MDResult) -> Structure:
    """Return the last state of a run; of one that diverged, the last that is finite."""
    atoms = run.atoms
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        reader = TrajectoryReader(run.trajectory)
        atoms = atoms.copy()
        atoms.positions[:] = reader.positions(-1)[0]
        atoms.cell[:] = reader.cells(-1)[0]
    structure: Structure = AseAtomsAdaptor.get_structure(atoms)
    structure.remove_site_property("momenta")
    return structure


def oxygen_states(structure: Structure) -> OxygenStates | None:
    """Count oxides, peroxides and shorter O2 units; ``None`` without oxygen."""
    symbols = symbols_of(structure)
    if "O" not in symbols:
        return None
    found = assign_oxygen_states(structure.cart_coords, structure.lattice.matrix, symbols)
    return OxygenStates(
        n_oxide=found.n_oxide,
        n_peroxide=found.n_peroxide,
        n_superoxide=found.n_superoxide,
        peroxide_fraction=found.peroxide_fraction,
    )


def anion_bonds(structure: Structure, anions: Collection[str]) -> dict[str, int]:
    """Count bonds between `anions` that occur, e.g. ``{"Cl-Cl": 1}``."""
    counts = count_bonds(
        structure.cart_coords,
        structure.lattice.matrix,
        symbols_of(structure),
        bond_cutoffs_a(anions),
    )
    return {pair: number for pair, number in counts.items() if number}


def glass_evidence(evidence: Evidence) -> GlassEvidence:
    """Return `evidence` as part of a document; numbers that are not finite are left out."""
    numbers = {key: value for key, value in evidence.numbers.items() if np.isfinite(value)}
    return GlassEvidence(holds=evidence.holds, criterion=evidence.criterion, numbers=numbers)


def mixture_of(canonical: dict[str, Any]) -> Mixture:
    """Rebuild a mixture from ``Mixture.canonical()``."""
    return Mixture(
        {
            component(
                formula,
                row["oxidation_states"],
                phase_id=row["phase_id"] or None,
                volume_a3=row["volume_a3"],
            ): float(Fraction(row["fraction"]))
            for formula, row in canonical.items()
        }
    )
