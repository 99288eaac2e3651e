"""Sweeps that are killed, stopped, and run twice at once: nothing is lost, nothing done twice."""

from __future__ import annotations

import os
import random
import re
import signal
import time

import pytest
from pair_potential import DELAY_S

from haloflow.stores.claims import Claims
from haloflow.stores.connection import open_store

LIMIT_S = 120.0
LONGEST_LOSS = 2 * (500 + 10 + 20)
"""Two workers, each with a checkpoint interval, its rounding, and first evaluations of parts."""


def wait_for_evaluations(place, count, process):
    deadline = time.monotonic() + LIMIT_S
    while place.n_evaluations < count and process.poll() is None:
        assert time.monotonic() < deadline, "too slow"
        time.sleep(0.002)


def physics(place):
    """Return all documents without the record of how they came about."""
    outputs = place.outputs()
    for output in outputs.values():
        del output["provenance"]
    return outputs


def n_resumes(place):
    return sum(output["provenance"]["n_resumes"] for output in place.outputs().values())


def assert_equals(place, undisturbed):
    ours, theirs = physics(place), physics(undisturbed)
    assert ours.keys() == theirs.keys()
    for identity, output in ours.items():
        assert output == theirs[identity]
    with open_store(place.store) as store:
        assert store.outputs.count() == len(ours)
        assert Claims(store.claims).live() == {}


def test_killed_at_random_moments_it_ends_as_if_nothing_had_happened(place, undisturbed):
    """Kill the whole session, the manager alone, and again; then let it run through."""
    total, finished = undisturbed.n_evaluations, {}
    draw = random.Random(os.getpid())
    shares = sorted(draw.uniform(0.02, 0.95) for _ in range(3))
    for number, share in enumerate(shares):
        with place.start(**{DELAY_S: "0.001"}) as process:
            wait_for_evaluations(place, share * total, process)
            if number % 2:
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
            process.stderr.close()
        finished |= place.completed_at()
    report = place.run()
    assert (report.n_failed, report.interrupted) == (0, False), shares
    assert report.n_reused >= len(finished)
    assert finished.items() <= place.completed_at().items()
    assert_equals(place, undisturbed)
    assert place.n_evaluations <= total + len(shares) * LONGEST_LOSS, shares


def test_stopped_by_a_signal_it_loses_not_one_step(place, undisturbed):
    with place.start(**{DELAY_S: "0.001"}) as process:
        wait_for_evaluations(place, 0.5 * undisturbed.n_evaluations, process)
        process.terminate()
        out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, err
    assert "Stopped. Run the same command again" in out
    assert "Traceback" not in err
    with open_store(place.store) as store:
        assert Claims(store.claims).live() == {}
    report = place.run()
    assert (report.n_failed, report.interrupted) == (0, False)
    assert_equals(place, undisturbed)
    assert place.n_evaluations == undisturbed.n_evaluations


def test_two_at_once_do_every_step_once(place, undisturbed):
    processes = [place.start(workers=1) for _ in range(2)]
    done = 0
    for process in processes:
        with process:
            out, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, err
        done += int(re.search(r"(\d+) steps done", out).group(1))
    assert done >= len(undisturbed.outputs())
    assert place.n_evaluations == undisturbed.n_evaluations
    assert n_resumes(place) == n_resumes(undisturbed) == 0
    assert_equals(place, undisturbed)


@pytest.fixture(autouse=True)
def _no_process_stays(place):
    """Let workers whose manager was killed end before the store is removed."""
    yield
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with open_store(place.store) as store:
            if not Claims(store.claims).live():
                return
        time.sleep(0.1)
