"""The JobStore of steps stores what jobflow's own does, with less work."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from jobflow import JobStore, Maker, job
from jobflow.core.schemas import JobStoreDocument
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from haloflow.errors import DocumentError
from haloflow.quantity import Quantity
from haloflow.stores.connection import open_store
from haloflow.stores.documents import SCHEMA_VERSION, Provenance, StaticDocument
from haloflow.stores.jobstore import StepJobStore
from haloflow.stores.migrations import Migrations

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
PROVENANCE = Provenance(haloflow_version="0", code_version=1, python_version="3")


@dataclass
class SaltMaker(Maker):
    name: str = "salt"

    @job
    def make(self, number: int):
        return StaticDocument(
            identity=str(number),
            provenance=PROVENANCE,
            structure=SALT,
            level="none",
            energy_ev_per_atom=Quantity(-3.4),
            max_force_ev_a=0.0,
        )


def stored(jobstore, outputs):
    made = SaltMaker().make(1)
    made.set_uuid("one")
    made.metadata = {"note": "of mine", "from": PROVENANCE}
    made.run(jobstore)
    row = outputs.query_one({"uuid": "one"})
    del row["_id"], row["completed_at"]
    return row


def test_documents_are_those_of_jobflow(tmp_path):
    with open_store(tmp_path / "ours") as ours, open_store(tmp_path / "theirs") as theirs:
        assert type(ours.jobstore) is StepJobStore
        row = stored(ours.jobstore, ours.outputs)
        assert row == stored(JobStore(theirs.outputs), theirs.outputs)
        assert row["output"]["structure"]["@class"] == "Structure"
        assert ours.jobstore.get_output("one")["identity"] == "1"


def test_a_second_run_replaces_the_document(tmp_path):
    with open_store(tmp_path) as store:
        stored(store.jobstore, store.outputs)
        stored(store.jobstore, store.outputs)
        assert store.outputs.count() == 1


@pytest.mark.parametrize("as_list", [True, False])
def test_all_else_goes_jobflows_way(tmp_path, as_list):
    with open_store(tmp_path) as store:
        document = JobStoreDocument(
            uuid="two", index=1, output=SALT, completed_at="2026", metadata={}, hosts=[], name="n"
        )
        given = [document] if as_list else document.model_dump()
        store.jobstore.update(given)
        assert store.outputs.query_one({"uuid": "two"})["output"]["@class"] == "Structure"


def test_large_parts_can_go_to_another_store(tmp_path):
    with open_store(tmp_path) as store, MemoryStore() as blobs:
        jobstore = StepJobStore(
            store.outputs, additional_stores={"data": blobs}, save={"data": "a"}
        )
        jobstore.connect()
        document = JobStoreDocument(
            uuid="three", index=1, output={"a": [1, 2]}, completed_at="2026", metadata={},
            hosts=[], name="n",
        )  # fmt: skip
        jobstore.update(document)
        assert "blob_uuid" in store.outputs.query_one({"uuid": "three"})["output"]["a"]
        assert blobs.query_one({})["data"] == [1, 2]


def test_what_a_newer_version_wrote_is_refused_before_it_is_read(tmp_path):
    with open_store(tmp_path) as store:
        stored(store.jobstore, store.outputs)
        row = store.outputs.query_one({"uuid": "one"})
        newer = {**row["output"], "schema_version": 99, "of_the_future": True}
        store.outputs.update({**row, "output": newer}, key="uuid")
        with pytest.raises(DocumentError) as caught:
            store.jobstore.get_output("one")
        assert str(caught.value) == (
            "the document of static step was written by a newer haloflow. Given: schema 99. "
            f"Allowed: up to schema {SCHEMA_VERSION}. What to do: upgrade haloflow: "
            "pip install -U haloflow."
        )
        assert store.outputs.query_one({"uuid": "one"})["output"] == newer


def test_what_an_older_version_wrote_is_upgraded_when_a_job_starts_from_it(tmp_path, monkeypatch):
    newer = Migrations(SCHEMA_VERSION + 1)
    newer.migration(SCHEMA_VERSION, SCHEMA_VERSION + 1)(lambda old: {**old, "note": "upgraded"})
    with open_store(tmp_path) as store:
        stored(store.jobstore, store.outputs)
        monkeypatch.setattr("haloflow.stores.records.MIGRATIONS", newer)
        output = store.jobstore.get_output("one")
        assert (output["note"], output["schema_version"]) == ("upgraded", SCHEMA_VERSION + 1)
