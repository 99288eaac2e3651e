"""An empty store for one test, by its URI."""

from __future__ import annotations

from haloflow.stores.connection import open_store


def new_store_uri(tmp_path):
    """Give a test its store: ``store_uri = pytest.fixture(new_store_uri)``."""
    uri = str(tmp_path / "store")
    open_store(uri).close()
    return uri
