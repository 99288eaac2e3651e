"""What a reader of a server remembers holds until anyone writes."""

from __future__ import annotations

import time

import many_candidates
import pytest
from pymongo import MongoClient

from haloflow.stores.connection import open_store
from haloflow.stores.facets import count_facets
from haloflow.stores.mongodb import remembered


@pytest.fixture
def uri(mongod_uri, tmp_path):
    uri = f"{mongod_uri}/remembered{time.time_ns()}"
    yield uri
    with MongoClient(uri) as client:
        client.drop_database(client.get_default_database())


def test_every_write_of_anyone_is_seen_at_once(uri, tmp_path):
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
            assert len(collection._answers) == 500
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
            assert other.summaries._collection._state is None
