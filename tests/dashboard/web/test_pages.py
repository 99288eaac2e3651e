"""What holds of every page: quiet, accessible, fit for a phone, unmoved by what a store says."""

from __future__ import annotations

import re

import pytest
from many_candidates import HOSTILE
from playwright.sync_api import expect
from web_pages import (
    PHONE,
    RULES_OF_COLOUR,
    RULES_OF_LAYOUT,
    assert_accessible,
    assert_fits_the_width,
    is_settled,
)

PAGES = {
    "explorer": "/",
    "candidate": "/candidate?id={0}",
    "compare": "/compare?ids={0},{1}",
    "experiment": "/experiment",
    "campaign": "/campaign",
    "docs": "/docs",
}
TITLES = {
    "Explorer": r"/(\?.*)?$",
    "Experiment": "/experiment$",
    "Campaign": "/campaign$",
    "API": "/docs$",
}
WIDEST_COLUMN = 320
SCROLLED_TO = """(top) => {
  scrollTo(0, top);
  return new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)));
}"""


@pytest.fixture(params=PAGES)
def path(request, full_ids):
    return PAGES[request.param].format(*full_ids)


def scroll_through(page):
    """Bring everything into view, so that what is drawn late is drawn, and return."""
    height = page.evaluate("() => document.documentElement.scrollHeight")
    for top in range(0, min(height, 12_000), 700):
        page.evaluate(SCROLLED_TO, top)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.evaluate("() => scrollTo(0, 0)")


def test_a_page_is_accessible_in_light_and_dark_and_on_a_phone(open_page, shot, path, request):
    name = request.node.callspec.params["path"]
    page = open_page(path)
    scroll_through(page)
    assert_accessible(page)
    assert_fits_the_width(page)
    shot(f"{name}-light")
    page.emulate_media(color_scheme="dark")
    assert_accessible(page, RULES_OF_COLOUR)
    shot(f"{name}-dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    scroll_through(page)
    assert_fits_the_width(page)
    assert_accessible(page, RULES_OF_LAYOUT)
    shot(f"{name}-phone")


def test_one_walks_through_the_pages_and_back(open_page):
    page = open_page("/")
    for name, address in TITLES.items():
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        expect(page).to_have_url(re.compile(address))
        is_settled(page)
        expect(page.locator("h1")).to_be_visible()
    for address in list(TITLES.values())[-2:-4:-1]:
        page.go_back()
        expect(page).to_have_url(re.compile(address))
        is_settled(page)


def test_the_first_tab_skips_to_the_content(open_page):
    page = open_page("/campaign")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


@pytest.mark.usefixtures("own_context")
def test_the_chosen_theme_is_kept(open_page):
    page = open_page("/campaign")
    switch = page.locator("#theme-switch")
    expect(switch).to_have_attribute("aria-label", "Theme: as the system")
    switch.click()
    switch.click()
    expect(switch).to_have_attribute("aria-label", "Theme: dark")
    background = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.goto("/docs")
    is_settled(page)
    assert page.evaluate(background) == dark
    assert max(int(part) for part in re.findall(r"\d+", dark)) < 60


@pytest.mark.parametrize("number", range(3), ids=["markup", "long-formula", "right-to-left"])
def test_hostile_text_stays_text(open_page, hostile_candidates, number):
    candidate = hostile_candidates[number]
    assert candidate["label"] == HOSTILE[number]
    page = open_page(f"/candidate?id={candidate['candidate_id']}")
    assert page.locator("h1").text_content().strip()
    assert page.locator("img[src=x]").count() == 0
    assert_fits_the_width(page)
    page.set_viewport_size(PHONE)
    assert_fits_the_width(page)


def test_hostile_text_stays_text_in_lists(open_page, hostile_candidates):
    ids = ",".join(one["candidate_id"] for one in hostile_candidates[:6])
    for path in (f"/compare?ids={ids}", "/?text=alert", "/experiment?kind=all"):
        page = open_page(path)
        scroll_through(page)
        expect(page.locator("main")).to_contain_text(HOSTILE[0])
        assert page.locator("img[src=x]").count() == 0
        assert_fits_the_width(page)
        widths = page.locator("th[data-id]").evaluate_all(
            "all => all.map((one) => one.offsetWidth)"
        )
        assert all(width < WIDEST_COLUMN for width in widths)


@pytest.mark.parametrize(
    "path", ["/candidate?id=nosuch", "/candidate", "/compare?ids=nosuch,neither"]
)
def test_an_unknown_candidate_is_said_to_be_unknown(open_page, watch, path):
    watch.allow(r"status of 4\d\d")
    page = open_page(path)
    expect(page.get_by_role("alert").or_(page.locator(".state")).first).to_be_visible()
    assert_accessible(page)


@pytest.mark.parametrize("path", ["/", "/compare", "/experiment", "/campaign"])
def test_an_empty_store_is_shown_as_empty(open_page, watch, empty_url, path):
    watch.url = empty_url
    page = open_page(f"{empty_url}{path}")
    scroll_through(page)
    expect(page.locator("main")).to_contain_text(
        re.compile(r"no candidate|nothing|without a computed|no computed", re.IGNORECASE)
    )
    assert_accessible(page)
    assert_fits_the_width(page)
