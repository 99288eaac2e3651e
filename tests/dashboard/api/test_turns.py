"""What costs much is made by few at a time; who waits in vain is told when to come back."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx
import pytest
from web_client import BASE, WebClient

from haloflow.dashboard.api import stats
from haloflow.dashboard.app import create_app
from haloflow.dashboard.turns import Turns


@pytest.fixture
def app(embedded_store):
    return create_app(embedded_store)


async def _ask(app, paths):
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        return await asyncio.gather(*(client.get(f"/api/v1{path}") for path in paths))


class Slow:
    """Makes statistics slowly and notes how many do so at once."""

    def __init__(self, seconds):
        self.seconds, self.now, self.most, self.made = seconds, 0, 0, []
        self.guard = threading.Lock()

    def __call__(self, _store, criteria):
        with self.guard:
            self.now += 1
            self.most = max(self.most, self.now)
            self.made.append(criteria["energy_above_hull_ev_per_atom.value"]["$lte"])
        time.sleep(self.seconds)
        with self.guard:
            self.now -= 1
        return {}


def test_few_are_made_at_a_time_while_light_ones_pass(app, monkeypatch):
    slow = Slow(0.15)
    monkeypatch.setattr(stats, "statistics", slow)
    ends = {}

    async def timed(path):
        (answer,) = await _ask(app, [path])
        ends[path] = time.perf_counter()
        return answer.status_code

    async def ask_all():
        heavy = [f"/stats?e_hull_max={n}" for n in range(8)]
        return await asyncio.gather(*(timed(path) for path in [*heavy, "/fields"]))

    assert asyncio.run(ask_all()) == [200] * 9
    assert slow.most == 2
    assert sorted(slow.made) == list(range(8))
    assert ends["/fields"] < max(ends.values())


def test_turns_come_in_the_order_in_which_they_were_asked_for():
    turns, order = Turns(at_a_time=1), []

    class Waiting:
        async def is_disconnected(self):
            return False

    async def work(number):
        await turns.take(Waiting())
        order.append(number)
        await asyncio.sleep(0.05 if number == 0 else 0)
        turns.give()

    async def work_all():
        await asyncio.gather(*map(work, range(6)))

    asyncio.run(work_all())
    assert order == list(range(6))


def test_who_waits_too_long_is_told_to_ask_again(app, monkeypatch):
    app.state.turns = Turns(at_a_time=1, longest_wait_s=0.1)
    slow = Slow(0.4)
    monkeypatch.setattr(stats, "statistics", slow)
    answers = asyncio.run(_ask(app, [f"/stats?e_hull_max={n}" for n in range(3)]))
    first, *late = sorted(answers, key=lambda answer: answer.status_code)
    assert first.status_code == 200
    for answer in late:
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["error"]["problem"].startswith("the server is busy")
    assert len(slow.made) == 1
    assert WebClient(app).get("/api/v1/stats?e_hull_max=9").status_code == 200


def test_nothing_is_made_for_who_has_gone(app, monkeypatch):
    turns = app.state.turns = Turns(at_a_time=1)
    slow = Slow(0.0)
    monkeypatch.setattr(stats, "statistics", slow)

    async def gone(_request):
        return True

    async def ask():
        assert turns._free.acquire(blocking=False)
        monkeypatch.setattr("starlette.requests.Request.is_disconnected", gone)
        (answer,) = await _ask(app, ["/stats?e_hull_max=1"])
        turns.give()
        return answer.status_code

    assert asyncio.run(ask()) == 499
    assert slow.made == []


def test_a_turn_is_given_back_after_an_error(app):
    app.state.turns = Turns(at_a_time=1, longest_wait_s=0.0)
    client = WebClient(app)
    for _ in range(3):
        assert client.get("/api/v1/stats?nonsense=1").status_code == 400
        assert client.get("/api/v1/campaign?sweep=none").status_code == 400
    assert client.get("/api/v1/stats").status_code == 200
