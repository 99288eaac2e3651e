"""Steps whose files go to a place for all machines: stored before their documents."""

from __future__ import annotations

import shutil

import pytest
from jobflow import run_locally
from kept_elsewhere import Elsewhere, quick_settings  # noqa: F401  (a fixture)
from pair_potential import COUNT_FILE, DELAY_S, LEVEL

from haloflow.errors import InterruptedRunError, StoreError
from haloflow.makers.md import MDMaker
from haloflow.makers.step import limited_to, release_claims, step_directory
from haloflow.settings import get_settings
from haloflow.stores.connection import open_store
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
