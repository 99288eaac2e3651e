"""The page of the campaign: the numbers of the API, refreshed while it is seen."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from web_pages import assert_accessible

SET_HIDDEN = """(hidden) => {
  Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def campaign_of(page, **params):
    answer = page.request.get("/api/v1/campaign", params=params)
    return answer.json()["data"]


def test_stages_show_the_counts_of_the_api(open_page, shot):
    page = open_page("/campaign")
    asked = campaign_of(page)
    rows = page.locator("#stages tbody tr")
    expect(rows).to_have_count(len(asked["stages"]))
    columns = page.locator("#stages thead th").all_inner_texts()
    for state in ("done", "running", "waiting", "failed", "skipped"):
        cells = rows.locator(f"td:nth-child({columns.index(state) + 1})").all_inner_texts()
        shown = [int(re.sub(r"\D", "", cell)) for cell in cells]
        assert shown == [stage[state] for stage in asked["stages"]]
    ended = asked["states"]["done"] + asked["states"]["skipped"]
    tile = page.locator(".tile", has_text="Steps ended")
    expect(tile).to_contain_text(f"{ended:,} of ".replace(",", "\u202f"))
    shot("campaign-light")


def test_running_steps_show_how_far_they_are(open_page):
    page = open_page("/campaign")
    running = campaign_of(page)["running"]
    cards = page.locator(".run")
    expect(cards).to_have_count(len(running))
    assert sorted(one["share"] or 0.0 for one in running) == [0.0, 0.42, 0.9]
    for one in running:
        card = cards.filter(has_text=f"{one['step']}: {one['stage']}").filter(has_text=one["label"])
        shown = (
            "no report yet" if one["share"] is None else f"{one['share']:.0%}".replace("%", " %")
        )
        expect(card.first).to_contain_text(shown)
        expect(card.first.get_by_role("progressbar")).to_be_visible()


def test_failures_unfold_to_examples_with_links(open_page):
    page = open_page("/campaign")
    groups = campaign_of(page)["failures"]
    cards = page.locator(".failure")
    expect(cards).to_have_count(len(groups))
    expect(cards.first.locator("pre").first).to_be_hidden()
    cards.first.locator("summary").click()
    expect(cards.first.locator("pre")).to_have_count(len(groups[0]["examples"]))
    expect(cards.first.locator("pre").first).to_contain_text(groups[0]["cause"])
    link = cards.first.locator("a").first
    expect(link).to_have_attribute(
        "href", f"/candidate?id={groups[0]['examples'][0]['candidate_id']}"
    )
    assert_accessible(page)


def test_the_sweep_is_chosen_in_the_address_and_back_returns(open_page):
    page = open_page("/campaign")
    everything = page.locator(".tile", has_text="Candidates complete").locator(".tile-value")
    whole = everything.inner_text()
    page.get_by_label("Sweep").select_option("synthetic-glasses")
    expect(page).to_have_url(re.compile(r"\?sweep=synthetic-glasses$"))
    part = campaign_of(page, sweep="synthetic-glasses")
    expect(everything).to_have_text(f"{part['n_complete']} of {part['n_candidates']}")
    page.go_back()
    expect(everything).to_have_text(whole)
    expect(page.get_by_label("Sweep")).to_have_value("")
    page.goto("/campaign?sweep=synthetic-glasses")
    expect(page.get_by_label("Sweep")).to_have_value("synthetic-glasses")


@pytest.mark.usefixtures("own_context")
def test_it_refreshes_itself_and_stops_while_hidden_or_paused(page, watch, live_url):
    page.clock.install()
    asked = []
    page.on("request", lambda r: asked.append(r.url) if "/api/v1/campaign" in r.url else None)
    page.goto("/campaign")
    refreshed = page.locator("#refreshed")
    expect(refreshed).to_have_text(re.compile(r"^refreshed at \d\d:\d\d:\d\d, every 10 s$"))
    assert len(asked) == 1
    first = refreshed.inner_text()
    page.clock.run_for(10_500)
    expect(refreshed).not_to_have_text(first)
    assert len(asked) == 2

    page.evaluate(SET_HIDDEN, True)
    expect(refreshed).to_contain_text("paused")
    page.clock.run_for(60_000)
    assert len(asked) == 2
    page.evaluate(SET_HIDDEN, False)
    expect(refreshed).to_contain_text("every 10 s")
    assert len(asked) == 3

    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(60_000)
    assert len(asked) == 3
    page.get_by_role("button", name="Resume").click()
    expect(refreshed).to_contain_text("every 10 s")
    assert len(asked) == 4


@pytest.mark.usefixtures("own_context")
def test_what_was_unfolded_stays_so_when_the_numbers_change(page, watch):
    page.clock.install()
    page.goto("/campaign")
    page.locator(".failure summary").first.click()

    def changed(route):
        body = route.fetch().json()
        body["data"]["failures"].insert(0, {**body["data"]["failures"][0], "cause": "another"})
        route.fulfill(json=body)

    page.route("**/api/v1/campaign*", changed)
    page.clock.run_for(10_500)
    expect(page.locator(".failure .cause").first).to_have_text("another")
    expect(page.locator(".failure").nth(0)).not_to_have_attribute("open", "")
    expect(page.locator(".failure").nth(1)).to_have_attribute("open", "")


@pytest.mark.usefixtures("own_context")
def test_a_lost_server_is_told_and_the_last_numbers_stay(page, watch):
    page.clock.install()
    page.goto("/campaign")
    expect(page.locator(".tile")).to_have_count(5)
    watch.allow(r"ERR_CONNECTION_REFUSED|ERR_FAILED")
    page.route("**/api/v1/campaign*", lambda route: route.abort("connectionrefused"))
    page.clock.run_for(10_500)
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(page.locator(".tile")).to_have_count(5)
    page.unroute("**/api/v1/campaign*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_an_unknown_sweep_is_refused_in_words(page, watch):
    watch.allow(r"status of 4\d\d")
    page.goto("/campaign?sweep=nosuch")
    expect(page.get_by_role("alert")).to_contain_text("sweep")
    expect(page.get_by_role("alert")).to_contain_text("nosuch")


def test_an_empty_store_says_how_to_start(open_page, watch, empty_url):
    watch.url = empty_url
    page = open_page(f"{empty_url}/campaign")
    expect(page.locator("main")).to_contain_text("haloflow run")
