"""The REST API: one router per module, all under ``/api/v1``."""

from __future__ import annotations

from . import (
    campaign,
    candidates,
    compare,
    details,
    experiment,
    fields,
    figures,
    overview,
    provenance,
    stats,
    structures,
    trajectories,
)

ROUTERS = [
    candidates.router,
    fields.router,
    structures.router,
    details.router,
    trajectories.router,
    provenance.router,
]
HEAVY_ROUTERS = [
    campaign.router,
    experiment.router,
    figures.router,
    overview.router,
    stats.router,
    compare.router,
]
"""Those that read many candidates, or draw, for one answer."""
