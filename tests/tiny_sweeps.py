"""Sweeps that run in seconds: rock salt as a crystal and as a glass, with a pair potential."""

from __future__ import annotations

from typing import Any

from jobflow import run_locally
from pair_potential import LEVEL

from haloflow.makers.step import release_claims
from haloflow.stores.records import step_of
from haloflow.workflows.sweep import Sweep, parse_sweep

GLASS = {"components": {"NaCl": 1}, "phase": "glass"}
CRYSTAL = {"crystal": "NaCl_B1"}
TINY: dict[str, Any] = {
    "name": "tiny",
    "level": LEVEL,
    "systems": [GLASS, CRYSTAL],
    "seeds": 1,
    "size": {"glass_n_atoms": 16, "crystal_n_mobile": 4, "crystal_max_atoms": 8},
    "relax": {"fmax_ev_a": 0.2, "max_steps": 20},
    "melt_quench": {
        "melt_temperature_k": 600,
        "melt_steps": 30,
        "hold_steps": 20,
        "quench_steps": 30,
        "npt_block_steps": 20,
        "npt_max_blocks": 3,
        "density_tolerance": 1e-6,
        "prerelax_steps": 20,
        "trajectory_interval": 5,
        "checkpoint_interval": 10,
    },
    "md": {
        "temperatures_k": [300, 400],
        "crystal_temperatures_k": [300],
        "equilibration_steps": 20,
        "production_steps": 60,
        "trajectory_interval": 5,
    },
}


def tiny_data(**changes: Any) -> dict[str, Any]:
    """Return the raw sweep; a mapping changes single fields of its section."""
    data = dict(TINY)
    for key, value in changes.items():
        section = data.get(key)
        merge = isinstance(section, dict) and isinstance(value, dict)
        data[key] = section | value if merge else value
    return data


def tiny_sweep(**changes: Any) -> Sweep:
    return parse_sweep(tiny_data(**changes))


def run_job(job, store):
    """Run one step as a job of its own; return its document."""
    run_locally(
        job, log=False, ensure_success=True, raise_immediately=True, store=store.jobstore,
        allow_external_references=True,
    )  # fmt: skip
    release_claims()
    return step_of(store.outputs.query_one({"uuid": job.uuid})["output"])
