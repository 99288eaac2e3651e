"""Candidates side by side: numbers, differences that are clear, figures with all of them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from web_pages import PHONE, assert_accessible, assert_fits_the_width, is_settled

N_COMPARED = 3
MOST = 6
DIFFERENCES = """async () => {
  const { difference } = await import("/static/js/compare/difference.js");
  const [energy, sigma] = [{ name: "e_hull", scale: 1000 }, { name: "sigma", scale: 1 }];
  const ends = (value, half) => ({ lower: value - half, upper: value + half });
  const of = (value, sd) => ({ value, sd, status: "ok", ...ends(value, 1.96 * sd) });
  const bare = (value) => ({ value, sd: null, lower: null, upper: null, status: "ok" });
  return [
    difference(energy, of(0.16, 0.004), of(0, 0.004), true),
    difference(energy, of(0.15, 0.038), of(0.16, 0.038), true),
    difference(energy, of(0.16000000000000014, 0.001), of(0.16, 0.001), true),
    difference(energy, bare(0.16), bare(0), true),
    difference(energy, of(0.16, 0.004), of(0, 0.004), false),
    difference(sigma, { ...of(5, 0.1), status: "unconverged" }, of(1, 0.1), true),
    difference(sigma, { ...bare(0.1), upper: 0.22, status: "unconverged" }, of(1, 0.1), true),
    difference(sigma, of(15, 0.1), of(1, 0.01), true),
    difference(sigma, { ...bare(null), status: "failed" }, of(1, 0.01), true),
  ];
}"""


@pytest.fixture
def ids(page):
    params = {"has": "sigma,e_hull", "_sort_fields": "-sigma", "_limit": 7}
    rows = page.request.get("/api/v1/candidates", params=params).json()["data"]
    return [row["id"] for row in rows]


def heads(page):
    return page.locator("#properties-table thead th[data-id]").evaluate_all(
        "all => all.map((cell) => cell.dataset.id)"
    )


def rows_of(page, ids):
    fields = "id,level_md,sigma,sigma_status,sigma_lower,sigma_upper,e_hull,e_hull_sd,e_hull_status"
    params = {"id": ",".join(ids), "_fields": fields}
    answer = page.request.get("/api/v1/candidates", params=params).json()["data"]
    rows = {row["id"]: row for row in answer}
    return [rows[one] for one in ids]


def test_numbers_are_told_apart_at_one_level_outside_of_both_intervals(open_page, ids, shot):
    page = open_page(f"/compare?ids={','.join(ids[:MOST])}")
    assert heads(page) == ids[:MOST]
    first, *others = rows_of(page, ids[:MOST])
    assert len({row["level_md"] for row in others}) > 1
    for name in ("level_md", "sigma"):
        line = page.locator(f'tr[data-field="{name}"]')
        expect(line.locator("td")).to_have_count(MOST)
        expect(line.locator("td").first.locator(".delta")).to_have_count(0)
    levels = page.locator('tr[data-field="level_md"] td')
    cells = page.locator('tr[data-field="sigma"] td')
    for index, row in enumerate(others, start=1):
        expect(levels.nth(index)).to_have_text(row["level_md"])
        if row["level_md"] != first["level_md"]:
            expect(cells.nth(index).locator(".delta")).to_have_text("another level")
        elif {row["sigma_status"], first["sigma_status"]} == {"ok"}:
            is_clear = (
                row["sigma_upper"] < first["sigma_lower"]
                or row["sigma_lower"] > first["sigma_upper"]
            )
            expect(cells.nth(index).locator(".delta.clear")).to_have_count(int(is_clear))
            expect(cells.nth(index).locator(".delta")).to_have_text(re.compile(r"^\u00d7"))
    hulls = page.locator('tr[data-field="e_hull"] td')
    for index, row in enumerate(others, start=1):
        is_near = abs(row["e_hull"] - first["e_hull"]) < row["e_hull_sd"]
        if is_near and {row["e_hull_status"], first["e_hull_status"]} == {"ok"}:
            expect(hulls.nth(index).locator(".delta")).to_contain_text("within the errors")
    assert_accessible(page)
    assert_fits_the_width(page)
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    assert_fits_the_width(page)
    assert_accessible(page)
    shot("compare-phone-dark")


def test_what_differs_is_said_with_its_error_or_not_at_all(open_page):
    page = open_page("/compare")
    clear, within, noise, bare, level, not_ok, bound, ratio, unknown = page.evaluate(DIFFERENCES)
    assert clear == {"text": "+160 \u00b1 6", "isClear": True}
    assert within == {"text": "\u221210 \u00b1 50, within the errors", "isClear": False}
    assert noise == {"text": "the same", "isClear": False}
    assert bare == {"text": "+160, error not known", "isClear": False}
    assert level == {"text": "another level", "isClear": False}
    assert not_ok == {"text": "not compared: unconverged", "isClear": False}
    assert bound == {"text": "smaller", "isClear": True}
    assert ratio == {"text": "\u00d715", "isClear": True}
    assert unknown is None


def test_the_reference_is_changed_and_candidates_leave(open_page, ids):
    page = open_page(f"/compare?ids={','.join(ids[:N_COMPARED])}")
    page.get_by_role("button", name=re.compile("^Make reference")).last.click()
    moved = [ids[2], ids[0], ids[1]]
    expect(page).to_have_url(re.compile(re.escape(f"ids={','.join(moved)}")))
    is_settled(page)
    assert heads(page) == moved
    page.get_by_role("button", name=re.compile("^Remove ")).first.click()
    expect(page.locator("#properties-table thead th[data-id]")).to_have_count(2)
    assert heads(page) == moved[1:]
    page.go_back()
    expect(page.locator("#properties-table thead th[data-id]")).to_have_count(N_COMPARED)


def test_a_candidate_is_added_by_keyboard_up_to_six(open_page, ids):
    page = open_page(f"/compare?ids={','.join(ids[: MOST - 1])}")
    field = page.locator("#add-candidate")
    field.press_sequentially("cl")
    expect(page.locator("#add-options")).to_have_attribute("data-text", "cl")
    expect(page.get_by_role("option").nth(1)).to_be_visible()
    field.press("ArrowDown")
    field.press("ArrowDown")
    expect(page.get_by_role("option").nth(1)).to_have_attribute("aria-selected", "true")
    field.press("Enter")
    expect(page.locator("#properties-table thead th[data-id]")).to_have_count(MOST)
    expect(field).to_be_disabled()
    expect(page.locator("#count")).to_have_text("6 of at most 6")


def test_only_what_differs_leaves_equal_rows_out(open_page, ids):
    page = open_page(f"/compare?ids={','.join(ids[:N_COMPARED])}")
    rows = page.locator("#properties-table tr[data-field]")
    before, same = rows.count(), page.locator("tr.same").count()
    assert same
    page.get_by_label("only what differs").check()
    expect(rows).to_have_count(before - same)
    expect(page.locator("tr.same")).to_have_count(0)
    expect(page).to_have_url(re.compile("only=different"))


def test_figures_hold_every_candidate_and_menus_are_real_ones(open_page, shot):
    answer = "/api/v1/candidates"
    page = open_page("/compare")
    rows = page.request.get(answer, params={"_limit": 2, "_sort_fields": "id"}).json()["data"]
    full = [row["id"] for row in rows]
    asked = page.request.get("/api/v1/compare", params={"ids": ",".join(full)}).json()["data"]
    page.goto(f"/compare?ids={','.join(full)}")
    is_settled(page)
    for figure in asked["figures"]:
        card = page.locator(f"#figure-{figure['id']}")
        card.scroll_into_view_if_needed()
        expect(card).to_have_attribute("data-state", "empty" if figure["is_empty"] else "drawn")
        menus = figure["layout"].get("updatemenus", [])
        expect(card.locator(".figure-menus select")).to_have_count(len(menus))
        expect(card.locator(".updatemenu-container")).to_have_count(0)
    shot("compare-figures")


def test_nothing_chosen_and_unknown_ids_are_said(open_page, ids, watch):
    page = open_page("/compare")
    expect(page.locator("#properties-body")).to_contain_text("Nothing to compare yet")
    watch.allow("404")
    page.goto(f"/compare?ids={ids[0]},Na9Xx9-glass-00000000")
    expect(page.get_by_role("alert").first).to_contain_text("no such candidate")
    page.get_by_role("button", name="Leave it out").click()
    expect(page.get_by_text("no such candidate")).to_have_count(0)
    assert heads(page) == ids[:1]
