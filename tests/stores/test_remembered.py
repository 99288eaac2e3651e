"""What a reader of a store remembers holds until anyone writes."""

from __future__ import annotations

import time

import many_candidates
import pytest
from pymongo import MongoClient

from haloflow.stores.connection import open_store
from haloflow.stores.facets import count_facets
from haloflow.stores.memory import remembered, version_of
from haloflow.stores.paging import find_page
from haloflow.stores.selection import Search


@pytest.fixture
def server(mongod_uri):
    uri = f"{mongod_uri}/remembered{time.time_ns()}"
    yield uri
    with MongoClient(uri) as client:
        client.drop_database(client.get_default_database())


@pytest.fixture(params=["embedded", "server"])
def uri(request, tmp_path):
    return (
        request.getfixturevalue("server") if request.param == "server" else str(tmp_path / "store")
    )


def test_every_write_to_a_server_is_seen_at_once(server, tmp_path):
    uri = server
    with open_store(uri, files_dir=tmp_path) as writer:
        many_candidates.fill(writer, 20)
        row = writer.summaries.query_one({"phase": "glass"})
        key = {"candidate_id": row["candidate_id"]}
    glasses, seen = {"phase": "glass"}, []
    with (
        open_store(uri, files_dir=tmp_path, read_only=True) as reader,
        MongoClient(uri) as anyone,
    ):

        def look():
            count = reader.summaries.count(glasses)
            assert count_facets(reader.summaries, {})["phase"]["glass"] == count
            return count

        collection = anyone.get_default_database()["summaries"]
        n = look()
        for write in (
            lambda: collection.update_one(key, {"$set": {"phase": "crystal"}}),
            lambda: collection.replace_one(key, row),
            lambda: collection.delete_one(key),
            lambda: collection.insert_many([row, {**row, "_id": 1}]),
            lambda: collection.delete_many({"_id": 1}),
        ):
            write()
            seen.append(look())
        assert seen == [n - 1, n, n - 1, n + 1, n]


def test_the_server_is_asked_once_until_someone_writes(uri, tmp_path):
    asked = []
    with open_store(uri, files_dir=tmp_path) as writer:
        many_candidates.fill(writer, 3)
        with open_store(uri, files_dir=tmp_path, read_only=True) as reader:
            collection = reader.summaries._collection
            for number in range(3):
                for what in ({"a": 1}, {"a": 2}):
                    remembered(collection, what, lambda what=what: asked.append(what))
                assert len(asked) == 2 * (number + 1)
                for what in ({"a": 1}, {"a": 2}):
                    remembered(collection, what, lambda what=what: asked.append(what))
                assert len(asked) == 2 * (number + 1)
                writer.summaries.update({"candidate_id": f"of nobody {number}"})
            for number in range(1000):
                remembered(collection, {"b": number}, lambda: 0)
            assert len(collection.answers) == 500
        for _ in range(2):  # a writer remembers nothing
            remembered(writer.summaries._collection, {"a": 1}, lambda: asked.append(1))
        assert len(asked) == 8


def test_nothing_is_remembered_where_the_server_does_not_tell(guarded_mongod_uris, tmp_path):
    writer, reader = guarded_mongod_uris
    every = {"db": "haloflow", "collection": ""}
    rights = [{"resource": every, "actions": ["find"]}]  # and not collStats
    with MongoClient(writer) as client:
        client.admin.command("createRole", "finder", privileges=rights, roles=[])
        client.admin.command("updateUser", "reader", roles=["finder"])
    with open_store(writer, files_dir=tmp_path) as store:
        many_candidates.fill(store, 5)
        with open_store(reader, files_dir=tmp_path, read_only=True) as other:
            assert other.summaries.count({"phase": {"$ne": "x"}}) == 5
            first = store.summaries.query_one()["candidate_id"]
            store.summaries.remove_docs({"candidate_id": first})
            assert other.summaries.count({"phase": {"$ne": "x"}}) == 4
            assert sum(count_facets(other.summaries, {})["phase"].values()) == 4
            assert version_of(other.summaries) is None
            assert not len(other.summaries._collection.answers)


def test_every_write_to_an_embedded_store_is_seen_at_once(tmp_path, monkeypatch):
    counted = []
    count = Search._count
    monkeypatch.setattr(
        Search, "_count", lambda self, where: counted.append(where) or count(self, where)
    )
    with open_store(tmp_path) as writer:
        many_candidates.fill(writer, 300)
        row = writer.summaries.query_one({"phase": "glass"})
        key = {"candidate_id": row["candidate_id"]}
        glasses, seen = {"phase": "glass"}, []
        with open_store(tmp_path, read_only=True) as reader:

            def look():
                total = find_page(reader.summaries, glasses, limit=1).total
                assert total == reader.summaries.count(glasses)
                assert count_facets(reader.summaries, {})["phase"]["glass"] == total
                return total

            n = look()
            for write in (
                lambda: writer.summaries.update({**row, "phase": "crystal"}),
                lambda: writer.summaries.update(row),
                lambda: writer.summaries.remove_docs(key),
                lambda: writer.summaries.update(row),
            ):
                write()
                seen.append((look(), version_of(reader.summaries)))
                counted.clear()
                look()
                assert not counted
            assert [total for total, _ in seen] == [n - 1, n, n - 1, n]
            assert len({version for _, version in seen}) == 4
            with reader.summaries._collection.sqlite.one_moment() as connection:
                connection.execute("SELECT count(*) FROM documents").fetchone()
                assert version_of(reader.summaries) is None  # it may see less than is written
            before = version_of(reader.summaries, reader.claims)
            writer.claims.update({"_id": "someone"})
            assert version_of(reader.summaries, reader.claims) != before
