"""What is known of a level of theory's own error."""

from __future__ import annotations

from ..makers.hull import LEVEL_ERROR_EV_PER_ATOM


def level_error_ev_per_atom(level: str) -> float | None:
    """Return the measured error of energies above hull at `level`; ``None`` if none is."""
    return LEVEL_ERROR_EV_PER_ATOM.get(level)
