"""What goes wrong, as an answer: its status, its parts, and nothing that need not be known."""

from __future__ import annotations

import asyncio
import json

import pytest
from many_candidates import fill
from pymongo.errors import NetworkTimeout, OperationFailure, ServerSelectionTimeoutError
from web_client import WebClient

from haloflow import errors
from haloflow.dashboard.app import create_app
from haloflow.dashboard.problems import answer_problem, answer_server_trouble, status_of
from haloflow.stores.connection import open_store


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.NotFoundError, 404),
        (errors.UnknownNameError, 400),
        (errors.InputError, 400),
        (errors.AnalysisError, 404),
        (errors.DocumentError, 500),
        (errors.StoreTimeoutError, 503),
        (errors.StoreError, 503),
        (errors.EngineError, 500),
    ],
)
def test_every_error_has_a_status(kind, status):
    assert status_of(kind("it is so")) == status


def body_of(answer):
    return json.loads(answer.body)["error"]


def test_an_error_keeps_its_parts_and_long_ones_are_cut():
    error = errors.InputError("no", given="x" * 500, allowed=("a", 1, None), remedy="go")
    assert body_of(answer_problem(None, error)) == {
        "problem": "no",
        "given": "x" * 200 + "…",
        "allowed": ["a", 1, None],
        "remedy": "go",
    }
    assert body_of(answer_problem(None, errors.InputError("no", given={1: 2})))["given"] == "{1: 2}"


@pytest.mark.parametrize(
    ("error", "problem", "remedy"),
    [
        (
            errors.StoreTimeoutError(
                "the server took longer", given="mongodb://secret", remedy="x"
            ),
            "the server took longer",
            "ask for less: narrower filters, fewer rows",
        ),
        (
            errors.StoreError("the store is gone", given="/home/me", remedy="x"),
            "the store is gone",
            "see where the server runs",
        ),
    ],
)
def test_trouble_of_the_store_does_not_say_where_it_lies(error, problem, remedy):
    answer = answer_problem(None, error)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    expected = {"problem": problem, "given": None, "allowed": None, "remedy": remedy}
    assert body_of(answer) == expected


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (NetworkTimeout("host:1"), "ask for less: narrower filters, fewer rows"),
        (ServerSelectionTimeoutError("host:1"), "ask for less: narrower filters, fewer rows"),
        (OperationFailure("host:1"), "see where the server runs"),
    ],
)
def test_trouble_of_the_driver_is_trouble_of_the_store(error, remedy):
    answer = answer_server_trouble(None, error)
    assert answer.status_code == 503
    assert body_of(answer)["problem"] == f"the store does not answer: {type(error).__name__}"
    assert body_of(answer)["remedy"] == remedy
    assert "host" not in answer.body.decode()


def test_a_store_that_takes_too_long_is_503(embedded, embedded_store, monkeypatch):
    monkeypatch.setattr(embedded_store.summaries._collection.sqlite, "timeout_s", 1e-9)
    answer = embedded.get("/api/v1/candidates?text=a&_sort_fields=-sigma&_limit=1000")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["error"]["remedy"] == "ask for less: narrower filters, fewer rows"
    assert str(embedded_store.uri) not in answer.text


def test_a_damaged_document_is_named_and_the_others_are_shown(tmp_path):
    with open_store(tmp_path) as store:
        fill(store, 3)
        known = sorted(row["candidate_id"] for row in store.candidates.query())
        store.summaries._collection.replace_one(
            {"candidate_id": known[0]}, {"candidate_id": known[0], "label": "broken"}
        )
        client = WebClient(create_app(store))
        assert len(client.data("/candidates")) == 3
        error = client.error(f"/candidates/{known[0]}", status=500)
        assert "broken" in error["problem"]
        assert client.data(f"/candidates/{known[1]}")["candidate_id"] == known[1]


def test_a_fault_of_the_server_is_500_and_says_nothing(embedded_store):
    app = create_app(embedded_store)

    @app.get("/api/v1/fault")
    def fault():
        raise ValueError("a secret")

    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    scope = {
        "type": "http", "method": "GET", "path": "/api/v1/fault", "raw_path": b"/api/v1/fault",
        "query_string": b"", "headers": [(b"host", b"localhost")], "root_path": "",
        "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 80),
    }  # fmt: skip
    with pytest.raises(ValueError, match="a secret"):
        asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 500
    body = b"".join(message.get("body", b"") for message in sent)
    assert json.loads(body)["error"]["problem"] == "this is a fault of haloflow"
    assert b"secret" not in body
    assert dict(sent[0]["headers"])[b"x-content-type-options"] == b"nosniff"


def test_nothing_that_is_not_finite_leaves_as_a_number(tmp_path):
    with open_store(tmp_path) as store:
        fill(store, 3)
        for row, bad in zip(
            list(store.summaries.query()), (float("nan"), float("inf"), 1.0), strict=True
        ):
            row["sigma_300k_ms_cm"]["value"] = bad
            store.summaries.update(row)
        client = WebClient(create_app(store))
        rows = client.data("/candidates?_fields=id,sigma")
        assert sorted(str(row["sigma"]) for row in rows) == ["1.0", "None", "None"]
        for path in ("/candidates?_all_fields=true", f"/candidates/{rows[0]['id']}"):
            text = client.get(f"/api/v1{path}").text
            assert "NaN" not in text
            assert "Infinity" not in text
