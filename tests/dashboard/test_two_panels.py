"""Of two panels, the one with data has all the place; what a figure lacks, it says."""

from __future__ import annotations

import pytest

from haloflow.dashboard.figures_map import _coloraxis
from haloflow.dashboard.overview_marks import Mark, with_note
from haloflow.dashboard.theme import axis, layout
from haloflow.dashboard.two_panels import filled


def figure(*places):
    x = axis("temperature (K)", anchor="y2")
    look = layout(x, axis("D", domain=[0.5, 1.0]), yaxis2=axis("sigma", domain=[0.0, 0.4]))
    traces = [
        {"x": [1], "y": [2], **({"yaxis": place} if place != "y" else {})} for place in places
    ]
    return {"data": traces, "layout": look}


def test_both_panels_stay_as_they_are():
    both = figure("y", "y2")
    assert filled(both, "diffusivity", "conductivity") == both


@pytest.mark.parametrize(
    ("place", "title", "words"),
    [("y", "D", "No conductivity is known"), ("y2", "sigma", "No diffusivity is known")],
)
def test_one_panel_has_all_the_place_and_the_other_is_said_to_be_missing(place, title, words):
    found = filled(figure(place), "diffusivity", "conductivity")
    look = found["layout"]
    assert "yaxis2" not in look
    assert "domain" not in look["yaxis"]
    assert "anchor" not in look["xaxis"]
    assert look["yaxis"]["title"]["text"] == title
    assert {trace["yaxis"] for trace in found["data"]} == {"y"}
    assert look["annotations"][0]["text"].startswith(words)


def test_notes_are_set_on_lines_with_room_below():
    words = (
        "1,976 of 10,000 looked at: even blocks of ids, best always; 46 without E_hull: not drawn"
    )
    short, long = (with_note(figure("y", "y2"), text)["layout"] for text in ("few", words))
    lines = long["annotations"][0]["text"].split("<br>")
    assert max(map(len, lines)) <= 46
    assert " ".join(lines) == words.replace(",976", "\u202f976").replace("10,000", "10\u202f000")
    assert long["margin"]["b"] > short["margin"]["b"]


@pytest.mark.parametrize("values", [[3.0], [1.0, 1.001], [1e-6, 1e3]])
def test_colours_span_a_decade_at_least(values):
    bar = _coloraxis([(None, {}, Mark(value, "circle", "glass")) for value in values])
    assert bar["cmax"] - bar["cmin"] >= 1.0 - 1e-9
    assert 10 ** bar["cmin"] <= min(values) * (1 + 1e-9)
    assert 10 ** bar["cmax"] >= max(values) * (1 - 1e-9)
