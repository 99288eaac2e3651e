"""Fixtures shared by the rooms: servers that are real, and settings for tests."""

from __future__ import annotations

import pytest
from mongo_server import running_mongod
from pymongo import MongoClient

from haloflow.settings import get_settings


@pytest.fixture(scope="session")
def mongod_uri(tmp_path_factory):
    with running_mongod(tmp_path_factory.mktemp("mongod")) as uri:
        yield uri


@pytest.fixture(scope="session")
def s3_endpoint():
    """Run a server that speaks S3, with a bucket ``haloflow``; give its URL."""
    import boto3
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="haloflow")
        yield url
        server.stop()


@pytest.fixture
def guarded_mongod_uris(tmp_path):
    """Run a mongod that asks who one is; give the URIs of a user that writes and of a reader."""
    folder = tmp_path / "mongod"
    folder.mkdir()
    with running_mongod(folder, "--auth") as uri:
        host = uri.removeprefix("mongodb://")
        reader = {"pwd": "secret", "roles": [{"role": "read", "db": "haloflow"}]}
        with MongoClient(uri) as client:  # the first user may be made without one
            client.admin.command("createUser", "writer", **reader | {"roles": ["root"]})
        uris = [
            f"mongodb://{user}:secret@{host}/haloflow?authSource=admin"
            for user in ("writer", "reader")
        ]
        with MongoClient(uris[0]) as client:
            client.admin.command("createUser", "reader", **reader)
        yield uris


@pytest.fixture
def quick_settings(tmp_path, monkeypatch):
    """Keep fetched files in the test's folder, and wait for no server for long."""
    monkeypatch.setenv("HALOFLOW_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HALOFLOW_PATIENCE_S", "1")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()
