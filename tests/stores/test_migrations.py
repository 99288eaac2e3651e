"""Upgrades of documents, with ones registered by the tests: read, tried, written, killed."""

from __future__ import annotations

import multiprocessing
import signal
import time

import pytest
import sample_candidates

from haloflow.errors import ClaimError, DocumentError, StoreError
from haloflow.identity import step_uuid
from haloflow.stores import migrating
from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.stores.documents import SCHEMA_VERSION
from haloflow.stores.migrating import migrate, plan_migration
from haloflow.stores.migrations import MIGRATIONS, Migrations
from haloflow.stores.records import candidate_of, step_of, summary_of
from haloflow.stores.streams import batches

NEW = SCHEMA_VERSION + 1
SAME = {"schema_version": NEW}


def to_new(document):
    """Energies were in meV under another name."""
    document["energy_ev_per_atom"] = document.pop("old_energy")
    document["energy_ev_per_atom"]["value"] /= 1000
    return document


def to_old(document):
    old = dict(document)
    old["old_energy"] = dict(old.pop("energy_ev_per_atom"))
    old["old_energy"]["value"] *= 1000
    return old


@pytest.fixture
def upgrade(monkeypatch):
    """Let this be a newer haloflow, in which relaxations have other fields."""
    monkeypatch.setattr(MIGRATIONS, "version", NEW)
    monkeypatch.setattr(MIGRATIONS, "_known", list(MIGRATIONS._known))
    MIGRATIONS.migration(SCHEMA_VERSION, NEW, kind="relax")(to_new)
    MIGRATIONS.migration(SCHEMA_VERSION, NEW, collection="candidates")(lambda document: document)


@pytest.fixture(params=["embedded", "mongodb"])
def place(request, tmp_path):
    if request.param == "embedded":
        return str(tmp_path / "store")
    return f"{request.getfixturevalue('mongod_uri')}/migrations{time.time_ns()}"


@pytest.fixture
def old(place, tmp_path, upgrade):
    """A store as the older haloflow left it."""
    with pytest.MonkeyPatch.context() as before:
        before.setattr(MIGRATIONS, "version", SCHEMA_VERSION)
        with open_store(place, files_dir=tmp_path / "files") as store:
            sample_candidates.fill(store)
            SummaryBuilder.of(store).run()
            for row in list(store.outputs.query({"output.kind": "relax"})):
                store.outputs.update({**row, "output": to_old(row["output"])}, key="uuid")
            store.outputs.update({"uuid": "foreign", "index": 1, "output": 7})
    with open_store(place, files_dir=tmp_path / "files") as store:
        yield store


def everything(store):
    return {
        name: sorted(rows.query({}), key=lambda row: str(row["_id"]))
        for name, rows in store.collections.items()
        if name != "claims"
    }


def n_of(store, version):
    return sum(
        store.collections[name].count({path: version})
        for name, path in (
            ("outputs", "output.schema_version"),
            ("candidates", "schema_version"),
            ("summaries", "schema_version"),
        )
    )


def test_this_haloflow_registers_a_way_up_from_the_first_version():
    assert MIGRATIONS.version == SCHEMA_VERSION
    assert MIGRATIONS._oldest() == 1
    with pytest.raises(DocumentError) as caught:
        Migrations(3).upgraded("outputs", {"schema_version": 2, "kind": "relax"})
    assert str(caught.value) == (
        "documents of schema 2 can no longer be read. Given: schema 2 in outputs. Allowed: schema "
        "3 to 3. What to do: upgrade the store with a haloflow that writes schema 3."
    )


def test_upgrades_follow_each_other_and_leave_what_they_were_given():
    known = Migrations(3)

    @known.migration(1, 2, kind="a")
    def _(document):
        document["list"].append("a")
        return document

    @known.migration(1, 2)
    def _(document):
        return {**document, "list": [*document["list"], "all"]}

    @known.migration(2, 3, collection="candidates")
    def _(document):
        return {**document, "candidate": True}

    given = {"kind": "a", "list": []}
    assert known.upgraded("outputs", given) == {
        "kind": "a", "list": ["a", "all"], "schema_version": 3,
    }  # fmt: skip
    assert given == {"kind": "a", "list": []}
    assert known.upgraded("outputs", {"kind": "b", "list": [1]})["list"] == [1, "all"]
    second = {"schema_version": 2}
    assert known.upgraded("candidates", second) == {"schema_version": 3, "candidate": True}
    assert known.upgraded("summaries", second) == {"schema_version": 3}
    newest = {"schema_version": 3, "list": 5}
    assert known.upgraded("outputs", newest) == newest


def test_what_cannot_be_registered():
    with pytest.raises(ValueError, match="a migration goes one version up, not 1 to 3"):
        Migrations(3).migration(1, 3)
    with pytest.raises(ValueError, match="a migration goes one version up, not 0 to 1"):
        Migrations(3).migration(0, 1)
    with pytest.raises(ValueError, match="documents of meta have no version"):
        Migrations(3).migration(1, 2, collection="meta")


def test_old_documents_are_read_before_and_the_same_after(old):
    def read(store):
        steps = {row["uuid"]: row["output"] for row in store.outputs.query({}) if row["index"]}
        steps.pop("foreign")
        return (
            {uuid: step_of(output).model_copy(update=SAME) for uuid, output in steps.items()},
            [candidate_of(row) for row in store.candidates.query({}, sort={"candidate_id": 1})],
            [summary_of(row) for row in store.summaries.query({}, sort={"candidate_id": 1})],
        )

    before = read(old)
    unchanged = everything(old)
    plan = plan_migration(old)
    assert everything(old) == unchanged, "tried in memory only"
    n_relax = old.outputs.count({"output.kind": "relax"})
    assert plan.pending["outputs", "relax", SCHEMA_VERSION] == n_relax > 0
    assert plan.pending["candidates", "", SCHEMA_VERSION] == 4
    assert (plan.n_current, plan.newer, plan.invalid) == (0, [], [])
    example = plan.examples["outputs", "relax"]
    assert '- "old_energy": {' in example
    assert f'+ "schema_version": {NEW}' in example

    told = []
    assert migrate(old, lambda *words: told.append(words)).pending == plan.pending
    assert told[-1] == ("writing documents", plan.n_pending, plan.n_pending)
    assert read(old) == before
    assert n_of(old, NEW) == plan.n_pending
    assert old.outputs.count({"output.old_energy": {"$exists": True}}) == 0
    assert old.meta.query_one({"_id": "schema"})["version"] == NEW
    assert old.meta.query_one({"_id": "migration"}) is None
    ids = [[row["_id"] for row in rows] for rows in unchanged.values()]
    assert ids == [[row["_id"] for row in rows] for rows in everything(old).values()]
    after = everything(old)
    again = migrate(old)
    assert (again.n_pending, again.is_needed) == (0, False)
    assert everything(old) == after


def test_an_older_haloflow_refuses_the_store_afterwards(old, place, tmp_path, monkeypatch):
    migrate(old)
    monkeypatch.setattr(MIGRATIONS, "version", SCHEMA_VERSION)
    with pytest.raises(StoreError, match="the store was written by a newer haloflow"):
        open_store(place, files_dir=tmp_path / "files")


def test_newer_documents_are_refused_and_nothing_changes(old):
    row = old.outputs.query_one({"output.kind": "hull"})
    row["output"]["schema_version"] = NEW + 1
    old.outputs.update(row, key="uuid")
    before = everything(old)
    with pytest.raises(StoreError) as caught:
        migrate(old)
    assert str(caught.value) == (
        "1 documents were written by a newer haloflow. Given: hull step "
        f"{row['output']['identity'][:12]} (schema {NEW + 1}). Allowed: up to schema {NEW}. What "
        "to do: upgrade haloflow: pip install -U haloflow."
    )
    assert everything(old) == before


def test_documents_that_would_not_be_valid_are_refused(old):
    row = old.outputs.query_one({"output.kind": "relax"})
    del row["output"]["n_steps"]
    old.outputs.update(row, key="uuid")
    before = everything(old)
    with pytest.raises(StoreError) as caught:
        migrate(old)
    assert str(caught.value) == (
        "1 documents would not be valid after the migration. Given: relax step "
        f"{row['output']['identity'][:12]}: the document of relax step is not valid: Field "
        f"required. Given: n_steps. Allowed: a RelaxDocument of schema {NEW}.. What to do: remove "
        "or mend them: haloflow db check names all; nothing was changed."
    )
    assert everything(old) == before


def test_running_steps_and_other_migrations_stop_it(old):
    owner = Owner.here()
    claims = Claims(old.claims)
    with claims.held("b" * 64, owner), pytest.raises(StoreError) as caught:
        migrate(old)
    assert str(caught.value).startswith(
        f"the store is at work: 1 claims on it are alive. Given: {old.name}; {'b' * 24} by {owner}"
    )
    with claims.held("migrating this store", owner), pytest.raises(ClaimError) as caught:
        migrate(old)
    assert str(caught.value).startswith(
        f"another process is migrating this store. Given: {old.name}, by {owner}"
    )


def test_documents_that_come_meanwhile_are_noticed(old):
    row = old.outputs.query_one({"output.kind": "relax"})
    late = {**row, "uuid": step_uuid("late")}
    del late["_id"]

    def write_one(what, done, total):
        if what == "writing documents" and done == total:
            old.outputs.update(late, key="uuid")

    with pytest.raises(StoreError) as caught:
        migrate(old, write_one)
    assert str(caught.value) == (
        f"1 old documents came in while the store was migrated. Given: {old.name}. What to do: "
        "stop what writes with an older haloflow, and migrate again."
    )
    assert migrate(old).n_pending == 1


def migrate_and_tell(place, files, told):
    with open_store(place, files_dir=files) as store:
        migrate(store, lambda *words: told.send(words))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_killed_migration_goes_on(old, place, tmp_path, monkeypatch):
    row = old.outputs.query_one({"output.kind": "relax"})
    del row["_id"]
    names = [f"{n:064d}" for n in range(200)]
    rows = [
        {**row, "uuid": step_uuid(name), "output": {**row["output"], "identity": name}}
        for name in names
    ]
    old.outputs._collection.insert_many(rows)
    monkeypatch.setattr(migrating, "BATCH", 5)
    context = multiprocessing.get_context("fork")
    total, left = n_of(old, SCHEMA_VERSION), []
    for n_written in (1, 3, 4):
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=migrate_and_tell, args=(place, tmp_path / "files", there))
        process.start()
        there.close()
        n_told = 0
        while n_told < n_written:
            n_told += here.recv()[0] == "writing documents"
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        left.append(n_of(old, SCHEMA_VERSION))
        assert all(step_of(r["output"]) for r in old.outputs.query({"uuid": {"$ne": "foreign"}}))
    assert total > left[0] > left[1] > left[2] > 0
    mark = old.meta.query_one({"_id": "migration"})
    assert (mark["version"], mark["collection"]) == (NEW, "outputs")
    behind = list(batches(old.outputs, mark["after"]))
    assert sum(len(batch.documents) for batch in behind) < old.outputs.count({}) - 20
    done = migrate(old)
    assert done.n_pending == left[2]
    assert (n_of(old, SCHEMA_VERSION), n_of(old, NEW)) == (0, total)
    assert old.meta.query_one({"_id": "schema"})["version"] == NEW
    values = {
        step_of(r["output"]).energy_ev_per_atom.value
        for r in old.outputs.query({"output.identity": {"$in": names}})
    }
    assert values == {row["output"]["old_energy"]["value"] / 1000}, "upgraded once"
