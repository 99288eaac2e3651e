"""The explorer: what is shown is what the API says, and all of it stands in the address."""

from __future__ import annotations

import csv
import io
import json
import re

import many_candidates
from playwright.sync_api import expect
from web_pages import assert_accessible, assert_fits_the_width, is_settled

N_PICKED = 6
ROWS = ".tabulator-row"


def asked(page, path="candidates", **params):
    answer = page.request.get(f"/api/v1/{path}", params=params)
    assert answer.ok, answer.text()
    return answer.json()


def total(page, **params):
    return asked(page, _limit=1, **params)["meta"]["total_doc"]


def expect_count(page, number):
    noun = "candidate" if number == 1 else "candidates"
    expect(page.locator("#count")).to_have_text(f"{number} {noun}")


def ids_shown(page):
    links = page.locator(f"{ROWS} a").evaluate_all("all => all.map((a) => a.search)")
    return [search.removeprefix("?id=") for search in links]


def test_first_view_counts_and_rows_are_the_apis(open_page, shot):
    page = open_page("/?_sort_fields=-sigma&_per_page=50")
    rows = asked(page, _sort_fields="-sigma", _limit=50)
    expect_count(page, rows["meta"]["total_doc"])
    shown = ids_shown(page)
    assert len(shown) > N_PICKED
    assert shown == [row["id"] for row in rows["data"]][: len(shown)]
    sigma = page.locator('.tabulator-col[tabulator-field="sigma"]')
    expect(sigma).to_have_attribute("aria-sort", "descending")
    assert_accessible(page)
    assert_fits_the_width(page)
    shot("explorer-light", full=False)


def test_filters_reach_address_chips_and_count_and_back_undoes_them(open_page):
    page = open_page("/")
    everything = total(page)
    page.locator("#filter-phase").get_by_role("checkbox", name="glass").check()
    expect(page).to_have_url(re.compile(r"\?phase=glass$"))
    expect_count(page, total(page, phase="glass"))
    page.get_by_role("button", name=re.compile("^Ta ")).click()
    page.get_by_label("none of").check()
    page.get_by_role("button", name=re.compile("^O ")).click()
    page.get_by_label("E_hull, most").fill("200")
    page.get_by_label("E_hull, most").press("Enter")
    expected = {"phase": "glass", "elements_all": "Ta", "elements_none": "O", "e_hull_max": "0.2"}
    expect_count(page, total(page, **expected))
    chips = page.locator("#chips .chip > span:first-child")
    expect(chips).to_have_text(["phase: glass", "with Ta", "without O", "E_hull ≤ 200 meV/atom"])
    for parameter in ("e_hull_max", "elements_none"):
        del expected[parameter]
        page.go_back()
        expect_count(page, total(page, **expected))
    page.get_by_role("button", name="Remove filter with Ta").click()
    expect_count(page, total(page, phase="glass"))
    page.get_by_role("button", name="Clear all", exact=True).click()
    expect_count(page, everything)


def test_counts_beside_choices_leave_their_own_group_open(open_page):
    page = open_page("/?phase=glass")
    facets = asked(page, "facets")["data"]["phase"]
    for value, count in facets.items():
        line = page.locator("#filter-phase li", has_text=value)
        expect(line.locator(".tally")).to_have_text(str(count))
    families = asked(page, "facets", phase="glass")["data"]["family"]
    largest = max(families, key=families.get)
    line = page.locator("#filter-family li", has_text=largest).first
    expect(line.locator(".tally")).to_have_text(str(families[largest]))


def test_a_value_may_hold_commas_and_quotes(open_page, hostile_candidates):
    page = open_page("/?sweep=synthetic-all")
    line = page.locator("#filter-sweep li", has_text=many_candidates.HOSTILE_SWEEP)
    line.get_by_role("checkbox").check()
    expect(page).to_have_url(re.compile("sweep=synthetic-all,%22one"))
    expect_count(page, total(page))
    name = f"sweeps: {many_candidates.HOSTILE_SWEEP}"
    chips = page.locator("#chips .chip > span:first-child")
    expect(chips).to_have_text(["sweeps: synthetic-all", name])
    page.get_by_role("button", name="Remove filter sweeps: synthetic-all").click()
    expect(chips).to_have_text([name])
    expect_count(page, len(hostile_candidates))
    page.reload()
    expect(line.get_by_role("checkbox")).to_be_checked()
    expect_count(page, len(hostile_candidates))
    line.get_by_role("checkbox").uncheck()
    expect(chips).to_have_count(0)


def test_text_is_part_of_a_name(open_page):
    page = open_page("/?phase=glass")
    page.get_by_label("Name or formula").press_sequentially("tacl")
    expect(page).to_have_url(re.compile("text=tacl"))
    expect_count(page, total(page, phase="glass", text="tacl"))


def test_pages_follow_each_other_without_gaps(open_page):
    page = open_page("/?_per_page=50")
    number = total(page)
    page.get_by_role("button", name="Next page").click()
    expect(page.locator("#page-range")).to_have_text(f"51–100 of {number}")
    second = asked(page, _page=2, _per_page=50)["data"]
    expect(page.locator(f"{ROWS} a").first).to_have_attribute(
        "href", f"/candidate?id={second[0]['id']}"
    )
    expect(page).to_have_url(re.compile("_page=2"))
    page.go_back()
    expect(page.locator("#page-range")).to_have_text(f"1–50 of {number}")


def test_a_heading_sorts_up_then_down_then_not(open_page):
    page = open_page("/")
    heading = page.get_by_role("button", name=re.compile("^E_a|^Ea"))
    column = page.locator('.tabulator-col[tabulator-field="e_a"]')
    for sort, state in (("e_a", "ascending"), ("-e_a", "descending")):
        heading.click()
        expect(column).to_have_attribute("aria-sort", state)
        first = asked(page, _sort_fields=sort, _limit=1)["data"][0]["id"]
        expect(page.locator(f"{ROWS} a").first).to_have_attribute("href", f"/candidate?id={first}")
    heading.click()
    expect(column).to_have_attribute("aria-sort", "none")
    assert "_sort_fields" not in page.url


def test_columns_are_chosen_and_shared_by_the_address(open_page):
    page = open_page("/")
    page.locator("#columns-menu summary").click()
    page.locator("#column-list").get_by_label("density g/cm³").check()
    page.get_by_label("Another column").fill("d_600K")
    page.get_by_role("button", name="Add", exact=True).last.click()
    expect(page.locator('.tabulator-col[tabulator-field="d_600K"]')).to_be_attached()
    expect(page).to_have_url(re.compile("_columns=.*density,d_600K"))
    page.get_by_label("Another column").fill("nonsense")
    page.get_by_label("Another column").press("Enter")
    expect(page.locator("#columns-menu [role=alert]")).to_contain_text("no field “nonsense”")
    page.keyboard.press("Escape")
    expect(page.locator("#column-list")).to_be_hidden()


def test_keyboard_alone_walks_selects_and_opens(open_page):
    page = open_page("/?_sort_fields=-sigma")
    rows = asked(page, _sort_fields="-sigma", _limit=3)["data"]
    page.locator(ROWS).first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator("#compare-link")).to_have_text("Compare 2")
    expect(page.locator("#compare-link")).to_have_attribute(
        "href", f"/compare?ids={rows[0]['id']},{rows[1]['id']}"
    )
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/candidate\?id={rows[2]['id']}$"))


def test_seven_cannot_be_compared(open_page):
    page = open_page("/")
    boxes = page.locator(f"{ROWS} input[type=checkbox]")
    for index in range(N_PICKED):
        boxes.nth(index).check()
    expect(boxes.nth(N_PICKED)).to_be_disabled()
    expect(page.locator("#compare-link")).to_have_text(f"Compare {N_PICKED}")


def test_export_holds_every_row_that_is_filtered(open_page):
    page = open_page("/?phase=glass&_per_page=50")
    number = total(page, phase="glass")
    page.locator("#export-menu summary").click()
    texts = {}
    for kind in ("csv", "json"):
        with page.expect_download() as saving:
            page.locator(f"#export-{kind}").click()
        texts[kind] = saving.value.path().read_bytes().decode()
        expect(page.locator("#export-menu")).to_contain_text(f"{number} rows saved")
    saved = json.loads(texts["json"])
    assert saved["meta"]["total_doc"] == number
    assert "phase=glass" in saved["meta"]["query"]
    lines = list(csv.DictReader(io.StringIO(texts["csv"], newline="")))
    assert "e_hull (eV/atom)" in lines[0]
    assert not any(value.startswith("=") for line in lines for value in line.values())
    ids = [row["id"] for row in saved["data"]]
    assert len(set(ids)) == len(ids) == number
    assert [line["id"] for line in lines] == ids


def test_figures_are_of_what_is_filtered_and_a_point_opens_its_candidate(open_page, shot):
    page = open_page("/?phase=glass&_view=pareto", scheme="dark")
    figure = page.locator("#figure-pareto")
    expect(figure).to_have_attribute("data-state", "drawn")
    shot("explorer-dark", full=False)
    drawn = asked(page, "figures/pareto", phase="glass")["data"]["data"]
    known = {one for trace in drawn for one in trace.get("customdata", [])}
    assert known
    figure.get_by_role("button", name=re.compile("^Table")).click()
    expect(figure.locator("table thead th").first).to_have_text("series")
    page.locator("#figure-pareto .scatterlayer .point").last.click(force=True)
    expect(page).to_have_url(re.compile(r"/candidate\?id="))
    assert page.url.split("id=")[1] in known


def test_tabs_of_figures_by_keyboard(open_page):
    page = open_page("/")
    page.get_by_role("tab", name="Map").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name=re.compile("Stability"))).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Hull")).to_have_attribute("aria-selected", "true")
    is_settled(page)
    expect(page.locator("#figure-hull")).to_have_attribute("data-state", "drawn")
    page.get_by_role("button", name="Figures", exact=True).click()
    expect(page.locator("#views")).to_be_hidden()


def test_nothing_found_is_said_and_mended(open_page):
    page = open_page("/?text=unobtainium")
    expect(page.locator("#grid-state")).to_contain_text("No candidate passes these filters")
    expect_count(page, 0)
    page.get_by_role("button", name="Clear all filters").click()
    expect(page.locator(ROWS).first).to_be_visible()


def test_a_filter_the_api_refuses_is_shown_with_the_remedy(open_page, watch):
    watch.allow("400")
    page = open_page("/?sigmo_min=3")
    problem = page.get_by_role("alert").first
    expect(problem).to_contain_text("sigmo_min")
    page.get_by_role("button", name="Remove filter").click()
    expect(page.locator(ROWS).first).to_be_visible()


def test_a_store_without_candidates_says_how_to_make_some(page, watch, empty_url):
    watch.url = empty_url
    page.goto(f"{empty_url}/")
    expect(page.locator("#grid-state")).to_contain_text("No candidates yet")
    expect(page.locator("#count")).to_have_text("0 candidates")


def test_hostile_names_stay_text(open_page):
    page = open_page("/?text=onerror")
    expect(page.locator(f"{ROWS} a").first).to_contain_text(many_candidates.HOSTILE[0][:20])
    expect(page.locator("#main img, #main script")).to_have_count(0)
    page.goto("/?text=NaClClClCl")
    is_settled(page)
    expect(page.locator(ROWS)).to_have_count(1)
    assert_fits_the_width(page)
    assert_accessible(page)


def test_phone_in_the_dark_fits_and_is_accessible(open_page, shot):
    page = open_page("/?phase=glass", phone=True, scheme="dark")
    assert_fits_the_width(page)
    page.locator("#filter-drawer > summary").click()
    expect(page.locator("#filter-elements")).to_be_visible()
    assert_fits_the_width(page)
    assert_accessible(page)
    shot("explorer-phone-dark")
