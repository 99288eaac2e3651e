"""How many candidates there are of each family, phase, status, system, element, level, sweep."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maggma.core import Store

_PATHS = {
    "family": "family",
    "phase": "phase",
    "e_hull_status": "energy_above_hull_ev_per_atom.status",
    "sigma_status": "sigma_300k_ms_cm.status",
    "chemsys": "chemsys",
    "level": "levels",
    "sweep": "sweeps",
}


def count_facets(summaries: Store, criteria: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return the number of summaries that pass `criteria`, by property and its value."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in (*_PATHS, "element")}
    for record in summaries.query(criteria, list(_PATHS.values())):
        for name, path in _PATHS.items():
            value: Any = record
            for part in path.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            counts[name].update(_values(value))
        counts["element"].update(str(record.get("chemsys", "")).split("-"))
    return {name: dict(counter.most_common()) for name, counter in counts.items()}


def _values(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value.values())
    if isinstance(value, list):
        return set(value)
    return {value} if isinstance(value, str) else set()
