"""Energies of phases that were computed by DFT for this package, with where they come from."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pymatgen.core import Structure

from .data import Row, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping


class ComputedPhase(Row):
    """A phase as it was relaxed at a level of DFT, in its primitive cell.

    Attributes
    ----------
    phase_id
        Of the phase library, whose geometry the relaxation started from.
    identity
        Of the step that computed it.
    lattice, sites
        Cell vectors in A; element and fractional coordinates of each atom.
    """

    phase_id: str
    energy_ev_per_atom: float
    max_force_ev_a: float
    max_stress_gpa: float
    n_steps: int
    identity: str
    lattice: tuple[tuple[float, float, float], ...]
    sites: tuple[tuple[str, float, float, float], ...]

    def structure(self) -> Structure:
        """Return the relaxed cell."""
        species, coordinates = [site[0] for site in self.sites], [site[1:] for site in self.sites]
        return Structure(self.lattice, species, coordinates)


class ComputedLevel(Row):
    """What was computed at one level.

    Attributes
    ----------
    level
        Its name.
    weights_sha256
        Of its settings, datasets and libxc: energies of another one do not go with these.
    made_with
        Versions of what computed it.
    """

    level: str
    weights_sha256: str
    made_with: dict[str, str]
    phases: tuple[ComputedPhase, ...]


@cache
def computed_levels() -> Mapping[str, ComputedLevel]:
    """Return what comes with the package, by level."""
    rows = read_yaml("dft_energies.yaml")
    return {row["level"]: ComputedLevel.model_validate(row) for row in rows}


def computed_energies(level: str, weights_sha256: str) -> dict[str, float]:
    """Return phase id to energy (eV/atom) at `level`, if made with those very settings."""
    known = computed_levels().get(level)
    if known is None or known.weights_sha256 != weights_sha256:
        return {}
    return {phase.phase_id: phase.energy_ev_per_atom for phase in known.phases}
