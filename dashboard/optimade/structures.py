"""Queries of OPTIMADE on entries that lie in an embedded store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from optimade.exceptions import BadRequest
from optimade.filtertransformers.mongo import MongoTransformer
from optimade.server.entry_collections import EntryCollection
from optimade.server.entry_collections.mongo import MongoCollection

if TYPE_CHECKING:
    from optimade.server.query_params import EntryListingQueryParams, SingleEntryQueryParams

    from ...stores.embedded import SqliteStore

_LARGEST: Final = 2**63 - 1
_MOST_SKIPPED: Final = 10**9


class LiteralTransformer(MongoTransformer):
    """Filters to MongoDB's language, where text in a filter stands for itself.

    optimade-python-tools 1.5 takes it for a regular expression, which the specification does
    not say, and which a client could make run for ever.
    """

    def fuzzy_string_op_rhs(self, arg: list[Any]) -> dict[str, str]:
        """Translate CONTAINS, STARTS WITH and ENDS WITH."""
        text = re.escape(str(arg[-1]))
        whole = {"CONTAINS": f"{text}", "STARTS": f"^{text}", "ENDS": f"{text}$"}
        return {"$regex": whole[str(arg[0])]}


class StoredStructures(MongoCollection):
    """Entries in an embedded store, asked as optimade-python-tools asks MongoDB.

    Parameters
    ----------
    entries
        Connected store of entries.
    like
        The collection of the application that this one replaces.
    """

    def __init__(self, entries: SqliteStore, like: EntryCollection) -> None:
        EntryCollection.__init__(
            self,
            like.resource_cls,
            like.resource_mapper,
            LiteralTransformer(mapper=like.resource_mapper),
            like.config,
        )
        self.collection = entries._collection  # noqa: SLF001  (maggma has no public way to it)

    def handle_query_params(
        self, params: EntryListingQueryParams | SingleEntryQueryParams
    ) -> dict[str, Any]:
        """Translate a query; BadRequest where a number is larger than a store can hold."""
        try:
            criteria: dict[str, Any] = super().handle_query_params(params)
        except NotImplementedError as error:
            raise BadRequest(detail=f"{error} Use page_offset.") from error
        if criteria.get("skip", 0) > _MOST_SKIPPED:
            raise BadRequest(detail=f"page_offset is too large, at most {_MOST_SKIPPED}")
        if any(abs(number) > _LARGEST for number in _integers(criteria["filter"])):
            raise BadRequest(detail=f"a number in the filter is too large, at most {_LARGEST}")
        return criteria


def _integers(value: Any) -> list[int]:  # noqa: ANN401  (any part of a filter)
    if isinstance(value, dict):
        return [number for part in value.values() for number in _integers(part)]
    if isinstance(value, list | tuple):
        return [number for part in value for number in _integers(part)]
    return [value] if isinstance(value, int) else []
