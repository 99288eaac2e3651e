"""Ctrl-C in a terminal, which reaches the manager and all of its workers."""

from __future__ import annotations

import os
import signal
import time

import psutil
from pair_potential import DELAY_S

from haloflow.stores.claims import Claims
from haloflow.stores.connection import open_store

LIMIT_S = 120.0


def test_ctrl_c_writes_checkpoints_and_loses_no_evaluation(place, undisturbed):
    with place.start(**{DELAY_S: "0.001"}) as process:
        deadline = time.monotonic() + LIMIT_S
        while place.n_evaluations < 0.5 * undisturbed.n_evaluations:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        workers = psutil.Process(process.pid).children()
        assert {os.getpgid(worker.pid) for worker in workers} == {process.pid}
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, err
    assert "Stopped. Run the same command again" in out
    assert "Traceback" not in err
    with open_store(place.store) as store:
        assert Claims(store.claims).live() == {}
    report = place.run()
    assert report.failures == []
    assert not report.interrupted
    assert place.outputs().keys() == undisturbed.outputs().keys()
    assert place.n_evaluations == undisturbed.n_evaluations
