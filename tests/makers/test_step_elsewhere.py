"""Steps whose files go to a place for all machines: stored before their documents."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import ClassVar

import pytest
from jobflow import run_locally
from kept_elsewhere import Elsewhere
from pair_potential import COUNT_FILE, DELAY_S, LEVEL

from haloflow.errors import InterruptedRunError, StoreError
from haloflow.identity import file_sha256
from haloflow.makers.md import MDMaker
from haloflow.makers.step import (
    StepMaker,
    release_claims,
    step_directory,
    step_job,
)
from haloflow.makers.walltime import limited_to
from haloflow.settings import get_settings
from haloflow.stores.connection import open_store
from haloflow.stores.documents import FileReference, StepDocument
from haloflow.stores.results import failures
from haloflow.stores.trajectory_places import use_place
from haloflow.systems.phases import get_phase

pytestmark = pytest.mark.usefixtures("quick_settings")


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """Give the file whose size is the number of energy evaluations."""
    count = tmp_path / "count"
    count.touch()
    monkeypatch.setenv(COUNT_FILE, str(count))
    return count


@pytest.fixture
def job():
    maker = MDMaker(
        level=LEVEL, temperature_k=100, equilibration_steps=20, production_steps=80,
        trajectory_interval=5, checkpoint_interval=10, full_cell=True,
    )  # fmt: skip
    salt = get_phase("NaCl_B1").structure()
    return lambda: maker.make(salt)


def test_a_document_waits_until_its_files_are_stored(workshop, job, counted, tmp_path):
    store, shared = workshop.store, tmp_path / "shared"
    use_place(store, str(shared))
    shared.rename(tmp_path / "away")
    with pytest.raises(StoreError, match="the folder of trajectories is not here"):
        workshop.run_job(job())
    assert store.outputs.query_one({}) is None
    (failure,) = store.failures.query({})
    assert "is not here" in failures(store, [failure["identity"]])[failure["identity"]]
    before = counted.stat().st_size
    (tmp_path / "away").rename(shared)
    document = workshop.run_job(job())
    assert counted.stat().st_size == before, "all of it was done"
    there = dict(store.files.target.sizes())
    assert there == {file.sha256: file.n_bytes for file in document.files}
    assert all(file.n_frames for file in document.files)


@pytest.fixture
def on_s3(workshop, tmp_path, request):
    use_place(workshop.store, Elsewhere("s3", tmp_path, request).text)
    return workshop


def test_stopped_on_one_machine_it_goes_on_from_there_on_another(on_s3, job, counted, monkeypatch):
    workshop, store = on_s3, on_s3.store
    monkeypatch.setenv(DELAY_S, "0.02")
    with pytest.raises(InterruptedRunError), limited_to(1.0):
        workshop.run_job(job())
    monkeypatch.delenv(DELAY_S)
    (saved,) = store.saved.query({})
    shutil.rmtree(step_directory(store.files_dir, saved["identity"]))
    done = counted.stat().st_size
    document = workshop.run_job(job())
    assert document.provenance.n_resumes == 1
    assert counted.stat().st_size - done < 20 + 80, "it did not begin again"
    assert store.saved.query_one({}) is None
    there = dict(store.files.target.sizes())
    assert {file.sha256 for file in document.files} <= there.keys()
    assert len(there) <= len(document.files) + 2, "at most last chunks that grew"


def test_the_place_of_a_worker_is_told_to_others(workshop, job, tmp_path, monkeypatch):
    monkeypatch.setenv("HALOFLOW_TRAJECTORY_STORE", str(tmp_path / "mine"))
    get_settings.cache_clear()
    document = workshop.run_job(job())
    monkeypatch.delenv("HALOFLOW_TRAJECTORY_STORE")
    get_settings.cache_clear()
    shutil.rmtree(workshop.store.files_dir)
    workshop.store.files.close()
    assert [place.name for place in workshop.store.files.places] == [str(tmp_path / "mine")]
    assert workshop.store.files.local(document.files[0]).is_file()


def test_a_store_that_is_closed_before_the_process_ends_disturbs_nothing(tmp_path, job):
    with open_store(tmp_path / "store") as store:
        use_place(store, str(tmp_path / "shared"))
        run_locally(job(), log=False, store=store.jobstore, raise_immediately=True)
    assert not store.is_open
    release_claims()  # as at the end of the process


@dataclass
class TrainingMaker(StepMaker):
    """Saves what is best so far while it runs; its document names a copy of that."""

    kind: ClassVar[str] = "training"
    code_version: ClassVar[int] = 1

    @step_job()
    def make(self, parents=None):
        return self.run_step(self._train, parents or {})

    def _train(self, context):
        best = context.directory / "round-0" / "best.txt"
        best.parent.mkdir(parents=True)
        best.write_text("weights")
        context.progress(1).write("trials", 1)
        path = context.directory / "weights.txt"
        shutil.copyfile(best, path)
        weights = FileReference(
            path=path.relative_to(context.files_dir).as_posix(),
            sha256=file_sha256(path),
            n_bytes=path.stat().st_size,
            role="weights",
        )
        provenance = self.provenance(context)
        return StepDocument(
            kind="training", identity=context.identity, provenance=provenance, files=[weights]
        )


def test_what_a_document_names_stays_when_its_step_ends(workshop, tmp_path, monkeypatch):
    monkeypatch.setenv("HALOFLOW_SAVING_INTERVAL_S", "0")
    get_settings.cache_clear()
    store = workshop.store
    use_place(store, str(tmp_path / "shared"))
    run_locally(TrainingMaker().make(), log=False, store=store.jobstore, raise_immediately=True)
    assert store.saved.query_one({}) is not None, "it was saved while it ran"
    release_claims()
    assert store.saved.query_one({}) is None
    (row,) = store.outputs.query({})
    (weights,) = row["output"]["files"]
    assert dict(store.files.target.sizes()) == {weights["sha256"]: weights["n_bytes"]}
