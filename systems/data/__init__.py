"""Data files of the chemistry."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pathlib import Path


class Row(BaseModel):
    """A row of a data file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(source: str | Path) -> Any:  # noqa: ANN401  (YAML has no narrower type)
    """Parse a data file of this package, given by name, or any file, given by path."""
    file = files(__name__).joinpath(source) if isinstance(source, str) else source
    return yaml.load(file.read_text(encoding="utf-8"), _LOADER)  # noqa: S506  (a safe loader)
