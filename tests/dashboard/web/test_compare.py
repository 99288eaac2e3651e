"""Candidates side by side: numbers, differences that are clear, figures with all of them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from web_pages import assert_accessible, assert_fits_the_width, is_settled

N_COMPARED = 3
MOST = 6


@pytest.fixture
def ids(page):
    params = {"has": "sigma,e_hull", "_sort_fields": "-sigma", "_limit": 7}
    rows = page.request.get("/api/v1/candidates", params=params).json()["data"]
    return [row["id"] for row in rows]


def heads(page):
    return page.locator("#properties-table thead th[data-id]").evaluate_all(
        "all => all.map((cell) => cell.dataset.id)"
    )


def test_properties_stand_side_by_side_with_their_differences(open_page, ids, shot):
    page = open_page(f"/compare?ids={','.join(ids[:N_COMPARED])}")
    assert heads(page) == ids[:N_COMPARED]
    sigma = page.locator('tr[data-field="sigma"]')
    expect(sigma.locator("td")).to_have_count(N_COMPARED)
    expect(sigma.locator("td").first.locator(".delta")).to_have_count(0)
    for index in range(1, N_COMPARED):
        expect(sigma.locator("td").nth(index).locator(".delta")).to_have_text(
            re.compile(r"^\u00d7|within the errors|larger|smaller|cannot be told apart|the same")
        )
    assert_accessible(page)
    assert_fits_the_width(page)
    shot("compare-light")


def test_a_difference_is_clear_only_outside_of_both_intervals(open_page, ids):
    page = open_page(f"/compare?ids={','.join(ids[:MOST])}")
    fields = "id,sigma,sigma_lower,sigma_upper"
    params = {"id": ",".join(ids[:MOST]), "_fields": fields}
    answer = page.request.get("/api/v1/candidates", params=params).json()["data"]
    rows = {row["id"]: row for row in answer}
    cells = page.locator('tr[data-field="sigma"] td')
    first = rows[ids[0]]
    for index, one in enumerate(ids[1:MOST], start=1):
        row = rows[one]
        if None in (row["sigma_lower"], row["sigma_upper"]) or first["sigma_lower"] is None:
            continue
        clear = row["sigma_upper"] < first["sigma_lower"]
        above = first["sigma_upper"] is not None and row["sigma_lower"] > first["sigma_upper"]
        expect(cells.nth(index).locator(".delta.clear")).to_have_count(int(clear or above))


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


def test_phone_in_the_dark_fits_and_is_accessible(open_page, ids, shot):
    page = open_page(f"/compare?ids={','.join(ids[:N_COMPARED])}", phone=True, scheme="dark")
    assert_fits_the_width(page)
    assert_accessible(page)
    shot("compare-phone-dark")
