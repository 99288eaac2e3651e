"""Pages of a live server in a real Chromium: what they do wrong is noticed.

The pages' Content-Security-Policy stays in force: axe-core runs in a world of its own, and
waiting is done with ``expect(locator)``, since ``wait_for_function`` needs ``eval``.
"""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from browser import chromium_path
from playwright.sync_api import expect

from haloflow.dashboard.app import create_app
from haloflow.stores.connection import open_store

EXPECT_TIMEOUT_MS = 30_000
expect.set_options(timeout=EXPECT_TIMEOUT_MS)

ASSETS = Path(__file__).parent / "assets"
CHROMIUM_ARGS = (
    *("--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader"),
    *("--enable-unsafe-swiftshader", "--disable-background-networking", "--disable-quic"),
)
LAPTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
START_TIMEOUT_S = 120.0
EVERY_RULE = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
RULES_OF_COLOUR = ("color-contrast", "link-in-text-block")
RULES_OF_LAYOUT = ("target-size", "heading-order", "scrollable-region-focusable")
AXE_RUN = """axe.run(document, {
  runOnly: %s, resultTypes: ["violations"],
}).then(({violations}) => violations.map(({id, help, nodes}) => ({
  id, help, nodes: nodes.slice(0, 5).map((node) => node.html.slice(0, 300) + " :: "
    + (node.any[0] || node.all[0] || node.none[0] || {}).message),
})))"""


def launch_args():
    """Return how playwright starts the system's Chromium."""
    return {"executable_path": chromium_path(), "args": list(CHROMIUM_ARGS)}


@contextmanager
def served(folder):
    """Serve the store in `folder` from a thread, as it stands, and yield the address.

    ``haloflow serve`` would make summaries anew from the documents of steps, of which most
    synthetic candidates have none; its own tests start it as a process.
    """
    with open_store(folder, must_exist=True, read_only=True) as store:
        config = uvicorn.Config(
            create_app(store), port=0, log_level="warning", lifespan="off", ws="none"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server has not started in time"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        thread.join(START_TIMEOUT_S)


def wait_until_it_answers(server, url, log, timeout_s=START_TIMEOUT_S):
    """Wait for the server process `server`; it answers, or what it logged is raised."""
    deadline = time.monotonic() + timeout_s
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/api/v1/fields", timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{Path(log).read_text() if log else ''}")


class Watch:
    """What a page did wrong: errors and warnings of the console, requests to elsewhere."""

    def __init__(self, page, url):
        self.url = url
        self.allowed = []
        self._found = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._found.append(f"uncaught: {error}"))
        page.on("request", self._on_request)
        page.on("requestfailed", self._on_failure)
        page.on("dialog", self._on_dialog)

    def _on_console(self, message):
        if message.type in {"error", "warning"}:
            where = message.location.get("url", "")
            self._found.append(f"{message.type}: {message.text} ({where})")

    def _on_request(self, request):
        if not request.url.startswith((f"{self.url}/", "data:", "blob:")):
            self._found.append(f"asked elsewhere: {request.url}")

    def _on_failure(self, request):
        if "ERR_ABORTED" not in (request.failure or ""):
            self._found.append(f"failed: {request.url} {request.failure}")

    def _on_dialog(self, dialog):
        self._found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def allow(self, pattern):
        """Accept problems that match, e.g. the 404 that a test asks for."""
        self.allowed.append(re.compile(pattern))

    def problems(self):
        """Return what was found and is not allowed."""
        return [text for text in self._found if not any(p.search(text) for p in self.allowed)]


def axe_violations(page, rules=EVERY_RULE):
    """Return what axe-core finds in the page as it stands, run in a world of its own."""
    kind = "tag" if rules is EVERY_RULE else "rule"
    run = AXE_RUN % json.dumps({"type": kind, "values": rules})
    session = page.context.new_cdp_session(page)
    try:
        frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})
        context = {"contextId": world["executionContextId"]}
        source = (ASSETS / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
        session.send("Runtime.evaluate", {"expression": f"{source};0", **context})
        answer = session.send(
            "Runtime.evaluate",
            {"expression": run, "awaitPromise": True, "returnByValue": True, **context},
        )
    finally:
        session.detach()
    if "exceptionDetails" in answer:
        raise RuntimeError(f"axe-core: {answer['exceptionDetails']}")
    return answer["result"]["value"]


def assert_accessible(page, rules=EVERY_RULE):
    """Fail with what axe-core finds wrong in the page."""
    found = axe_violations(page, rules)
    text = "\n".join(f"{v['id']}: {v['help']}\n  " + "\n  ".join(v["nodes"]) for v in found)
    assert not found, f"{page.url}\n{text}"


def assert_fits_the_width(page):
    """Fail where the page scrolls sideways, also after figures had time to follow its width."""
    deadline = time.monotonic() + EXPECT_TIMEOUT_MS / 1000
    while True:
        wide, room = page.evaluate(
            "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        if wide <= room:
            return
        if time.monotonic() > deadline:
            break
        page.wait_for_timeout(100)
    culprits = page.evaluate(
        "(room) => [...document.querySelectorAll('body *')].filter((e) =>"
        " e.getBoundingClientRect().right > room + 1).slice(0, 8).map((e) =>"
        " e.tagName + '.' + e.className + '#' + e.id)",
        room,
    )
    raise AssertionError(f"{page.url}: {wide} px in {room} px: {culprits}")


def is_settled(page):
    """Wait until the page says that all it asked for has been shown."""
    expect(page.locator("body")).to_have_attribute("data-ready", "true")
