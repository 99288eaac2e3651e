"""Claims raced for by real processes, on both stores."""

from __future__ import annotations

import dataclasses
import datetime as dt
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from haloflow.errors import ClaimError
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store

STEP = "5" * 64
N_RACERS = 6
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded.*fork:DeprecationWarning",
    "ignore:MongoClient opened before fork:UserWarning",
)


@pytest.fixture(params=["embedded", "mongodb"])
def uri(request, tmp_path):
    if request.param == "embedded":
        return str(tmp_path / "store")
    return f"{request.getfixturevalue('mongod_uri')}/claims{time.time_ns()}"


@pytest.fixture
def store(uri, tmp_path):
    with open_store(uri, files_dir=tmp_path / "files") as opened:
        yield opened


@pytest.fixture
def claims(store):
    return Claims(store.claims)


def elsewhere(**changes):
    """Return an owner on another host."""
    return dataclasses.replace(Owner.here(), host="far#", **changes)


def age(store, seconds, field="heartbeat_at"):
    """Let the claim look as if its last heartbeat, or the first look, were `seconds` ago."""
    record = next(store.claims.query({"_id": STEP}))
    record[field] -= dt.timedelta(seconds=seconds)
    store.claims.update(record, key="_id")


def race(uri, files, barrier, results, rounds):
    with open_store(uri, files_dir=files) as opened:
        claims, owner = Claims(opened.claims), Owner.here()
        for number in range(rounds):
            barrier.wait(60)
            if claims.acquire(f"step-{number}", owner):
                results.put(number)
        barrier.wait(60)  # nobody dies, which would leave a claim to be taken over


def run_race(uri, files, rounds):
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(N_RACERS), context.Queue()
    racers = [
        context.Process(target=race, args=(uri, files, barrier, results, rounds))
        for _ in range(N_RACERS)
    ]
    for racer in racers:
        racer.start()
    wins = [results.get(timeout=60) for _ in range(rounds)]
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    assert results.empty()
    return sorted(wins)


def test_of_many_processes_exactly_one_gets_each_claim(uri, tmp_path):
    assert run_race(uri, tmp_path / "files", 15) == list(range(15))


HOLD = """
import sys, time
from haloflow.stores.connection import open_store
from haloflow.stores.claims import Claims, Owner
uri, files, step = sys.argv[1:]
with open_store(uri, files_dir=files) as store:
    assert Claims(store.claims).acquire(step, Owner.here())
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_claims_of_a_killed_process_are_taken_over_by_exactly_one(uri, store, tmp_path):
    files = tmp_path / "files"
    command = [sys.executable, "-c", HOLD, uri, str(files), "step-0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        claims = Claims(store.claims)
        assert not claims.acquire("step-0", Owner.here())
        found = claims.holder("step-0")
        assert found.owner.pid == holder.pid
        assert str(found).startswith(f"process {holder.pid} on ")
        assert list(claims.live()) == ["step-0"]
        holder.send_signal(signal.SIGKILL)
    assert claims.live() == {}
    assert run_race(uri, files, 1) == [0]


def test_a_claim_is_kept_renewed_and_released(claims):
    owner, other = Owner.here(), Owner.here()
    assert claims.acquire(STEP, owner)
    assert claims.acquire(STEP, owner)
    assert not claims.acquire(STEP, other)
    first = claims.holder(STEP)
    time.sleep(0.01)
    claims.heartbeat(STEP, owner)
    assert claims.holder(STEP).heartbeat_at > first.heartbeat_at
    assert claims.holder(STEP).claimed_at == first.claimed_at
    claims.release(STEP, other)
    assert claims.holder(STEP).owner == owner
    claims.release(STEP, owner)
    assert claims.holder(STEP) is None
    assert claims.acquire(STEP, other)


def test_a_silent_owner_elsewhere_loses_the_claim_after_the_timeout(store, claims):
    away, here = elsewhere(), Owner.here()
    assert claims.acquire(STEP, away)
    age(store, 500)
    assert not claims.acquire(STEP, here)
    age(store, 200)
    assert not claims.acquire(STEP, here), "the store may have been away"
    age(store, 115, "doubted_at")
    assert not claims.acquire(STEP, here), "it has not had the time to beat twice"
    age(store, 10, "doubted_at")
    assert claims.acquire(STEP, here)
    assert claims.holder(STEP).doubted_at is None
    with pytest.raises(ClaimError) as caught:
        claims.heartbeat(STEP, away)
    text = str(caught.value)
    assert text.startswith(f"the claim on step {STEP[:12]} is lost. Given: claimed by process ")
    assert f"now held by process {os.getpid()} on" in text
    assert text.endswith("What to do: stop this process; the other one does the step.")
    claims.release(STEP, away)
    assert claims.holder(STEP).owner == here


def test_a_stale_claim_that_beats_again_is_not_taken_over(store, claims):
    away = elsewhere()
    assert claims.acquire(STEP, away)
    age(store, 700)
    assert list(claims.live()) == [STEP]
    age(store, 130, "doubted_at")
    seen = claims.holder(STEP)
    assert seen.is_stale(claims.stale_after_s)
    claims.heartbeat(STEP, away)
    claims.holder = lambda _: seen  # the takeover decides on what it saw before the heartbeat
    assert not claims.acquire(STEP, Owner.here())


@pytest.mark.parametrize("look", ["acquire", "live", "abandoned", "wait"])
def test_after_an_outage_whoever_looks_first_takes_nothing(store, claims, look):
    away, here = elsewhere(), Owner.here()
    assert claims.acquire(STEP, away)
    looks = {
        "acquire": lambda: claims.acquire(STEP, here),
        "live": lambda: not claims.live([STEP]),
        "abandoned": lambda: bool(claims.abandoned([STEP])),
        "wait": lambda: waited(claims),
    }
    for _ in range(2):
        age(store, 3000)
        assert not looks[look]()
        assert not looks[look]()
        claims.heartbeat(STEP, away)
    age(store, 3000)
    assert not looks[look]()
    age(store, 130, "doubted_at")
    assert looks[look]()


def waited(claims):
    try:
        claims.wait(STEP, timeout_s=0)
    except ClaimError:  # that is the answer
        return False
    return True


def test_an_owner_that_is_silent_for_six_hours_is_gone_at_one_look(store, claims):
    assert claims.acquire(STEP, elsewhere())
    age(store, 5 * 3600)
    assert not claims.abandoned([STEP])
    age(store, 2 * 3600)
    assert list(claims.abandoned([STEP])) == [STEP]


def test_who_may_only_read_sees_silent_owners_as_alive(uri, store, claims, tmp_path):
    assert claims.acquire(STEP, elsewhere())
    age(store, 700)
    with open_store(uri, files_dir=tmp_path / "files", read_only=True) as reading:
        assert list(Claims(reading.claims).live()) == [STEP]
    assert claims.holder(STEP).doubted_at is None


def test_a_process_with_a_reused_pid_is_another_one():
    here = Owner.here()
    assert not here.is_gone()
    assert dataclasses.replace(here, started_s=here.started_s - 60).is_gone()
    assert not dataclasses.replace(here, started_s=here.started_s - 60, host="far#").is_gone()
    assert dataclasses.replace(here, pid=2**22 + 1).is_gone()


def test_a_zombie_counts_as_dead():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        process = psutil.Process(child.pid)
        owner = dataclasses.replace(Owner.here(), pid=child.pid, started_s=process.create_time())
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert owner.is_gone()


def test_holding_beats_from_a_thread_and_releases(store):
    claims, owner = Claims(store.claims, stale_after_s=0.5), elsewhere()
    with claims.held(STEP, owner) as mine:
        assert mine
        with claims.held(STEP, Owner.here()) as other:
            assert not other
        time.sleep(0.8)
        assert not claims.acquire(STEP, Owner.here())
    assert claims.holder(STEP) is None


def test_holding_ends_quietly_when_the_claim_was_taken(store):
    claims, owner, other = Claims(store.claims, stale_after_s=0.2), elsewhere(), Owner.here()
    with claims.held(STEP, owner):
        claims._collection.delete_many({})
        assert claims.acquire(STEP, other)
        time.sleep(0.1)
    assert claims.holder(STEP).owner == other


def test_waiting_ends_when_the_claim_is_free(claims):
    owner = Owner.here()
    claims.acquire(STEP, owner)
    timer = threading.Timer(0.2, claims.release, (STEP, owner))
    timer.start()
    claims.wait(STEP, timeout_s=20, poll_s=0.02)
    timer.join()
    assert claims.holder(STEP) is None
    claims.wait(STEP, timeout_s=0)


def test_waiting_for_too_long_names_the_holder(claims):
    claims.acquire(STEP, Owner.here())
    with pytest.raises(ClaimError) as caught:
        claims.wait(STEP, timeout_s=0.05, poll_s=0.02)
    text = f"step {STEP[:12]} is still held after 0.05 s. Given: process {os.getpid()} on "
    assert str(caught.value).startswith(text)
    assert str(caught.value).endswith("What to do: wait for that process, or stop it.")
