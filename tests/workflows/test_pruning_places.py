"""Strays, and whose a place is: only what is surely this store's own is deleted."""

from __future__ import annotations

import os
import time

import boto3
import pytest
from kept_elsewhere import BUCKET, KINDS, Elsewhere, a_file, fill_with_a_run
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.identity import file_sha256
from haloflow.settings import get_settings
from haloflow.stores.checking import check_store
from haloflow.stores.connection import open_store
from haloflow.stores.retention import Retention
from haloflow.stores.trajectory_places import use_place
from haloflow.workflows.pruning import find_strays, prune

pytestmark = pytest.mark.usefixtures("quick_settings")


@pytest.fixture
def strays_are_old(monkeypatch):
    monkeypatch.setattr("haloflow.workflows.pruning._STRAY_AGE_S", 0.0)


def a_stray(store, folder, text="of a run that was killed"):
    path = folder / "stray"
    path.write_text(text)
    store.files.put(path, file_sha256(path))


@pytest.mark.usefixtures("strays_are_old")
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_the_place_of_another_store_is_not_touched(kind, request, tmp_path, monkeypatch):
    elsewhere = Elsewhere(kind, tmp_path, request)
    elsewhere.use()
    with elsewhere.opened("a") as store:
        a_stray(store, tmp_path)
        before = dict(store.files.target.sizes())
    monkeypatch.setenv("HALOFLOW_TRAJECTORY_STORE", elsewhere.text)
    get_settings.cache_clear()
    with open_store(tmp_path / "other") as other:
        _, run, _ = fill_with_a_run(other)  # stores in that place, as the settings say
        both = {file.sha256 for file in run.files} | before.keys()
        assert find_strays(other) == ({}, {})
        done = prune(other, Retention(preparation="release", keep_every=5))
        assert (done.n_strays, done.left) == (0, {})
        assert "belongs to another store" in done.failures[run.identity]
        prune(other, Retention(preparation="release"))
        with monkeypatch.context() as patch:  # recorded by a store of before owners were noted
            patch.setattr("haloflow.stores.trajectory_places._prepare", lambda *_: None)
            use_place(other, elsewhere.text)
        done = prune(other)
        assert (done.n_strays, *done.left) == (0, elsewhere.text)
        assert "does not say that it is this store's" in done.left[elsewhere.text]
        assert dict(other.files.target.sizes()).keys() == both


@pytest.mark.usefixtures("strays_are_old")
def test_what_others_keep_in_a_place_is_not_touched(request, tmp_path):
    elsewhere = Elsewhere("s3", tmp_path, request)
    elsewhere.use()
    client = boto3.client("s3", endpoint_url=elsewhere.endpoint)
    others = [f"{elsewhere.prefix}/nested/ab/{'ab' * 32}", f"{elsewhere.prefix}/README"]
    for key in others:
        client.put_object(Bucket=BUCKET, Key=key, Body=b"precious")
    with elsewhere.opened() as store:
        a_stray(store, tmp_path)
        assert prune(store).n_strays == 1
    for key in others:
        assert client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"precious"


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_has_lain_there_for_days_is_a_stray(kind, request, tmp_path, monkeypatch):
    elsewhere = Elsewhere(kind, tmp_path, request)
    elsewhere.use()
    with elsewhere.opened("a") as store:
        a_stray(store, tmp_path)
        assert find_strays(store) == ({}, {})
        assert prune(store).n_strays == 0
        in_four_days = time.time() + 4 * 86_400
        monkeypatch.setattr("haloflow.workflows.pruning.time.time", lambda: in_four_days)
        assert list(find_strays(store)[0].values()) == [24]
        done = prune(store)
        assert (done.n_strays, done.n_stray_bytes) == (1, 24)
        assert dict(store.files.target.sizes()) == {}


@pytest.mark.usefixtures("strays_are_old")
def test_a_place_that_is_away_waits_for_the_next_time(request, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    elsewhere = Elsewhere("folder", tmp_path, request)
    elsewhere.use()
    with elsewhere.opened("a") as store:
        fill_with_a_run(store)
        a_stray(store, tmp_path)
        uri = store.uri
    (tmp_path / "shared").rename(tmp_path / "away")
    said = CliRunner().invoke(app, ["db", "prune", "--preparation", "--apply", "--store", uri])
    assert said.exit_code == 0, said.output
    assert f"nothing is deleted in {tmp_path / 'shared'}: the folder of" in said.stdout
    said = CliRunner().invoke(app, ["db", "prune", "--store", uri])
    assert f"nothing is deleted in {tmp_path / 'shared'}: the folder of" in said.stdout
    (tmp_path / "away").rename(tmp_path / "shared")
    said = CliRunner().invoke(app, ["db", "prune", "--store", uri])
    assert "1 files of lost or superseded savings would go (24 B)" in said.stdout
    with elsewhere.opened("a") as store:
        done = prune(store)
        assert (done.n_files, done.n_strays) == (3, 1)


def test_rests_of_writes_are_deleted_by_pruning_alone(request, tmp_path):
    elsewhere = Elsewhere("folder", tmp_path, request)
    elsewhere.use()
    old, new = (tmp_path / "shared" / "ab" / f".{name}-1.part" for name in ("old", "new"))
    for rest in (old, new):
        rest.parent.mkdir(exist_ok=True)
        rest.write_text("half")
    os.utime(old, (1e9, 1e9))
    with elsewhere.opened(read_only=True) as store:
        assert check_store(store).findings == []
        assert list(store.files.target.sizes()) == []
    assert old.exists()
    with elsewhere.opened() as store:
        prune(store)
    assert (old.exists(), new.exists()) == (False, True)


def test_parts_of_an_upload_to_s3_are_taken_back_when_they_are_old(request, tmp_path, monkeypatch):
    """The server of these tests says of every upload that it began in 2010."""
    elsewhere = Elsewhere("s3", tmp_path, request)
    elsewhere.use()
    client = boto3.client("s3", endpoint_url=elsewhere.endpoint)
    path, file = a_file(tmp_path / "a", n_bytes=20 * 2**20)
    ours = f"{elsewhere.prefix}/{file.sha256[:2]}/{file.sha256}"
    others = f"{elsewhere.prefix}/nested/{file.sha256[:2]}/{file.sha256}"
    begun = {
        key: client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        for key in (ours, others)
    }

    def known():
        return {
            row["Key"] for row in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
        }

    with elsewhere.opened("a") as store:
        with monkeypatch.context() as today:
            today.setattr("haloflow.stores.blobs_s3.ABANDONED_S", 1e9)
            store.files.put(path, file.sha256)
            prune(store)
            assert {ours, others} <= known(), "another process may be sending it"
        prune(store)
    assert ours not in known()
    assert others in known()
    client.abort_multipart_upload(Bucket=BUCKET, Key=others, UploadId=begun[others])
