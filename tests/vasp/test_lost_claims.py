"""A step whose claim another process took while VASP was computing: VASP is ended."""

from __future__ import annotations

import threading

import psutil
import pytest
from cluster import wait_for
from jobflow import run_locally

from haloflow.errors import ClaimError
from haloflow.identity import structure_hash
from haloflow.makers.step import release_claims, step_directory
from haloflow.makers.vasp import VaspRelaxMaker, VaspStaticMaker
from haloflow.makers.vasp_md import VaspMDMaker
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.stores.purpose import mark_for_tests
from haloflow.stores.results import failures, stored_output

STALE_AFTER_S = 3.0
"""A beat each 0.3 s."""
MD = VaspMDMaker(level="vasp-pbe-d3", equilibration_steps=10, production_steps=10)


def stand_ins(folder):
    """Return the processes that work in a folder of the step."""
    found = []
    for process in psutil.process_iter(["cwd", "status"]):
        is_alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if is_alive and (process.info["cwd"] or "").startswith(f"{folder}/"):
            found.append(process)
    return found


@pytest.mark.parametrize(
    "maker", [VaspRelaxMaker(level="vasp-pbe-d3"), VaspStaticMaker(level="vasp-pbe-d3"), MD]
)
def test_vasp_is_ended_as_soon_as_the_heart_finds_the_claim_lost(
    stand_in, tmp_path, salt, maker, monkeypatch
):
    monkeypatch.setattr(Claims.__init__, "__defaults__", (STALE_AFTER_S,))
    stand_in.fail(hang={"times": 99})  # in its first step: nothing but its end could tell
    job = maker.make(salt)
    identity = maker.identity({"start": structure_hash(salt)})
    folder = step_directory(tmp_path / "store" / "files", identity)
    thief = Owner.here()
    with open_store(tmp_path / "store") as store:
        mark_for_tests(store)
        claims = Claims(store.claims)

        def rob():
            wait_for(lambda: stand_ins(folder), "VASP")
            claims._collection.delete_many({"_id": identity})
            assert claims.acquire(identity, thief)

        robber = threading.Thread(target=rob)
        robber.start()
        try:
            with pytest.raises(ClaimError, match=f"the claim on step {identity[:12]} is lost"):
                run_locally(job, log=False, store=store.jobstore, raise_immediately=True)
        finally:
            release_claims()
            robber.join()
        assert stand_ins(folder) == []
        assert stored_output(store, identity) is None
        assert failures(store, [identity]) == {}
        assert claims.holder(identity).owner == thief
