"""Figures over many candidates: every point is a candidate, and what is left out is said."""

from __future__ import annotations

import dataclasses
import math
import re

import bson
import pytest

from haloflow.dashboard.figures_pareto import pareto_figure
from haloflow.dashboard.overview_marks import decades, mark, thinned
from haloflow.dashboard.theme import SCALE
from haloflow.quantity import Quantity, Status
from haloflow.stores.query import find_summaries
from haloflow.workflows.overview import (
    Overview,
    OverviewPoint,
    mixed_systems,
    overview,
    pareto_front,
)

OK, UNCONVERGED = Status.OK, Status.UNCONVERGED


def point(name, e_hull=0.01, sigma=1.0, status=OK, **more):
    parts = {"NaCl": 1.0, "TaCl5": 1.0}
    quantities = Quantity(e_hull), Quantity(sigma, 0.1, status=status, note="why")
    known = {"label": name, "formula": "NaTaCl6", "family": "f", "phase": "glass"}
    known |= {"phase_note": "", "levels": {"hull": "x"}, "components": parts} | more
    return OverviewPoint(name, stability=quantities[0], conductivity=quantities[1], **known)


def ids_of(figure):
    return [name for trace in figure["data"] for name in trace.get("customdata", ())]


def summaries_of(store):
    return find_summaries(store.summaries)


@pytest.mark.parametrize(
    "path",
    [
        "map", "map?phase=glass&most=20", "pareto", "pareto?sigma_min=0.1", "hull",
        "hull?show=section", "hull?show=ternary", "hull?show=segregation", "parity",
        "parity?quantity=e_a", "parity?show=residual", "parity?quantity=e_a&show=residual",
    ],
)  # fmt: skip
def test_figures_are_the_same_on_both_stores_and_name_known_candidates(
    embedded, mongodb, embedded_store, path
):
    figure = embedded.data(f"/figures/{path}")
    assert figure == mongodb.data(f"/figures/{path}")
    known = {one.candidate_id for one in summaries_of(embedded_store)}
    assert set(ids_of(figure)) <= known
    assert figure["is_empty"] == (not figure["data"])
    for trace in figure["data"]:
        if "customdata" in trace:
            points = trace.get("x") or trace["a"]
            assert len(points) == len(trace["customdata"])


def test_pareto_shows_all_with_both_numbers_once(embedded, embedded_store):
    figure = embedded.data("/figures/pareto")
    front, *others = figure["data"]
    shown = [name for trace in others for name in trace["customdata"]]
    expected = [
        one.candidate_id
        for one in summaries_of(embedded_store)
        if one.energy_above_hull_ev_per_atom.value is not None
        and mark(one.sigma_300k_ms_cm, one.phase)
    ]
    assert sorted(shown) == sorted(expected)
    trusted = [
        (one.energy_above_hull_ev_per_atom.value, one.sigma_300k_ms_cm.value, one.candidate_id)
        for one in summaries_of(embedded_store)
        if one.energy_above_hull_ev_per_atom.status is OK
        and one.sigma_300k_ms_cm.status is OK
        and None not in (one.energy_above_hull_ev_per_atom.value, one.sigma_300k_ms_cm.value)
    ]
    unbeaten = {
        name
        for energy, sigma, name in trusted
        if not any(e <= energy and s >= sigma and (e, s) != (energy, sigma) for e, s, _ in trusted)
    }
    assert set(front["customdata"]) <= unbeaten
    assert len({*zip(front["x"], front["y"], strict=True)}) == len(front["x"])


def test_a_sample_has_the_front_of_all_and_says_that_it_is_one(embedded_store):
    whole = overview(embedded_store, {}, with_front=True)
    assert not whole.note
    some = overview(embedded_store, {}, most=120, with_front=True)
    assert [one.candidate_id for one in some.front] == [one.candidate_id for one in whole.front]
    assert {one.candidate_id for one in some.front} <= {one.candidate_id for one in some.points}
    assert len(some.points) < some.total == len(whole.points)
    assert re.match(r"\d+ of \d+ looked at", some.note)
    figure = pareto_figure(some, 2000)
    assert some.note in figure["layout"]["annotations"][0]["text"].replace("<br>", " ")
    assert (
        overview(embedded_store, {}, most=120).points
        == overview(embedded_store, {}, most=120).points
    )


def test_the_front_of_points_is_that_of_pairs():
    points = [point("a", 0.0, 1.0), point("b", 0.01, 5.0), point("c", 0.02, 3.0)]
    points += [point("d", 0.03, 9.0, UNCONVERGED), point("e", 0.01, 5.0)]
    assert [one.candidate_id for one in pareto_front(points)] == ["a", "b"]


def test_thinning_is_stable_and_keeps_what_must_stay():
    names = [f"c{number}" for number in range(1000)]
    some = thinned(names, str, 100, {"c7", "c999"})
    assert len(some) == 100
    assert {"c7", "c999"} <= set(some)
    assert some == thinned(names, str, 100, {"c999", "c7"})
    assert some == sorted(some, key=names.index)
    assert thinned(names, str, 5000) == names


@pytest.mark.parametrize(
    ("quantity", "value", "symbol"),
    [
        (Quantity(2.0), 2.0, "circle"),
        (Quantity(2.0, status=Status.EXTRAPOLATED_THROUGH_TG), 2.0, "circle-open-dot"),
        (Quantity(2.0, upper=5.0, status=UNCONVERGED), 5.0, "triangle-down-open"),
        (Quantity(lower=0.5, status=UNCONVERGED), 0.5, "triangle-up-open"),
        (Quantity(lower=1.0, upper=100.0, status=UNCONVERGED), 10.0, "circle-open"),
        (Quantity(2.0, status=Status.DECOMPOSED), 2.0, "circle-open"),
    ],
)
def test_only_what_is_ok_is_drawn_full(quantity, value, symbol):
    found = mark(quantity, "glass")
    assert (found.value, found.symbol) == (pytest.approx(value), symbol)


@pytest.mark.parametrize("quantity", [Quantity(), Quantity(0.0), Quantity(-1.0, lower=0.0)])
def test_what_has_no_place_on_a_logarithmic_axis_has_no_mark(quantity):
    assert mark(quantity, "glass") is None


def test_the_width_of_an_interval_is_in_decades():
    assert decades(Quantity(1.0, lower=0.1, upper=10.0)) == pytest.approx(2.0)
    assert decades(Quantity(1.0)) is None
    assert decades(Quantity(1.0, sd=2.0)) is None


def test_why_a_point_is_not_ok_stands_in_its_hover_text():
    seen = Overview([point("a"), point("b", status=Status.DECOMPOSED)], 2, [])
    traces = pareto_figure(seen, 100)["data"]
    hollow = next(t for t in traces if t["marker"]["symbol"].endswith("open"))
    assert "(decomposed)<br>why" in hollow["hovertext"][0]
    full = next(t for t in traces if t["marker"]["symbol"] == "circle")
    assert "why" not in full["hovertext"][0]


def test_systems_take_in_their_end_members_and_leave_out_what_cannot_be_placed():
    ternary = {"NaCl": 1.0, "YCl3": 1.0, "ZrCl4": 2.0}
    points = [
        point("a", components=ternary),
        point("b", components={"NaCl": 2.0}),
        point("c", components={"NaCl": 1.0, "YCl3": 3.0}),
        point("d", components={}),
        point("e", components={"Xx2": 1.0, "<img>": 1.0}),
        point("f", family="g", components={"NaCl": 1.0, "TaCl5": 3.0}),
    ]
    one, other = mixed_systems(points)
    assert one.id == "f:ZrCl4-YCl3-NaCl"
    assert [(p.candidate_id, fractions) for p, fractions in one.points] == [
        ("a", {"ZrCl4": 0.5, "YCl3": 0.25, "NaCl": 0.25}),
        ("b", {"ZrCl4": 0.0, "YCl3": 0.0, "NaCl": 1.0}),
        ("c", {"ZrCl4": 0.0, "YCl3": 0.75, "NaCl": 0.25}),
    ]
    assert other.points[0][1] == {"TaCl5": 0.75, "NaCl": 0.25}


def test_a_map_places_and_colours_by_what_is_stored(embedded, embedded_store):
    body = embedded.get("/api/v1/figures/map").json()
    meta = body["meta"]
    assert meta["n_candidates"] == len(summaries_of(embedded_store))
    assert meta["systems"][0]["id"] == meta["system"]
    known = {one.candidate_id: one for one in summaries_of(embedded_store)}
    components = {
        row["candidate_id"]: row["components"]
        for row in embedded_store.candidates.query({}, ["candidate_id", "components"])
    }
    light = meta["systems"][0]["components"][-1]
    for trace in body["data"]["data"]:
        for n, name in enumerate(trace.get("customdata", ())):
            value = mark(known[name].sigma_300k_ms_cm, known[name].phase).value
            assert trace["marker"]["color"][n] == pytest.approx(math.log10(value), abs=1e-4)
            share = components[name].get(light, 0.0) / sum(components[name].values())
            place = trace["a"] if "a" in trace else trace["x"]
            assert place[n] == pytest.approx(share, abs=1e-5)


def test_an_unknown_system_is_refused_and_nothing_is_an_empty_figure(embedded):
    error = embedded.error("/figures/map?system=none")
    assert error["problem"] == "unknown system of these candidates"
    for path in ("map", "pareto", "hull", "hull?show=section", "parity"):
        mark_ = "&" if "?" in path else "?"
        figure = embedded.data(f"/figures/{path}{mark_}sigma_min=1e30")
        assert figure["is_empty"]
        assert figure["data"] == []


def test_the_front_has_the_errors_of_its_stability():
    stable = Quantity(0.02, 0.038, 0.02 - 0.0745, 0.02 + 0.0745)
    one = dataclasses.replace(point("a"), stability=stable)
    figure = pareto_figure(Overview([one], 1, [one]), 100)
    for trace in figure["data"]:
        assert trace["error_x"]["array"] == [pytest.approx(74.5)]
        assert trace["error_x"]["arrayminus"] == [pytest.approx(74.5)]


def test_of_very_many_no_more_documents_are_read_than_shown(embedded_store, monkeypatch):
    monkeypatch.setattr("haloflow.workflows.overview._BLOCK", 5)
    sizes, decode = [], bson.decode

    def counted(data, *args, **kwargs):
        sizes.extend([len(data)] if len(data) > 5 else [])  # 5 bytes: an empty document
        return decode(data, *args, **kwargs)

    monkeypatch.setattr(bson, "decode", counted)
    seen = overview(embedded_store, {}, most=20, with_components=True)
    assert seen.total == embedded_store.summaries.count() > 200
    assert 15 <= len(seen.points) <= 20
    assert len(sizes) < seen.total / 2  # summaries, candidates, those that columns cannot hold


def test_the_map_is_coloured_by_the_scale_that_is_seen_on_any_paper(embedded):
    coloraxis = embedded.data("/figures/map")["layout"]["coloraxis"]
    assert [colour for _, colour in coloraxis["colorscale"]] == list(SCALE)
