"""What maggma's stock operators let through, and ours do not; on both kinds of store."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from haloflow.dashboard.api import candidates
from haloflow.dashboard.api.models import CandidateRow
from haloflow.dashboard.api.operators import DEFAULT_FIELDS
from haloflow.stores.fields import FIELDS

PATH = "/candidates"


@pytest.mark.parametrize("asked", ["_limit=0", "_page=1&_per_page=0", "_per_page=0"])
def test_no_limit_means_everything(client, asked):
    error = client.error(f"{PATH}?{asked}")
    assert error["problem"].startswith("the value of _")
    assert (error["given"], error["allowed"]) == ("0", "a whole number from 1 to 1000")


@pytest.mark.parametrize(
    "asked",
    [
        *("_limit=1001", "_limit=-1", "_limit=1.5", "_limit=1e2", "_limit=", "_limit=abc"),
        *("_limit=\u0661", "_limit=99999999999999999999999", "_limit=%2B5"),
    ],
)
def test_the_limit_is_a_number_within_bounds(client, asked):
    assert client.error(f"{PATH}?{asked}")["allowed"] == "a whole number from 1 to 1000"


@pytest.mark.parametrize("asked", ["_skip=-1", "_skip=1000001", "_skip=99999999999999999999999"])
def test_what_is_passed_over_is_bounded(client, asked):
    assert client.error(f"{PATH}?{asked}")["allowed"] == "a whole number from 0 to 1000000"


def test_pages_are_bounded_too(client):
    assert client.error(f"{PATH}?_page=0")["allowed"] == "a whole number from 1 to 20001"
    error = client.error(f"{PATH}?_page=1002&_per_page=1000")
    assert error["allowed"] == "a whole number from 1 to 1001"
    assert client.data(f"{PATH}?_page=1001&_per_page=1000") == []


def test_the_two_ways_of_paging_do_not_mix(client):
    error = client.error(f"{PATH}?_page=1&_limit=5")
    assert error["problem"] == "a page is asked for in two ways"
    assert error["given"] == ["_page", "_limit"]
    assert error["allowed"] == "_skip and _limit, or _page and _per_page"


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ("$where", "unknown field"),
        ("", "the value of _fields cannot be used"),
        ("label,label.x", "unknown field"),
        ("candidate_id", "unknown field"),
        ("_id", "unknown field"),
        (",".join(["id"] * (len(FIELDS) + 101)), "too many values for _fields"),
    ],
)
def test_only_known_fields_are_shown(client, asked, problem):
    assert client.error(PATH, {"_fields": asked})["problem"] == problem


def test_fields_are_asked_for_in_one_way(client):
    assert client.error(f"{PATH}?_fields=id&_all_fields=true") == {
        "problem": "fields are asked for in two ways",
        "given": "_fields and _all_fields=true",
        "allowed": "one of them",
        "remedy": None,
    }
    assert client.error(f"{PATH}?_all_fields=1")["allowed"] == "true or false"


@pytest.mark.parametrize("asked", ["n_atoms_eq_any=abc", "n_atoms_min=abc", "sigma_max=nan"])
def test_what_is_no_number_is_refused(client, asked):
    client.error(f"{PATH}?{asked}")


@pytest.mark.parametrize("asked", ["$where", "-", "sigma,candidate_id", "sigma_300k_ms_cm.value"])
def test_one_sorts_by_known_fields(client, asked):
    assert client.error(PATH, {"_sort_fields": asked})["problem"] == "unknown field"


@pytest.mark.parametrize(
    "asked", ["sigma,-sigma", "d_600K,d_600k", "id,label,phase,sigma,e_a,wall"]
)
def test_one_sorts_by_few_different_fields(client, asked):
    error = client.error(PATH, {"_sort_fields": asked})
    assert error["problem"] == "the candidates cannot be sorted so"
    assert error["allowed"] == "up to 5 different fields"


@pytest.mark.parametrize("name", ["sigma_mim", "$where", "limit", "_Limit", "token", "a[$ne]"])
def test_unknown_parameters_are_refused_with_near_names(client, name):
    error = client.error(PATH, {name: "1"})
    assert (error["problem"], error["given"]) == ("unknown parameter", name)
    assert error["allowed"].startswith("_limit, _skip, _sort_fields, _fields, text, sigma_min")
    if name == "sigma_mim":
        assert error["remedy"].startswith("did you mean sigma_min or ")


def test_parameters_do_not_stand_twice(client):
    error = client.error(f"{PATH}?sigma_min=1&sigma_min=2")
    assert error["problem"] == "the parameter sigma_min stands more than once"
    assert error["given"] == 2
    assert error["remedy"] == "join the values with commas where it takes a list"
    assert client.data(f"{PATH}?variable=x:0:1&variable=x:2:3") == []


def test_addresses_without_parameters_take_none(client):
    assert client.error("/fields?a=1") == {
        "problem": "unknown parameter",
        "given": "a",
        "allowed": "none at this address",
        "remedy": "leave it out",
    }


@pytest.mark.parametrize("path", ["/heartbeat", "$", "/candidates/$", "/candidates/"])
def test_no_route_of_maggma_is_left_over(client, path):
    assert client.error(path, status=404)["problem"] in {
        "there is nothing at this address",
        "the parameter candidate_id cannot be so",
    }


def test_answers_say_their_type(client):
    assert client.get(f"/api/v1{PATH}").headers["content-type"] == "application/json"


def test_the_model_of_rows_keeps_its_descriptions(client):
    assert issubclass(CandidateRow, BaseModel)
    document = client.get("/api/v1/openapi.json").json()
    row = document["components"]["schemas"]["CandidateRow"]["properties"]
    assert list(row) == list(FIELDS)
    for field in FIELDS.values():
        unit = f", in {field.unit}" if field.unit else ""
        assert f"{field.description}{unit}. null: not known." in row[field.name]["description"]


def test_the_default_fields(client):
    rows = client.data(f"{PATH}?_limit=3")
    assert [list(row) for row in rows] == [list(DEFAULT_FIELDS)] * 3
    assert client.get("/api/v1/fields").json()["meta"]["default"] == list(DEFAULT_FIELDS)


def test_every_operator_describes_what_it_reads(client):
    document = client.get("/api/v1/openapi.json").json()
    described = document["paths"]["/api/v1/candidates"]["get"]["parameters"]
    names = [one["name"] for one in described]
    assert len(names) == len(set(names))
    known = [one["name"] for operator in candidates.OPERATORS for one in operator.parameters]
    assert names == known
    assert all(one["description"] for one in described)
