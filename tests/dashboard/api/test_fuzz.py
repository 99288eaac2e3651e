"""Anything may be asked of the API: never a fault of the server, never more rows than asked for."""

from __future__ import annotations

import json
from itertools import product

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from many_candidates import HOSTILE, records
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from haloflow.dashboard.api.filters import FILTERS
from haloflow.dashboard.app import create_app
from haloflow.stores.fields import FIELDS

QUIET = settings(
    deadline=None, database=None, suppress_health_check=[*HealthCheck], max_examples=60
)
NAMES = st.one_of(
    st.sampled_from(sorted(FILTERS)),
    st.sampled_from(["_limit", "_skip", "_page", "_per_page", "_sort_fields", "_fields"]),
    st.sampled_from(["_all_fields", "var.x_min", "d_600K_max", "$where", "a[$ne]", "_fields[]"]),
    st.text(max_size=8),
)
NUMBERS = st.one_of(
    st.integers(-5, 1100), st.integers(), st.floats(), st.sampled_from(["nan", "-inf", "1e400"])
).map(str)
WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(HOSTILE).map(lambda text: text[:150]),
    st.lists(st.sampled_from(sorted(FIELDS)), max_size=5).map(",".join),
    st.sampled_from(
        ["glass", "ok,failed", "Na,O", "Na-Cl", "x:0.1:0.9", "true", "-sigma", "synth"]
    ),
    st.sampled_from(
        ['{"$gt":0}', "$where", "__proto__", "a\x00b", "(((", "[", "\\", '"', "\ud7ff"]
    ),
)
QUERIES = st.lists(st.tuples(NAMES, st.one_of(NUMBERS, WORDS)), max_size=4)


def likely(name):
    """Return values of a parameter that have a chance."""
    if name.endswith(("_min", "_max")) and not name.startswith("updated"):
        return st.floats(-10, 10, allow_subnormal=False).map(lambda x: f"{x:.4f}")
    return WORDS


SENSIBLE = st.lists(
    st.sampled_from(sorted(FILTERS)).flatmap(lambda name: st.tuples(st.just(name), likely(name))),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


def check(answer, asked):
    assert answer.status_code in {200, 400, 414}, (asked, answer.text)
    body = json.loads(answer.text, parse_constant=pytest.fail)
    if answer.status_code == 200 and "limit" in body.get("meta", {}):
        meta = body["meta"]
        assert len(body["data"]) <= meta["limit"] <= 1000
        assert len(body["data"]) <= meta["total_doc"]
    elif answer.status_code != 200:
        assert set(body["error"]) == {"problem", "given", "allowed", "remedy"}
        assert body["error"]["problem"]
    return body


@settings(QUIET, max_examples=300)
@given(asked=QUERIES)
def test_any_query_is_answered_or_refused(embedded, asked):
    check(embedded.get("/api/v1/candidates", asked), asked)


@QUIET
@given(asked=SENSIBLE, sort=st.lists(st.sampled_from(sorted(FIELDS)), max_size=3, unique=True))
def test_both_stores_find_the_same(embedded, mongodb, asked, sort):
    order = [("_sort_fields", ",".join(sort))] if sort else []
    left, right = (one.get("/api/v1/candidates", [*asked, *order]) for one in (embedded, mongodb))
    assert left.status_code == right.status_code
    assert check(left, asked) == check(right, asked)


@QUIET
@given(asked=SENSIBLE)
def test_facets_and_pages_agree(client_pair, asked):
    embedded, mongodb = client_pair
    counts = embedded.get("/api/v1/facets", asked)
    page = check(embedded.get("/api/v1/candidates", asked), asked)
    assert check(counts, asked) == check(mongodb.get("/api/v1/facets", asked), asked)
    if counts.status_code == 200:
        assert sum(counts.json()["data"]["phase"].values()) == page["meta"]["total_doc"]


@pytest.fixture(scope="session")
def client_pair(embedded, mongodb):
    return embedded, mongodb


# -- against the description of all routers ------------------------------------------------


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
N_FULL = 3
N_OPERATIONS = 26


NEEDED = {"ids", "step"}


def existing(embedded):
    """Yield values of path and query parameters that lead somewhere."""
    for record, _ in records(N_FULL):
        name = record["candidate_id"]
        figures = embedded.data(f"/candidates/{name}/figures")
        runs = embedded.data(f"/candidates/{name}/trajectory")
        yield {
            "candidate_id": name,
            "figure": figures[0]["id"],
            "ids": name,
            "step": runs[0]["step"],
        }


def test_answers_are_as_described(embedded, embedded_store):
    app = create_app(embedded_store, allowed_hosts=["testserver"])
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    known = list(existing(embedded))
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= N_OPERATIONS
    answered = set()

    for operation, there in product(operations, (False, True)):

        @settings(QUIET, max_examples=3)
        @given(
            case=operation.as_strategy(),
            values=st.sampled_from(known) if there else st.none(),
        )
        def answers(case, values):
            if values is not None:
                lead_somewhere(case, values)
            answer = case.call()
            case.validate_response(answer, checks=CHECKS)
            if answer.status_code == 200:
                answered.add(case.operation.path)

        answers()
    assert answered == {operation.path for operation in operations}


def lead_somewhere(case, values):
    """Change a case so that what it asks for is there."""
    for name in case.path_parameters:
        case.path_parameters[name] = values[name]
    declared = {one.name for one in case.operation.query}
    case.query = {name: values[name] for name in NEEDED & declared}
