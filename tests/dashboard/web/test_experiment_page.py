"""Computed against published values: what the figures and the table show is what the API says."""

from __future__ import annotations

import math
import re

import pytest
from playwright.sync_api import expect

FIGURES = {
    "parity-sigma": ("sigma_300k_ms_cm", "computed"),
    "residual-sigma": ("sigma_300k_ms_cm", "residual"),
    "parity-ea": ("activation_energy_ev", "computed"),
    "residual-ea": ("activation_energy_ev", "residual"),
}
DRAWN = """(figure) => [...document.querySelectorAll(`#${figure} .plot`)]
  .flatMap((plot) => plot.data).filter((trace) => trace.mode === 'markers')
  .flatMap((trace) => trace.x.map((x, i) => [
    trace.customdata[i], x, trace.y[i], trace.error_x.array[i], trace.error_x.arrayminus[i],
    trace.error_y.array[i], trace.error_y.arrayminus[i],
    trace.marker.symbol[i].endsWith('-open'), trace.name]))"""


def literature_of(page, kind="experiment"):
    rows = page.request.get("/api/v1/literature").json()["data"]
    return [row for row in rows if kind in {"all", row["kind"]}]


def positive_or_finite(quantity, *, log):
    known = [quantity[part] for part in ("value", "lower", "upper")] if quantity else []
    return [value for value in known if value is not None and (value > 0 or not log)]


def drawable_pairs(rows, quantity, part):
    """Return the pairs that have numbers on both axes."""
    is_log = quantity.startswith("sigma")
    return [
        (row, pair)
        for row in rows
        if row["quantity"] == quantity and positive_or_finite(row["published"], log=is_log)
        for pair in row["computed"]
        if positive_or_finite(pair[part], log=is_log and part == "computed")
    ]


def drawn_points(page, figure):
    card = page.locator(f"#{figure}")
    card.scroll_into_view_if_needed()
    expect(card).to_have_attribute("data-state", re.compile("drawn|empty"))
    return page.evaluate(DRAWN, figure)


@pytest.mark.parametrize("kind", ["experiment", "all"])
def test_every_pair_with_numbers_is_a_point(open_page, kind):
    page = open_page("/experiment" if kind == "experiment" else "/experiment?kind=all")
    rows = literature_of(page, kind)
    assert sum(len(drawable_pairs(rows, *asked)) for asked in FIGURES.values()) > 8
    for figure, (quantity, part) in FIGURES.items():
        wanted = drawable_pairs(rows, quantity, part)
        points = drawn_points(page, figure)
        assert sorted(point[0] for point in points) == sorted(p["candidate_id"] for _, p in wanted)
        alike = [point[7] for point in points].count(False)
        assert alike == sum(pair["like_with_like"] for _, pair in wanted)


def test_bars_are_the_intervals_of_both(open_page):
    page = open_page("/experiment?kind=all")
    rows = literature_of(page, "all")
    points = drawn_points(page, "parity-sigma")
    checked = 0
    for row, pair in drawable_pairs(rows, "sigma_300k_ms_cm", "computed"):
        own = [p for p in points if p[0] == pair["candidate_id"]]
        computed = pair["computed"]
        if None in (computed["value"], computed["lower"], computed["upper"]):
            continue
        assert any(
            math.isclose(y, computed["value"])
            and math.isclose(y + plus, computed["upper"])
            and math.isclose(y - minus, computed["lower"])
            for _, _, y, _, _, plus, minus, *_ in own
        )
        published = row["published"]
        if published["lower"] and published["upper"] and not published["value"]:
            assert any(
                math.isclose(x + plus, published["upper"])
                and math.isclose(x - minus, published["lower"])
                for _, x, _, plus, minus, *_ in own
            )
        checked += 1
    assert checked >= 3


def test_filters_act_on_figures_and_table_and_stand_in_the_address(open_page, shot):
    page = open_page("/experiment")
    shot("experiment-light")
    rows = literature_of(page)
    levels = sorted({pair["level"] for row in rows for pair in row["computed"]})
    page.get_by_label("Level of theory").select_option(levels[0])
    page.get_by_label("only like with like").check()
    expect(page).to_have_url(re.compile(rf"\?level={levels[0]}&alike=1$"))
    points = drawn_points(page, "parity-sigma")
    assert all(name == levels[0] and not is_open for *_, is_open, name in points)
    family = rows[0]["family"]
    page.get_by_label("Family").select_option(family)
    own = [row for row in rows if row["family"] == family]
    expect(page.locator("#values-title")).to_have_text(f"Published values ({len(own)})")
    page.go_back()
    expect(page.locator("#values-title")).to_have_text(f"Published values ({len(rows)})")
    expect(page.get_by_label("Family")).to_have_value("")
    page.reload()
    expect(page.get_by_label("only like with like")).to_be_checked()


def test_the_table_tells_the_phases_and_links_the_candidates(open_page):
    page = open_page("/experiment")
    row = next(row for row in literature_of(page) if row["computed"])
    body = page.locator("#values tbody", has_text=row["phases_present"]).filter(
        has_text=row["published_text"]
    )
    expect(body.first).to_contain_text(row["source"])
    pair = row["computed"][0]
    link = body.first.get_by_role("link").first
    expect(link).to_have_attribute("href", f"/candidate?id={pair['candidate_id']}")


def test_without_candidates_the_published_values_still_stand(open_page, watch, empty_url):
    watch.url = empty_url
    page = open_page(f"{empty_url}/experiment")
    expect(page.locator("#values-title")).to_have_text(re.compile(r"^Published values \(\d\d+\)$"))
    expect(page.locator("#verdict")).to_contain_text("no computed value")
    expect(page.locator("#parity-sigma")).to_have_attribute("data-state", "empty")
