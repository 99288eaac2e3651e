"""What reaches Slurm of what steps ask for, and many steps in one job of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime
from itertools import combinations
from types import SimpleNamespace

import pytest
import yaml
from cluster import wait_for
from fireworks import FWorker, LaunchPad
from pair_potential import DELAY_S
from pymongo import MongoClient
from queued_sweeps import assert_as_undisturbed, lay_out, n_evaluations
from tiny_sweeps import CRYSTAL, tiny_sweep

from haloflow.settings import get_settings
from haloflow.workflows.managers import fireworks_packed, fireworks_task, sharing
from haloflow.workflows.managers.campaigns import submit_sweep
from haloflow.workflows.managers.fireworks_packed import PackedWorker, work
from haloflow.workflows.managers.sharing import cores_of_slot, settings_of_slot

ASKED = {"relax": {"cores": 2, "gpus": 1, "memory_gb": 0.5, "walltime_h": 0.25}}
REACHED = {"NumCPUs": "2", "MinMemoryNode": "500M", "TimeLimit": "00:15:00"}


def configured(site, slurm, *options):
    """Configure FireWorks by `haloflow setup`; workers get what tests need by the environment."""
    site.environment |= {"SLURM_CONF": slurm.environment["SLURM_CONF"]}
    site.environment["PATH"] = slurm.environment["PATH"]
    site.config = site.folder / "own"
    site.environment["FW_CONFIG_FILE"] = str(site.config / "FW_config.yaml")
    site.pad_name = site.database
    site.haloflow(
        "setup", "--to", "fireworks", "--folder", str(site.config), "--scheduler", "slurm",
        "--partition", "debug", "--files-dir", str(site.folder / "files"), "--no-preflight",
        *options,
    )  # fmt: skip


@pytest.mark.usefixtures("nothing_starts")
def test_what_a_step_asks_for_reaches_slurm(site, slurm):
    configured(site, slurm, "--walltime", "01:00:00", "--memory-gb", "1")
    lay_out(site, systems=[CRYSTAL], resources=ASKED)
    site.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    site.qlaunch_now(1)
    (job,) = slurm.jobs()
    told = slurm.describe(job)
    assert told.items() >= REACHED.items()
    assert re.fullmatch(r"gres[:/]gpu:1", told["TresPerNode"])


def test_many_steps_in_one_job_side_by_side(site, slurm, undisturbed):
    configured(site, slurm, "--walltime", "00:20:00", "--side-by-side", "2", "--gpus", "1")
    lay_out(site)
    site.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    device = {"HALOFLOW_DEVICE": "cpu", DELAY_S: "0.001"}  # there is no real GPU
    adapter = yaml.safe_load((site.config / "my_qadapter.yaml").read_text())
    adapter["pre_rocket"] += "\n".join(f"export {name}={value}" for name, value in device.items())
    site.write("my_qadapter.yaml", adapter)
    call = ("qlaunch", "-c", str(site.config), "singleshot")
    code, out = site.run(*call)
    assert code == 0, out
    (job,) = slurm.jobs()
    told = slurm.describe(job)
    wait_for(lambda: not slurm.jobs(), "the end of the job")
    with site.open() as store:
        assert_as_undisturbed(store, undisturbed)
    assert n_evaluations(site) == undisturbed.n_evaluations
    assert told["NumCPUs"] == "2"
    assert re.fullmatch(r"gres[:/]gpu:1", told["TresPerNode"])
    with MongoClient(site.server) as client:
        launches = list(client[site.pad_name].launches.find({}))
    shares = [launch["action"]["stored_data"][fireworks_task.SHARE] for launch in launches]
    assert {share["HALOFLOW_SLOT"] for share in shares} == {"0", "1"}
    assert {share["CUDA_VISIBLE_DEVICES"] for share in shares} == {"0"}
    assert {share["HALOFLOW_GPU_SHARE"] for share in shares} == {"0.5000"}
    by_slot = {share["HALOFLOW_SLOT"]: set(share["cores"].split(",")) for share in shares}
    assert by_slot["0"].isdisjoint(by_slot["1"]) or len(by_slot["0"]) == 1
    assert any(overlap(a, b) for a, b in combinations(launches, 2))


def overlap(one, other):
    """Tell whether two launches ran at the same time."""

    def time(launch, which):
        return datetime.fromisoformat(str(launch[which]))

    later_start = max(time(launch, "time_start") for launch in (one, other))
    return later_start < min(time(launch, "time_end") for launch in (one, other))


@pytest.fixture
def pad(site, manager_here, tmp_path, monkeypatch):
    open_manager = manager_here(site)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fireworks_task, "_stopped", type(fireworks_task._stopped)())
    with site.open() as store:
        submit_sweep(tiny_sweep(systems=[CRYSTAL]), store, open_manager())
    made = LaunchPad.from_file(str(site.config / "my_launchpad.yaml"))
    yield made
    made.connection.close()


def test_no_step_begins_that_cannot_reach_a_checkpoint(site, pad, monkeypatch):
    monkeypatch.setenv("HALOFLOW_WALLTIME_S", "10000")
    monkeypatch.setenv("HALOFLOW_FILES_DIR", str(site.folder / "files"))
    get_settings.cache_clear()
    long = {"spec.haloflow.least_s": 3000.0}
    pad.fireworks.update_many({"name": {"$regex": "^md"}}, {"$set": long})
    worker = PackedWorker("here", "", None, None)
    for left_s, begun in [(1.0, False), (2000.0, False), (9000.0, True)]:
        monkeypatch.setattr(fireworks_packed, "walltime_left_s", lambda left_s=left_s: left_s)
        work(pad, worker)
        states = {row["name"]: row["state"] for row in pad.fireworks.find({})}
        assert (states["md-300K"] == "COMPLETED") is begun, states
        assert (states["phase-NaCl_B1"] == "COMPLETED") is (left_s > 1), states
    get_settings.cache_clear()


def test_steps_go_where_so_many_share_a_gpu_as_they_may(pad, monkeypatch):
    monkeypatch.setenv("HALOFLOW_GPU_SHARE", "0.25")
    get_settings.cache_clear()
    pad.fireworks.update_many({"state": "READY"}, {"$set": {"spec.haloflow.replicas_per_gpu": 3}})
    worker = PackedWorker("here", "", None, None)
    assert not pad.run_exists(worker)
    assert pad.run_exists(FWorker("here"))
    pad.fireworks.update_many({"state": "READY"}, {"$set": {"spec.haloflow.replicas_per_gpu": 4}})
    assert pad.run_exists(worker)
    fireworks_task.stop()
    assert not pad.run_exists(worker)
    get_settings.cache_clear()


def test_processes_share_gpus_and_cores_evenly():
    two = {"CUDA_VISIBLE_DEVICES": "4,7", "HALOFLOW_DEVICE": "cuda"}
    found = [settings_of_slot(slot, 5, two) for slot in range(5)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in found] == ["4", "7", "4", "7", "4"]
    assert {one["HALOFLOW_GPU_SHARE"] for one in found} == {"0.3333"}
    assert {one["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] for one in found} == {"66"}
    unnamed = settings_of_slot(1, 2, {"HALOFLOW_DEVICE": "cuda"})
    assert unnamed["HALOFLOW_GPU_SHARE"] == "0.5000"
    assert "CUDA_VISIBLE_DEVICES" not in unnamed
    assert settings_of_slot(1, 2, {}) == {"HALOFLOW_SLOT": "1"}
    cores = [cores_of_slot(slot, 3, {1, 2, 5, 6, 8, 9, 11}) for slot in range(3)]
    assert cores == [{1, 2}, {5, 6}, {8, 9}]
    assert cores_of_slot(1, 3, {4, 5}) == {4, 5}


@pytest.mark.parametrize(("device", "limits"), [("cuda", [0.25]), ("cpu", [])])
def test_a_process_keeps_to_its_part_of_a_gpu(monkeypatch, device, limits):
    """Only that torch is told: there is no GPU here to see it obey."""
    told = []
    cuda = SimpleNamespace(is_available=lambda: True, set_per_process_memory_fraction=told.append)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setenv("HALOFLOW_GPU_SHARE", "0.25")
    monkeypatch.setenv("HALOFLOW_DEVICE", device)
    get_settings.cache_clear()
    sharing._limit_memory()
    get_settings.cache_clear()
    assert told == limits


def test_processes_of_an_allocation_take_different_places(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", f"none-{os.getpid()}")
    monkeypatch.setenv("HALOFLOW_SIDE_BY_SIDE", "2")
    code = (
        "from haloflow.workflows.managers.sharing import own_share\n"
        "print(own_share().get('HALOFLOW_SLOT'), flush=True)\ninput()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(3)]
    try:
        slots = [process.stdout.readline().strip() for process in processes]
    finally:
        for process in processes:
            process.communicate("\n")
    assert sorted(slots) == ["0", "1", "None"]
