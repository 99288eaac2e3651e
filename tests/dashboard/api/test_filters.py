"""Query parameters to filters: every field, every bad value, no operator of a client's."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.dashboard.api import values
from haloflow.dashboard.api.filters import FILTERS, STAGES, criteria_of, get_filter
from haloflow.errors import HaloflowError, InputError, UnknownNameError
from haloflow.stores.fields import FIELDS

SIGMA, HULL = "sigma_300k_ms_cm.value", "energy_above_hull_ev_per_atom.value"


def test_every_field_can_be_filtered():
    for field in FIELDS.values():
        names = {"number": ("_min", "_max"), "flag": ("",)}.get(field.type, ("", "_not"))
        names = ("_min", "_max") if field.name == "updated" else names
        assert all(f"{field.name}{name}" in FILTERS for name in names), field.name


def test_every_number_says_its_unit():
    for field in FIELDS.values():
        if field.unit:
            described = [FILTERS[f"{field.name}_{end}"].description for end in ("min", "max")]
            assert all(f", in {field.unit}." in text for text in described)


@pytest.mark.parametrize(
    ("asked", "criteria"),
    [
        ([], {}),
        ([("_limit", "5")], {}),
        ([("e_hull_max", "0.1")], {HULL: {"$lte": 0.1}}),
        ([("sigma_min", "-1e-3")], {SIGMA: {"$gte": -0.001}}),
        ([("phase", "glass,crystal")], {"phase": {"$in": ["glass", "crystal"]}}),
        ([("family_not", "a")], {"family": {"$nin": ["a"]}}),
        ([("label", '"a, b", c')], {"label": {"$in": ["a, b", "c"]}}),
        ([("chemsys", "Na-Cl,O")], {"chemsys": {"$in": ["Cl-Na", "O"]}}),
        ([("passes", "false")], {"passes_screen": {"$eq": False}}),
        ([("sweep", "s")], {"sweeps": {"$in": ["s"]}}),
        ([("has", "sigma,e_a_sd")], {"$and": [
            {SIGMA: {"$ne": None}}, {"activation_energy_ev.sd": {"$ne": None}}]}),
        ([("elements_all", "Na,O")], {"$and": [
            {"chemsys": {"$regex": "(^|-)(Na)(-|$)"}}, {"chemsys": {"$regex": "(^|-)(O)(-|$)"}}]}),
        ([("elements_any", "Na,O")], {"chemsys": {"$regex": "(^|-)(Na|O)(-|$)"}}),
        ([("elements_none", "S")], {"$nor": [{"chemsys": {"$regex": "(^|-)(S)(-|$)"}}]}),
        ([("level", "a")], {"$or": [{f"levels.{stage}": {"$in": ["a"]}} for stage in STAGES]}),
        ([("level_hull", "a,b")], {"levels.hull": {"$in": ["a", "b"]}}),
        ([("variable", "x:0.2:0.8"), ("variable", "y::1")], {"$and": [
            {"variables.x": {"$gte": 0.2, "$lte": 0.8}}, {"variables.y": {"$lte": 1.0}}]}),
        ([("var.x_min", "0.5")], {"variables.x": {"$gte": 0.5}}),
        ([("d_600K_lower_max", "1e-5")], {"diffusivity_cm2_s.600K.lower": {"$lte": 1e-5}}),
        ([("d_600k_status", "ok")], {"diffusivity_cm2_s.600K.status": {"$in": ["ok"]}}),
        ([("updated_min", "2026-01-02T03:00:00+02:00")],
         {"last_updated": {"$gte": datetime(2026, 1, 2, 1)}}),  # noqa: DTZ001  (as stores keep it)
        ([("text", "a.*(b")], {"$or": [
            {"label": {"$regex": r"a\.\*\(b", "$options": "i"}},
            {"formula": {"$regex": r"a\.\*\(b", "$options": "i"}}]}),
    ],
)  # fmt: skip
def test_what_parameters_mean(asked, criteria):
    assert criteria_of(asked) == criteria


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        *[
            ("sigma_min", text, "a finite number, e.g. 0.1 or -2.5e-3")
            for text in (
                *(
                    "nan",
                    "NaN",
                    "inf",
                    "-Infinity",
                    "1e999",
                    "1_0",
                    " 1",
                    "",
                    "0x1",
                    "1,2",
                    "\u0663",
                ),
                *("{'$gt': 0}", "true", "--1", "1" * 400),
            )
        ],
        ("updated_max", "soon", "a time, e.g. 2026-01-31 or 2026-01-31T12:00:00Z"),
        ("updated_max", "0001-01-01T00:00:00+14:00", "a time, e.g. 2026-01-31 or"),
        ("passes", "yes", "true or false"),
        ("passes", "", "true or false"),
        ("elements_all", "Xx", "symbols of elements, e.g. Na,Ta,Cl"),
        ("elements_any", "Na|.*", "symbols of elements"),
        ("elements_none", "na", "symbols of elements"),
        ("text", "", "1 to 200 characters, none of them a control character"),
        ("text", "a" * 201, "1 to 200 characters"),
        ("text", "a\x00b", "1 to 200 characters"),
        ("family", "", "1 to 200 characters"),
        ("family", "a,,b", "1 to 200 characters"),
        ("family", "a\nb", "1 to 200 characters"),
        ("label", "x" * 201, "1 to 200 characters"),
        *[
            ("variable", text, "NAME:LOWEST:HIGHEST, e.g. x:0.2:0.8; one of the ends may be left")
            for text in ("x", "x:1", "x::", "$where:1:2", "a.b:1:2", ":1:2", "x:1:2:3", "_id:1:2")
        ],
        ("variable", "x:nan:1", "a finite number"),
    ],
)
def test_what_cannot_be_a_value(name, text, allowed):
    with pytest.raises(InputError, match=f"the value of {name} cannot be used") as caught:
        criteria_of([(name, text)])
    assert str(caught.value.allowed).startswith(allowed)


def test_lists_have_a_longest_length():
    longest = ",".join("a" for _ in range(values.MAX_ITEMS))
    assert len(criteria_of([("family", longest)])["family"]["$in"]) == values.MAX_ITEMS
    with pytest.raises(InputError, match="too many values for family") as caught:
        criteria_of([("family", longest + ",a")])
    assert (caught.value.given, caught.value.allowed) == (101, "up to 100")


@pytest.mark.parametrize(
    ("name", "text", "problem", "near"),
    [
        ("phase", "glas", "unknown value of phase", "did you mean glass?"),
        ("sigma_status_not", "okay", "unknown value of sigma_status_not", "did you mean ok?"),
        ("has", "sigm", "unknown field", "did you mean sigma"),
    ],
)
def test_near_names_are_suggested(name, text, problem, near):
    with pytest.raises(UnknownNameError, match=problem) as caught:
        criteria_of([(name, text)])
    assert str(caught.value.remedy).startswith(near.rstrip("?"))


@pytest.mark.parametrize(
    "name",
    [
        *("$where", "sigma", "sigma_mim", "sigma_300k_ms_cm.value", "candidate_id", "label_regex"),
        *(
            "var.x",
            "var.$x_min",
            "var.a.b_min",
            "d_600K",
            "d_K_min",
            "d_600K_status_min",
            "__class__",
        ),
        *("d_999999K_min", "d_600K_other_min", "var._id_min", "variables.x_min"),
    ],
)
def test_what_is_no_filter(name):
    assert get_filter(name) is None


def operators_in(criteria):
    """Yield every key and every pattern of a filter."""
    if isinstance(criteria, dict):
        for key, value in criteria.items():
            yield key, value
            yield from operators_in(value)
    elif isinstance(criteria, list):
        for item in criteria:
            yield from operators_in(item)


OURS = {"$and", "$or", "$nor", "$gte", "$lte", "$in", "$nin", "$eq", "$ne", "$regex", "$options"}
PATHS = {field.path for field in FIELDS.values()} | {f"levels.{stage}" for stage in STAGES}
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["$where", '{"$ne":null}', "a.*", "Na", "1", "true", "x:1:2", "sigma", "glass"]
    ),
    st.floats().map(str),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(sorted(FILTERS)), TEXTS), max_size=4))
def test_clients_give_values_and_nothing_else(asked):
    try:
        criteria = criteria_of(asked)
    except HaloflowError:  # refused: that is allowed
        return
    for key, value in operators_in(criteria):
        if key.startswith("$"):
            assert key in OURS
        else:
            assert key in PATHS or re.fullmatch(r"variables\.[A-Za-z]\w*", key)
        if key == "$regex":
            re.compile(value)
