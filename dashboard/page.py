"""HTML pages that hold everything themselves: figures, scenes, style and scripts in one file."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from .. import __version__
from ..errors import InputError
from . import wording
from .theme import drawable, pretty

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from ..quantity import Quantity
    from .theme import Figure


def render_page(
    template: str,
    figures: Mapping[str, Figure],
    scenes: Mapping[str, dict[str, Any]] | None = None,
    *,
    created_at: datetime,
    **context: object,
) -> str:
    """Return the HTML of a page.

    Parameters
    ----------
    template
        Name of the template.
    figures, scenes
        Figures and structures by the id that the template places them with.
    created_at
        Time of writing.
    context
        What else the template shows.
    """
    scripts = [get_plotlyjs(), _asset("structure.js"), _asset("report.js")]
    return (
        _environment()
        .get_template(template)
        .render(
            version=__version__,
            created=created_at.strftime("%Y-%m-%d %H:%M UTC"),
            data=_embedded_json({"figures": dict(figures), "scenes": dict(scenes or {})}),
            css=_asset("report.css"),
            scripts=scripts,
            script_hashes=" ".join(_csp_hash(script) for script in scripts),
            **context,
        )
    )


def write_page(html: str, path: Path, what: str) -> None:
    """Write a page (`what` it is, for the message) to `path`, whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(html, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise InputError(
            f"the {what} cannot be written",
            given=f"{path} ({error.strerror})",
            remedy="name a file in a folder that exists and that you may write to",
        ) from None


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("haloflow.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "pretty": pretty,
        "number": wording.number,
        "quantity_text": wording.quantity_text,
        "energy_text": wording.energy_text,
        "reason": wording.reason,
        "status_label": wording.status_label,
        "sort_key": _sort_key,
        "quench_rate": wording.quench_rate_text,
        "duration": wording.duration_text,
        "file_size": wording.size_text,
        "literature_label": wording.literature_label,
        "literature_text": wording.literature_text,
    }
    return environment


def _sort_key(quantity: Quantity) -> float | str:
    for value in (quantity.value, quantity.lower, quantity.upper):
        if value is not None and math.isfinite(value):
            return value
    return ""


def _asset(name: str) -> str:
    return files("haloflow.dashboard").joinpath("assets", name).read_text(encoding="utf-8")


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _embedded_json(data: object) -> str:
    """Return JSON that may stand inside a script element: no tag can end it."""
    encoded = json.dumps(drawable(data), ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    return encoded
