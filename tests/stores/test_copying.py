"""Copies between both kinds of store: complete, killed, into stores that hold documents."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from datetime import datetime

import pytest
import sample_candidates
from bson import Int64, ObjectId
from small_candidates import compute, put, summaries

from haloflow.errors import ClaimError, StoreError
from haloflow.identity import file_sha256
from haloflow.stores import copying
from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.checksums import Checksum, digest
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.stores.copying import copy_store, survey_copy
from haloflow.stores.homes import FILES_MARKER, ID_MARK

N_MANY = 1500
KILLS = (
    ("comparing documents", 2),
    ("copying files", 5),
    ("copying documents", 2),
    ("copying documents", 4),
    ("verifying documents", 3),
)
"""What a process tells, and how often, before it is killed."""


def naming(document, truth):
    """Return a document whose files are described by `truth`."""
    files = [one.model_copy(update=truth) for one in document.files]
    return document.model_copy(update={"files": files})


def fill(store):
    """Put a screening into `store`, one step of which has files, and beside them a checkpoint."""
    file = store.files_dir / "ab" / "thermo.h5"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(range(256)) * 500)
    (store.files_dir / "ab" / "checkpoint").write_bytes(b"state")
    truth = {"sha256": file_sha256(file), "n_bytes": file.stat().st_size}
    pairs = [
        (candidate, {name: naming(document, truth) for name, document in documents.items()})
        for candidate, documents in sample_candidates.candidates()
    ]
    sample_candidates.fill(store, pairs)
    SummaryBuilder.of(store).run()
    store.failures.update({"identity": "f" * 64, "step": "md", "error": "σ", "failed_at": NOW})
    store.outputs._collection.insert_one(
        {"uuid": "values", "index": 1, "output": [Int64(5), 5, 5.0, NOW, ObjectId(), None, b"b"]}
    )


NOW = datetime(2026, 1, 2, 3, 4, 5, 678000)


@pytest.fixture
def source(tmp_path):
    with open_store(tmp_path / "source", files_dir=tmp_path / "source" / "files") as store:
        fill(store)
        yield store


@pytest.fixture
def places(mongod_uri, tmp_path):
    """Give new places: URIs of databases, or folders."""
    known = {}

    def place(kind, name="target"):
        known[kind, name] = True
        if kind == "embedded":
            return str(tmp_path / name)
        return f"{mongod_uri}/{name}{time.time_ns()}"

    return place


@pytest.fixture
def target(tmp_path):
    with open_store(tmp_path / "target", files_dir=tmp_path / "target" / "files") as store:
        yield store


def everything(store):
    """Return all documents but a store's own id; what the builder did stands beside them."""
    found = {
        name: sorted(store.collections[name]._collection.find({}), key=lambda row: str(row["_id"]))
        for name in ("outputs", "candidates", "summaries", "failures", "meta")
    }
    found["meta"] = [row for row in found["meta"] if row["_id"] != ID_MARK]
    for rows in found.values():
        for row in rows:
            row.pop("_summarized", None)
    return found


def unsettled(store):
    """Return what the builder has to look at, as it would be found."""
    return sorted(map(str, SummaryBuilder.of(store).changes.pending()))


def files_of(store):
    """Return all files but that which says whose they are."""
    folder = store.files_dir
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != FILES_MARKER)
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def test_checksums_know_types_and_not_the_order():
    first, second = {"a": 1, "b": {"c": [1, 2], "d": None}}, {"_id": 2}
    again = {"b": {"d": None, "c": [1, 2]}, "a": 1}
    assert digest(first) == digest(again)
    others = [first | {"a": 1.0}, first | {"a": True}, first | {"a": Int64(1)}, {"a": 1}]
    others.append({"a": 1, "b": {"c": [2, 1], "d": None}})
    assert len({digest(one) for one in (first, *others)}) == 6
    assert digest({"_id": 7, **first}, ("_id",)) == digest(first)
    sums = []
    for rows in ((first, second), (second, again), (first, first)):
        total = Checksum()
        for row in rows:
            total.add(digest(row))
        sums.append((total.count, total.hexdigest()))
    assert sums[0] == sums[1] != sums[2]


@pytest.mark.parametrize("kinds", [("embedded", "mongodb"), ("mongodb", "embedded")], ids="-".join)
def test_a_copy_there_and_back_is_the_same(source, places, tmp_path, kinds):
    store, stores = source, []
    told = []
    for kind in kinds:
        new = open_store(places(kind, kind), files_dir=tmp_path / kind / "files")
        stores.append(new)
        done = copy_store(store, new, report=lambda *words: told.append(words))
        assert done.n_new == done.n_documents == sum(map(len, everything(source).values())) - 1
        assert everything(new) == everything(source)
        assert unsettled(new) == unsettled(source) != []
        assert files_of(new) == files_of(source)
        assert (len(done.files.new), done.damaged, done.files.missing) == (2, (), ())
        store = new
    with stores[0], stores[1]:
        assert stores[0].missing_indexes() == stores[1].missing_indexes() == []
        checksums = [survey_copy(one, None).collections for one in (source, *stores)]
        assert checksums[0] == checksums[1] == checksums[2]
    for what in ("comparing documents", "copying files", "copying documents"):
        done_total = [words[1:] for words in told if words[0] == what]
        assert done_total[-1][0] == done_total[-1][1] > 0


def test_a_dry_run_writes_nothing(source, target, tmp_path):
    before = everything(target)
    found = survey_copy(source, target)
    assert found.n_new == found.n_documents > 20
    assert found.files.n_bytes == 128_005
    assert everything(target) == before
    assert files_of(target) == {}
    assert survey_copy(source, None) == found


def test_stores_with_one_folder_of_files_leave_them(source, tmp_path):
    with open_store(tmp_path / "target", files_dir=source.files_dir) as target:
        done = copy_store(source, target)
        assert done.files.new == ()
        assert everything(target) == everything(source)


def copy_and_tell(source, target, files, told):
    with open_store(source, read_only=True) as old, open_store(target, files_dir=files) as new:
        copy_store(old, new, report=lambda *words: told.send(words))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("kind", ["embedded", "mongodb"])
def test_a_killed_copy_goes_on(tmp_path, places, kind):
    folder, files = tmp_path / "source", tmp_path / "files"
    with open_store(folder, files_dir=folder / "files") as source:
        rows = [{"uuid": str(n), "index": 1, "output": {"x": "y" * 400}} for n in range(N_MANY)]
        source.outputs._collection.insert_many(rows)
        for n in range(20):
            (source.files_dir / f"{n}.h5").write_bytes(random.Random(n).randbytes(50_000))
    place = places(kind)
    context, counts = multiprocessing.get_context("fork"), []
    for what, times in KILLS:
        here, there = context.Pipe(duplex=False)
        copying = context.Process(target=copy_and_tell, args=(folder, place, files, there))
        copying.start()
        there.close()
        n_told = 0
        while n_told < times:
            n_told += here.recv()[0] == what
        copying.kill()
        copying.join()
        assert copying.exitcode == -signal.SIGKILL, "it was at an end"
        with open_store(place, files_dir=files) as target:
            counts.append(target.outputs.count({}))
            assert all(p.stat().st_size == 50_000 for p in files.glob("*.h5")), "half a file"
    assert counts == sorted(counts)
    assert counts[1] == 0 < counts[2] < counts[4] == N_MANY
    with open_store(folder) as source, open_store(place, files_dir=files) as target:
        assert target.meta.query_one({"_id": "copy"})["source"] == source.name
        done = copy_store(source, target)
        assert (done.n_documents, done.n_new) == (N_MANY, 0)
        assert everything(target) == everything(source)
        assert len(files_of(target)) >= 20
        assert target.meta.query_one({"_id": "copy"}) is None


def test_a_copy_that_stopped_is_of_one_source(source, target, tmp_path):
    mark = {"_id": "copy", "source": "elsewhere", "started_at": NOW}
    target.meta._collection.insert_one(mark)
    with pytest.raises(StoreError) as caught:
        copy_store(source, target)
    assert str(caught.value) == (
        f"the target holds an unfinished copy of another store. Given: {target.name}, from "
        "elsewhere. What to do: finish that copy first, or copy to an empty place."
    )


def test_a_target_with_documents_is_refused(source, target):
    target.failures.update({"identity": "mine"})
    for ask in (survey_copy, copy_store):
        with pytest.raises(StoreError) as caught:
            ask(source, target)
        assert str(caught.value) == (
            f"the target is not empty. Given: {target.name}. Allowed: a place without documents. "
            "What to do: copy to another place, or add what is missing with --merge."
        )
    with pytest.raises(StoreError, match=r"source and target are the same store. Given: .*source"):
        copy_store(source, source, merge=True)


@pytest.mark.parametrize("kind", ["embedded", "mongodb"])
def test_a_merge_adds_what_is_missing_and_builds_the_summaries(source, places, tmp_path, kind):
    with open_store(places(kind), files_dir=tmp_path / "merged") as target:
        pairs = sample_candidates.candidates()
        some = [
            (candidate, {name: one for name, one in documents.items() if one.kind == "relax"})
            for candidate, documents in pairs[:2]
        ]
        sample_candidates.fill(target, some)  # the same candidates, with fewer steps
        target.outputs.update({"uuid": "own", "index": 1, "output": 1})
        SummaryBuilder.of(target).run()
        own = target.outputs.query_one({"uuid": "own"})
        done = copy_store(source, target, merge=True)
        assert "summaries" not in [one.name for one in done.collections]
        assert 0 < done.n_new < done.n_documents
        assert target.outputs.query_one({"uuid": "own"}) == own
        assert set(target.outputs.distinct("uuid")) == {*source.outputs.distinct("uuid"), "own"}

        def summaries(store):
            rows = store.summaries.query({}, sort={"candidate_id": 1})
            stamps = {"_id", "last_updated", "_writing"}
            return [{k: v for k, v in row.items() if k not in stamps} for row in rows]

        assert summaries(target) == summaries(source)
        assert copy_store(source, target, merge=True).n_new == 0


def test_a_merge_refuses_what_differs_and_changes_nothing(source, target, tmp_path):
    for n in range(7):
        source.failures.update({"identity": f"{n}", "error": "theirs"})
        target.failures.update({"identity": f"{n}", "error": "ours"})
    (target.files_dir / "ab").mkdir()
    (target.files_dir / "ab" / "thermo.h5").write_bytes(b"x" * 128_000)
    (target.files_dir / "ab" / "checkpoint").write_bytes(b"ours")
    before = everything(target)
    found = survey_copy(source, target, merge=True)
    assert found.files.differing == ("ab/thermo.h5",)
    assert found.files.n_there == 1
    with pytest.raises(StoreError) as caught:
        copy_store(source, target, merge=True)
    assert str(caught.value) == (
        "8 documents or files are in the target with other contents. Given: failures 0, failures "
        "1, failures 2, failures 3, failures 4 and 3 more. What to do: remove them from one of "
        "the stores, or copy to an empty place."
    )
    assert everything(target) == before
    target.failures.remove_docs({})
    (target.files_dir / "ab" / "thermo.h5").unlink()
    copy_store(source, target, merge=True)
    assert (target.files_dir / "ab" / "checkpoint").read_bytes() == b"ours", "not replaced"


def test_a_merge_of_versions_is_refused(source, target):
    source.meta._collection.replace_one({"_id": "schema"}, {"_id": "schema", "version": 0})
    with pytest.raises(StoreError) as caught:
        copy_store(source, target, merge=True)
    assert str(caught.value) == (
        f"the stores are of different versions. Given: schema 0 in {source.name}, 1 in "
        f"{target.name}. What to do: haloflow db migrate --apply for the older one."
    )
    copy_store(source, target)
    assert target.meta.query_one({"_id": "schema"})["version"] == 0, "as its documents are"


def test_running_steps_and_other_copies_stop_a_copy(source, target):
    owner = Owner.here()
    for store in (source, target):
        with Claims(store.claims).held("a" * 64, owner), pytest.raises(StoreError) as caught:
            copy_store(source, target)
        assert str(caught.value).startswith(
            "the store is at work: 1 claims on it are alive. Given: "
            f"{store.name}; {'a' * 24} by {owner}"
        )
        assert str(caught.value).endswith(
            "What to do: wait until the steps are done, or stop them."
        )
    claims = Claims(target.claims)
    with claims.held("copying into this store", owner), pytest.raises(ClaimError) as caught:
        copy_store(source, target)
    assert str(caught.value).startswith(
        f"another process is copying into this store. Given: {target.name}, by {owner}"
    )
    assert str(caught.value).endswith("What to do: wait for it.")


def test_damaged_files_are_left_out_and_missing_ones_named(source, target):
    file = source.files_dir / "ab" / "thermo.h5"
    file.write_bytes(b"x" * file.stat().st_size)
    done = copy_store(source, target)
    assert done.damaged == ("ab/thermo.h5",)
    assert [path.name for path in files_of(target)] == ["checkpoint"]
    file.unlink()
    assert survey_copy(source, None).files.missing == ("ab/thermo.h5",)


def test_a_file_that_cannot_be_written_stops_the_copy_until_mended(source, target):
    (target.files_dir / "ab").write_text("a file where a folder should be")
    with pytest.raises(StoreError) as caught:
        copy_store(source, target)
    assert str(caught.value) == (
        f"a file cannot be copied: File exists. Given: {source.files_dir}/ab/checkpoint. What to "
        "do: make room or mend what stops it, and copy again: it goes on."
    )
    (target.files_dir / "ab").unlink()
    copy_store(source, target)
    assert everything(target) == everything(source)


def test_a_copy_that_somebody_changes_is_noticed(source, target):
    def spoil(what, *_):
        if what == "copying documents" and target.failures.count({}):
            target.failures.remove_docs({})

    with pytest.raises(StoreError) as caught:
        copy_store(source, target, report=spoil)
    assert str(caught.value).startswith(
        "the copy of failures differs from its source. Given: 0 documents, checksum "
        "000000000000. Allowed: 1 documents, checksum "
    )
    assert str(caught.value).endswith(
        "What to do: copy again to an empty place while nobody writes to the stores."
    )
    assert target.meta.query_one({"_id": "copy"})["source"] == source.name, "marked as unfinished"


def test_a_summary_that_was_old_when_it_was_copied_is_built_anew(places, tmp_path, monkeypatch):
    plain = copying._verify

    def verify_and_serve(store, *arguments, **options):
        plain(store, *arguments, **options)
        SummaryBuilder.of(store).run()

    monkeypatch.setattr(copying, "_verify", verify_and_serve)
    with (
        open_store(places("embedded"), files_dir=tmp_path / "a") as one,
        open_store(places("mongodb"), files_dir=tmp_path / "b") as other,
    ):
        put(one, "p", "a")
        SummaryBuilder.of(one).run()
        compute(one, "a", note="nobody has looked since")
        copy_store(one, other)
        SummaryBuilder.of(other).run()
        assert summaries(other) == summaries(one)
        assert summaries(other)["p"]["steps"][0]["state"] == "done"
