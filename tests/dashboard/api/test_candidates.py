"""Pages, facets and single candidates: the same and right on both kinds of store."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import Counter
from pathlib import Path

import many_candidates
import pytest
from many_candidates import HOSTILE
from web_client import WebClient

from haloflow.dashboard.api.dependencies import ID_PATTERN
from haloflow.dashboard.app import create_app
from haloflow.stores.connection import open_store
from haloflow.stores.fields import FIELDS, get_fields
from haloflow.stores.query import find_summaries, rank
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.sweep import load_sweep

PATH = "/candidates"
EVERYTHING = "_limit=1000"
EXAMPLES = Path(__file__).parents[3] / "examples"
EXTRA = ("rank", "cautions", "footnotes", "facts", "screen")


@pytest.fixture(scope="module")
def summaries(embedded_store):
    return find_summaries(embedded_store.summaries)


def ids(client, asked):
    return [row["id"] for row in client.data(f"{PATH}?{asked}&{EVERYTHING}&_fields=id")]


def value(name, one):
    return get_fields([name])[0].of(one)


def known(name, one):
    return value(name, one) is not None


QUESTIONS = {
    "sigma_min=1": lambda s: known("sigma", s) and value("sigma", s) >= 1,
    "e_hull_max=0.05&phase=glass": lambda s: (
        known("e_hull", s) and value("e_hull", s) <= 0.05 and s.phase == "glass"
    ),
    "n_atoms_min=80&n_atoms_max=99.5": lambda s: 80 <= s.n_atoms <= 99,
    "sigma_status=ok,failed": lambda s: s.sigma_300k_ms_cm.status in {"ok", "failed"},
    "sigma_status_not=ok,failed": lambda s: s.sigma_300k_ms_cm.status not in {"ok", "failed"},
    "passes=true": lambda s: s.passes_screen is True,
    "passes=false": lambda s: s.passes_screen is False,
    "has=e_crystal,peroxide": lambda s: known("e_crystal", s) and known("peroxide", s),
    "elements_all=Na,O": lambda s: {"Na", "O"} <= set(s.chemsys.split("-")),
    "elements_any=S,O": lambda s: {"S", "O"} & set(s.chemsys.split("-")),
    "elements_none=S,O": lambda s: not {"S", "O"} & set(s.chemsys.split("-")),
    "elements_all=C": lambda _: False,
    "chemsys=Na-Cl-Ta-O": lambda s: s.chemsys == "Cl-Na-O-Ta",
    "level=mace-mpa-0-pbe": lambda s: "mace-mpa-0-pbe" in s.levels.values(),
    "level_hull=chgnet-r2scan": lambda s: s.levels["hull"] == "chgnet-r2scan",
    "variable=x:0.2:0.6": lambda s: 0.2 <= s.variables.get("x", -1) <= 0.6,
    "var.x_min=0.6": lambda s: s.variables.get("x", -1) >= 0.6,
    "d_600K_min=1e-6": lambda s: known("d_600K", s) and value("d_600K", s) >= 1e-6,
    "sweep=synthetic-glasses": lambda s: "synthetic-glasses" in s.sweeps,
    "sweep_not=synthetic-glasses": lambda s: "synthetic-glasses" not in s.sweeps,
    "text=OCL": lambda s: "ocl" in f"{s.label}\n{s.formula}".lower(),
    "text=.*": lambda s: ".*" in s.label,
    "text={{7*7}}": lambda s: "{{7*7}}" in s.label,
    "updated_min=2026-01-02T03:20:00Z": lambda s: s.last_updated.isoformat() >= "2026-01-02T03:20",
}


@pytest.mark.parametrize("asked", QUESTIONS)
def test_filters_find_what_they_say(client, summaries, asked):
    right = sorted(one.candidate_id for one in summaries if QUESTIONS[asked](one))
    assert ids(client, asked) == right
    meta = client.get(f"/api/v1{PATH}?{asked}&_limit=1").json()["meta"]
    assert (meta["total_doc"], meta["limit"], meta["skip"]) == (len(right), 1, 0)


def test_the_questions_tell_candidates_apart(summaries):
    counts = {asked: sum(bool(says(one)) for one in summaries) for asked, says in QUESTIONS.items()}
    empty = {asked for asked, count in counts.items() if count == 0}
    assert empty == {"elements_all=C", "text=.*"}
    assert len(summaries) not in counts.values() or counts["level_hull=chgnet-r2scan"]


@pytest.mark.parametrize(
    "sort", ["sigma", "-sigma", "-e_crystal,label", "phase,-sigma_status,e_hull", "passes", "var.x"]
)
def test_missing_values_come_last_and_ties_by_id(client, summaries, sort):
    right = sorted(summaries, key=lambda one: one.candidate_id)
    for name in reversed(sort.split(",")):
        plain = name.removeprefix("-")
        full = [one for one in right if known(plain, one)]
        rest = [one for one in right if not known(plain, one)]
        full.sort(key=lambda one, plain=plain: value(plain, one), reverse=name != plain)
        right = full + rest
    assert ids(client, f"_sort_fields={sort}") == [one.candidate_id for one in right]


def test_pages_together_are_all_rows_once(client, summaries):
    found = []
    for page in range(1, 8):
        asked = f"_page={page}&_per_page=37&_sort_fields=phase&_fields=id"
        found += [row["id"] for row in client.data(f"{PATH}?{asked}")]
    assert len(found) == len(set(found)) == len(summaries)
    assert found == ids(client, "_sort_fields=phase")


def test_rows_are_those_of_the_command_line(client, summaries):
    names = [name for name in FIELDS if name != "updated"] + ["var.x", "d_600K_lower"]
    rows = client.data(f"{PATH}?{EVERYTHING}&_fields={','.join(names)}")
    by_id = {one.candidate_id: one for one in summaries}
    assert len(rows) == len(by_id)
    for row in rows:
        assert row == {f.name: f.of(by_id[row["id"]]) for f in get_fields(names)}


def test_both_stores_answer_alike(embedded, mongodb):
    for path in (
        f"/api/v1{PATH}?_all_fields=true&_sort_fields=-sigma",
        f"/api/v1{PATH}?_fields=id,updated&elements_any=S",
        "/api/v1/facets?phase=glass",
        "/api/v1/fields",
        "/api/v1/openapi.json",
    ):
        left, right = embedded.get(path), mongodb.get(path)
        assert left.status_code == right.status_code == 200
        assert left.json() == right.json()
        assert left.headers["etag"] == right.headers["etag"]


def test_meta_names_the_fields_with_their_units(client):
    meta = client.get(f"/api/v1{PATH}?_fields=id,sigma&_sort_fields=-sigma").json()["meta"]
    assert meta["sort"] == ["-sigma"]
    sigma = FIELDS["sigma"]
    assert [one["name"] for one in meta["fields"]] == ["id", "sigma"]
    assert meta["fields"][1] == {
        "name": "sigma",
        "label": sigma.label,
        "unit": "mS/cm",
        "type": "number",
        "description": sigma.description,
        "allowed": [],
    }


def test_facets_count_what_filters_find(client, summaries):
    found = client.data("/facets?phase=glass")
    chosen = [one for one in summaries if one.phase == "glass"]
    assert found["phase"] == {"glass": len(chosen)}
    for name, read in {
        "family": lambda one: {one.family},
        "sigma_status": lambda one: {one.sigma_300k_ms_cm.status.value},
        "e_hull_status": lambda one: {one.energy_above_hull_ev_per_atom.status.value},
        "chemsys": lambda one: {one.chemsys},
        "element": lambda one: set(one.chemsys.split("-")),
        "level": lambda one: set(one.levels.values()),
        "sweep": lambda one: set(one.sweeps),
    }.items():
        counted = Counter(item for one in chosen for item in read(one))
        assert found[name].items() <= counted.items(), name
        assert len(counted) - len(found[name]) == (2 if name == "family" else 0), name


def test_every_value_that_facets_offer_can_be_asked_for(client):
    body = client.get("/api/v1/facets").json()
    offered = [
        (name, value, n)
        for name, found in body["data"].items()
        for value, n in found.items()
        if name != "chemsys" or n > 1
    ]
    hostile = {value for name, value, _ in offered if name == "family"}
    assert sum(value in HOSTILE for value in hostile) == 5
    assert body["meta"]["left_out"] == {"family": 2}  # one is endless, one has control characters
    for name, value, n in offered:
        words = f'"{value.replace(chr(34), 2 * chr(34))}"'
        asked = {"elements_all" if name == "element" else name: words, "_limit": 1}
        answer = client.get("/api/v1/candidates", asked)
        assert answer.json()["meta"]["total_doc"] == n, (name, value)


# -- one candidate -----------------------------------------------------------------------


def test_one_candidate_has_its_summary_and_its_place(client, summaries):
    places = {ranked.summary.candidate_id: ranked.rank for ranked in rank(summaries)}
    assert sum(place is not None for place in places.values()) > 20
    for one in summaries[::7]:
        answer = client.data(f"{PATH}/{one.candidate_id}")
        extra = {name: answer.pop(name) for name in EXTRA}
        assert answer == one.model_dump(mode="json")
        assert extra["rank"] == places[one.candidate_id]
        assert extra["cautions"] == [one.phase_note, *one.warnings]
        assert any("Transport: level" in note for note in extra["footnotes"])
        assert extra["screen"]["text"] == "E_hull ≤ 100 meV/atom"
        assert extra["screen"]["criteria"] == {"energy_above_hull_ev_per_atom": 0.1}


@pytest.mark.parametrize(
    "name",
    [
        *("nothing", "x" * 201, "$where", "%7B%22$ne%22:1%7D", "..", "%2e%2e", "a%00b", "a b"),
        *("%F0%9F%A7%82", "'; DROP TABLE documents; --", "-a", "%0d%0aSet-Cookie:a=b"),
    ],
)
def test_hostile_ids_lead_nowhere(client, name):
    answer = client.get(f"/api/v1{PATH}/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["problem"] in {
        "the store has no candidate of this id",
        "the parameter candidate_id cannot be so",
        "there is nothing at this address",
    }
    assert "set-cookie" not in answer.headers


def test_only_the_full_id_leads_to_a_candidate(client, summaries):
    one = summaries[0].candidate_id
    assert client.error(f"{PATH}/{one[:-1]}", status=404) == {
        "problem": "the store has no candidate of this id",
        "given": one[:-1],
        "allowed": None,
        "remedy": "take the id, in full, from the list of candidates",
    }


def test_all_ids_can_stand_in_an_address(summaries):
    plan = plan_sweep(load_sweep(EXAMPLES / "quickstart.yaml"))
    planned = [one.document.candidate_id for one in plan.candidates]
    assert planned
    for name in [*planned, *(one.candidate_id for one in summaries)]:
        assert re.fullmatch(ID_PATTERN, name)


def test_hostile_strings_come_out_as_they_are(client, summaries):
    found = client.data(f"{PATH}?{EVERYTHING}&_fields=id,label,family")
    labels = {row["label"] for row in found}
    assert set(HOSTILE) <= labels


# -- answers -----------------------------------------------------------------------------


def test_a_known_answer_is_not_sent_again(client):
    path = f"/api/v1{PATH}"
    first = client.get(path)
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    for header in (tag, f'"x", {tag}', "*", tag.removeprefix("W/")):
        again = client.get(path, **{"if-none-match": header})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == "no-cache"
    assert client.get(path, **{"if-none-match": 'W/"x"'}).content == first.content
    other = client.get(f"{path}?_limit=1")
    assert other.headers["etag"] != tag
    refused = client.get(f"{path}?_limit=0", **{"if-none-match": "*"})
    assert refused.status_code == 400
    assert "etag" not in refused.headers


def test_large_answers_are_compressed(embedded):
    asked = {"path": f"/api/v1{PATH}?{EVERYTHING}", "accept-encoding": "gzip"}
    answer = embedded.get(**asked)
    assert answer.headers["content-encoding"] == "gzip"
    plain = embedded.get(asked["path"], **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == answer.json()
    assert int(answer.headers["content-length"]) < len(plain.content) / 4
    expected = len(gzip.compress(plain.content, 4))
    assert int(answer.headers["content-length"]) == pytest.approx(expected, rel=0.05)


SORTS = (
    "",
    "-sigma",
    "e_hull",
    "-sigma,e_hull",
    "phase,-n_atoms",
    "-updated",
    "passes,id",
    "e_crystal",
)


@pytest.mark.parametrize("sort", SORTS)
def test_pages_one_after_the_other_are_those_by_number(client, sort):
    order = {"_sort_fields": sort} if sort else {}
    whole = [row["id"] for row in client.data(PATH, {**order, "_limit": 1000, "_fields": "id"})]
    found, after = [], {}
    for _ in range(len(whole)):
        asked = {**order, **after, "_limit": 97, "_fields": "id"}
        body = client.get(f"/api/v1{PATH}", asked).json()
        assert body["meta"]["total_doc"] == len(whole)
        found += [row["id"] for row in body["data"]]
        if body["meta"]["next"] is None:
            break
        after = {"_after": body["meta"]["next"]}
    assert found == whole


def test_what_comes_or_goes_meanwhile_moves_no_row_of_the_pages_that_follow(tmp_path):
    with open_store(tmp_path) as store:
        many_candidates.fill(store, 40)
        client = WebClient(create_app(store))
        whole = [row["id"] for row in client.data(PATH, {"_limit": 1000})]
        first = client.get(f"/api/v1{PATH}", {"_limit": 20}).json()
        row = store.summaries.query_one({"candidate_id": whole[0]})
        row.pop("_id")
        store.summaries.update([{**row, "candidate_id": "A-new"}])
        store.summaries.remove_docs({"candidate_id": {"$in": whole[5:10]}})
        rest = client.data(PATH, {"_limit": 1000, "_after": first["meta"]["next"]})
        assert [row["id"] for row in rest] == whole[20:]


def test_a_list_has_no_place_to_go_on_from(client):
    body = client.get(f"/api/v1{PATH}?_sort_fields=elements&_limit=5").json()
    assert len(body["data"]) == 5
    assert body["meta"]["next"] is None


def cursor_of(*parts):
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("cursor", "problem"),
    [
        ("x", "this is no place between two pages"),
        ("%C3%A4", "this is no place between two pages"),
        (cursor_of([], [], 1), "this is no place between two pages"),
        (cursor_of(["sigma"], [], "a"), "this is no place between two pages"),
        (cursor_of([], [{"$where": "1"}], "a"), "this is no place between two pages"),
        (cursor_of(["sigma"], [{"$gt": 0}], "a"), "this is no place between two pages"),
        (cursor_of(["sigma"], [10**30], "a"), "this is no place between two pages"),
        (cursor_of([{}], [1], "a"), "this is no place between two pages"),
        (cursor_of(["sigma"], [1.0], "a"), "this place is one in another order"),
        (cursor_of([], [], "a") + "&_skip=3", "a page is asked for in two ways"),
        (cursor_of([], [], "a") + "&_page=3", "a page is asked for in two ways"),
    ],
)
def test_places_that_are_refused(client, cursor, problem):
    error = client.error(f"{PATH}?_after={cursor}")
    assert error["problem"] == problem
    assert error["allowed"]
