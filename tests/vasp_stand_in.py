"""The stand-in for VASP as an executable, wherever something starts VASP."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

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
