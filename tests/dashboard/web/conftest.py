"""A live server over a store of synthetic candidates, and pages that tell what goes wrong."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import many_candidates
import pytest
from browser import chromium_path
from playwright.sync_api import sync_playwright
from web_pages import (
    EXPECT_TIMEOUT_MS,
    LAPTOP,
    PHONE,
    Watch,
    is_settled,
    launch_args,
    served,
)

from haloflow.makers.progress import ProgressReporter
from haloflow.makers.step import step_directory
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store

N_CANDIDATES = 120
N_FULL = 4
FILL_TIMEOUT_S = 120.0
SHARES_DONE = (0.42, 0.9, None)


@contextmanager
def event_loop_of(playwright):
    """Mark playwright's event loop as the running one.

    It stays marked between playwright's calls, and would so forbid ``asyncio.run`` to every
    other test of the process.
    """
    asyncio._set_running_loop(playwright._loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(None)


@pytest.fixture(scope="session")
def playwright():
    running = sync_playwright().start()
    asyncio._set_running_loop(None)
    yield running
    with event_loop_of(running):
        running.stop()


@pytest.fixture(scope="session")
def browser(playwright):
    """Start the system's Chromium; the report's tests drive theirs through a pipe."""
    if chromium_path() is None:
        reason = "no chromium here; tests/system_parts.sh installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with event_loop_of(playwright):
        browser = playwright.chromium.launch(**launch_args())
    yield browser
    with event_loop_of(playwright):
        browser.close()


@pytest.fixture(autouse=True)
def own_event_loop(request):
    if "page" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("browser")
    with event_loop_of(request.getfixturevalue("playwright")):
        yield


@pytest.fixture(scope="session")
def filled_store(tmp_path_factory, worker_id):
    """Return the folder of a store that is made once, however many workers there are."""
    alone = worker_id == "master"
    root = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent
    folder, making = root / "filled-store", root / "filling-store"
    try:
        making.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + FILL_TIMEOUT_S
        while making.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        return folder
    if folder.exists():  # the other worker was done before this one asked
        making.rmdir()
        return folder
    try:
        with open_store(making) as store:
            n_hostile = len(many_candidates.HOSTILE)
            many_candidates.fill(store, N_CANDIDATES, n_full=N_FULL, n_hostile=n_hostile)
            keep_running(store)
    except BaseException:  # raised again: no other test finds half a store
        shutil.rmtree(making)
        raise
    return making.rename(folder)


def keep_running(store):
    """Claim steps for this process and report how far they are, as a worker does."""
    rows = store.summaries.query({"steps.state": "running"}, ["steps"], limit=len(SHARES_DONE))
    for row, share in zip(rows, SHARES_DONE, strict=True):
        identity = next(s["identity"] for s in row["steps"] if s["state"] == "running")
        assert Claims(store.claims).acquire(identity, Owner.here())
        if share is not None:
            reporter = ProgressReporter(step_directory(store.files_dir, identity), 1000)
            reporter.write("production", round(1000 * share))


@pytest.fixture(scope="session")
def live_url(filled_store):
    with served(filled_store) as url:
        yield url


@pytest.fixture(scope="session")
def full_ids():
    """Return the ids of the candidates with documents of all kinds."""
    return [row["candidate_id"] for row, _ in many_candidates.records(N_FULL)]


@pytest.fixture(scope="session")
def hostile_candidates():
    """Return the records of the candidates with hostile strings."""
    n = len(many_candidates.HOSTILE)
    rows = many_candidates.records(n, start=N_CANDIDATES - n, n_hostile=n)
    return [row for row, _ in rows]


@pytest.fixture(scope="session")
def empty_url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("empty")
    with open_store(folder / "store"):
        pass
    with served(folder / "store") as url:
        yield url


@pytest.fixture(scope="session")
def base_url(live_url):
    return live_url


@pytest.fixture(scope="session")
def browser_context_args(base_url):
    return {"base_url": base_url, "viewport": LAPTOP, "reduced_motion": "reduce"}


@pytest.fixture(scope="session")
def shared_context(browser, playwright, browser_context_args):
    """Return what all tests share: a browser that has seen the pages' scripts before."""
    with event_loop_of(playwright):
        context = browser.new_context(**browser_context_args)
        context.set_default_timeout(EXPECT_TIMEOUT_MS)
    yield context
    with event_loop_of(playwright):
        context.close()


@pytest.fixture
def own_context():
    """Ask for a browser of one's own, whose clock and storage may be changed."""


@pytest.fixture
def context(request, browser, browser_context_args, own_event_loop, shared_context):
    if "own_context" in request.fixturenames:
        context = browser.new_context(**browser_context_args)
        yield context
        context.close()
        return
    yield shared_context
    for page in shared_context.pages:
        page.close()
    shared_context.clear_permissions()


@pytest.fixture
def page(context):
    return context.new_page()


@pytest.fixture
def watch(page, live_url):
    return Watch(page, live_url)


@pytest.fixture(autouse=True)
def nothing_wrong(request, own_event_loop):
    """Fail a test at whose end the page has done something wrong."""
    if "page" not in request.fixturenames:
        yield
        return
    watch = request.getfixturevalue("watch")
    yield
    assert watch.problems() == []


@pytest.fixture
def open_page(page, watch):
    def open_it(path, *, scheme="light", phone=False):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size(PHONE if phone else LAPTOP)
        page.goto(path)
        is_settled(page)
        return page

    return open_it


@pytest.fixture
def shot(page):
    """Save what the page shows where $HALOFLOW_SHOTS names a folder."""

    def take(name, *, full=True):
        if folder := os.environ.get("HALOFLOW_SHOTS"):
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=full)

    return take
