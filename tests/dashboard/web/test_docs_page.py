"""The page that documents the API, drawn by a copy of Swagger UI."""

from __future__ import annotations

from playwright.sync_api import expect


def test_the_documentation_lists_every_address_and_tries_one(open_page, shot):
    page = open_page("/docs")
    shown = page.locator(".opblock-summary-path")
    paths = page.request.get("/api/v1/openapi.json").json()["paths"]
    expect(shown).to_have_count(len(paths))
    shot("docs-light")
