"""Tests that compute with GPAW: they skip where `make gpaw` was not run, and fail in CI."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec

import pytest
from ase.build import bulk

from haloflow.engines.gpaw_calculator import GpawCalculator
from haloflow.engines.gpaw_levels import gpaw_level
from haloflow.engines.relax import relax
from haloflow.engines.relax_settings import RelaxSettings

needs_gpaw = pytest.mark.skipif(
    find_spec("_gpaw") is None and os.environ.get("CI") != "true",
    reason="GPAW is not installed: make gpaw",
)


def coarse(level="gpaw-pbe", **settings):
    """Return a calculator of one k-point and few plane waves: right in kind, not in number."""
    chosen = {"cutoff_ev": 300.0, "kspacing": 3.0} | settings
    return GpawCalculator(replace(gpaw_level(level), **chosen))


def relax_salt(directory, on_progress):
    """Relax the cell of rock salt from 5.5 A, as a Maker does, a second a step."""
    settings = RelaxSettings(optimizer="BFGS", checkpoint_interval=1, fmax_ev_a=0.02)
    return relax(
        bulk("NaCl", "rocksalt", a=5.5),
        coarse(cutoff_ev=350.0, kspacing=1.0),
        directory,
        settings,
        signature="salt",
        on_progress=on_progress,
    )
