"""Numbers of one answer agree with each other, whoever writes meanwhile."""

from __future__ import annotations

import threading
import time

import many_candidates
import pytest

from haloflow.stores.connection import open_store
from haloflow.workflows.statistics import statistics

N = 60
SIGMA = "sigma_300k_ms_cm"


@pytest.fixture(params=["embedded", "mongodb"])
def place(request, tmp_path):
    if request.param == "embedded":
        return str(tmp_path / "s"), None
    return f"{request.getfixturevalue('mongod_uri')}/tally{time.time_ns()}", tmp_path


def test_statistics_agree_with_themselves_while_statuses_change(place):
    where, files = place
    with open_store(where, files_dir=files) as writer:
        many_candidates.fill(writer, N)
        rows = [row for row in writer.summaries.query() if row[SIGMA]["value"] is not None]
        valueless = {SIGMA + ".value": None, SIGMA + ".status": "ok"}
        n_valueless = writer.summaries.count(valueless)
        done = threading.Event()

        def flip():
            while not done.is_set():
                for status in ("ok", "unconverged"):
                    quantity = {"status": status}
                    changed = [{**row, SIGMA: {**row[SIGMA], **quantity}} for row in rows]
                    writer.summaries.update(changed)

        flipping = threading.Thread(target=flip)
        flipping.start()
        try:
            with open_store(where, files_dir=files, read_only=True) as reader:
                seen = [statistics(reader, {}) for _ in range(30)]
        finally:
            done.set()
            flipping.join()
    for found in seen:
        assert found["n_candidates"] == sum(found["counts"]["phase"].values()) == N
        n_ok = found["ranges"]["sigma"]["n_ok"]
        assert n_ok == found["counts"]["sigma_status"].get("ok", 0) - n_valueless
        assert len(found["ranges"]["sigma"]["quantiles"]) == (7 if n_ok else 0)
    assert len({found["ranges"]["sigma"]["n_ok"] for found in seen}) > 1
