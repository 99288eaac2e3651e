"""Places for trajectories that are killed, gone, refused or not there: nothing half, and said."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import boto3
import pytest
from kept_elsewhere import BUCKET, KINDS, Elsewhere, a_file, fill_with_a_run
from mongo_server import free_port
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.errors import StoreError, StoreTimeoutError, TrajectoryError
from haloflow.settings import get_settings
from haloflow.stores import trajectory_places
from haloflow.stores.blobs import persistent
from haloflow.stores.blobs_gridfs import GridFSBlobs
from haloflow.stores.connection import open_store
from haloflow.stores.trajectory_places import PLACES_MARK, known_places, use_place

pytestmark = pytest.mark.usefixtures("quick_settings")
WRITE = """
import sys
from pathlib import Path
from haloflow.stores.connection import open_store
with open_store(sys.argv[1], files_dir=sys.argv[2]) as store:
    store.files.target.write(sys.argv[3], Path(sys.argv[4]))
"""
DEADLINE_S = 60.0


@pytest.fixture
def on_s3(request, tmp_path):
    made = Elsewhere("s3", tmp_path, request)
    made.use()
    return made


def waited_for(ready, what):
    deadline = time.monotonic() + DEADLINE_S
    while not (found := ready()):
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_S:g} s"
        time.sleep(0.01)
    return found


@pytest.mark.parametrize("kind", ["folder", "gridfs"])
def test_killed_in_the_middle_of_an_upload_nothing_half_is_there(kind, request, tmp_path):
    """The file comes through a pipe, which stops when 6 of 9 MB have been taken."""
    elsewhere = Elsewhere(kind, tmp_path, request)
    elsewhere.use()
    path, file = a_file(tmp_path / "a", n_bytes=9_000_000)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = [sys.executable, "-c", WRITE, elsewhere.store, str(tmp_path / "a"), file.sha256]
    with elsewhere.opened() as store, subprocess.Popen([*words, str(pipe)]) as writer:
        with pipe.open("wb") as feed:
            feed.write(path.read_bytes()[:6_000_000])
            feed.flush()
            place = store.files.target
            if kind == "gridfs":
                waited_for(lambda: len(place._chunks_of(file.sha256)) >= 4, "the first chunks")
                before = place._chunks.find_one({"files_id": file.sha256, "n": 0})["_id"]
            else:
                waited_for(lambda: list(elsewhere.folder.rglob("*.part")), "the first block")
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        assert place.size(file.sha256) is None
        if kind == "gridfs":
            assert list(place.sizes()) == [(file.sha256, -1)]
        store.files.put(path, file.sha256)
        assert list(place.sizes()) == [(file.sha256, file.n_bytes)]
        if kind == "gridfs":  # what was there was not sent again
            assert place._chunks.find_one({"files_id": file.sha256, "n": 0})["_id"] == before
            (leftover,) = place._chunks_of(file.sha256).items() & {(8, 9_000_000 - 8 * 2**20)}
            assert leftover
    with elsewhere.opened("b") as store:
        assert store.files.local(file).read_bytes() == path.read_bytes()


def test_damaged_rests_of_a_killed_upload_are_not_taken_over(request, tmp_path, monkeypatch):
    elsewhere = Elsewhere("gridfs", tmp_path, request)
    elsewhere.use()
    path, file = a_file(tmp_path / "a")
    with elsewhere.opened("a") as store, monkeypatch.context() as killed:
        killed.setattr(GridFSBlobs, "_finish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.files.put(path, file.sha256)
    elsewhere.damage(file.sha256)
    with elsewhere.opened("a") as store:
        store.files.put(path, file.sha256)
    with elsewhere.opened("b") as store:
        assert store.files.local(file).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_who_has_a_damaged_file_harms_nobody_who_stores_the_same(kind, request, tmp_path):
    elsewhere = Elsewhere(kind, tmp_path, request)
    elsewhere.use()
    path, file = a_file(tmp_path / "a")
    damaged = tmp_path / "damaged"
    damaged.write_bytes(path.read_bytes()[:-1] + b"?")
    with elsewhere.opened("a") as store:
        store.files.put(path, file.sha256)
        place = store.files.target
        with pytest.raises(TrajectoryError, match="is not what its step wrote"):
            place.write(file.sha256, damaged, again=True)
        assert store.files.fetch(file, tmp_path / "out").read_bytes() == path.read_bytes()


def test_killed_between_the_parts_of_an_upload_to_s3_the_next_one_clears_up(on_s3, tmp_path):
    path, file = a_file(tmp_path / "a", n_bytes=20 * 2**20)
    client = boto3.client("s3", endpoint_url=on_s3.endpoint)
    key = f"{on_s3.prefix}/{file.sha256[:2]}/{file.sha256}"
    left = client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    part = {"Bucket": BUCKET, "Key": key, "UploadId": left, "PartNumber": 1}
    client.upload_part(**part, Body=path.read_bytes()[: 16 * 2**20])
    with on_s3.opened("a") as store:
        assert store.files.target.size(file.sha256) is None
        store.files.put(path, file.sha256)
        assert client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    with on_s3.opened("b") as store:
        assert store.files.local(file).read_bytes() == path.read_bytes()


def test_a_server_that_comes_back_in_time_is_waited_for(on_s3, tmp_path, monkeypatch):
    from moto.server import ThreadedMotoServer

    path, file = a_file(tmp_path / "a", n_bytes=1000)
    port = free_port()
    monkeypatch.setenv("HALOFLOW_PATIENCE_S", "60")
    text = f"s3://{BUCKET}/late?endpoint=http://127.0.0.1:{port}"
    monkeypatch.setenv("HALOFLOW_TRAJECTORY_STORE", text)
    get_settings.cache_clear()
    with open_store(tmp_path / "late", files_dir=tmp_path / "a") as store:
        with pytest.raises(StoreTimeoutError, match="S3 store of trajectories cannot be used"):
            store.files.put(path, file.sha256, patience_s=0.0)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        starter = threading.Timer(1.0, server.start)
        starter.start()
        store.files.put(path, file.sha256)  # the servers of one process share their buckets
        starter.join()
        assert store.files.target.size(file.sha256) == 1000
        server.stop()


def test_waiting_ends_with_a_clear_error():
    attempts = []

    def never():
        attempts.append(1)
        raise StoreTimeoutError("the server is away", given="there", remedy="wait")

    with pytest.raises(StoreTimeoutError, match=r"there, tried \d+ times in 0.6 s"):
        persistent(never, 0.6)
    assert 2 <= len(attempts) <= 5

    def refused():
        attempts.clear()
        raise StoreError("no such bucket")

    with pytest.raises(StoreError, match="no such bucket"):
        persistent(refused, 60.0)


def test_gridfs_that_is_away_is_a_store_error():
    port = free_port()
    blobs = GridFSBlobs(
        f"mongodb://ada:secret@127.0.0.1:{port}", "none", {"serverSelectionTimeoutMS": 100}
    )
    with pytest.raises(StoreTimeoutError, match="MongoDB server cannot be used") as caught:
        blobs.size("0" * 64)
    assert "secret" not in str(caught.value) + blobs.name
    blobs.close()


def test_a_folder_that_is_not_mounted_is_no_empty_one(tmp_path):
    with open_store(tmp_path / "store") as store:
        use_place(store, str(tmp_path / "shared"))
        path, file = a_file(tmp_path / "store" / "files")
        (tmp_path / "shared").rename(tmp_path / "away")
        (tmp_path / "shared").mkdir()
        with pytest.raises(StoreError, match="folder of trajectories is not here"):
            store.files.put(path, file.sha256)
        (tmp_path / "shared").rmdir()
        (tmp_path / "shared").write_text("a file")
        with pytest.raises(StoreError, match="cannot be used: File exists"):
            use_place(store, str(tmp_path / "shared"))


def test_a_bucket_that_is_not_there_is_told_at_once(on_s3, tmp_path):
    with open_store(tmp_path / "other") as store, pytest.raises(StoreError) as caught:
        use_place(store, f"s3://no-such-bucket/x?endpoint={on_s3.endpoint}")
    assert "cannot be used: 404" in str(caught.value)
    assert "haloflow makes no bucket" in str(caught.value)


def test_without_credentials_s3_says_where_they_belong(on_s3, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with open_store(tmp_path / "other") as store, pytest.raises(StoreError) as caught:
        use_place(store, on_s3.text)
    assert "set AWS_ACCESS_KEY_ID" in str(caught.value)


def test_an_embedded_store_has_no_gridfs(tmp_path):
    with open_store(tmp_path / "store") as store:
        with pytest.raises(StoreError, match="has no GridFS"):
            use_place(store, "gridfs")
        store.meta.update([{"_id": "trajectory_stores", "places": ["gridfs"]}], key="_id")
        (place,) = known_places(store)  # e.g. of a copy: what is here can be read all the same
        for ask in (
            lambda: place.prepare(""), place.sizes, lambda: place.size("a"),
            lambda: place.read("a"),
            lambda: place.write("a", tmp_path), lambda: place.remove("a"),
        ):  # fmt: skip
            with pytest.raises(StoreError, match="has no GridFS"):
                ask()


def test_a_place_that_is_away_hides_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("HALOFLOW_PATIENCE_S", "30")
    get_settings.cache_clear()
    path, file = a_file(tmp_path / "a")
    gone, nowhere = (a_file(tmp_path / "a", 100, n, f"{n}.h5")[1] for n in (2, 3))
    with open_store(tmp_path / "store", files_dir=tmp_path / "a") as store:
        use_place(store, str(tmp_path / "first"))
        store.files.put(path, file.sha256)
        use_place(store, str(tmp_path / "second"))
    (tmp_path / "second").rename(tmp_path / "away")
    text = f"s3://{BUCKET}/away?endpoint=http://127.0.0.1:{free_port()}"
    with open_store(tmp_path / "store", files_dir=tmp_path / "b") as store:
        row = {"_id": PLACES_MARK, "places": [text, *(p.name for p in store.files.places)]}
        store.meta.update([row], key="_id")
    with open_store(tmp_path / "store", files_dir=tmp_path / "b") as store:
        assert store.files.places[0].name == text
        began = time.monotonic()
        asked = []
        monkeypatch.setattr(
            store.files.places[0], "size", lambda key, ask=store.files.places[0].size: (
                asked.append(key) or ask(key)
            )
        )  # fmt: skip
        for n in range(3):
            assert store.files.size(file) == file.n_bytes
            assert store.files.fetch(file, tmp_path / f"out{n}").read_bytes() == path.read_bytes()
        assert time.monotonic() - began < 25, "nothing waits for what is away"
        assert len(asked) == 1, "nor is it asked again at once"
        store.files.patience_s = 0.0
        for lost in (gone, nowhere):
            with pytest.raises(StoreError, match=r"cannot be used|is not here"):
                store.files.fetch(lost, tmp_path / "lost")


def test_looking_again_opens_no_place_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("haloflow.stores.step_files._LOOK_AGAIN_S", 0.0)
    _, file = a_file(tmp_path / "elsewhere")
    with open_store(tmp_path / "store") as store:
        use_place(store, str(tmp_path / "first"))
        before = store.files.places
        for _ in range(3):
            with pytest.raises(TrajectoryError, match="is missing"):
                store.files.fetch(file, tmp_path / "out")
        assert [a is b for a, b in zip(store.files.places, before, strict=True)] == [True]
        use_place(store, str(tmp_path / "second"))
        with pytest.raises(TrajectoryError, match="is missing"):
            store.files.fetch(file, tmp_path / "out")
        assert store.files.places[1] is before[0]


def test_a_place_that_is_gone_for_good_can_be_forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    gone, kept = tmp_path / "gone", tmp_path / "kept"
    with open_store(tmp_path / "store", files_dir=tmp_path / "a") as store:
        for place in (gone, kept):
            use_place(store, str(place))
        fill_with_a_run(store)
    shutil.rmtree(gone)

    def haloflow(*words):
        return CliRunner().invoke(app, ["db", *words, "--store", str(tmp_path / "store")])

    assert "haloflow db forget-place" in str(haloflow("check", "--fast").output)
    said = haloflow("forget-place", str(gone))
    assert said.exit_code == 0, said.output
    assert said.stdout.strip() == f"{gone} is forgotten; places now: {kept}"
    assert haloflow("check", "--fast").exit_code == 0
    said = haloflow("forget-place", str(gone))
    assert said.exit_code == 2
    assert "place for trajectories" in said.output


def test_two_processes_that_name_places_lose_none(tmp_path, monkeypatch):
    with open_store(tmp_path / "store") as store, open_store(tmp_path / "store") as other:
        real, fast = trajectory_places._recorded, []

        def slow(asked):
            found = real(asked)
            if asked is store and not fast:
                fast.append(1)
                use_place(other, str(tmp_path / "second"))
            return found

        with monkeypatch.context() as between:
            between.setattr(trajectory_places, "_recorded", slow)
            use_place(store, str(tmp_path / "first"))
        names = [place.name for place in known_places(store)]
        assert names == [str(tmp_path / "first"), str(tmp_path / "second")]
