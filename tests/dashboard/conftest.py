"""The sample report, and a browser that opens it."""

from __future__ import annotations

import os

import pytest
import sample_candidates
from browser import Page, chromium_path

from haloflow.dashboard.report import Report, render_report


@pytest.fixture(scope="session")
def views():
    return sample_candidates.views()


@pytest.fixture(scope="session")
def report_html(views):
    return render_report(Report("Sweep quick", views, sample_candidates.SCREEN))


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if chromium_path() is None:
        reason = "no chromium here; tests/system_parts.sh installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    page = Page(tmp_path_factory.mktemp("chromium"))
    yield page
    page.close()


@pytest.fixture
def page(browser):
    browser.events.clear()
    browser.resize(1300, 1000)
    browser.media()
    return browser
