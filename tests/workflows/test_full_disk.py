"""A sweep whose store, trajectories and all, has no room left on its disk."""

from __future__ import annotations

import pytest
from damage import small_disk

from haloflow.stores.claims import Claims
from haloflow.stores.connection import open_store

LIMIT_S = 240.0


def physics(place):
    """Return all documents without the record of how they came about."""
    outputs = place.outputs()
    for output in outputs.values():
        del output["provenance"]
    return outputs


def run(place):
    with place.start() as process:
        out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, " ".join((out + err).split())


@pytest.mark.timeout(2 * LIMIT_S + 60)
def test_it_says_so_keeps_what_there_is_and_goes_on_when_there_is_room(place, undisturbed):
    with small_disk(place.folder / "store", 640) as resize:
        code, said = run(place)
        assert code == 1
        assert "database or disk is full" in said or "no space left on device" in said
        assert "Traceback" not in said
        kept = place.completed_at()
        assert 0 < len(kept) < len(undisturbed.steps)
        resize(100_000)
        code, said = run(place)
        assert code == 0, said
        assert kept.items() <= place.completed_at().items()
        assert physics(place) == physics(undisturbed)
        with open_store(place.store) as store:
            assert Claims(store.claims).live() == {}
