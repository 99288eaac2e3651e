"""``haloflow serve``: a real process on a real port, and what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
import sample_candidates
import uvicorn
from many_candidates import fill
from pymongo.errors import OperationFailure
from rich.console import Console
from typer.testing import CliRunner
from uvicorn.server import ServerState

from haloflow.cli import serve, upkeep
from haloflow.cli.main import app
from haloflow.cli.upkeep import Upkeep
from haloflow.dashboard import server
from haloflow.dashboard.security import SECURITY_HEADERS
from haloflow.errors import InputError, MissingDependencyError
from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.connection import open_store

START_S = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("serve")
    with open_store(made) as store:
        fill(store, 5)
    return made


@contextlib.contextmanager
def serving(store, *options, **environment):
    """Give the process and the address that it prints; it ends with the block."""
    program = Path(sys.executable).with_name("haloflow")
    process = subprocess.Popen(
        [program, "serve", "--store", str(store), "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )
    try:
        lines = iter(process.stdout.readline, "")
        address = next(m[1] for line in lines if (m := re.match(r"Dashboard and API: (.*)", line)))
        yield process, address.strip()
    finally:
        process.kill()
        process.communicate()


def test_it_answers_until_ctrl_c(folder):
    with serving(folder) as (process, address):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        with httpx.Client(base_url=address, timeout=START_S) as client:
            assert client.get("api/v1/candidates").json()["meta"]["total_doc"] == 5
            assert client.head("").status_code == 200
            assert "server" not in client.get("").headers
            port = int(address.rstrip("/").rpartition(":")[2])
            busy = CliRunner().invoke(app, ["serve", "--store", str(folder), "-p", str(port)])
            assert busy.exit_code == 2
            shown = " ".join(busy.output.split())
            assert "cannot listen here: address already in use" in shown
            assert "take another one: --port 0 finds a free one" in shown
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
        assert process.wait(20) == 0
        assert "Stopped." in rest
        assert "Traceback" not in rest


def test_threads_are_few_however_many_ask(folder):
    with serving(folder) as (process, address):
        runs, asked = psutil.Process(process.pid), f"{address}api/v1/candidates"

        async def ask_all():
            async with httpx.AsyncClient(timeout=START_S) as client:
                first = await client.get(asked)
                before = runs.num_threads()
                answers = await asyncio.gather(*(client.get(asked) for _ in range(40)))
                return before, [one.status_code for one in (first, *answers)]

        before, answers = asyncio.run(ask_all())
        assert answers == [200] * 41
        assert runs.num_threads() <= before + server.THREADS


@contextlib.asynccontextmanager
async def listening(pause_s=0.0):
    """Answer "done" after a pause, through the protocol of the server; give port and state."""

    async def answer(_scope, _receive, send):
        await asyncio.sleep(pause_s)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    config = uvicorn.Config(answer, http=server.Protocol, log_level="error", lifespan="off")
    config.load()
    state = ServerState()
    listener = await asyncio.get_running_loop().create_server(
        lambda: config.http_protocol_class(config, state, {}), "127.0.0.1", 0
    )
    async with listener:
        yield listener.sockets[0].getsockname()[1], state


def test_a_connection_that_sends_no_head_is_closed(monkeypatch):
    monkeypatch.setattr(server, "HEAD_S", 0.3)

    async def lasts_s(port, sent):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        started = time.monotonic()
        writer.write(sent)
        got = await reader.read()
        writer.close()
        return time.monotonic() - started, got

    async def run():
        head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        async with listening(pause_s=0.6) as (port, _):  # an answer may take longer
            return await asyncio.gather(
                *(lasts_s(port, sent) for sent in (b"", head[:9], head, head + head[:9]))
            )

    silent, partial, whole, second = asyncio.run(asyncio.wait_for(run(), 10))
    assert silent[1] == partial[1] == b""
    assert max(silent[0], partial[0]) < 0.6
    for seconds, got in (whole, second):
        assert b"done" in got
        assert 0.6 < seconds < 2.0


def test_who_comes_when_too_many_are_there_is_told_so_as_by_any_answer(monkeypatch):
    monkeypatch.setattr(server, "MOST_WAITING", 4)

    async def run():
        async with (
            listening() as (port, state),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        ):
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            while len(state.connections) < len(idle):  # noqa: ASYNC110  (there is no event)
                await asyncio.sleep(0.01)
            refused = await client.get("/")
            for _, writer in idle:
                writer.close()
            while state.connections:  # noqa: ASYNC110  (there is no event)
                await asyncio.sleep(0.01)
            return refused, await client.get("/")

    refused, answered = asyncio.run(asyncio.wait_for(run(), 30))
    assert refused.status_code == 503
    assert refused.json()["error"]["problem"] == "the server is busy with other requests"
    assert refused.headers["retry-after"] == "5"
    assert refused.headers["connection"] == "close"
    for name, value in SECURITY_HEADERS.items():
        assert refused.headers[name] == value
    assert answered.text == "done"


def test_another_host_needs_the_token_which_is_shown_once(mongod_uri, tmp_path):
    uri, files = f"{mongod_uri}/serve{time.time_ns()}", {"HALOFLOW_FILES_DIR": str(tmp_path)}
    with open_store(uri, files_dir=tmp_path) as store:
        fill(store, 5)
    with serving(uri, "--host", "0.0.0.0", **files) as (process, address):  # noqa: S104  (that is tested)
        found = re.fullmatch(r"http://([^:]+):(\d+)/\?token=([\w-]{32})", address)
        assert found
        assert found[1] == socket.gethostname()
        base = f"http://127.0.0.1:{found[2]}"
        with httpx.Client(base_url=base, timeout=START_S) as client:
            assert client.get("/api/v1/fields").status_code == 401
            assert client.get("/api/v1/fields", headers={"Host": "evil.com"}).status_code == 400
            entered = client.get(f"/?token={found[3]}")
            assert (entered.status_code, entered.headers["location"]) == (303, "/")
            found_rows = client.get("/api/v1/candidates").json()  # with the cookie
            assert found_rows["meta"]["total_doc"] == 5
            names = {"Host": f"{socket.gethostname()}:{found[2]}"}
            assert client.get("/api/v1/fields", headers=names).status_code == 200
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert "Shown only now" in rest
        assert found[3] not in rest


def test_who_may_not_write_sees_what_is_stored(tmp_path, monkeypatch, capsys):
    with open_store(tmp_path) as store:
        fill(store, 3)
        change_all(store)
    open_existing = upkeep.existing_store
    monkeypatch.setattr(upkeep, "existing_store", lambda name: open_existing(name, read_only=True))
    with open_store(tmp_path, read_only=True) as store:
        mine = Upkeep(str(tmp_path), store)
        for _ in range(3):  # it is said once
            mine.look()
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("Summaries are shown as they were stored: ")
    assert shown.count("Summaries") == 1
    assert "reading" in shown


def test_one_candidate_that_cannot_be_read_is_named_and_the_others_updated(tmp_path, capsys):
    with open_store(tmp_path) as store:
        fill(store, 3)
        rows = sorted(store.candidates.query({}), key=lambda row: row["candidate_id"])
        store.candidates.update([{**rows[0], "formula": "no formula!"}, *rows[1:]])
        store.summaries.remove_docs({})
        change_all(store)
    with open_store(tmp_path, read_only=True) as store:
        mine = Upkeep(str(tmp_path), store)
        for _ in range(3):
            mine.look()
    shown = " ".join(capsys.readouterr().err.split())
    name = rows[0]["candidate_id"]
    assert shown.startswith(f"{name} cannot be read, its summary stays as it was: no formula!")
    with open_store(tmp_path, read_only=True) as store:
        assert store.summaries.count() == 2


def test_a_server_that_refuses_is_told_of(mongod_uri, tmp_path, monkeypatch, capsys):
    def refuse(_store):
        raise OperationFailure("not authorized on haloflow", 13)

    monkeypatch.setattr("haloflow.cli.stores.update_summaries", refuse)
    monkeypatch.setattr(upkeep, "existing_store", lambda uri: open_store(uri, files_dir=tmp_path))
    uri = f"{mongod_uri}/serve{time.time_ns()}"
    with open_store(uri, files_dir=tmp_path, read_only=True) as store:
        Upkeep(uri, store).look()
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("Summaries are shown as they were stored: the MongoDB server cannot be")
    assert "OperationFailure" in shown


def test_what_ends_while_pages_are_shown_is_seen_by_itself(tmp_path, monkeypatch):
    updates = []
    update = upkeep.bring_up_to_date
    monkeypatch.setattr(
        upkeep, "bring_up_to_date", lambda *given: updates.append(1) or update(*given)
    )
    candidate, documents = sample_candidates.searched_crystal()
    first = min(documents)
    with open_store(tmp_path) as store:
        sample_candidates.fill(store, [(candidate, {})])
    with open_store(tmp_path, read_only=True) as shown:

        def states():
            row = shown.summaries.query_one({}) or {"steps": []}
            return {step["name"]: step["state"] for step in row["steps"]}

        with Upkeep(str(tmp_path), shown, every_s=0.05):
            wait_until(lambda: states().get(first) == "waiting")
            with open_store(tmp_path) as store:
                sample_candidates.fill(store, [(candidate, {first: documents[first]})])
            wait_until(lambda: states()[first] == "done")
            n_updates = len(updates)
            time.sleep(0.5)  # ten looks, and no more than what its own writing makes of them
            assert len(updates) <= n_updates + 2


def change_all(store):
    """Let all candidates count as changed."""
    steps = [step for row in store.candidates.query({}) for step in row["steps"].values()]
    SummaryBuilder.of(store).changes.touch(steps)


def wait_until(is_so, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {timeout_s} s"
        time.sleep(0.02)


# -- what is refused -----------------------------------------------------------------------


def test_a_store_that_is_not_there(tmp_path):
    result = CliRunner().invoke(app, ["serve", "--port", "0", "--store", str(tmp_path / "no")])
    assert result.exit_code == 1
    assert "there is no haloflow store here" in " ".join(result.output.split())
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("package", serve.PACKAGES)
def test_a_missing_package_is_named_with_the_line_that_brings_it(package, monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    with pytest.raises(MissingDependencyError, match=f"the package {package} is needed") as caught:
        serve.serve_store(str(tmp_path), host="", port=0, token=None, open_browser=False)
    assert caught.value.remedy == "pip install -c constraints.txt 'haloflow[serve]'"


def test_a_host_of_another_machine():
    with pytest.raises(InputError, match="cannot listen here: cannot assign requested address"):
        serve.bind("192.0.2.1", 0)
    with pytest.raises(InputError, match="no address is known for this host") as caught:
        serve.bind("no.such.host.invalid", 0)
    assert (
        caught.value.allowed == "127.0.0.1, an address of this machine, or 0.0.0.0 for all of them"
    )


@pytest.mark.parametrize(
    "token", ["short", "a" * 15, "with space in the token", "umlaut-äääääääääääää"]
)
def test_tokens_that_are_refused(token):
    with pytest.raises(InputError, match="this is no safe token") as caught:
        serve.checked_token(token, "127.0.0.1")
    assert caught.value.given is None  # it may be a password of something else
    assert caught.value.allowed == "16 characters or more of A-Z a-z 0-9 - . _ ~"
    assert "a new one is made" in caught.value.remedy


def test_tokens_that_are_made():
    assert serve.checked_token(None, "127.0.0.1") is None
    assert serve.checked_token("0123456789abcdef", "127.0.0.1") == "0123456789abcdef"
    made = {serve.checked_token(None, "0.0.0.0") for _ in range(5)}  # noqa: S104  (that is tested)
    assert len(made) == 5
    assert all(len(token) >= 32 and serve.checked_token(token, "x") == token for token in made)


@pytest.mark.parametrize(
    ("host", "is_it"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("localhost", True), ("::1", True), ("[::1]", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.evil.com", False)],  # noqa: S104  (that is tested)
)  # fmt: skip
def test_only_loopback_needs_no_token(host, is_it):
    assert serve.is_loopback(host) is is_it


def test_the_names_of_a_host():
    assert serve.host_names("cluster.example") == ["cluster.example"]
    assert serve.host_names("::1") == ["[::1]"]
    every = serve.host_names("0.0.0.0")  # noqa: S104  (that is tested)
    assert {socket.gethostname(), "127.0.0.1"} <= set(every)
    assert serve.address_of("::1", 8000, None) == "http://[::1]:8000/"
    assert serve.address_of("[::1]", 8000, "a~b") == "http://[::1]:8000/?token=a~b"


def test_the_browser_is_opened_when_asked_for(folder, monkeypatch):
    opened = []
    monkeypatch.setattr(serve.webbrowser, "open", opened.append)
    monkeypatch.setattr(server, "answer_requests", lambda _app, listening: listening.fileno())
    monkeypatch.setattr(serve, "console", lambda: Console(quiet=True))
    for wanted in (False, True):
        serve.serve_store(str(folder), host="127.0.0.1", port=0, token=None, open_browser=wanted)
        assert len(opened) == wanted
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", opened[0])
