"""A server that asks for a password, and the search for that in all that jobs leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymongo import MongoClient

if TYPE_CHECKING:
    from pathlib import Path

    from cluster import FireWorksSite

PASSWORD, ROOT = "nowhere-but-in-its-file", "root"
OWN = {"my_launchpad.yaml", "store.uri", "here.yaml"}
"""Files that hold the password because their readers want it there."""


def let_in(site: FireWorksSite, guarded: str) -> None:
    """Let the site's store be known by a URI with a password."""
    with MongoClient(guarded) as client:
        roles = [{"role": "dbOwner", "db": site.database}]
        client[site.database].command("createUser", "worker", pwd=PASSWORD, roles=roles)
    host = guarded.rpartition("@")[2]
    site.store = f"mongodb://worker:{PASSWORD}@{host}/{site.database}"


def assert_nowhere(site: FireWorksSite, guarded: str, said: str) -> list[Path]:
    """Look for the password in all documents, all files and all that was said.

    Returns
    -------
    The files.
    """
    needle = PASSWORD.encode()
    n_documents = 0
    with MongoClient(guarded) as client:
        database = client[site.database]
        for name in database.list_collection_names():
            for batch in database[name].find_raw_batches():
                assert needle not in batch, f"a document of {name} holds the password"
                n_documents += 1
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    holders = {path for path in files if needle in path.read_bytes()}
    assert {path.name for path in holders} <= OWN, holders
    assert "store.uri" in {path.name for path in holders}
    assert all(path.stat().st_mode & 0o077 == 0 for path in holders)
    assert PASSWORD not in said
    assert n_documents > 5
    return files
