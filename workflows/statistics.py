"""What a store holds in numbers: how many candidates of what, and the ranges of results."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..stores.connection import HaloflowStore

_RANGED: Final = {
    "e_hull": "energy_above_hull_ev_per_atom",
    "sigma": "sigma_300k_ms_cm",
    "e_a": "activation_energy_ev",
}
_COUNTED: Final = ("family", "phase", "chemsys", "complete", "passes_screen")
_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST_NAMES: Final = 100


def statistics(store: HaloflowStore, criteria: Mapping[str, Any]) -> dict[str, Any]:
    """Return counts by property, levels by stage, and ranges of what is ``ok``.

    Ranges have the short names of the fields and their units: eV/atom, mS/cm, eV.
    """
    properties = [*_COUNTED, "levels", "sweeps", "wall_s", "last_updated", *_RANGED.values()]
    rows = list(store.summaries.query(dict(criteria), properties))
    counts = {name: _counted(str(row.get(name)) for row in rows) for name in _COUNTED}
    levels: dict[str, Counter[str]] = {}
    for row in rows:
        for stage, level in (row.get("levels") or {}).items():
            levels.setdefault(stage, Counter())[level] += 1
    return {
        "n_candidates": len(rows),
        "counts": counts,
        "sweeps": _counted(name for row in rows for name in row.get("sweeps") or ()),
        "levels": {stage: dict(counter.most_common()) for stage, counter in levels.items()},
        "ranges": {name: _range(rows, path) for name, path in _RANGED.items()},
        "wall_s": float(sum(row.get("wall_s") or 0.0 for row in rows)),
        "last_updated": max((row["last_updated"] for row in rows), default=None),
    }


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common(_MOST_NAMES))


def _range(rows: list[Any], path: str) -> dict[str, Any]:
    known = [row.get(path) or {} for row in rows]
    statuses = Counter(str(quantity.get("status")) for quantity in known)
    values = np.array(
        [
            quantity["value"]
            for quantity in known
            if quantity.get("status") == "ok" and quantity.get("value") is not None
        ]
    )
    if not len(values):
        return {"n_ok": 0, "statuses": dict(statuses), "min": None, "max": None, "quantiles": {}}
    quantiles = np.quantile(values, _QUANTILES)
    return {
        "n_ok": len(values),
        "statuses": dict(statuses),
        "min": float(values.min()),
        "max": float(values.max()),
        "quantiles": {str(q): float(v) for q, v in zip(_QUANTILES, quantiles, strict=True)},
    }
