"""jobflow-remote without a worker: its words in ours, its configuration, its runner, its task."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from tiny_sweeps import tiny_sweep

from haloflow.errors import EngineError, InputError, MissingDependencyError
from haloflow.stores.connection import open_store
from haloflow.workflows.managers import base, preflight, setup
from haloflow.workflows.managers.batch import QueueView
from haloflow.workflows.managers.resources import Resources
from haloflow.workflows.managers.site import Site
from haloflow.workflows.managers.task import Orders
from haloflow.workflows.plan import plan_sweep

pytest.importorskip("jobflow_remote")
STARTED = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  (jobflow-remote keeps naive UTC)
KILLED = (
    "The output file jfremote_out.json was downloaded, but it does not contain the response. "
    "The job was likely killed before completing"
)
LIMIT = "slurmstepd: error: *** JOB 10 ON vm CANCELLED AT 2026-01-02 DUE TO TIME LIMIT ***"
TRACEBACK = "Traceback\n  File x\nhaloflow.errors.EngineError: the box exploded"
OUTAGE = "Traceback\n  File x\npymongo.errors.ServerSelectionTimeoutError: no server"


def row(state, **changes):
    orders = {"cores": 2, "estimated_core_hours": 0.5}
    job = {"metadata": {"haloflow_identity": "a" * 64}, "function_kwargs": {"orders": orders}}
    return {"uuid": "u", "index": 1, "db_id": "7", "state": state, "job": job} | changes


def test_every_state_of_jobflow_remote_has_a_phase():
    from jobflow_remote.jobs.state import JobState

    from haloflow.workflows.managers.jobflow_remote_states import phase_of

    assert {phase_of(state.value) for state in JobState} <= base.UNFINISHED | {"done", "cancelled"}


@pytest.mark.parametrize(
    ("failed", "lost", "cause"),
    [
        (row("FAILED", error=KILLED), True, "the job was killed: by the queue"),
        (
            row("FAILED", error=KILLED, remote={"queue_err": LIMIT}),
            True,
            f"the job was killed: {LIMIT}",
        ),
        (row("FAILED", error=TRACEBACK), False, "haloflow.errors.EngineError: the box exploded"),
        (row("FAILED", error=OUTAGE), True, "pymongo.errors.ServerSelectionTimeoutError"),
        (row("REMOTE_ERROR", remote={"error": "sbatch: no such queue"}), True, "sbatch: no such"),
    ],
)
def test_what_was_lost_is_told_from_faults_of_steps(failed, lost, cause):
    from haloflow.workflows.managers.jobflow_remote_states import is_lost, job_state

    assert is_lost(failed) is lost
    state = job_state(failed, None)
    assert state.phase == "failed"
    assert state.cause.startswith(cause)
    assert state.tail


def test_a_job_in_words_of_ours():
    from haloflow.workflows.managers.jobflow_remote_states import job_state

    waiting = row("SUBMITTED", remote={"process_id": "12"})
    state = job_state(waiting, QueueView(frozenset(("11", "12")), {"11": 1, "12": 2}))
    assert (state.phase, state.queue_id, state.queue_position) == ("queued", "12", 2)
    assert (state.cores, state.estimated_core_hours, state.cause) == (2, 0.5, "")
    ended = STARTED + timedelta(seconds=30)
    again = row("COMPLETED", start_time=STARTED, end_time=ended, run_s_before=12.0)
    assert job_state(again, None).run_s == 42.0
    just = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=5)
    assert job_state(row("RUNNING", start_time=just), None).run_s == pytest.approx(5, abs=2)
    assert job_state(row("FAILED", error=KILLED, start_time=STARTED), None).run_s == 0.0


def test_of_two_jobs_of_a_step_the_one_that_got_furthest_counts():
    from haloflow.workflows.managers.jobflow_remote_states import furthest

    assert furthest([row("WAITING"), row("RUNNING"), row("FAILED")])["state"] == "RUNNING"
    assert furthest([row("USER_STOPPED"), row("READY")])["state"] == "READY"


@pytest.fixture
def projects(tmp_path, monkeypatch):
    """Give an empty folder where jobflow-remote looks for projects."""
    import jobflow_remote

    folder = tmp_path / "projects"
    folder.mkdir()
    monkeypatch.setattr(jobflow_remote.SETTINGS, "projects_folder", str(folder))
    monkeypatch.setattr(jobflow_remote.SETTINGS, "project", None)
    return folder


@pytest.fixture
def project(projects, mongod_uri, tmp_path):
    """Give a project on a database of its own, and its store."""
    store = f"{mongod_uri}/parts-{os.getpid()}-{time.monotonic_ns()}"
    site = Site(
        store=store,
        files_dir=tmp_path / "files",
        manager="jobflow-remote",
        scheduler="shell",
        folder=projects,
        job=Resources(1, 0, None, 600),
        work_dir=tmp_path / "scratch",
    )
    setup.write_configuration(setup.configuration(site))
    return site


def test_a_machine_without_a_project_is_told_what_to_do(projects):
    with pytest.raises(InputError, match="jobflow-remote is not configured on this machine") as no:
        base.open_manager("jobflow-remote")
    assert "haloflow setup --manager jobflow-remote" not in str(no.value)
    assert "haloflow setup --to jobflow-remote" in str(no.value)


def test_a_project_without_a_worker_is_refused(project):
    path = project.folder / "haloflow.yaml"
    lines = path.read_text().splitlines()
    start = lines.index("workers:")
    end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith(" "))
    path.write_text("\n".join(lines[:start] + lines[end:]))
    with pytest.raises(InputError, match="the project of jobflow-remote has no worker"):
        base.open_manager("jobflow-remote")


def test_a_packed_job_too_short_for_a_checkpoint_is_refused():
    from haloflow.workflows.managers.jobflow_remote import require_time

    orders = Orders("a" * 64, "md-300K", (), (), 60.0, 1, 0.0, checkpoint_s=400.0)
    for batch in (None, SimpleNamespace(max_time=None), SimpleNamespace(max_time=500.0)):
        require_time(SimpleNamespace(batch=batch), orders)
    with pytest.raises(InputError, match="a packed job of this worker is too short") as caught:
        require_time(SimpleNamespace(batch=SimpleNamespace(max_time=300.0)), orders)
    assert "md-300K: about 400 s to a checkpoint, of 300 s" in str(caught.value)
    assert "--walltime" in str(caught.value)


@pytest.mark.parametrize(
    ("resources", "parallel", "fits"),
    [
        ({"gres": "gpu:2"}, 4, True),
        ({"gres": "gpu:2"}, 5, False),
        ({"select": "select=1:ncpus=8:ngpus=3"}, 6, True),
        ({"select": "gpu=1,h_vmem=2000M"}, 3, False),
        ({}, 3, False),
        ({}, None, True),
        ({"partition": "gpu", "gres": "gpu:a100:4"}, 8, True),
        ({"gres": "gpu:a100:4(S:0-1),nvme:1"}, 12, False),
        ({"gres": "gpu:1g.5gb:2"}, 6, False),
        ({"gres": "gpu:a100:1,gpu:v100:1"}, 4, True),
        ({"gres": "gpu:a100"}, 3, False),
        ({"gres": "gpu"}, 2, True),
        ({"gpus_per_node": 4}, 8, True),
        ({"gpus_per_node": "a100:4"}, 9, False),
        ({"gpus_per_job": 2}, 4, True),
        ({"gpus": 4}, 8, True),
        ({"gpus": 4, "gres": "gpu:4"}, 10, False),
        ({"ngpus": "2"}, 5, False),
        ({"nodes": "1:ppn=8:gpus=2"}, 4, True),
        ({"nodes": 1, "gres": None}, 3, False),
        ({"select": "1:ncpus=8:ngpus=2:gpu_type=v100"}, 4, True),
        ({"gpus_per_task": 1, "ntasks": 4}, 40, True),
        ({"gpus": "all"}, 40, True),
    ],
)
def test_a_worker_that_puts_too_many_steps_on_a_gpu_is_refused(resources, parallel, fits):
    from haloflow.workflows.managers.jobflow_remote import require_room

    worker = SimpleNamespace(batch=SimpleNamespace(parallel_jobs=parallel), resources=resources)
    asked = {"stage": "md", "gpus": 1, "replicas_per_gpu": 2}
    orders = Orders("1" * 64, "md-300K", (), (), 60.0, 1, 0.1, **asked)
    require_room(worker, replace(orders, gpus=0))
    require_room(SimpleNamespace(batch=None, resources={}), orders)
    if fits:
        require_room(worker, orders)
        return
    with pytest.raises(InputError, match="more steps at once on a GPU than fit there") as refused:
        require_room(worker, orders)
    assert "md-300K: 3 on one GPU" in str(refused.value)
    assert "up to 2" in str(refused.value)
    assert "resources: {md: {replicas_per_gpu: ...}}" in str(refused.value)


def test_a_runner_of_another_machine_is_left_alone(project):
    manager = base.open_manager("jobflow-remote")
    from jobflow_remote.jobs.daemon import DaemonManager
    from jobflow_remote.jobs.jobcontroller import JobController

    from haloflow.workflows.managers.jobflow_remote import prepare
    from haloflow.workflows.managers.jobflow_remote_runner import ensure_runner, runner_is_alive

    controller = JobController.from_project(manager.project)
    try:
        prepare(controller)
        daemon = DaemonManager("daemon", "log", manager.project, controller)
        elsewhere = {**daemon._get_runner_info(), "hostname": "login7"}
        where = {"running_runner": {"$exists": True}}
        controller.auxiliary.update_one(where, {"$set": {"running_runner": elsewhere}})
        with pytest.raises(EngineError, match="is not started from here") as caught:
            ensure_runner(manager.project, controller)
        assert "active on another machine: login7" in str(caught.value)
        assert "jf runner reset" in str(caught.value)
        assert not runner_is_alive(manager.project)
    finally:
        controller.close()


def test_a_runner_that_does_not_start_is_told(project, monkeypatch):
    manager = base.open_manager("jobflow-remote")
    from jobflow_remote.jobs.jobcontroller import JobController

    from haloflow.workflows.managers import jobflow_remote_runner as runner
    from haloflow.workflows.managers.jobflow_remote import prepare

    def refuse(self, **_):
        raise runner.DaemonError("supervisord says no")

    monkeypatch.setattr(runner.DaemonManager, "start", refuse)
    controller = JobController.from_project(manager.project)
    try:
        prepare(controller)
        with pytest.raises(EngineError, match="does not start") as caught:
            runner.ensure_runner(manager.project, controller)
        assert "supervisord says no" in str(caught.value)
        assert "runner.log" in str(caught.value)
    finally:
        controller.close()


def test_the_carrier_of_a_step_runs_it_and_stores_its_document(project):
    import json

    from jobflow import JobStore
    from maggma.stores import MemoryStore

    from haloflow.workflows.managers.jobflow_remote_task import carrier

    with open_store(project.store, files_dir=project.files_dir) as store:
        plan = plan_sweep(tiny_sweep(), store)
        step = next(one for one in plan.steps.values() if not one.after)
        orders = Orders(step.identity, step.name, (), (), 60.0, 1, 0.0)
        made = carrier(step, orders, store.jobstore, [], sweep="tiny", resources=None, worker="w")
        records = JobStore(MemoryStore())
        records.connect()
        assert json.loads(json.dumps(made.run(records).output)) == "done"
        assert plan_sweep(tiny_sweep(), store).done == {step.identity}
        assert made.run(records).output == "done"  # a second time is a look
        made.function_kwargs["step"] = '{"of": "another version"}'
        with pytest.raises(EngineError, match="this machine cannot read the step") as caught:
            made.run(records)
        assert "install the version of haloflow that made the plan" in str(caught.value)


def test_a_manager_that_is_not_installed_is_named(project, monkeypatch):
    name = "haloflow.workflows.managers.preflight_jobflow_remote"
    monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    monkeypatch.setitem(__import__("sys").modules, "jobflow_remote.jobs.jobcontroller", None)
    with (
        open_store(project.store, files_dir=project.files_dir) as store,
        pytest.raises(MissingDependencyError, match="is needed for doctor --remote") as caught,
    ):
        preflight.examine_remotely(store, "jobflow-remote")
    assert "haloflow[jobflow-remote]" in str(caught.value)


def test_a_store_that_jobflow_would_not_use_is_refused(project, monkeypatch):
    pytest.importorskip("fireworks")
    import jobflow.settings
    from jobflow import JobStore
    from maggma.stores import MemoryStore

    wrong = SimpleNamespace(JOB_STORE=JobStore(MemoryStore()))
    monkeypatch.setattr(jobflow.settings, "JobflowSettings", lambda **_: wrong)
    from dataclasses import replace

    with pytest.raises(InputError, match="jobflow would not use this store"):
        setup.configuration(replace(project, manager="fireworks"))
