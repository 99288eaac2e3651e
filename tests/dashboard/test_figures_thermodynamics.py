"""Figures of windows and of sweeps on the hull show what the documents say."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import sample_candidates
from plotly.graph_objects import Figure
from sample_sweeps import chloride_views, glass, sulfide_views

from haloflow.dashboard.figures_sections import (
    pseudo_binary_figure,
    section_figures,
    segregation_figure,
    ternary_figure,
)
from haloflow.dashboard.figures_window import against_metal, window_figure, window_overview
from haloflow.dashboard.panels import candidate_facts, overview_panels
from haloflow.dashboard.panels_candidate import candidate_panels
from haloflow.dashboard.report import Report, render_report
from haloflow.dashboard.wording import formula_units_text
from haloflow.quantity import Quantity
from haloflow.stores.documents import HullDocument, HullProduct, LiteratureValue
from haloflow.workflows.sections import sweep_sections

ALL_DRAWN = (
    "[...document.querySelectorAll('[data-figure]')]"
    ".every(e => e.querySelector('svg.main-svg') && e.querySelector('.points path, .js-line'))"
)


@pytest.fixture(scope="module")
def everything(views):
    return [*views, *sulfide_views(), *chloride_views()]


def hull_of(view):
    return next(iter(view.of_kind(HullDocument).values()))


def stars(figure):
    return [
        trace
        for trace in figure["data"]
        if str(trace.get("marker", {}).get("symbol", "")).startswith("star")
    ]


def test_plotly_accepts_all_of_them(everything):
    panels = overview_panels(everything, {})
    panels += [panel for view in everything for panel in candidate_panels(view, "c")]
    for panel in panels:
        Figure(panel.figure)
    ids = {panel.id for panel in panels}
    assert "overview-windows" in ids
    assert {f"overview-section-{i}" for i in (1, 2)} <= ids
    assert {f"overview-segregation-{i}" for i in (1, 2)} <= ids
    assert sum(name.startswith("overview-ternary") for name in ids) == 1


def test_two_compositions_of_the_same_components_make_a_section(everything, views):
    found = sweep_sections(everything)
    assert [(s.family, s.axis) for s in found] == [("tacl5-na2s", "Na2S"), ("nayzrcl", "NaCl")]
    assert sweep_sections(views) == []
    first = found[0]
    fractions = [one.fractions["Na2S"] for one in first.candidates]
    assert fractions == sorted(fractions)
    assert fractions[0] == pytest.approx(0.25 / 1.25)
    assert first.triangle is None
    assert found[1].triangle is not None


def test_an_end_member_joins_the_section_of_its_components():
    ends = sample_candidates.views([_oxide(0.0, 0.01), _oxide(0.5, -0.2), _oxide(1.0, -0.3)])
    (section,) = sweep_sections(ends)
    assert section.components == ("NaTaCl6", "Na2O")
    assert [one.fractions["Na2O"] for one in section.candidates] == pytest.approx([0, 1 / 3, 0.5])
    assert section.candidates[0].mixing_energy_ev_per_atom == pytest.approx(0.01)


def _oxide(x, mixing):
    return glass("na2o-natacl6", x, mixing, former="NaTaCl6")


def test_candidates_stand_at_their_energies_above_the_hull_line():
    (section,) = sweep_sections(sulfide_views())
    figure = pseudo_binary_figure(section)
    line = next(trace for trace in figure["data"] if trace.get("name") == "hull")
    placed = {trace["x"][0]: trace["y"][0] for trace in stars(figure)}
    assert len(placed) == 3
    for one in section.candidates:
        x = one.fractions["Na2S"]
        above = one.document.energy_above_hull_ev_per_atom.value * 1e3
        assert placed[x] == pytest.approx(one.mixing_energy_ev_per_atom * 1e3)
        assert _at(line, x) == pytest.approx(placed[x] - above, abs=2.0)


def test_the_error_of_the_level_stands_on_energies_of_mixing():
    (section,) = sweep_sections(sulfide_views())
    one = section.candidates[0]
    known = Quantity(one.document.energy_above_hull_ev_per_atom.value, 0.03)
    document = one.document.model_copy(update={"energy_above_hull_ev_per_atom": known})
    section = replace(section, candidates=(replace(one, document=document),))
    (star,) = stars(pseudo_binary_figure(section))
    assert star["error_y"]["array"] == pytest.approx([1.96 * 30.0])
    assert star["error_y"]["arrayminus"] == pytest.approx([1.96 * 30.0])


def _at(line, x):
    pairs = list(zip(line["x"], line["y"], strict=True))
    for (x0, y0), (x1, y1) in pairwise(pairs):
        if x0 <= x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    raise AssertionError(x)


def test_the_triangle_joins_phases_that_coexist():
    (section,) = sweep_sections(chloride_views())
    figure = ternary_figure(section)
    lines = [trace for trace in figure["data"] if trace["mode"] == "lines"]
    assert len(lines) == len(section.triangle.tie_lines) == 7
    for trace in figure["data"]:
        for corners in zip(trace["a"], trace["b"], trace["c"], strict=True):
            assert sum(corners) == pytest.approx(1.0)
    assert len(stars(figure)) == 4
    named = next(trace for trace in figure["data"] if "text" in trace)
    assert set(named["text"]) == {"", "Na₃YCl₆†", "Na₂ZrCl₆†"}
    assert "xaxis" not in figure["layout"]
    assert ternary_figure(sweep_sections(sulfide_views())[0]) is None


def test_salt_leaves_a_glass_for_glasses_of_its_own_sweep():
    """x = 1.375 lies high; NaCl and the glasses with less of it are lower."""
    (section,) = sweep_sections(chloride_views())
    by_x = {one.view.summary.variables["x"]: one for one in section.candidates}
    high = by_x[1.375]
    assert high.homogeneous_gain_ev_per_atom > 0.03
    assert high.homogeneous_amount > 0
    assert by_x[2.0].homogeneous_gain_ev_per_atom is None
    assert by_x[1.625].homogeneous_gain_ev_per_atom == pytest.approx(0.0, abs=1e-9)
    figure = segregation_figure(section)
    named = {trace["name"]: trace for trace in figure["data"]}
    dotted = named["rest a glass of this sweep"]
    assert len(dotted["x"]) == 3
    assert max(dotted["y"]) == pytest.approx(high.homogeneous_gain_ev_per_atom * 1e3)


def test_full_markers_hold_salt_in_equilibrium():
    (section,) = sweep_sections(sulfide_views())
    trace = segregation_figure(section)["data"][0]
    assert trace["marker"]["symbol"] == ["circle-open", "circle", "circle"]
    above = [o.document.energy_above_hull_ev_per_atom.value * 1e3 for o in section.candidates]
    assert trace["y"] == pytest.approx(above)


def test_the_steps_of_the_window_are_its_states(views):
    document = hull_of(views[0])
    figure = window_figure(document, [])
    steps = figure["data"][0]
    pairs = list(zip(steps["x"], steps["y"], strict=True))
    assert [x for x, _ in pairs] == sorted(x for x, _ in pairs)
    assert [y for _, y in pairs] == sorted((y for _, y in pairs), reverse=True)
    band = figure["layout"]["shapes"][0]
    assert band["x0"] == document.window.reduction_limit_v.value
    assert band["x1"] == document.window.oxidation_limit_v.value
    bare = document.model_copy(update={"window": None})
    assert window_figure(bare, []) is None


def voltage(**fields):
    defaults = {"quantity": "oxidation_limit_v", "value": 4.0, "kind": "experiment"}
    return LiteratureValue(**(defaults | {"phases_present": "glass", "source": "s"} | fields))


def test_published_voltages_move_to_the_scale_of_the_metal(views):
    assert against_metal(voltage()) == 4.0
    assert against_metal(voltage(electrode="Na9Sn4")) == pytest.approx(4.12)
    onset = voltage(value=None, lower=1.8, upper=2.0, electrode="Na15Sn4")
    assert against_metal(onset) == pytest.approx(1.94)
    assert against_metal(voltage(value=None, upper=2.0)) is None
    assert against_metal(voltage(electrode="unobtainium")) is None
    figure = window_figure(hull_of(views[0]), [voltage(electrode="Na9Sn4"), onset])
    published = next(t for t in figure["data"] if t.get("name") == "published")
    assert published["x"] == pytest.approx([4.12, 1.94])


def test_the_overview_compares_windows_with_published_ones():
    figure = window_overview(chloride_views())
    bars = [t for t in figure["data"] if t.get("name") != "published"]
    for view, trace in zip(chloride_views(), bars, strict=True):
        s = view.summary
        assert trace["x"] == [s.reduction_limit_v.value, s.oxidation_limit_v.value]
    marks = [t for t in figure["data"] if t.get("name") == "published"]
    assert [t["showlegend"] for t in marks] == [True, False]
    assert window_overview(chloride_views()[:1]) is None


def test_facts_name_limits_electrodes_and_the_salt_that_leaves():
    facts = {fact.name: fact for fact in candidate_facts(sulfide_views()[0])}
    assert facts["Oxidation limit"].quantity == sulfide_views()[0].summary.oxidation_limit_v
    assert facts["Oxidation limit"].unit == "V against Na"
    assert "V (Na15Sn4 0.04 ± 0.03 V against Na)" in facts["Window, Na15Sn4"].text
    assert facts["NaCl that leaves"].text.endswith("in equilibrium")
    assert facts["Oxidised to"].text


def test_formula_units_are_written_largest_first():
    products = [
        HullProduct(phase_id="a", formula="Cl2", amount=0.5),
        HullProduct(phase_id="b", formula="NaCl", amount=2.0),
        HullProduct(phase_id="c", formula="TaCl5", amount=1.0),
    ]
    assert formula_units_text(products) == "2.00 NaCl + TaCl5 + 0.500 Cl2"
    assert formula_units_text([]) == "–"


def test_names_that_are_html_stay_text(views):
    hostile = [
        sample_candidates.view_with(view, label=sample_candidates.HOSTILE)
        for view in chloride_views()
    ]
    for _, title, _, figure in section_figures(hostile):
        assert figure is None or "<img" not in str(figure)
        assert "<img" not in title


def test_a_browser_draws_them(page, tmp_path):
    path = tmp_path / "report.html"
    report = Report("Sweep along", [*sulfide_views(), *chloride_views()], {})
    path.write_text(render_report(report), encoding="utf-8")
    page.open(path.as_uri())
    page.ask("window.dispatchEvent(new Event('beforeprint'))")
    page.wait(ALL_DRAWN)
    assert page.problems() == []
