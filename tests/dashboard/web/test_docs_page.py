"""The page that documents the API, drawn by a copy of Swagger UI."""

from __future__ import annotations

import re

from playwright.sync_api import expect
from web_pages import assert_accessible


def test_the_documentation_lists_every_address(open_page):
    page = open_page("/docs")
    paths = page.request.get("/api/v1/openapi.json").json()["paths"]
    expect(page.locator(".opblock-summary-path")).to_have_count(len(paths))
    expect(page.get_by_role("link", name="openapi.json")).to_be_visible()


def test_an_address_is_tried_from_the_page(open_page):
    page = open_page("/docs")
    block = page.locator(".opblock", has=page.get_by_text(re.compile("^/api/v1/fields$")))
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    assert_accessible(page)
    block.get_by_role("button", name="Execute").click()
    expect(block.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
