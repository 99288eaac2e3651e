"""Sweeps whose trajectories go to a place for all machines, and machines that are lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from kept_elsewhere import Elsewhere
from pair_potential import COUNT_FILE, DELAY_S
from tiny_sweeps import CRYSTAL, tiny_data

from haloflow.engines.trajectory import TrajectoryReader
from haloflow.errors import StoreError
from haloflow.makers.run_data import production_of
from haloflow.makers.step import step_directory
from haloflow.stores.records import step_of
from haloflow.stores.results import stored_outputs
from haloflow.workflows.frames import read_frames, stored_trajectories
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.sweep import parse_sweep

pytestmark = pytest.mark.usefixtures("quick_settings")
TESTS = Path(__file__).parents[1]
LIMIT_S = 120.0
MD = {"production_steps": 1200, "trajectory_interval": 20}


class Campaign:
    """The crystal of the tiny sweep, run by machines that share no folder."""

    def __init__(self, elsewhere):
        self.elsewhere, self.folder = elsewhere, elsewhere.folder
        self.count = self.folder / "count"
        self.count.touch()
        data = tiny_data(systems=[CRYSTAL], md=MD, trajectory_store=elsewhere.text)
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump(data))
        self.steps = {s.name: s for s in plan_sweep(parse_sweep(data)).steps.values()}
        self.md = self.steps["md-300K"].identity

    def start(self, machine, **environment):
        own = {
            COUNT_FILE: str(self.count),
            "PYTHONPATH": os.pathsep.join(map(str, (TESTS, TESTS / "without_torch"))),
            "HALOFLOW_FILES_DIR": str(self.folder / machine),
            "HALOFLOW_CACHE_DIR": str(self.folder / f"{machine}-cache"),
            "HALOFLOW_SAVING_INTERVAL_S": "0",
            "COLUMNS": "200",
        }
        return subprocess.Popen(
            [sys.executable, "-c", "from haloflow.cli.main import run; run()",
             "run", "tiny.yaml", "--store", self.elsewhere.store, "-j", "1"],
            cwd=self.folder, env=os.environ | own | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def run(self, machine, code=0, **environment):
        with self.start(machine, **environment) as process:
            out, _ = process.communicate(timeout=LIMIT_S)
        assert process.returncode == code, out
        return out

    def lose(self, machine, process):
        """Kill all processes of a machine, and take its disks."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        shutil.rmtree(self.folder / machine)

    def saved(self):
        try:
            with self.elsewhere.opened("reader", read_only=True) as store:
                row = store.saved.query_one({"identity": self.md})
        except StoreError:  # it is just being made
            return []
        return [] if row is None else [file["path"] for file in row["files"]]

    def outputs(self):
        with self.elsewhere.opened("reader", read_only=True) as store:
            return stored_outputs(store, [s.identity for s in self.steps.values()])


@pytest.fixture
def campaign(request, tmp_path):
    return Campaign(Elsewhere("gridfs", tmp_path, request))


def waited_for(ready, what, process):
    deadline = time.monotonic() + LIMIT_S
    while not (found := ready()):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, f"{what}: not within {LIMIT_S:g} s"
        time.sleep(0.05)
    return found


def test_a_machine_that_is_lost_costs_one_checkpoint_interval(campaign, undisturbed):
    with campaign.start("a", **{DELAY_S: "0.004"}) as process:
        waited_for(
            lambda: any(name.startswith("production/checkpoints") for name in campaign.saved()),
            "a checkpoint elsewhere",
            process,
        )
        campaign.lose("a", process)
    assert campaign.md not in campaign.outputs()
    out = campaign.run("b")
    assert "Traceback" not in out
    theirs = undisturbed.outputs()
    ours = campaign.outputs()
    assert ours.keys() == {step.identity for step in campaign.steps.values()}
    assert ours[campaign.md]["provenance"]["n_resumes"] == 1
    for identity, output in ours.items():
        assert output | {"provenance": 0} == theirs[identity] | {"provenance": 0}
    _all_is_elsewhere_and_nothing_else(campaign, ours)
    _can_be_read_from_a_third_machine(campaign, ours, undisturbed)


def _all_is_elsewhere_and_nothing_else(campaign, outputs):
    named = {file["sha256"] for output in outputs.values() for file in output["files"]}
    with campaign.elsewhere.opened("reader") as store:
        assert store.saved.query_one({}) is None
        there = dict(store.files.target.sizes())
    chunks = {
        file["sha256"]: file["n_bytes"]
        for output in outputs.values() for file in output["files"]
    }  # fmt: skip
    assert there.items() >= chunks.items()
    assert len(there) - len(named) <= 2, "at most a last chunk that grew"


def _can_be_read_from_a_third_machine(campaign, outputs, undisturbed):
    run = step_of(outputs[campaign.md])
    with campaign.elsewhere.opened("c", read_only=True) as store:
        (listed,) = [
            one for one in stored_trajectories({"md": run}, store.files) if one.part == "production"
        ]
        found = read_frames(
            run, "production", store.files, start=3, stop=9, most_frames=9, most_positions=9999
        )
        whole = production_of(run, store.files)
    theirs = step_directory(Path(undisturbed.store) / "files", campaign.md) / "production"
    reader = TrajectoryReader(theirs)
    assert (listed.problem, listed.n_frames) == ("", reader.n_frames)
    assert np.array_equal(found.positions_a, reader.positions(3, 9))
    assert np.array_equal(whole.positions(), reader.positions())
    assert not (campaign.folder / "c").exists()
