"""The Python client and ``haloflow query --url``, against a server on this machine."""

from __future__ import annotations

import asyncio
import csv
import io
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
import uvicorn
from plotly.graph_objects import Figure
from pymatgen.core import Structure
from typer.testing import CliRunner

import haloflow
from haloflow.cli.main import app as command
from haloflow.client_requests import Pages, parameters_of
from haloflow.dashboard.app import create_app
from haloflow.errors import InputError, NotFoundError, StoreError
from haloflow.stores.fields import FIELDS
from haloflow.stores.filters import parse_filters
from haloflow.stores.narrowing import narrowing_parameters
from haloflow.stores.query import find_summaries
from haloflow.stores.sorting import sorted_summaries

WORD = "a-token-of-this-test-only"


@contextmanager
def listening(app):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="error", ws="none", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def url(embedded_store):
    with listening(create_app(embedded_store)) as found:
        yield found


@pytest.fixture(scope="module")
def client(url):
    with haloflow.Client(url) as opened:
        yield opened


@pytest.fixture(scope="module")
def full(client):
    names = client.search(complete=True, phase="glass").index
    return next(name for name in names if client.trajectories(name))


def test_a_search_returns_all_pages_with_units(client, embedded_store, monkeypatch):
    monkeypatch.setattr("haloflow.client._ROWS_PER_PAGE", 7)
    found = client.search(phase="glass", sort="-sigma", fields=["label", "sigma", "e_hull"])
    expected = find_summaries(embedded_store.summaries, ["phase == glass"], sort=["-sigma"])
    assert list(found.index) == [one.candidate_id for one in expected]
    known = [one.sigma_300k_ms_cm.value for one in expected]
    np.testing.assert_array_equal(found["sigma"].to_numpy(float), np.array(known, dtype=float))
    assert found.attrs["units"]["sigma"] == FIELDS["sigma"].unit == "mS/cm"
    assert found["e_hull"].attrs["units"]["e_hull"] == "eV/atom"
    assert found.attrs["total"] == len(found)
    assert len(client.search(phase="glass", limit=10, progress=True)) == 10


def test_filters_are_those_of_the_api(client, url):
    found = client.search(elements_all=["Na", "Ta"], has=("sigma",), sigma_min=0.1, passes=True)
    path = "/api/v1/candidates?elements_all=Na,Ta&has=sigma&sigma_min=0.1&passes=true&_limit=1000"
    rows = httpx.get(url + path, trust_env=False).json()["data"]
    assert sorted(found.index) == sorted(row["id"] for row in rows)
    both = client.search(variable=["x:0.2:", "x::0.6"], fields="var.x")
    assert both["var.x"].between(0.2, 0.6).all()
    assert len(both)
    assert client.search(sigma_min=1e30).empty


def test_a_list_may_hold_values_with_commas(client):
    families = [*client.stats()["counts"]["family"]]
    odd = next(one for one in families if "DROP TABLE" in one)
    assert len(client.search(family=[odd])) == 1
    assert parameters_of({"sweep": ["a,b", 'say "no"', "c"]})["sweep"] == '"a,b","say ""no""",c'
    found = client.search(family=[odd, *families[:1]], fields="family")
    assert set(found["family"]) == {odd, families[0]}


@pytest.mark.parametrize("limit", [0, 1, 6, 7, 8, None])
def test_a_limit_bounds_the_rows(client, monkeypatch, limit):
    monkeypatch.setattr("haloflow.client._ROWS_PER_PAGE", 7)
    found = client.search(phase="glass", limit=limit, sort=None, fields=None)
    whole = client.search(phase="glass")
    assert list(found.index) == list(whole.index[:limit])
    assert list(found.columns) == list(whole.columns)
    assert found.attrs["total"] == len(whole) > 8


def test_rows_that_move_while_pages_are_read_come_once():
    class Moving:
        def get(self, _path, asked):
            rows = [{"id": name} for name in ("abc", "bcd")[int(asked["_skip"]) // 3]]
            return {"data": rows, "meta": {"fields": [], "total_doc": 6}}

    assert [row["id"] for row in Pages(Moving(), {}, None, 3)] == ["a", "b", "c", "d"]


class Falling:
    """Rows of which the first falls behind the others once a page was read."""

    def __init__(self):
        self.names, self.n_asked = list("abcdef"), 0

    def get(self, _path, asked):
        start, size = int(asked["_skip"]), int(asked["_limit"])
        data = [{"id": name} for name in self.names[start : start + size]]
        self.n_asked += 1
        if self.n_asked == 1:
            self.names = [*self.names[1:], self.names[0]]
        return {"data": data, "meta": {"fields": [], "total_doc": len(self.names)}}


@pytest.mark.parametrize(("limit", "n_asked"), [(None, 3), (4, 2), (2, 1), (0, 1)])
def test_rows_that_were_left_out_as_others_moved_are_read_again(limit, n_asked):
    rows = Falling()
    found = [row["id"] for row in Pages(rows, {}, limit, 2)]
    assert len(found) == len(set(found)) == (6 if limit is None else limit)
    assert rows.n_asked >= n_asked


def test_structures_figures_and_frames_are_objects(client, full):
    structure = client.structure(full)
    assert isinstance(structure, Structure)
    assert client.structure(full, "melt_quench-seed1").composition.reduced_formula
    assert client.structures([full]) == {full: structure}
    assert {step["step"] for step in client.transport(full)} >= {"diffusion-seed1"}
    heads = client.figures(full)
    assert isinstance(client.figure(full, heads[0]["id"]), Figure)
    assert client.candidate(full)["candidate_id"] == full
    assert client.provenance(full)[0]["job_uuid"]
    one = client.trajectories(full)[0]
    frames = client.frames(full, one["step"], start=1, stride=2)
    assert frames.positions_a.shape == (one["n_frames"] // 2, len(frames.species), 3)
    assert frames.cells_a.shape == (len(frames.frames), 3, 3)
    np.testing.assert_array_equal(frames.frames, np.arange(1, one["n_frames"], 2))


def test_frames_of_many_answers_are_joined(client, full, monkeypatch):
    step = client.trajectories(full)[0]["step"]
    whole = client.frames(full, step)
    monkeypatch.setattr("haloflow.dashboard.api.trajectories.MOST_FRAMES", 7)
    parts = client.frames(full, step)
    np.testing.assert_array_equal(parts.positions_a, whole.positions_a)
    np.testing.assert_array_equal(parts.frames, whole.frames)


def test_tables_and_counts(client, embedded_store):
    fields = client.fields()
    assert list(fields.index) == list(FIELDS)
    assert client.stats(phase="crystal")["n_candidates"] == len(client.search(phase="crystal"))
    assert "computed" in client.literature()
    assert client.campaign("synthetic-all")["n_candidates"] > 0


@pytest.mark.parametrize(
    ("ask", "kind", "words"),
    [
        (lambda c: c.candidate("none"), NotFoundError, "the store has no candidate of this id"),
        (lambda c: c.structures(["none"]), NotFoundError, "no candidate of this id. Given: none"),
        (lambda c: c.search(sigma_mim=1), InputError, "did you mean sigma_min"),
        (lambda c: c.search(sigma_min="many"), InputError, "sigma_min"),
        (lambda c: c.figure("../x", "y"), NotFoundError, "there is nothing at this address"),
        (lambda c: c.summaries(limit=-1), InputError, "a limit cannot be negative"),
        (lambda c: c.search(limit=-1), InputError, "limit cannot be so. Given: -1. Allowed: a who"),
        (lambda c: c.search(limit=True), InputError, "a limit cannot be so"),
        (lambda c: c.search(limit=1.5), InputError, "a limit cannot be so"),
    ],
)
def test_errors_are_the_servers_own(client, ask, kind, words):
    with pytest.raises(kind, match=words):
        ask(client)


@pytest.mark.parametrize(
    "bad", ["127.0.0.1:8000", "ftp://x", "http://", "http://[::1", "http://x:y"]
)
def test_what_is_no_address_is_refused(bad):
    with pytest.raises(InputError, match="this is not the address of a server"):
        haloflow.Client(bad)


def test_a_server_that_is_none_or_away_is_said(tmp_path):
    async def stranger(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    with (
        listening(stranger) as url,
        haloflow.Client(url) as client,
        pytest.raises(StoreError, match=r"no haloflow server\. Given: http.*, status 200"),
    ):
        client.fields()
    with haloflow.Client(url) as client, pytest.raises(StoreError, match="does not answer"):
        client.fields()
    assert repr(client) == f"Client('{url}')"


def test_a_slow_server_is_given_up():
    async def slow(scope, receive, send):
        await receive()
        await asyncio.sleep(0.4)

    with (
        listening(slow) as url,
        haloflow.Client(url, timeout_s=0.1) as client,
        pytest.raises(StoreError, match="the server did not answer in time"),
    ):
        client.fields()


def test_a_token_is_sent_from_wherever_it_is_given(embedded_store):
    with listening(create_app(embedded_store, token=WORD)) as url:
        for client in (
            haloflow.Client(url, WORD),
            haloflow.Client(f"{url}/?token={WORD}"),
            haloflow.Client(f"{url}/#token={WORD}"),
        ):
            with client:
                assert client.url == url
                assert len(client.fields())
        with haloflow.Client(url) as client, pytest.raises(InputError, match="asks for its token"):
            client.fields()


WHERE = (
    [],
    ["phase == glass and e_hull <= 0.05"],
    ["phase == glass", "sigma > 0.5", "sigma < 5"],
    ["label ~ Na.* or not (sigma_status == ok)"],
    ["sigma != none", "passes == true"],
    ["var.x >= 0.5 and n_atoms == 168"],
    ['formula == "a,b"'],
    ["chemsys in (Cl-Na-O-Ta, Cl-Na-S-Ta)", "sweep == synthetic-glasses"],
)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("sort", [(), ("-sigma_lower", "e_hull"), ("e_a",)])
def test_summaries_of_a_server_are_those_of_its_store(client, embedded_store, where, sort):
    found = client.summaries(where, sort=sort, limit=40)
    assert found == find_summaries(embedded_store.summaries, where, sort=sort, limit=40)


@pytest.mark.parametrize("where", WHERE)
def test_what_is_asked_of_the_server_lets_everything_pass(client, embedded_store, where):
    asked = narrowing_parameters(parse_filters(where))
    passing = {one.candidate_id for one in find_summaries(embedded_store.summaries, where)}
    assert passing <= set(client.search(**asked).index)


def test_bounds_are_joined_and_the_rest_is_left():
    asked = narrowing_parameters(
        parse_filters(["sigma > 1 and sigma >= 2", "sigma < 9", "not (e_hull > 1)", "label ~ x"])
    )
    assert asked == {"sigma_min": "2.0", "sigma_max": "9.0"}
    assert narrowing_parameters(parse_filters(["melted == true", "phase == glass"])) == {
        "melted": "true",
        "phase": "glass",
    }


def test_sorting_in_memory_is_that_of_a_store(embedded_store):
    everything = find_summaries(embedded_store.summaries)
    for sort in (["sigma"], ["-sigma"], ["phase", "-e_hull"], ["-complete", "label"]):
        expected = find_summaries(embedded_store.summaries, sort=sort)
        assert sorted_summaries(everything[::-1], sort) == expected


def run(*arguments):
    return CliRunner().invoke(command, ["query", *map(str, arguments)])


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-w", "phase == glass", "--sort", "-sigma", "--limit", 5),
        ("--columns", "label,sigma,melted,sweep", "--format", "csv"),
        ("--columns", "label,e_hull", "--format", "json", "-w", "sigma >= 1"),
        ("--format", "json", "--limit", 2),
        ("-w", "sigma > 1e30"),
    ],
)
def test_a_query_prints_the_same_from_a_server(url, embedded_store, options, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr("haloflow.cli.query.bring_up_to_date", lambda _: None)
    here = run("--store", embedded_store.uri, *options)
    there = run("--url", url, *options)
    assert here.exit_code == there.exit_code == 0
    assert there.stdout == here.stdout
    if "csv" in options:
        assert len(list(csv.DictReader(io.StringIO(there.stdout)))) > 100


def test_a_query_asks_a_store_or_a_server(url, tmp_path):
    result = run("--url", url, "--store", "mongodb://u:secret@h/x")
    assert result.exit_code == 2
    words = " ".join(result.stderr.split())
    assert "can come from a store or from a server, not from both" in words
    assert "secret" not in words


def test_only_what_there_is_comes_from_the_package():
    assert "Client" in haloflow.__all__
    with pytest.raises(AttributeError, match="has no attribute 'Klient'"):
        haloflow.Klient  # noqa: B018  (that it raises is the test)
