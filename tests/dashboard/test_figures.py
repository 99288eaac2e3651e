"""Figures show what the documents say, and plotly accepts them."""

from __future__ import annotations

import math

import pytest
import sample_candidates
from plotly.graph_objects import Figure

from haloflow.dashboard.arrhenius_line import arrhenius_lines, inverse
from haloflow.dashboard.figures import (
    conductivity_figure,
    literature_point,
    screening_figure,
    stability_figure,
)
from haloflow.dashboard.figures_arrhenius import arrhenius_figure, arrhenius_overview
from haloflow.dashboard.figures_candidate import density_figure, hull_figure, mobile_fraction
from haloflow.dashboard.figures_transport import msd_figure, rdf_figure
from haloflow.dashboard.panels import overview_panels
from haloflow.dashboard.panels_candidate import candidate_panels
from haloflow.dashboard.theme import interval, padded_range, pretty
from haloflow.quantity import Quantity, Status
from haloflow.stores.documents import DiffusionDocument, HullDocument, LiteratureValue


def document_of(views, title, kind):
    view = next(view for view in views if view.title == title)
    return next(iter(view.of_kind(kind).values()))


def symbols(figure):
    return {
        trace["marker"]["symbol"]
        for trace in figure["data"]
        if "marker" in trace and trace["x"] != [None]
    }


def test_plotly_accepts_every_figure(views):
    panels = overview_panels(views, sample_candidates.SCREEN)
    panels += [panel for view in views for panel in candidate_panels(view, "c")]
    assert len(panels) > 12
    for panel in panels:
        Figure(panel.figure)


def test_the_ranking_order_is_kept_from_top_to_bottom(views):
    figure = stability_figure(views, 0.1)
    assert figure["layout"]["yaxis"]["categoryarray"] == [pretty(v.title) for v in views][::-1]


def test_unconverged_numbers_are_hollow_and_bounds_are_arrows(views):
    assert symbols(stability_figure(views)) == {"circle", "circle-open"}
    found = symbols(conductivity_figure(views))
    assert {"circle", "circle-open", "triangle-left-open", "diamond-open"} <= found


def test_a_lower_bound_points_upwards(views):
    bound = Quantity(lower=0.2, status=Status.UNCONVERGED)
    view = sample_candidates.view_with(views[0], sigma_300k_ms_cm=bound)
    assert "triangle-right-open" in symbols(conductivity_figure([view]))
    assert "triangle-up-open" in symbols(screening_figure([view, views[1]]))


def test_the_axis_leaves_room_for_every_interval(views):
    figure = conductivity_figure(views)
    low, high = (10**end for end in figure["layout"]["xaxis"]["range"])
    for view in views:
        quantity = view.summary.sigma_300k_ms_cm
        ends = [e for e in (quantity.value, quantity.lower, quantity.upper) if e]
        assert all(low < end < high for end in ends)


def test_nothing_is_drawn_of_nothing(views):
    empty = sample_candidates.view_with(
        views[0],
        sigma_300k_ms_cm=Quantity(status=Status.UNCONVERGED),
        energy_above_hull_ev_per_atom=Quantity(status=Status.UNCONVERGED),
    )
    assert stability_figure([empty]) is None
    assert conductivity_figure([empty]) is None
    assert screening_figure([empty, empty]) is None
    assert arrhenius_overview([]) is None
    assert arrhenius_figure({}) is None
    assert msd_figure([], "Na") is None
    assert density_figure({}) is None


def test_the_law_meets_the_extrapolated_value_and_its_interval_at_300_k(views):
    document = document_of(views, "NaTaOCl4 glass", DiffusionDocument)
    sigma = document.sigma_300k_ms_cm
    band, solid, dotted = arrhenius_lines(document, "#0072B2")
    assert dotted["x"][-1] == pytest.approx(inverse(300))
    assert dotted["y"][-1] == pytest.approx(sigma.value)
    at_300 = [y for x, y in zip(band["x"], band["y"], strict=True) if x == dotted["x"][-1]]
    assert sorted(at_300) == pytest.approx([sigma.lower, sigma.upper])
    assert max(solid["x"]) <= inverse(500) + 1e-9


def test_the_law_passes_near_every_point_and_is_narrowest_among_them(views):
    document = document_of(views, "NaTaOCl4 glass", DiffusionDocument)
    band, *lines = arrhenius_lines(document, "#0072B2")
    drawn = [pair for line in lines for pair in zip(line["x"], line["y"], strict=True)]
    for point in document.points:
        nearest = min(drawn, key=lambda pair: abs(pair[0] - inverse(point.temperature_k)))
        assert math.log(nearest[1] / point.sigma_ms_cm.value) == pytest.approx(0, abs=0.25)
    half = len(band["x"]) // 2
    widths = [
        math.log(u / low) for u, low in zip(band["y"][:half], band["y"][half:][::-1], strict=True)
    ]
    narrowest = band["x"][widths.index(min(widths))]
    assert inverse(900) < narrowest < inverse(500)


def test_no_law_is_drawn_through_unconverged_points(views):
    document = document_of(views, "NaTaOCl4 crystal", DiffusionDocument)
    assert arrhenius_lines(document, "#0072B2") == []
    found = symbols(arrhenius_figure({"diffusion": document}))
    assert found == {"triangle-down-open"}


def test_the_glass_transition_is_marked_and_the_crossing_value_hollow(views):
    document = document_of(views, "TaCl5-0.5Na2S glass", DiffusionDocument)
    figure = arrhenius_figure({"diffusion": document})
    assert any("466 K" in note["text"] for note in figure["layout"]["annotations"])
    assert any(shape.get("x0") == inverse(466.0) for shape in figure["layout"]["shapes"])
    assert "star-open" in symbols(figure)


def test_published_values_stand_in_the_arrhenius_figure_with_their_kind(views):
    document = document_of(views, "NaTaOCl4 glass", DiffusionDocument)
    rows = views[0].literature("sigma_300k_ms_cm")
    names = [
        trace["name"]
        for trace in arrhenius_figure({"d": document}, rows)["data"]
        if "name" in trace
    ]
    assert "experiment: Wei, Binci, Ceder" in names
    assert "computed: Wei, Binci, Ceder" in names


@pytest.mark.parametrize(
    ("ends", "point"),
    [((1e-7, 1e-5), 1e-6), ((None, 4.0), 4.0), ((-1.0, 1.0), 0.0), ((None, None), None)],
)
def test_a_published_range_is_marked_at_its_middle(ends, point):
    row = LiteratureValue(
        quantity="x", lower=ends[0], upper=ends[1], kind="computed", phases_present="", source=""
    )
    assert literature_point(row) == pytest.approx(point)


def test_the_products_mix_to_the_foot_of_the_hull_bar(views):
    for view in views:
        document = next(iter(view.of_kind(HullDocument).values()))
        by_id = {entry.phase_id: entry for entry in document.entries}
        mixed_x = mixed_y = 0.0
        for product in document.decomposition:
            mixed_x += product.amount * mobile_fraction(product.formula, "Na")
            mixed_y += product.amount * by_id[product.phase_id].formation_energy_ev_per_atom
        bar = next(t for t in hull_figure(document)["data"] if t.get("line", {}).get("width") == 4)
        assert bar["x"] == pytest.approx([mixed_x, mixed_x])
        assert bar["y"] == pytest.approx([mixed_y, document.formation_energy_ev_per_atom])


def test_the_fit_window_of_the_msd_is_the_thick_part(views):
    document = document_of(views, "NaTaOCl4 glass", DiffusionDocument)
    figure = msd_figure(document.msd, "Na")
    thick = [trace for trace in figure["data"] if trace["line"]["width"] == 5]
    assert len(thick) == len(document.msd)
    assert all(5.0 <= x <= 20.0 for trace in thick for x in trace["x"])


def test_the_menu_shows_one_temperature_at_a_time(views):
    document = document_of(views, "NaTaOCl4 glass", DiffusionDocument)
    figure = rdf_figure(document)
    buttons = figure["layout"]["updatemenus"][0]["buttons"]
    masks = [button["args"][1] for button in buttons]
    assert [sum(mask) for mask in masks] == [2] * 5
    assert [any(column) for column in zip(*masks, strict=True)] == [True] * 10
    assert [trace["visible"] for trace in figure["data"]] == masks[0]


@pytest.mark.parametrize(
    ("plain", "set_nicely"),
    [
        ("Na2O", "Na₂O"),
        ("NaTaOCl4 crystal (NaTaOCl4_Cm)", "NaTaOCl₄ crystal (NaTaOCl₄_Cm)"),
        ("TaCl5-0.5Na2S glass", "TaCl₅-0.5Na₂S glass"),
        ("Na2.25Y0.25Zr0.75Cl6", "Na₂.₂₅Y₀.₂₅Zr₀.₇₅Cl₆"),
        ("(NaCl)2", "(NaCl)₂"),
        ("seed1-600K", "seed1-600K"),
    ],
)
def test_formulas_are_set_with_subscripts(plain, set_nicely):
    assert pretty(plain) == set_nicely


def test_a_bar_never_crosses_a_bound():
    bounded = Quantity(5.0, 20.0, None, 9.0, Status.UNCONVERGED)
    assert interval(bounded) == (5.0, 9.0)
    assert interval(Quantity(5.0, 20.0, 4.0)) == (4.0, 5.0)
    assert interval(Quantity(5.0, 1.0)) == pytest.approx((3.04, 6.96))
    assert interval(Quantity(5.0)) is None
    assert interval(Quantity(upper=9.0)) is None


def test_a_published_range_is_drawn_as_one(views):
    row = LiteratureValue(
        quantity="sigma_300k_ms_cm",
        lower=1e-7,
        upper=1e-5,
        kind="computed",
        phases_present="crystal",
        source="Wei",
    )
    figure = conductivity_figure([sample_candidates.view_with(views[0], literature=[row])])
    trace = next(t for t in figure["data"] if t.get("name") == "published, computed")
    assert trace["x"][0] - trace["error_x"]["arrayminus"][0] == pytest.approx(1e-7)
    assert trace["x"][0] + trace["error_x"]["array"][0] == pytest.approx(1e-5)


def test_one_value_still_gives_a_range():
    low, high = padded_range([3.0])
    assert low < 3.0 < high
    low, high = padded_range([0.01, 0.0], log=True)
    assert low < -2.0 < high
