"""What is saved of running steps: brought back elsewhere, never older than what is here."""

from __future__ import annotations

import pytest
from kept_elsewhere import KINDS, Elsewhere

from haloflow.errors import ClaimError, StoreError, TrajectoryError
from haloflow.identity import file_sha256
from haloflow.stores.blobs_folder import FolderBlobs
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.stores.documents import FileReference
from haloflow.stores.saved_runs import RunSaver, forget_saved
from haloflow.stores.step_files import StepFiles
from haloflow.workflows.pruning import prune

pytestmark = pytest.mark.usefixtures("quick_settings")
IDENTITY = "5a" * 32


@pytest.fixture(params=KINDS)
def elsewhere(request, tmp_path):
    made = Elsewhere(request.param, tmp_path, request)
    made.use()
    return made


@pytest.fixture
def on_folder(request, tmp_path):
    made = Elsewhere("folder", tmp_path, request)
    made.use()
    return made


def saver_of(store, interval_s=0.0, owner=None):
    directory = store.files_dir / IDENTITY[:2] / IDENTITY
    return RunSaver(store, IDENTITY, directory, interval_s, owner=owner), directory


def work_on(directory, step, *, n_chunks):
    """Leave what a run leaves after a step: chunks, an index, a checkpoint, and what stays."""
    for name, text in {
        "npt/checkpoints/step.ckpt": f"state {step}",
        "npt/trajectory/index.json": f"{n_chunks} chunks",
        **{f"npt/trajectory/chunk-{n:06d}.h5": f"frames {n}" for n in range(n_chunks)},
        "npt/lock": "",
        "progress.json": f"{step}",
        "npt/trajectory/chunk-000009.h5.tmp": "half",
    }.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_run_goes_on_elsewhere_and_comes_back(elsewhere):
    with elsewhere.opened("a") as here, elsewhere.opened("b") as there:
        ours, a = saver_of(here)
        theirs, b = saver_of(there)
        assert not ours.restore()
        work_on(a, 500, n_chunks=2)
        ours.offer()
        assert not ours.restore(), "this machine is as far"
        assert theirs.restore()
        assert (b / "npt/checkpoints/step.ckpt").read_text() == "state 500"
        assert (b / "npt/trajectory/chunk-000001.h5").read_text() == "frames 1"
        assert not list(b.rglob("lock")) + list(b.rglob("*.tmp")) + list(b.rglob("progress.json"))
        before = dict(there.files.target.sizes())
        work_on(b, 900, n_chunks=3)
        theirs.save_now()
        after = dict(there.files.target.sizes())
        assert len(after) == len(before) + 1, "the old checkpoint and index are gone"
        work_on(a, 700, n_chunks=2)  # what was done here after the last saving is older by now
        assert ours.restore()
        assert (a / "npt/checkpoints/step.ckpt").read_text() == "state 900"
        assert len(list(a.parent.iterdir())) == 1
        assert not ours.restore()
        ours.forget()
        assert here.saved.query_one({}) is None
        assert len(dict(here.files.target.sizes())) == 3, "chunks stay, for the document"
        ours.forget()


def test_the_end_of_a_step_takes_no_file_from_its_document_or_from_other_steps(elsewhere):
    with elsewhere.opened("a") as here, elsewhere.opened("b") as there:
        ours, a = saver_of(here)
        others = here.files_dir / "6b" / ("6b" * 32)
        for directory in (a, others):
            work_on(directory, 500, n_chunks=1)
            (directory / "INCAR").write_text("ENCUT = 520")
        (a / "nep_best.txt").write_text("weights")
        ours.save(0.0)
        RunSaver(here, "6b" * 32, others, 0.0).save(0.0)
        path = a / "Cl-Na.nep.txt"
        path.write_text("weights")
        weights = FileReference(
            path=path.relative_to(here.files_dir).as_posix(),
            sha256=file_sha256(path),
            n_bytes=7,
            role="weights",
        )
        ours.secure([weights])
        ours.forget()
        assert there.files.local(weights).read_text() == "weights"
        theirs = there.files_dir / "6b" / ("6b" * 32)
        assert RunSaver(there, "6b" * 32, theirs, 0.0).restore()
        assert (theirs / "INCAR").read_text() == "ENCUT = 520"


def test_who_has_lost_the_step_saves_nothing_over_its_new_owner(on_folder):
    with on_folder.opened("a") as here, on_folder.opened("b") as there:
        mine, other = Owner.here(), Owner.here()
        claims = Claims(here.claims)
        assert claims.acquire(IDENTITY, mine)
        ours, a = saver_of(here, owner=mine)
        work_on(a, 100, n_chunks=1)
        ours.offer()
        claims.release(IDENTITY, mine)
        assert claims.acquire(IDENTITY, other)
        theirs, b = saver_of(there, owner=other)
        assert theirs.restore()
        work_on(b, 900, n_chunks=2)
        theirs.save(0.0)
        work_on(a, 150, n_chunks=1)
        for again in (ours.offer, lambda: ours.save(0.0), lambda: ours.secure([])):
            with pytest.raises(ClaimError, match="the claim on step 5a5a5a5a5a5a is lost"):
                again()
        ours.save_now()
        with on_folder.opened("c") as third:
            last, c = saver_of(third)
            assert last.restore()
            assert (c / "npt/checkpoints/step.ckpt").read_text() == "state 900"


def test_a_step_lost_while_its_files_are_stored_is_not_recorded(on_folder, monkeypatch):
    with on_folder.opened("a") as here:
        mine, claims = Owner.here(), Claims(here.claims)
        assert claims.acquire(IDENTITY, mine)
        ours, a = saver_of(here, owner=mine)
        work_on(a, 100, n_chunks=1)
        put = StepFiles.put

        def lose(*args, **kwargs):
            claims.release(IDENTITY, mine)
            return put(*args, **kwargs)

        monkeypatch.setattr(StepFiles, "put", lose)
        with pytest.raises(ClaimError, match="now held by nobody"):
            ours.save(0.0)
        assert here.saved.query_one({}) is None


def test_what_is_pruned_between_the_steps_of_a_process_is_stored_again(on_folder, monkeypatch):
    monkeypatch.setattr("haloflow.workflows.pruning._STRAY_AGE_S", 0.0)
    with on_folder.opened("a") as here, on_folder.opened("b") as there:
        ours, a = saver_of(here)
        ours.restore()
        work_on(a, 500, n_chunks=2)
        ours.save(0.0)
        forget_saved(there, [IDENTITY])
        done = prune(there)
        assert done.n_strays == 4
        again, _ = saver_of(here)
        again.restore()
        again.save(0.0)
        theirs, b = saver_of(there)
        assert theirs.restore()
        assert (b / "npt/trajectory/chunk-000001.h5").read_text() == "frames 1"


def test_savings_of_before_keys_are_brought_back_and_their_files_left(on_folder):
    with on_folder.opened("a") as here, on_folder.opened("b") as there:
        ours, a = saver_of(here)
        work_on(a, 500, n_chunks=1)
        ours.save(0.0)
        (row,) = here.saved.query({})
        for file in row["files"]:
            if file.pop("key", None) is not None:
                here.files.put(a / file["path"], file["sha256"])
        here.saved.update([row])
        n_there = len(dict(here.files.target.sizes()))
        theirs, b = saver_of(there)
        assert theirs.restore()
        assert (b / "npt/checkpoints/step.ckpt").read_text() == "state 500"
        theirs.forget()
        assert len(dict(here.files.target.sizes())) == n_there


def test_a_fetch_that_was_killed_goes_on(on_folder):
    with on_folder.opened("a") as here, on_folder.opened("b") as there:
        ours, a = saver_of(here)
        work_on(a, 500, n_chunks=2)
        ours.save(0.0)
        theirs, b = saver_of(there)
        half = b.with_name(f"{b.name}.saved") / "npt/trajectory"
        half.mkdir(parents=True)
        (half / "chunk-000000.h5").write_text("frames 0")
        (half / "chunk-000001.h5").write_text("frames ?")
        assert theirs.restore()
        assert (b / "npt/trajectory/chunk-000001.h5").read_text() == "frames 1"


def test_a_damaged_saving_is_left_alone_and_said(elsewhere, caplog):
    with elsewhere.opened("a") as here:
        ours, a = saver_of(here)
        work_on(a, 500, n_chunks=1)
        ours.save(0.0)
        (row,) = here.saved.query({})
        chunk = next(r for r in row["files"] if r["path"].endswith("chunk-000000.h5"))
    elsewhere.damage(chunk["sha256"])
    with elsewhere.opened("b") as there:
        theirs, b = saver_of(there)
        assert not theirs.restore()
        assert "cannot go on from elsewhere" in caplog.text
        assert "chunk-000000.h5" in caplog.text
        assert not b.exists()
        assert not b.parent.exists() or not list(b.parent.iterdir())


def test_an_outage_does_not_end_a_run_but_keeps_its_document_back(on_folder, caplog, tmp_path):
    with on_folder.opened("a") as here:
        ours, a = saver_of(here)
        work_on(a, 500, n_chunks=1)
        (tmp_path / "shared").rename(tmp_path / "away")
        ours.offer()
        assert "could not be saved elsewhere" in caplog.text
        assert here.saved.query_one({}) is None
        path = a / "npt/trajectory/chunk-000000.h5"
        chunk = FileReference(
            path=path.relative_to(here.files_dir).as_posix(), sha256="0" * 64, n_bytes=8, role="x"
        )
        with pytest.raises(StoreError, match="is not here"):
            ours.secure([chunk])
        (tmp_path / "away").rename(tmp_path / "shared")
        with pytest.raises(TrajectoryError, match="is not what its step wrote"):
            ours.secure([chunk])
        path.unlink()
        with pytest.raises(TrajectoryError, match="gone before it was stored"):
            ours.secure([chunk])


def test_before_a_kill_nothing_is_read_that_is_surely_there(on_folder, monkeypatch):
    read = []
    real = FolderBlobs.read
    with on_folder.opened("a") as here:
        ours, a = saver_of(here)
        work_on(a, 500, n_chunks=3)
        ours.save(0.0)
    monkeypatch.setattr(FolderBlobs, "read", lambda self, key: read.append(key) or real(self, key))
    with on_folder.opened("a") as here:
        ours, a = saver_of(here)
        work_on(a, 700, n_chunks=4)
        ours.save_now()
        assert read == []
    with on_folder.opened("b") as there:
        theirs, b = saver_of(there)
        assert theirs.restore()
        n_files = len(read)
        work_on(b, 900, n_chunks=5)
        theirs.save(0.0)
        assert len(read) == n_files == 6, "what was brought was read and checked"
        assert len(there.saved.query_one({})["files"]) == 7


def test_savings_keep_their_distance(on_folder):
    with on_folder.opened("a") as here:
        ours, a = saver_of(here, interval_s=3600.0)
        work_on(a, 500, n_chunks=1)
        ours.offer()
        assert here.saved.query_one({}) is None
        ours.save_now()
        assert here.saved.query_one({"identity": IDENTITY})["files"]
        forget_saved(here, [IDENTITY])
        assert here.saved.query_one({}) is None


def test_a_saved_path_that_leads_out_is_not_followed(on_folder, caplog):
    with on_folder.opened("a") as here:
        row = {"path": "../../../x", "sha256": "0" * 64, "n_bytes": 1, "role": "saved"}
        here.saved.update([{"identity": IDENTITY, "token": "t", "files": [row], "host": "evil"}])
        assert not saver_of(here)[0].restore()
        assert "leads out of its folder" in caplog.text


def test_without_a_place_nothing_is_done(tmp_path):
    with open_store(tmp_path / "store") as store:
        saver, directory = saver_of(store)
        work_on(directory, 500, n_chunks=1)
        saver.offer()
        saver.save_now()
        saver.secure([])
        saver.forget()
        assert not saver.is_needed
        assert not saver.restore()
        assert store.saved.query_one({}) is None


def test_files_of_another_step_are_where_that_step_stored_them(on_folder):
    """A step that hands a run on refers to files that its machine may never have had."""
    with on_folder.opened("a") as here, on_folder.opened("b") as there:
        ours, a = saver_of(here)
        work_on(a, 500, n_chunks=1)
        path = a / "npt/trajectory/chunk-000000.h5"
        chunk = FileReference(
            path=path.relative_to(here.files_dir).as_posix(), sha256=file_sha256(path),
            n_bytes=path.stat().st_size, role="x",
        )  # fmt: skip
        other = RunSaver(there, "7b" * 32, there.files_dir / "7b" / ("7b" * 32), 0.0)
        with pytest.raises(TrajectoryError, match="gone before it was stored"):
            other.secure([chunk])
        ours.secure([chunk])
        other.secure([chunk])
        theirs, _ = saver_of(there)
        with pytest.raises(TrajectoryError, match="gone before it was stored"):
            theirs.secure([chunk])
