"""The same synthetic candidates in an embedded store and on a MongoDB server, and their apps."""

from __future__ import annotations

import time

import many_candidates
import pytest
from web_client import WebClient

from haloflow.dashboard.app import create_app
from haloflow.stores.connection import open_store

N_CANDIDATES = 240
N_FULL = 4
N_HOSTILE = len(many_candidates.HOSTILE)


@pytest.fixture(scope="session")
def embedded_store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    with open_store(folder) as store:
        many_candidates.fill(store, N_CANDIDATES, n_full=N_FULL, n_hostile=N_HOSTILE)
    with open_store(folder, read_only=True) as store:
        yield store


COLLECTIONS = ("outputs", "candidates", "summaries", "claims", "failures", "meta")


@pytest.fixture(scope="session")
def mongodb_store(mongod_uri, embedded_store):
    uri, folder = f"{mongod_uri}/web{time.time_ns()}", embedded_store.files_dir
    with open_store(uri, files_dir=folder) as store:
        for name in COLLECTIONS:
            target = getattr(store, name)._collection
            target.delete_many({})
            if documents := list(getattr(embedded_store, name)._collection.find()):
                target.insert_many(documents)
    with open_store(uri, files_dir=folder, read_only=True) as store:
        yield store


@pytest.fixture(scope="session")
def embedded(embedded_store):
    """A client of an app over the embedded store."""
    return WebClient(create_app(embedded_store))


@pytest.fixture(scope="session")
def mongodb(mongodb_store):
    """A client of an app over the same candidates on MongoDB."""
    return WebClient(create_app(mongodb_store))


@pytest.fixture(params=["embedded", "mongodb"])
def client(request):
    """A client of each kind of store in turn."""
    return request.getfixturevalue(request.param)
