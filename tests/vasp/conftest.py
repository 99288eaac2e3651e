"""The stand-in for VASP as an executable, started by the real custodian."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from vasp_cells import rock_salt

from haloflow.engines.interrupts import StopRequest
from haloflow.engines.vasp_host import vasp_host
from haloflow.engines.vasp_relax import VaspTask

STAND_IN = Path(__file__).with_name("stand_in.py")


class StandIn:
    """Where the stand-in lies, and the faults it is told to have."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self._faults = folder / "faults.json"
        self._faults.write_text("{}")
        for name in ("vasp_std", "vasp_gam"):
            script = folder / name
            call = shlex.join([sys.executable, "-W", "ignore", str(STAND_IN)])
            script.write_text(f"#!/bin/sh\nexec {call}\n")
            script.chmod(0o755)
        self.environment = {
            "ATOMATE2_VASP_CMD": str(folder / "vasp_std"),
            "ATOMATE2_VASP_GAMMA_CMD": str(folder / "vasp_gam"),
            "VASP_STAND_IN_FAULTS": str(self._faults),
            "HALOFLOW_VASP_POLL_S": "0.2",
            "OMP_NUM_THREADS": "1",
        }
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    def fail(self, **faults):
        """Let it have faults, each an entry as `stand_in.Faults` reads it."""
        self._faults.write_text(json.dumps(faults))
        for count in self.folder.glob("faults.*"):
            if count != self._faults:
                count.unlink()


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    vasp_host.cache_clear()
    yield StandIn(folder, monkeypatch)
    vasp_host.cache_clear()


@pytest.fixture(scope="module")
def stand_in_environment(tmp_path_factory):
    """The stand-in without faults, for what a module makes once."""
    vasp_host.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        StandIn(tmp_path_factory.mktemp("bin"), patch)
        yield
    vasp_host.cache_clear()


@pytest.fixture
def task(stand_in, tmp_path):
    """Return a task in a folder of its own, taken up again where it was by each call."""

    def make(level="vasp-pbe-d3", **keywords):
        folder = tmp_path / "step"
        folder.mkdir(exist_ok=True)
        keywords.setdefault("for_tests", True)
        return VaspTask(folder, level, vasp_host(), StopRequest(), **keywords)

    return make


@pytest.fixture
def salt():
    return rock_salt()
