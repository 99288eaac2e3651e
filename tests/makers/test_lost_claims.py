"""A step whose claim another process took while it was computing."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from deed_maker import DeedMaker

from haloflow.errors import ClaimError
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.results import failures, stored_output


@dataclass
class RobbedMaker(DeedMaker):
    """Loses its claim while it works."""

    store = None

    def _do(self, context):
        claims = Claims(type(self).store.claims)
        claims._collection.delete_many({"_id": context.identity})
        assert claims.acquire(context.identity, Owner.here())
        return super()._do(context)


def test_its_result_is_not_stored(workshop, tmp_path, monkeypatch):
    monkeypatch.setattr(RobbedMaker, "store", workshop.store)
    (tmp_path / "marks").mkdir()
    maker = RobbedMaker(marks=str(tmp_path / "marks"))
    identity = maker.identity({})
    with pytest.raises(ClaimError, match=f"the claim on step {identity[:12]} is lost"):
        workshop.run(maker)
    assert stored_output(workshop.store, identity) is None
    assert failures(workshop.store, [identity]) == {}
    assert list(Claims(workshop.store.claims).live()) == [identity]


@dataclass
class UnawareMaker(RobbedMaker):
    """Loses its claim while it computes, and would compute for long."""

    def _do(self, context):
        progress = context.progress(10**6)
        report = progress.stage("production", 10**6)
        super()._do(context)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            progress._last_write = 0.0
            report(1, 10**6)
            time.sleep(0.02)
        raise AssertionError("nobody told it")


def test_it_stops_when_its_heart_finds_that_out(workshop, tmp_path, monkeypatch):
    monkeypatch.setattr(UnawareMaker, "store", workshop.store)
    monkeypatch.setattr(Claims.__init__, "__defaults__", (0.3,))
    (tmp_path / "marks").mkdir()
    maker = UnawareMaker(marks=str(tmp_path / "marks"))
    identity = maker.identity({})
    with pytest.raises(ClaimError, match=f"the claim on step {identity[:12]} is lost"):
        workshop.run(maker)
    assert failures(workshop.store, [identity]) == {}
    assert list(Claims(workshop.store.claims).live()) == [identity]
