"""MongoDB as the store: maggma's MongoStore with our limits, and without secrets in messages."""

from __future__ import annotations

import re
from typing import Any

from maggma.stores import MongoStore
from monty.json import jsanitize

from .limits import encode


def redacted(uri: str) -> str:
    """Return `uri` without its user name and password."""
    return re.sub(r"://.*@", "://***@", uri)


class MongoDBStore(MongoStore):
    """A collection of a MongoDB server, named by URI.

    Parameters
    ----------
    uri
        ``mongodb://...``, with credentials where the server asks for them.
    collection_name
        Name of the collection.
    database
        Name of the database.
    files_dir
        Folder of the files that go with the documents; travels with a serialized store.
    **kwargs
        As of maggma's MongoStore.
    """

    def __init__(
        self,
        uri: str,
        collection_name: str,
        database: str,
        files_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.files_dir = files_dir
        super().__init__(database, collection_name, uri=uri, **kwargs)

    @property
    def name(self) -> str:
        """Where the documents are, for messages; without credentials."""
        return f"{redacted(self.uri)}:{self.database}.{self.collection_name}"

    def update(self, docs: list[dict[str, Any]] | dict[str, Any], key: Any = None) -> None:
        """Insert or replace documents.

        Raises
        ------
        DocumentError
            A document is too large or holds what cannot be stored.
        """
        given = docs if isinstance(docs, list) else [docs]
        plain = [jsanitize(doc, allow_bson=True, recursive_msonable=True) for doc in given]
        for document in plain:
            encode(document)
        super().update(plain, key=key)
