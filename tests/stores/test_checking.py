"""What a check of a store finds: each thing that can be wrong, and nothing in a sound store."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
import sample_candidates

from haloflow.identity import file_sha256, step_uuid
from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.checking import Fault, check_store
from haloflow.stores.connection import open_store
from haloflow.stores.migrations import MIGRATIONS


def naming(document, truth):
    """Return a document whose files are described by `truth`."""
    files = [one.model_copy(update=truth) for one in document.files]
    return document.model_copy(update={"files": files})


BOTH = pytest.mark.parametrize("store", ["embedded", "mongodb"], indirect=True)


@pytest.fixture
def store(request, tmp_path):
    place = str(tmp_path / "store")
    if getattr(request, "param", "embedded") == "mongodb":
        place = f"{request.getfixturevalue('mongod_uri')}/checking{time.time_ns()}"
    with open_store(place, files_dir=tmp_path / "files") as opened:
        file = opened.files_dir / "ab" / "thermo.h5"
        file.parent.mkdir()
        file.write_bytes(b"frames" * 1000)
        truth = {"sha256": file_sha256(file), "n_bytes": file.stat().st_size}
        pairs = [
            (candidate, {name: naming(document, truth) for name, document in documents.items()})
            for candidate, documents in sample_candidates.candidates()
        ]
        sample_candidates.fill(opened, pairs)
        opened.outputs.update({"uuid": "foreign", "index": 1, "output": 7})
        SummaryBuilder.of(opened).run()
        yield opened


def faults(store, **options):
    return {(one.fault, str(one)) for one in check_store(store, **options).findings}


@BOTH
def test_a_sound_store_has_no_findings(store):
    told = []
    found = check_store(store, report=lambda *words: told.append(words))
    assert found.findings == []
    assert found.by_fault() == {}
    assert (found.n_documents, found.n_old, found.n_files, found.n_bytes) == (21, 0, 1, 6000)
    assert told[-1] == ("reading files", 6000, 6000)
    assert {words[0] for words in told} == {"reading documents", "reading files"}


@BOTH
def test_a_check_changes_nothing_and_needs_no_right_to_write(store, tmp_path):
    with open_store(store.uri, files_dir=store.files_dir, read_only=True) as opened:
        assert check_store(opened).findings == []


@pytest.mark.parametrize("fast", [False, True])
def test_files(store, fast):
    row, *_ = store.outputs.query({"output.files.path": "ab/thermo.h5"}, sort={"_id": 1})
    who = f"melt_quench step {row['output']['identity'][:12]}, file"
    file = store.files_dir / "ab" / "thermo.h5"
    file.write_bytes(b"FRAMES" * 1000)
    sha256 = row["output"]["files"][0]["sha256"][:12]
    content = (
        Fault.FILE_CONTENT,
        f"{who} ab/thermo.h5: sha256 {file_sha256(file)[:12]} instead of {sha256}",
    )
    assert faults(store, fast=fast) == (set() if fast else {content})
    file.write_bytes(b"frames")
    assert faults(store, fast=fast) == {
        (Fault.FILE_SIZE, f"{who} ab/thermo.h5: 6 bytes instead of 6000")
    }
    file.unlink()
    assert faults(store, fast=fast) == {
        (Fault.FILE_MISSING, f"{who} ab/thermo.h5: not in {store.files_dir}")
    }
    row["output"]["files"][0]["path"] = "../elsewhere"
    store.outputs.update(row, key="uuid")
    assert (Fault.FILE_OUTSIDE, f"{who} ../elsewhere: it leads out of {store.files_dir}") in faults(
        store, fast=fast
    )


def test_documents_that_are_not_valid(store):
    row = store.outputs.query_one({"output.kind": "hull"})
    del row["output"]["formula"]
    store.outputs.update(row, key="uuid")
    candidate = store.candidates.query_one({})
    store.candidates.update({**candidate, "n_atoms": "many"}, key="candidate_id")
    found = check_store(store).by_fault()
    texts = sorted(map(str, found.pop(Fault.INVALID)))
    assert texts[0].startswith(f"candidates {candidate['candidate_id']}: the document of ")
    assert texts[1].startswith(f"hull step {row['output']['identity'][:12]}: the document of ")
    assert "Field required. Given: formula" in texts[1]
    [orphan] = found.pop(Fault.REFERENCE)
    assert str(orphan) == f"summary {candidate['candidate_id']}: its candidate is not there"
    assert found == {}


@BOTH
def test_identities_and_doubles(store):
    row = store.outputs.query_one({"output.kind": "hull"})
    identity = row["output"]["identity"]
    del row["_id"]
    store.outputs._collection.insert_one({**row, "uuid": "another"})
    candidate = store.candidates.query_one({})
    del candidate["_id"]
    store.candidates._collection.insert_one(candidate)
    assert faults(store) == {
        (Fault.IDENTITY, f"hull step {identity[:12]}, index 1: stored more than once"),
        (
            Fault.IDENTITY,
            (
                f"hull step {identity[:12]}: stored under uuid another, which is not that of its "
                "identity"
            ),
        ),
        (Fault.IDENTITY, f"candidate {candidate['candidate_id']}: stored more than once"),
    }


def test_references(store):
    candidate = store.candidates.query_one({"steps.diffusion": {"$exists": True}})
    steps = candidate["steps"]
    hull = store.outputs.query_one({"uuid": step_uuid(steps["hull"])})
    hull["output"]["provenance"]["parents"] = [steps["relax"], "0" * 64]
    store.outputs.update(hull, key="uuid")
    assert faults(store) == set(), "what a user gave has a hash and is no step"
    store.outputs.remove_docs({"uuid": step_uuid(steps["relax"])})
    assert faults(store) == {
        (
            Fault.REFERENCE,
            (
                f"summaries {candidate['candidate_id']}: its step relax, said to be done, is not "
                f"there: step {steps['relax'][:12]}"
            ),
        )
    }
    store.summaries.remove_docs({})
    assert faults(store) == {
        (
            Fault.REFERENCE,
            (
                f"hull step {steps['hull'][:12]}: what it was made from, is not there: step "
                f"{steps['relax'][:12]}"
            ),
        )
    }


def test_two_steps_that_name_one_file_differently(store):
    row = store.outputs.query_one({"output.files.path": "ab/thermo.h5"})
    other = store.outputs.query_one({"output.kind": "hull"})
    other["output"]["files"] = [row["output"]["files"][0] | {"n_bytes": 5}]
    store.outputs.update(other, key="uuid")
    assert any(
        fault is Fault.REFERENCE
        and text.endswith("names the same file with another sha256 or size")
        for fault, text in faults(store)
    )


@BOTH
def test_indexes(store):
    if store.uri.startswith("mongodb"):
        store.outputs._collection.drop_index("uuid_1_index_1")
        missing = "outputs.uuid+index"
    else:
        with store.outputs._collection.sqlite.writing() as connection:
            connection.execute("DELETE FROM indexes WHERE field = 'uuid'")
        missing = "outputs.uuid"
    assert faults(store) == {
        (Fault.INDEX, f"{missing}: it is made when the store is next written to")
    }
    with open_store(store.uri, files_dir=store.files_dir) as again:
        assert faults(again) == set()
    if store.uri.startswith("mongodb"):
        index = [("label", -1), ("candidate_id", 1)]
        store.summaries._collection.drop_index(index)
        store.summaries._collection.drop_index([("label", 1), ("candidate_id", 1)])
        missing = "summaries.label+candidate_id"
    else:
        with store.outputs._collection.sqlite.writing() as connection:
            connection.execute("DELETE FROM columns WHERE collection = 'summaries'")
        missing = "summaries (columns)"
    assert faults(store) == {
        (Fault.INDEX, f"{missing}: it is made when the store is next written to")
    }


def test_what_was_begun_and_not_ended(store):
    begun = datetime(2026, 1, 2, 3, 4)
    store.meta._collection.insert_one({"_id": "copy", "source": "there", "started_at": begun})
    store.meta._collection.insert_one({"_id": "migration", "version": 2})
    assert faults(store) == {
        (
            Fault.UNFINISHED,
            "copy into this store: from there, begun 2026-01-02 03:04 UTC; copy again",
        ),
        (Fault.UNFINISHED, "migration: to schema 2; haloflow db migrate --apply goes on"),
    }


def test_old_documents_are_not_wrong(store, monkeypatch):
    monkeypatch.setattr(MIGRATIONS, "version", 2)
    monkeypatch.setattr(MIGRATIONS, "_known", [])
    MIGRATIONS.migration(1, 2)(lambda document: document)
    found = check_store(store)
    assert (found.n_old, found.findings) == (21, [])
