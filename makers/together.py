"""Steps whose potential evaluates many structures at once."""

from __future__ import annotations

from ..engines.torchsim_models import choose_runner
from ..errors import HaloflowError
from ..settings import get_settings


def evaluates_together(level: str) -> bool:
    """Tell whether the settings let torch-sim evaluate `level`, several structures at once."""
    settings = get_settings()
    try:
        runner = choose_runner(settings.runner, level, settings.device)
    except HaloflowError:  # the step itself will say so
        return False
    return settings.batch > 1 and runner == "torch-sim"
