"""A sweep run once without disturbance, and the means to run it with."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from made_once import made_once
from pair_potential import COUNT_FILE
from tiny_sweeps import tiny_data, tiny_sweep

from haloflow.stores.connection import open_store
from haloflow.stores.results import stored_outputs
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.run import RunReport, run_sweep

if TYPE_CHECKING:
    from haloflow.workflows.steps import PlannedStep

TESTS = Path(__file__).parents[1]
WITHOUT_TORCH = TESTS / "without_torch"
LONG = {"md": {"production_steps": 1200, "trajectory_interval": 20}}


@dataclass
class Place:
    """A store to run the long tiny sweep in, and the count of its energy evaluations."""

    folder: Path

    def __post_init__(self):
        self.folder.mkdir(exist_ok=True)
        self.sweep = tiny_sweep(**LONG)
        self.store = str(self.folder / "store")
        self.count_file = self.folder / "count"
        self.count_file.touch()
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump(tiny_data(**LONG)))

    @property
    def steps(self) -> dict[str, PlannedStep]:
        """Return the planned steps by name; the crystal is its own competing phase."""
        return {step.name: step for step in plan_sweep(self.sweep).steps.values()}

    def after(self, name: str) -> set[str]:
        """Return the names of the steps that start from the step `name`."""
        steps = self.steps
        return {other.name for other in steps.values() if steps[name].identity in other.after}

    @property
    def n_evaluations(self) -> int:
        return self.count_file.stat().st_size

    def run(self, *, environment=None, **keywords) -> RunReport:
        """Run in this process, with its own workers, which find no torch."""
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(WITHOUT_TORCH))
            for name, value in {COUNT_FILE: str(self.count_file), **(environment or {})}.items():
                patch.setenv(name, value)
            return run_sweep(self.sweep, self.store, **({"workers": 2} | keywords))

    def start(self, workers: int = 2, **environment: str) -> subprocess.Popen[str]:
        """Start ``haloflow run`` as a session of its own."""
        path = os.pathsep.join(map(str, (TESTS, WITHOUT_TORCH)))
        own = {COUNT_FILE: str(self.count_file), "PYTHONPATH": path, "COLUMNS": "200"}
        return subprocess.Popen(
            [sys.executable, "-c", "from haloflow.cli.main import run; run()",
             "run", "tiny.yaml", "--store", "store", "-j", str(workers)],
            cwd=self.folder, env=os.environ | own | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def outputs(self) -> dict[str, dict]:
        """Return the stored documents by identity."""
        with open_store(self.store) as store:
            return stored_outputs(store, plan_sweep(self.sweep).steps)

    def completed_at(self) -> dict[str, str]:
        """Return when each stored document was written, by job UUID."""
        with open_store(self.store) as store:
            rows = store.outputs.query({}, ["uuid", "completed_at"])
            return {row["uuid"]: row["completed_at"] for row in rows}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Give the place where the sweep ran through."""

    def make(folder):
        place = Place(folder)
        report = place.run()
        assert (report.n_done, report.n_reused, report.failures) == (len(place.steps), 0, [])
        assert not report.interrupted

    return Place(made_once(tmp_path_factory, "undisturbed", make))
