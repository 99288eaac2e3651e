"""What all steps share: identity, reuse, claims, provenance, failure."""

from __future__ import annotations

import json
import threading
import time

import pytest
from deed_maker import DeedMaker
from jobflow import JobStore
from maggma.stores import MemoryStore
from pair_potential import LEVEL

import haloflow
from haloflow.errors import AnalysisError, EngineError, InputError, StoreError
from haloflow.identity import step_uuid, structure_hash
from haloflow.makers import step as step_module
from haloflow.makers.md import MDMaker
from haloflow.makers.melt_quench import MeltQuenchMaker
from haloflow.makers.progress import Progress, ProgressReporter, read_progress
from haloflow.makers.protocol import MeltQuenchProtocol
from haloflow.makers.relax import RelaxMaker, StaticMaker
from haloflow.makers.step import parents_of, plan_job, require_sound
from haloflow.quantity import Status
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.documents import Provenance, StepDocument
from haloflow.stores.results import failures
from haloflow.systems.phases import get_phase


@pytest.fixture
def marks(tmp_path):
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def planned(maker, parents=None):
    identity = maker.identity(parents or {})
    return plan_job(maker, {}, parents or {}, name="deed", identity=identity)


def document(status=Status.OK, note=""):
    provenance = Provenance(haloflow_version="0", code_version=1, python_version="3")
    return StepDocument(
        kind="relax", identity="abc", status=status, note=note, provenance=provenance
    )


def test_a_step_says_where_it_comes_from(workshop, marks):
    maker = DeedMaker(marks=str(marks), extra=7)
    job = planned(maker, {"start": "parent"})
    found = workshop.run_job(job)
    assert found.identity == maker.identity({"start": "parent"})
    assert job.uuid == step_uuid(found.identity)
    known = found.provenance
    assert known.parents == ["parent"]
    assert known.parameters == {"deeds": ["ok"], "marks": str(marks), "extra": 7}
    assert known.haloflow_version == haloflow.__version__
    assert {"ase", "numpy", "jobflow"} <= known.packages.keys()
    assert (known.threads, known.device, known.n_resumes) == (1, "cpu", 0)
    assert known.potential is None


def test_a_stored_step_is_reused(workshop, marks):
    maker = DeedMaker(marks=str(marks))
    first = workshop.run_job(planned(maker))
    again = workshop.run_job(planned(maker))
    assert again == first
    assert len(list(marks.iterdir())) == 1
    assert Claims(workshop.store.claims).live() == {}


def test_the_name_does_not_count_and_everything_else_does():
    structure = get_phase("NaCl_B1").structure()
    parents = parents_of(structure)
    assert parents == {"start": structure_hash(structure)}
    assert parents_of(document()) == {"start": "abc"}
    known = RelaxMaker(level=LEVEL).identity(parents)
    assert RelaxMaker(level=LEVEL, name="other").identity(parents) == known
    others = {
        RelaxMaker(level=LEVEL).identity({"start": "other"}),
        RelaxMaker(level=f"{LEVEL}&nan_after=3").identity(parents),
        RelaxMaker(level=LEVEL, fmax_ev_a=0.01).identity(parents),
        RelaxMaker(level=LEVEL, cell=None).identity(parents),
        StaticMaker(level=LEVEL).identity(parents),
        MDMaker(level=LEVEL).identity(parents),
        MDMaker(level=LEVEL, seed=2).identity(parents),
        MeltQuenchMaker(level=LEVEL).identity(parents),
        MeltQuenchMaker(level=LEVEL, protocol=MeltQuenchProtocol(melt_steps=9)).identity(parents),
    }
    assert len({known, *others}) == 10


def test_a_newer_code_version_is_another_step(monkeypatch):
    before = MDMaker(level=LEVEL).identity({})
    monkeypatch.setattr(MDMaker, "code_version", 99)
    assert MDMaker(level=LEVEL).identity({}) != before


def test_a_step_other_than_the_planned_one_is_refused(workshop, marks, monkeypatch):
    maker = DeedMaker(marks=str(marks))
    identity = maker.identity({})
    job = plan_job(maker, {}, {}, name="deed", identity=identity)
    monkeypatch.setattr(DeedMaker, "code_version", 2)
    with pytest.raises(EngineError) as caught:
        workshop.run_job(job)
    assert str(caught.value) == (
        "this machine would not run the deed step that was planned. "
        f"Given: identity {maker.identity({})[:12]} here, {identity[:12]} in the plan. "
        "What to do: install the versions of haloflow and of the potential that made the plan, "
        "or plan again with those installed here."
    )
    assert not list(marks.iterdir())


def test_a_failure_is_noted_and_gives_its_claim_back(workshop, marks):
    maker = DeedMaker(deeds=("fail",), marks=str(marks))
    identity = maker.identity({})
    with pytest.raises(AnalysisError, match="the deed was bad"):
        workshop.run_job(planned(maker))
    assert failures(workshop.store, [identity]) == {
        identity: "the deed was bad. Given: 0. What to do: do better."
    }
    assert Claims(workshop.store.claims).holder(identity) is None


def test_a_claim_is_held_until_the_document_is_stored(workshop, marks):
    job = planned(DeedMaker(marks=str(marks)))
    claims, seen = Claims(workshop.store.claims), []
    update = workshop.store.jobstore.update

    def watched(*arguments, **keywords):
        seen.append(claims.holder(job.metadata["haloflow_identity"]))
        return update(*arguments, **keywords)

    workshop.store.jobstore.update = watched
    workshop.run_job(job)
    assert [holder is not None for holder in seen] == [True]


def test_a_step_that_another_process_is_at_is_waited_for(workshop, marks, monkeypatch):
    monkeypatch.setattr(step_module, "_LOOK_INTERVAL_S", 0.05)
    maker = DeedMaker(marks=str(marks))
    identity, claims, other = maker.identity({}), Claims(workshop.store.claims), Owner.here()
    assert claims.acquire(identity, other)

    def finish():
        time.sleep(0.3)
        output = json.loads(document().model_copy(update={"identity": identity}).model_dump_json())
        workshop.store.outputs.update(
            {"uuid": step_uuid(identity), "index": 1, "completed_at": "2026", "output": output}
        )

    thread = threading.Thread(target=finish)
    thread.start()
    job = planned(maker)
    workshop.store.jobstore.connect()
    try:
        response = job.run(workshop.store.jobstore)
    finally:
        thread.join()
        step_module.release_claims()
    assert response.output["identity"] == identity
    assert not list(marks.iterdir())
    assert claims.holder(identity).owner == other


def test_a_step_needs_a_store_of_ours(marks):
    with pytest.raises(StoreError, match="does not belong to a haloflow store"):
        planned(DeedMaker(marks=str(marks))).run(JobStore(MemoryStore()))


@pytest.mark.parametrize("status", [Status.DIVERGED, Status.DECOMPOSED, Status.FAILED])
def test_a_step_that_broke_down_is_nothing_to_build_on(status):
    with pytest.raises(InputError) as caught:
        require_sound(document(status, "too hot"))
    assert str(caught.value) == (
        f"the relax step before this one ended as {status.value}. Given: too hot. "
        "What to do: look at that step with `haloflow show`; change its settings or its level."
    )


@pytest.mark.parametrize("status", [Status.OK, Status.UNCONVERGED, Status.NOT_MELTED])
def test_other_steps_are_built_on(status):
    require_sound(document(status))


def test_progress_counts_on_over_stages_and_stays_in_its_total(tmp_path, monkeypatch):
    clock = iter(range(1, 100))
    monkeypatch.setattr("haloflow.makers.progress.time.time", lambda: float(next(clock)))
    reporter = ProgressReporter(tmp_path / "step", 60)
    melt = reporter.stage("melt", 20)
    assert read_progress(tmp_path / "step") == Progress("melt", 0, 60, 1.0)
    melt(20, 20)
    npt = reporter.stage("npt", 20)
    npt(10, 20)
    assert read_progress(tmp_path / "step") == Progress("npt", 30, 60, 4.0)
    longer = reporter.stage("npt", 40)
    longer(40, 40)
    assert read_progress(tmp_path / "step") == Progress("npt", 60, 60, 6.0)


def test_progress_is_written_at_most_twice_a_second(tmp_path, monkeypatch):
    now = [10.0]
    monkeypatch.setattr("haloflow.makers.progress.time.time", lambda: now[0])
    stage = ProgressReporter(tmp_path, 100).stage("md", 100)
    for done, moment, shown in ((1, 10.4, 0), (2, 10.6, 2), (3, 10.7, 2), (100, 11.2, 100)):
        now[0] = moment
        stage(done, 100)
        assert read_progress(tmp_path).done == shown


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"stage": "md"}'])
def test_progress_that_is_missing_or_broken_is_none(tmp_path, content):
    if content is not None:
        (tmp_path / "progress.json").write_text(content)
    assert read_progress(tmp_path) is None
