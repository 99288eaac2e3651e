"""What a store holds in numbers: how many candidates of what, and the ranges of results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..stores.fields import get_field
from ..stores.tally import tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..stores.connection import HaloflowStore

_RANGED: Final = ("e_hull", "sigma", "e_a")
_QUANTILES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def statistics(store: HaloflowStore, criteria: Mapping[str, Any]) -> dict[str, Any]:
    """Return counts by property, and quantiles of the results that are ``ok``.

    All of them are of one reading. Ranges have the short names of the fields and their units:
    eV/atom, mS/cm, eV.
    """
    found = tally(store.summaries, criteria, _RANGED)
    return {
        "n_candidates": found.n_candidates,
        "n_complete": found.n_complete,
        "n_passing": found.n_passing,
        "n_failing": found.n_failing,
        "counts": found.counts,
        "ranges": {name: _range(name, values) for name, values in found.values.items()},
        "last_updated": found.last_updated,
    }


def _range(name: str, values: Sequence[float]) -> dict[str, Any]:
    """Return the number of values, which rise, and their quantiles (nearest ranks)."""
    last = len(values) - 1
    quantiles = {f"{q:g}": values[round(q * last)] for q in _QUANTILES if values}
    return {"n_ok": len(values), "unit": get_field(name).unit, "quantiles": quantiles}
