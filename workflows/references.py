"""Which phases a candidate competes with, and which of their energies come with the package."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ..engines.potentials import identify
from ..systems.phases import get_phase, load_phases, phases_within

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..systems.phases import Role
    from .candidates import Candidate

SHIPPED = {"chgnet-r2scan": "chgnet-0.4.2-r2scan"}
"""Level to the key of its energies in the phase library."""


def competing_phases(candidate: Candidate, include_hypothetical: bool) -> list[str]:  # noqa: FBT001  (passed on from the sweep)
    """Return the ids of the phases whose energies the candidate's hull needs.

    These are the competing phases, the candidate's components and, for a glass, its crystals.
    """
    roles: tuple[Role, ...] = ("reference", *(("hypothetical",) if include_hypothetical else ()))
    elements = {element.symbol for element in candidate.mixture.composition.elements}
    wanted = [phase.id for phase in phases_within(elements, roles=roles)]
    wanted += [part.phase_id for part in candidate.mixture.amounts if part.phase_id]
    wanted += candidate.crystal_ids
    return list(dict.fromkeys(wanted))


def shipped_energies(phase_ids: Iterable[str], level: str) -> dict[str, float]:
    """Return the energies (eV/atom) at `level` that come with the package.

    Only those made with the very weights that are installed count.
    """
    key = SHIPPED.get(level)
    if key is None or not _made_with_installed_weights(level, key):
        return {}
    energies = {phase_id: get_phase(phase_id).energy_per_atom_ev for phase_id in phase_ids}
    return {phase_id: known[key] for phase_id, known in energies.items() if key in known}


@cache
def _made_with_installed_weights(level: str, key: str) -> bool:
    identity = identify(level)
    return f"{identity.package}-{identity.package_version}" in key


def crystal_density_g_cm3(crystal_ids: Iterable[str]) -> float | None:
    """Return the density of the lowest-energy crystal of the library among `crystal_ids`."""
    phases = load_phases()
    crystals = [phases[phase_id] for phase_id in crystal_ids]
    if not crystals:
        return None
    lowest = min(crystals, key=lambda phase: min(phase.energy_per_atom_ev.values()))
    return float(lowest.structure().density)
