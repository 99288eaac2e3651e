"""Which phases a candidate competes with, and which of their energies come with the package."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from ..engines.gpaw_levels import is_gpaw
from ..engines.potentials import identify
from ..systems.dft_energies import computed_energies
from ..systems.phases import REFERENCE_LEVEL, get_phase, load_phases, phases_within

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..systems.phases import Role
    from .candidates import Candidate

SHIPPED = {
    "chgnet-r2scan": (
        REFERENCE_LEVEL,
        "8eba3db0f35a2788bb3ae22885ad340591e27996f213c6643af522a633b50dad",
    )
}
"""Level to the key of its energies in the phase library, and the weights that made them."""


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

    Only those made with the very weights, or settings of DFT, that are installed count.
    """
    if is_gpaw(level):
        known = computed_energies(level, identify(level).weights_sha256)
        return {phase_id: known[phase_id] for phase_id in phase_ids if phase_id in known}
    key, weights_sha256 = SHIPPED.get(level, ("", ""))
    if not key or identify(level).weights_sha256 != weights_sha256:
        return {}
    return _stored_energies(tuple(phase_ids), key)


@lru_cache(maxsize=1024)
def _stored_energies(phase_ids: tuple[str, ...], key: str) -> dict[str, float]:
    energies = {phase_id: get_phase(phase_id).energy_per_atom_ev for phase_id in phase_ids}
    return {phase_id: known[key] for phase_id, known in energies.items() if key in known}


def library_gaps(elements: set[str]) -> list[str]:
    """Say what the phase library lacks for a hull of `elements`; empty when nothing."""
    missing = sorted(elements - _pure_elements())
    if missing:
        return [f"the phase library has no {', '.join(missing)}: there will be no E_hull"]
    gap = missing_phases(elements)
    return [gap] if gap else []


@cache
def _pure_elements() -> frozenset[str]:
    phases = load_phases().values()
    return frozenset().union(*(phase.elements for phase in phases if len(phase.elements) == 1))


def missing_phases(elements: set[str]) -> str:
    """Say why phases that compete within `elements` may be missing; empty when none are."""
    return _missing_phases(frozenset(elements))


@lru_cache(maxsize=1024)
def _missing_phases(elements: frozenset[str]) -> str:
    phases = load_phases().values()
    collected = sorted({system for phase in phases for system in phase.chemsys})
    if any(elements <= set(system.split("-")) for system in collected):
        return ""
    return (
        f"the phase library was collected for {', '.join(collected)}: competing phases of this "
        "mix may be missing, and E_hull too low"
    )


def lowest_crystal(crystal_ids: Iterable[str]) -> str | None:
    """Return the crystal of the lowest stored energy among `crystal_ids`."""
    return min(
        crystal_ids,
        key=lambda phase_id: get_phase(phase_id).energy_per_atom_ev[REFERENCE_LEVEL],
        default=None,
    )
