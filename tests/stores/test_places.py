"""Places for trajectories: a folder, GridFS, S3; whole, checked, idempotent, and killed."""

from __future__ import annotations

import os

import numpy as np
import pytest
from kept_elsewhere import KINDS, Elsewhere, a_file, fill_with_a_run
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.errors import InputError, StoreError, TrajectoryError
from haloflow.makers.stored_trajectories import open_stored, parts_of
from haloflow.settings import get_settings
from haloflow.stores.checking import check_store
from haloflow.stores.connection import open_store
from haloflow.stores.copying import copy_store
from haloflow.stores.documents import Release
from haloflow.stores.step_files import cache_folder, trim_cache
from haloflow.stores.trajectory_places import parse_place, use_place
from haloflow.stores.uploading import upload_files

pytestmark = pytest.mark.usefixtures("quick_settings")


@pytest.fixture(params=KINDS)
def elsewhere(request, tmp_path):
    made = Elsewhere(request.param, tmp_path, request)
    made.use()
    return made


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
    for name in ("02/2", "03/3"):
        os.utime(tmp_path / name)
    trim_cache(tmp_path, 50.0)
    assert len(list(tmp_path.glob("??/*"))) == 2, "they may be in use"


def test_a_trajectory_larger_than_the_cache_is_read_again_and_again(tmp_path, monkeypatch):
    with open_store(tmp_path / "store", files_dir=tmp_path / "a") as store:
        use_place(store, str(tmp_path / "shared"))
        _, run, frames = fill_with_a_run(store)
    monkeypatch.setenv("HALOFLOW_CACHE_GB", "1e-9")
    monkeypatch.setattr("haloflow.stores.step_files._TRIM_INTERVAL_S", 0.0)
    get_settings.cache_clear()
    chunks = parts_of(run)["production"]
    with open_store(tmp_path / "store", files_dir=tmp_path / "b") as store:
        reader = open_stored(chunks, store.files)
        reader.thermo()
        assert store.files.local(chunks[-1]).is_file(), "what was just fetched is not deleted"
        monkeypatch.setattr("haloflow.stores.step_files._IN_USE_S", 0.0)
        trim_cache(cache_folder(), 1.0)  # hours later
        assert not list(cache_folder().glob("??/*"))
        monkeypatch.setattr("haloflow.stores.step_files._IN_USE_S", 60.0)
        assert np.allclose(reader.positions(), frames.positions, atol=1e-4)


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


def test_what_was_there_before_a_place_was_named_is_sent_there(tmp_path):
    with open_store(tmp_path / "store") as store:
        _, run, _ = fill_with_a_run(store)
        with pytest.raises(StoreError, match="has no place for trajectories yet"):
            upload_files(store)
        use_place(store, str(tmp_path / "shared"))
        first, second, *others = run.files
        (store.files_dir / first.path).unlink()
        (store.files_dir / second.path).write_bytes(b"damaged")
    with open_store(tmp_path / "store") as store:
        told = []
        done = upload_files(store, lambda *row: told.append(row))
        assert (done.n_sent, done.n_there, done.n_elsewhere) == (len(others), 0, 1)
        assert list(done.failures) == [second.path]
        assert told[-1][1] == told[-1][2] == sum(file.n_bytes for file in run.files)
        again = upload_files(store)
        assert (again.n_sent, again.n_there) == (0, len(others))


def test_the_command_names_a_place_and_sends(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with open_store(tmp_path / "store") as store:
        fill_with_a_run(store)
    words = ["db", "upload", "--store", str(tmp_path / "store"), "--to", str(tmp_path / "shared")]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    assert f"6 files sent to {tmp_path / 'shared'}" in said.stdout
    (tmp_path / "store" / "files").rename(tmp_path / "lost")
    with open_store(tmp_path / "store", read_only=True) as store:
        found = check_store(store)
        assert (found.findings, found.n_only_here) == ([], 0)


def test_nothing_is_sent_to_the_place_of_another_store(tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    with open_store(tmp_path / "owner") as owner:
        use_place(owner, str(shared))
    with open_store(tmp_path / "store") as store:
        fill_with_a_run(store)
    monkeypatch.setenv("HALOFLOW_TRAJECTORY_STORE", str(shared))
    get_settings.cache_clear()
    with open_store(tmp_path / "store") as store, open_store(tmp_path / "copy") as copy:
        with pytest.raises(StoreError, match="belongs to another store"):
            upload_files(store)
        with pytest.raises(StoreError, match="belongs to another store"):
            copy_store(store, copy)
        assert list(store.files.target.sizes()) == []
