"""Places for trajectories: a folder, GridFS, S3; whole, checked, idempotent, and killed."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

import boto3
import pytest
from conftest import free_port
from kept_elsewhere import BUCKET, KINDS, Elsewhere, quick_settings  # noqa: F401  (a fixture)

from haloflow.errors import InputError, StoreError, StoreTimeoutError, TrajectoryError
from haloflow.settings import get_settings
from haloflow.stores.blobs import persistent
from haloflow.stores.connection import open_store
from haloflow.stores.documents import FileReference, Release
from haloflow.stores.step_files import cache_folder, trim_cache
from haloflow.stores.trajectory_places import known_places, parse_place, use_place

pytestmark = pytest.mark.usefixtures("quick_settings")
WRITE = """
import sys
from pathlib import Path
from haloflow.stores.connection import open_store
with open_store(sys.argv[1], files_dir=sys.argv[2]) as store:
    store.files.target.write(sys.argv[3], Path(sys.argv[4]))
"""
DEADLINE_S = 60.0


@pytest.fixture(params=KINDS)
def elsewhere(request, tmp_path):
    made = Elsewhere(request.param, tmp_path, request)
    made.use()
    return made


@pytest.fixture
def on_s3(request, tmp_path):
    made = Elsewhere("s3", tmp_path, request)
    made.use()
    return made


def a_file(folder, n_bytes=3_000_000, seed=1, name="chunk-000000.h5"):
    data = random.Random(seed).randbytes(n_bytes)
    path = folder / "ab" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return path, FileReference(path=f"ab/{name}", sha256=sha256, n_bytes=n_bytes, role="trajectory")


def waited_for(ready, what):
    deadline = time.monotonic() + DEADLINE_S
    while not (found := ready()):
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_S:g} s"
        time.sleep(0.01)
    return found


def test_what_one_machine_stores_another_reads(elsewhere, tmp_path):
    path, file = a_file(tmp_path / "a")
    with elsewhere.opened("a") as store:
        place = store.files.target
        assert place.size(file.sha256) is None
        store.files.put(path, file.sha256)
        store.files.put(path, file.sha256)
        assert list(place.sizes()) == [(file.sha256, file.n_bytes)]
        assert store.files.local(file) == path
    with elsewhere.opened("b", read_only=True) as store:
        assert store.files.size(file) == file.n_bytes
        found = store.files.local(file)
        assert found.is_relative_to(cache_folder())
        assert found.read_bytes() == path.read_bytes()
        path.unlink()
        assert store.files.local(file) == found, "from the cache"
        found.write_bytes(b"damaged in the cache")
        assert len(store.files.local(file).read_bytes()) == file.n_bytes
        assert not (tmp_path / "b" / "ab").exists()
    with elsewhere.opened("a") as store:
        store.files.target.remove(file.sha256)
        store.files.target.remove(file.sha256)
        assert list(store.files.target.sizes()) == []


def test_a_damaged_file_is_found_refused_and_named(elsewhere, tmp_path):
    path, file = a_file(tmp_path / "a")
    with elsewhere.opened("a") as store:
        store.files.put(path, file.sha256)
    elsewhere.damage(file.sha256)
    with elsewhere.opened("b", read_only=True) as store:
        with pytest.raises(
            TrajectoryError, match="checksum of a trajectory file does not"
        ) as caught:
            store.files.local(file)
        assert file.path in str(caught.value)
        assert store.files.target.name in str(caught.value)
        assert list(cache_folder().rglob("*.part")) == []
    with elsewhere.opened("a") as store:
        assert store.files.local(file) == path, "that of this machine is whole"
        store.files.put(path, file.sha256)  # a run that is done again mends it
    with elsewhere.opened("b", read_only=True) as store:
        assert store.files.local(file).read_bytes() == path.read_bytes()


def test_a_file_that_changed_on_disk_is_not_stored(elsewhere, tmp_path):
    path, file = a_file(tmp_path / "a", n_bytes=2_500_000)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with elsewhere.opened("a") as store:
        with pytest.raises(TrajectoryError, match="is not what its step wrote"):
            store.files.put(path, file.sha256)
        assert store.files.target.size(file.sha256) is None
        assert list(store.files.target.sizes()) == []
        with pytest.raises(StoreError, match="cannot be read to be stored"):
            store.files.target.write(file.sha256, path.with_name("none"))


def test_a_file_that_is_nowhere_says_where_it_was_looked_for(elsewhere, tmp_path):
    _, file = a_file(tmp_path / "elsewhere")
    with elsewhere.opened("b", read_only=True) as store:
        assert store.files.size(file) is None
        with pytest.raises(TrajectoryError, match="a trajectory file is missing") as caught:
            store.files.local(file)
        assert store.files.target.name in str(caught.value)
        outside = file.model_copy(update={"path": "../../x"})
        with pytest.raises(TrajectoryError, match="lies outside"):
            store.files.local(outside)
        at = "2026-01-02T03:04:05Z"
        gone = Release(rule="failed: release", by="ada@login", at=at)
        with pytest.raises(TrajectoryError, match=r"failed: release' on 2026-01-02.*ada@login"):
            store.files.local(file.model_copy(update={"released": gone}))


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


def test_gridfs_that_is_away_is_a_store_error(mongod_uri, tmp_path):
    port = free_port()
    from haloflow.stores.blobs_gridfs import GridFSBlobs

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


def test_the_last_place_is_written_to_and_all_are_read(tmp_path):
    path, file = a_file(tmp_path / "a", seed=1)
    other_path, other = a_file(tmp_path / "a", seed=2, name="chunk-000001.h5")
    with open_store(tmp_path / "store", files_dir=tmp_path / "a") as store:
        assert store.files.target is None
        store.files.put(path, file.sha256)  # nowhere to go
        use_place(store, str(tmp_path / "one"))
    with open_store(tmp_path / "store", files_dir=tmp_path / "a") as store:
        store.files.put(path, file.sha256)
        use_place(store, f"file://{tmp_path}/two")
    with open_store(tmp_path / "store", files_dir=tmp_path / "a") as store:
        store.files.put(other_path, other.sha256)
        assert [place.size(other.sha256) for place in store.files.places] == [other.n_bytes, None]
    with open_store(tmp_path / "store", files_dir=tmp_path / "b") as store:
        assert store.files.local(file).read_bytes() == path.read_bytes()
        assert store.files.local(other).read_bytes() == other_path.read_bytes()


def test_a_reader_that_was_there_first_finds_a_new_place(tmp_path, monkeypatch):
    monkeypatch.setattr("haloflow.stores.step_files._LOOK_AGAIN_S", 0.0)
    path, file = a_file(tmp_path / "a")
    with (
        open_store(tmp_path / "store", files_dir=tmp_path / "a") as store,
        open_store(tmp_path / "store", files_dir=tmp_path / "b", read_only=True) as reader,
    ):
        use_place(store, str(tmp_path / "one"))
        assert len(reader.files.places) == 1
        use_place(store, str(tmp_path / "two"))
        with open_store(tmp_path / "store", files_dir=tmp_path / "a") as writer:
            writer.files.put(path, file.sha256)
        assert reader.files.local(file).read_bytes() == path.read_bytes()


def test_the_cache_gives_up_what_was_longest_unused(tmp_path):
    for number in range(4):
        path = tmp_path / f"{number:02d}" / f"{number}"
        path.parent.mkdir()
        path.write_bytes(b"x" * 100)
        os.utime(path, (1e9 + number, 1e9 + number))
    trim_cache(tmp_path, 250.0)
    assert sorted(path.name for path in tmp_path.glob("??/*")) == ["2", "3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shared/files", "must be the same wherever a job runs.*write the path from / on"),
        ("ftp://host/x", "of no known kind.*Allowed: an absolute path.*gridfs.*s3://"),
        ("", "of no known kind"),
        ("mongodb://ada:secret@host/db", "write trajectory_store: gridfs"),
        ("s3://key:secret@bucket/x", "must not hold a secret.*AWS_ACCESS_KEY_ID"),
        ("s3://bucket/x?aws_secret_access_key=secret", "must not hold a secret"),
        ("s3://bucket/x?endpoint=http://ada:secret@host", "must not hold a secret"),
        ("s3://bucket/x?colour=red", "has no such option. Given: colour. Allowed: endpoint"),
        ("s3://B/x", "no name of an S3 bucket"),
        ("s3://bucket/x y", "no prefix of an S3 bucket"),
        ("s3://bucket/x?endpoint=host:9000", "endpoint is a URL"),
    ],
)
def test_a_place_that_cannot_be_is_explained_without_its_secret(text, words):
    import re

    with pytest.raises(InputError) as caught:
        parse_place(text)
    assert re.search(words, str(caught.value)), str(caught.value)
    assert "secret@" not in str(caught.value)
    assert "=secret" not in str(caught.value)


def test_a_place_is_what_it_says():
    place = parse_place("s3://bucket/a/b?endpoint=https://minio.example:9000&profile=lab&region=x")
    assert (place.kind, place.bucket, place.prefix) == ("s3", "bucket", "a/b")
    assert (place.endpoint, place.profile, place.region) == (
        "https://minio.example:9000", "lab", "x",
    )  # fmt: skip
    assert parse_place("file:///shared/x").text == "/shared/x"


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_place_is_one_stores_alone(kind, request, tmp_path):
    elsewhere = Elsewhere(kind, tmp_path, request)
    elsewhere.use()
    elsewhere.use()
    with (
        open_store(tmp_path / "other") as other,
        pytest.raises(StoreError, match="place for trajectories belongs to another store"),
    ):
        use_place(other, elsewhere.text)
