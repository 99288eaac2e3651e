"""The changed documents of a store on a MongoDB server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bson import ObjectId

from .changes import IDENTITY_PATHS, Taken, identity_in
from .mongodb import SEEN
from .records import STEP_KEYS, step_key, step_keys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    Document = dict[str, Any]

_BATCH = 1000


@dataclass(frozen=True)
class ServerChanges:
    """Those on a MongoDB server: a field in each document.

    A candidate also holds the keys of its steps, so that an index finds it by them; who takes
    one that has not, or others, writes them.
    """

    collections: dict[str, Any]

    @property
    def _candidates(self) -> Any:
        return self.collections["candidates"]

    def pass_on(self) -> None:
        """Let candidates count as changed of whose steps an output or failure has changed."""
        for name, path in IDENTITY_PATHS.items():
            collection = self.collections[name]
            while ids := self._unseen(name, _BATCH):
                token = str(ObjectId())
                collection.update_many(_among(ids), {"$set": {SEEN: token}})
                found = {identity_in(row, path) for row in collection.find(_among(ids), {path: 1})}
                self.touch([one for one in found if one is not None])
                collection.update_many({**_among(ids), SEEN: token}, {"$set": {SEEN: True}})

    def _unseen(self, name: str, limit: int = 0) -> list[Any]:
        rows = self.collections[name].find({SEEN: {"$ne": True}}, {"_id": 1}, limit=limit)
        return [row["_id"] for row in rows]

    def touch(self, identities: Collection[str]) -> None:
        """Let candidates that have one of these steps count as changed."""
        if identities:
            criteria = {STEP_KEYS: {"$in": [step_key(one) for one in identities]}}
            self._candidates.update_many(criteria, {"$unset": {SEEN: ""}})

    def changed(self) -> list[Any]:
        """Return the keys of the candidates that count as changed."""
        return self._unseen("candidates")

    def keys_of(self, candidate_ids: Sequence[str]) -> list[Any]:
        """Return the keys of these candidates, changed or not."""
        wanted = {"candidate_id": {"$in": list(candidate_ids)}}
        return [row["_id"] for row in self._candidates.find(wanted, {"_id": 1})]

    def take(self, keys: Sequence[Any]) -> list[Taken]:
        """Return candidates to deal with, as they are now."""
        token = str(ObjectId())
        self._candidates.update_many(_among(keys), {"$set": {SEEN: token}})
        taken = []
        for row in self._candidates.find(_among(keys)):
            if row.get(STEP_KEYS) != (wanted := step_keys(row.get("steps"))):
                same = {"_id": row["_id"], SEEN: token}
                self._candidates.update_one(same, {"$set": {STEP_KEYS: wanted}})
            taken.append(Taken(row["_id"], token, row))
        return taken

    def settle(self, taken: Sequence[Taken]) -> list[Any]:
        """Let candidates count as dealt with; return the keys of those that changed meanwhile."""
        lost: list[Any] = []
        for token in {one.token for one in taken}:
            keys = [one.key for one in taken if one.token == token]
            others = {**_among(keys), SEEN: {"$ne": token}}
            changed = [row["_id"] for row in self._candidates.find(others, {"_id": 1})]
            if changed:
                self._candidates.update_many(_among(changed), {"$unset": {SEEN: ""}})
                lost += changed
            mine = {**_among(keys), SEEN: token}
            self._candidates.update_many(mine, {"$set": {SEEN: True}})
        return lost

    def settle_all(self, but: Iterable[tuple[str, Any]] = ()) -> None:
        """Let all documents count as dealt with but some, by collection and ``_id``."""
        token, ids = str(ObjectId()), list(but)
        for name, collection in self.collections.items():
            mine = [one for other, one in ids if other == name]
            for start in range(0, len(mine), _BATCH):
                some = _among(mine[start : start + _BATCH])
                collection.update_many(some, {"$set": {SEEN: token}})
            others = {SEEN: {"$nin": [True, token]}}
            collection.update_many(others, {"$set": {SEEN: True}})

    def pending(self) -> list[tuple[str, Any]] | None:
        """Return collection and ``_id`` of all changed documents; ``None`` where all are."""
        return [(name, one) for name in self.collections for one in self._unseen(name)]


def _among(ids: Sequence[Any]) -> Document:
    return {"_id": {"$in": list(ids)}}
