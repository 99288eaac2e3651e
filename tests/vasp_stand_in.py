"""The stand-in for VASP as an executable, wherever something starts VASP."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path

from haloflow.engines.vasp_host import vasp_host

STAND_IN = Path(__file__).parent / "vasp" / "stand_in.py"


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


@contextmanager
def installed_stand_in(folder, monkeypatch):
    """Let everything that starts VASP find the stand-in, in a new `folder`."""
    folder.mkdir()
    vasp_host.cache_clear()
    try:
        yield StandIn(folder, monkeypatch)
    finally:
        vasp_host.cache_clear()


def stand_in_of_a_test(tmp_path, monkeypatch):
    """Give a test its stand-in: ``stand_in = pytest.fixture(stand_in_of_a_test)``."""
    with installed_stand_in(tmp_path / "bin", monkeypatch) as found:
        yield found
