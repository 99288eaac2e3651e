"""Sphinx configuration; `make docs` builds docs/_build/html without a warning."""

from __future__ import annotations

import haloflow

project = "haloflow"
author = "haloflow contributors"
copyright = "haloflow contributors, BSD-3-Clause"  # noqa: A001  (Sphinx's name)
version = release = haloflow.__version__

extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"haloflow {release}"
html_show_sphinx = False
html_copy_source = False
