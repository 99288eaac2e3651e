"""An update of what has changed gives what building all anew gives, whoever writes when."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_candidates import check, compute, compute_anew, drop, put, put_as_before, summaries

from haloflow.stores import builders, removals
from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.collection import SqliteCollection
from haloflow.stores.connection import open_store
from haloflow.stores.migrating import migrate
from haloflow.stores.migrations import MIGRATIONS
from haloflow.stores.records import STEP_KEYS
from haloflow.stores.results import clear_failures, forget, record_failure

CANDIDATES, STEPS = "pqr", "abcd"
OWNER = Owner.here()
FORKED = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
TIMEOUT_S = 60.0


@pytest.fixture(params=["embedded", "mongodb"], scope="module")
def server(request):
    return request.getfixturevalue("mongod_uri") if request.param == "mongodb" else None


@pytest.fixture
def place(server, tmp_path):
    return f"{server}/changes{time.time_ns()}" if server else str(tmp_path / "store")


@pytest.fixture
def store(shared_store):
    emptied(shared_store)
    return shared_store


def emptied(store):
    for rows in store.collections.values():
        rows.remove_docs({})


@pytest.fixture(scope="module")
def shared_store(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    place = f"{server}/shared{time.time_ns()}" if server else str(folder / "store")
    with open_store(place, files_dir=folder / "files") as opened:
        yield opened


# -- any order -------------------------------------------------------------------------------


ACTIONS = {
    "candidate": lambda store, rng: put(store, rng.choice(CANDIDATES), some(rng)),
    "former": lambda store, rng: put_as_before(store, rng.choice(CANDIDATES), some(rng)),
    "output": lambda store, rng: compute(store, rng.choice(STEPS), str(rng.random())),
    "anew": lambda store, rng: compute_anew(store, rng.choice(STEPS), str(rng.random())),
    "foreign": lambda store, _: store.outputs.update({"uuid": "x", "index": 1, "output": 7}),
    "forget": lambda store, rng: forget(store, some(rng)),
    "fail": lambda store, rng: record_failure(store, rng.choice(STEPS), "s", str(rng.random())),
    "mend": lambda store, rng: clear_failures(store, some(rng)),
    "claim": lambda store, rng: Claims(store.claims).acquire(rng.choice(STEPS), OWNER),
    "release": lambda store, rng: Claims(store.claims).release(rng.choice(STEPS), OWNER),
    "build": lambda store, _: SummaryBuilder.of(store).run(),
    "build one": lambda store, rng: SummaryBuilder.of(store, [rng.choice(CANDIDATES)]).run(),
    "killed build": lambda store, rng: stopped_build(store, rng.choice(MOMENTS)),
}
MOMENTS = ("touch", "changed", "take", "settle", "process_item", "update_targets")
BESIDE = sorted(ACTIONS.keys() - {"killed build"})


def some(rng):
    return rng.sample(STEPS, rng.randrange(1, len(STEPS)))


class StoppedError(Exception):
    """Stands for the end of the process."""


def build_with(store, moment, before):
    """Build, and call `before` once before a reading or write of the builder."""
    builder = SummaryBuilder.of(store)
    kind = type(builder if hasattr(builder, moment) else builder.changes)
    plain, called = getattr(kind, moment), []

    def watched(*args):
        if not called:
            called.append(1)
            before()
        return plain(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, moment, watched)
        builder.run()


def stopped_build(store, moment):
    def stop():
        raise StoppedError

    with suppress(StoppedError):  # raised by the test
        build_with(store, moment, stop)


def build_and_meanwhile(store, rng):
    name = rng.choice(BESIDE)
    build_with(store, rng.choice(MOMENTS), lambda: ACTIONS[name](store, rng))


ACTIONS["write in a build"] = build_and_meanwhile


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(ACTIONS)), max_size=14), st.integers(0, 9999))
def test_an_update_equals_building_anew_after_anything(shared_store, names, seed):
    rng = random.Random(seed)
    emptied(shared_store)
    for name in names:
        ACTIONS[name](shared_store, rng)
    check(shared_store)


WRITES = {
    "other steps": lambda store: put(store, "p", "bc"),
    "other steps, as before": lambda store: put_as_before(store, "p", "bc"),
    "an output": lambda store: compute(store, "a", note="meanwhile"),
    "an output anew": lambda store: compute_anew(store, "a", note="meanwhile"),
    "no output": lambda store: forget(store, ["a"]),
    "a failure": lambda store: record_failure(store, "b", "static", "meanwhile"),
    "no failure": lambda store: clear_failures(store, ["b"]),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_is_written_at_any_moment_of_a_build_is_not_left_out(store, write):
    for moment in MOMENTS:
        put(store, "p", "ab")
        compute(store, "a")
        record_failure(store, "b", "static", "at first")
        build_with(store, moment, lambda: write(store))
        check(store)


@pytest.mark.parametrize("moment", ["settle", "update_targets"])
def test_who_summarizes_what_has_changed_meanwhile_does_so_again(store, moment):
    put(store, "p", "a")

    def overtake():
        compute(store, "a", note="newer")
        SummaryBuilder.of(store).run()
        assert note_of(store) == "newer"

    build_with(store, moment, overtake)
    assert note_of(store) == "newer", "the summary of before was left over that of after"
    check(store)


def note_of(store):
    return store.summaries.query_one({"candidate_id": "p"})["steps"][0]["note"]


# -- real processes --------------------------------------------------------------------------


def write_at_random(place, files, seed, until):
    rng = random.Random(seed)
    beside = [name for name in BESIDE if name not in {"claim", "release"}]
    with open_store(place, files_dir=files) as store:
        while time.monotonic() < until:
            ACTIONS[rng.choice(beside)](store, rng)


@FORKED
def test_processes_that_write_and_build_at_once_leave_nothing_out(place, tmp_path):
    files = tmp_path / "files"
    with open_store(place, files_dir=files) as store:
        for name in CANDIDATES:  # who writes a new one takes turns with others, see workflows
            put(store, name, STEPS)
    context, until = multiprocessing.get_context("fork"), time.monotonic() + 2.5
    writers = [
        context.Process(target=write_at_random, args=(place, files, seed, until))
        for seed in range(3)
    ]
    for one in writers:
        one.start()
    for one in writers:
        one.join(TIMEOUT_S)
        assert one.exitcode == 0
    with open_store(place, files_dir=files) as store:
        assert store.candidates.count({}) == len(CANDIDATES)
        check(store)


def killed_at(place, files, moment):
    with open_store(place, files_dir=files) as store:
        build_with(store, moment, lambda: os.kill(os.getpid(), signal.SIGKILL))


@FORKED
def test_a_killed_build_is_done_again(place, tmp_path):
    files, context = tmp_path / "files", multiprocessing.get_context("fork")
    for number, moment in enumerate(MOMENTS):
        with open_store(place, files_dir=files) as store:
            for name, steps in zip(CANDIDATES, ("ab", "bc", "c"), strict=True):
                put(store, name, steps)
            compute(store, "b", note=f"run {number}")
            clear_failures(store, ["c"])
            record_failure(store, "c", "static", f"error {number}")
        process = context.Process(target=killed_at, args=(place, files, moment))
        process.start()
        process.join(TIMEOUT_S)
        assert process.exitcode == -signal.SIGKILL
        with open_store(place, files_dir=files) as store:
            check(store)
            states = [step["state"] for step in store.summaries.query_one()["steps"]]
            assert states == ["waiting", "done"]


# -- removals --------------------------------------------------------------------------------


def test_a_step_that_was_forgotten_waits_again(store):
    put(store, "p", "a")
    compute(store, "a")
    check(store)
    forget(store, ["a"])
    check(store)
    assert store.summaries.query_one()["steps"][0]["state"] == "waiting"
    assert notes(store) == []


def test_who_is_stopped_before_a_removal_leaves_a_note_until_it_is_done(store, monkeypatch):
    put(store, "p", "a")
    compute(store, "a")
    check(store)

    def stop(_criteria):
        raise StoppedError

    with monkeypatch.context() as patch, suppress(StoppedError):  # raised by the test
        patch.setattr(store.outputs, "remove_docs", stop)
        forget(store, ["a"])
    check(store)
    assert len(notes(store)) == 1, "whoever wrote it may still be at it"
    assert looked_at(store) == set(), "nothing has changed yet"
    assert store.summaries.query_one()["steps"][0]["state"] == "done"
    forget(store, ["a"])
    check(store)
    assert notes(store) == []


def test_a_candidate_that_is_removed_while_it_is_built_is_not_looked_for_again(store):
    put(store, "p", "a")
    put(store, "q", "a")
    build_with(store, "settle", lambda: store.candidates.remove_docs({"candidate_id": "p"}))
    changes = SummaryBuilder.of(store).changes
    assert changes.changed() == []
    assert changes.pending() == []
    put(store, "r", "a")
    assert looked_at(store) == {"r"}


def notes(store):
    return list(store.meta.query(removals._ALL))


# -- stores of before ------------------------------------------------------------------------


def test_a_store_of_before_is_looked_at_once_as_a_whole(place, tmp_path):
    with open_store(place, files_dir=tmp_path / "files") as store:
        for name in CANDIDATES:
            put_as_before(store, name, "ab")
        compute(store, "a")
        check(store)
        as_before(store)
        forget_summaries = store.summaries.query_one({"candidate_id": "q"})
        store.summaries.update({**forget_summaries, "label": "outdated"})
    with open_store(place, files_dir=tmp_path / "files", read_only=True) as store:
        pending = SummaryBuilder.of(store).changes.pending()
        assert pending is None or len(pending) == len(CANDIDATES) + 1
    with open_store(place, files_dir=tmp_path / "files") as store:
        assert looked_at(store) == set(CANDIDATES)
        assert looked_at(store) == set()
        check(store)
        assert all(len(row[STEP_KEYS]) == 2 for row in store.candidates.query({}))
        compute(store, "b")
        assert looked_at(store) == set(CANDIDATES)


def as_before(store):
    """Take away what tells which documents were dealt with."""
    collection = store.candidates._collection
    if isinstance(collection, SqliteCollection):
        with collection.sqlite.writing() as connection:
            for event in ("insert", "update", "delete"):
                connection.execute(f"DROP TRIGGER changes_by_{event}")
            connection.execute("DROP TABLE changes")
        return
    for rows in (store.outputs, store.candidates, store.failures):
        rows._collection.update_many({}, {"$unset": {"_summarized": "", STEP_KEYS: ""}})


def looked_at(store):
    builder, seen = SummaryBuilder.of(store), set()
    plain = builder.process_item

    def watch(item):
        seen.add(item["candidate"].candidate_id)
        return plain(item)

    builder.process_item = watch
    builder.run()
    return seen


def test_migrated_documents_are_summarized_anew(store, monkeypatch):
    put(store, "p", "a")
    put(store, "q", "b")
    compute(store, "a")
    check(store)
    version = MIGRATIONS.version
    monkeypatch.setattr(MIGRATIONS, "version", version + 1)
    monkeypatch.setattr(MIGRATIONS, "_known", list(MIGRATIONS._known))
    MIGRATIONS.migration(version, version + 1, kind="static")(lambda one: {**one, "note": "up"})
    assert looked_at(store) == set()
    migrate(store)
    assert looked_at(store) == {"p", "q"}
    assert note_of(store) == "up"


def test_what_was_settled_by_hand_is_left_alone(store):
    put(store, "p", "a")
    SummaryBuilder.of(store).changes.settle_all()
    assert looked_at(store) == set()
    put(store, "q", "a")
    assert looked_at(store) == {"q"}
    assert drop(summaries(store)["q"], "steps")["candidate_id"] == "q"
    assert builders._MOST_TRIES > 1


def test_an_old_summary_never_replaces_a_newer_one(store, monkeypatch):
    """A builder that has read, is overtaken by another, writes, and is killed before it looks."""
    for there_before in (False, True):
        emptied(store)
        put(store, "p", "a")
        if there_before:
            SummaryBuilder.of(store).run()
            put(store, "p", "ab")
        slow = SummaryBuilder.of(store)
        slow.connect()
        items = [slow.process_item(item) for item in slow.get_items()]
        compute(store, "a", note="meanwhile")
        SummaryBuilder.of(store).run()
        newer = summaries(store)
        with monkeypatch.context() as patch, suppress(StoppedError):  # raised by the test
            patch.setattr(type(slow.changes), "settle", stopped)
            slow.update_targets(items)
        assert summaries(store) == newer
        assert newer["p"]["steps"][0]["state"] == "done"
        check(store)


def stopped(*_):
    raise StoppedError
