"""The structures of a store for every client that speaks OPTIMADE; extra ``optimade``.

optimade-python-tools looks for settings in a file at home and in the environment, and writes
logs below ``/var/log``, from the moment its modules are imported. Here it does neither: what an
OPTIMADE server of the user's own needs is not for this one.
"""

import logging
from typing import Any

from optimade.server.config import ServerConfig

from .entries import PREFIX


def _given_settings_only(
    _cls: type[ServerConfig],
    /,
    _settings_cls: Any,  # noqa: ANN401  (of pydantic-settings)
    init_settings: Any,  # noqa: ANN401  (of pydantic-settings)
    **_others: Any,  # noqa: ANN401  (of pydantic-settings)
) -> tuple[Any, ...]:
    return (init_settings,)


ServerConfig.settings_customise_sources = classmethod(_given_settings_only)
for _name in ("optimade", f"optimade.{PREFIX}"):  # a logger that has a handler is given no other
    _logger = logging.getLogger(_name)
    _logger.addHandler(logging.NullHandler())
    _logger.propagate = False
