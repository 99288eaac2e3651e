"""Claims on steps: of several processes, on one host or many, exactly one does a step."""

from __future__ import annotations

import os
import secrets
import socket
import sqlite3
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from pymongo.errors import DuplicateKeyError, PyMongoError

from ..errors import ClaimError, StoreError
from .heartbeats import BEATS_BEFORE_STALE, Heart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from maggma.core import Store

STALE_AFTER_S = 600.0
_BEATS_BETWEEN_LOOKS = 2
_OUTLASTS_OUTAGES = 36
"""So many times longer than stale, 6 h, hardly a server is away: then one look is enough."""
_SETTLE_S = 3.0
"""Who could not beat does so in this time after an outage: nobody counts as gone before."""
_START_TOLERANCE_S = 5.0
"""Two readings of a process' start may differ by clock corrections."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that claims steps; the token tells two owners in one process apart."""

    host: str
    pid: int
    started_s: float
    token: str

    @classmethod
    def here(cls) -> Owner:
        """Describe this process, with a token of its own."""
        pid = os.getpid()
        return cls(_this_host(), pid, _started_s(pid), secrets.token_hex(8))

    @property
    def is_here(self) -> bool:
        """Whether this is, or was, a process of this host."""
        return self.host == _this_host()

    def is_gone(self) -> bool:
        """Tell whether this is a process of this host that no longer runs."""
        if not self.is_here:
            return False
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            return abs(process.create_time() - self.started_s) > _START_TOLERANCE_S
        except psutil.NoSuchProcess:  # that is the answer
            return True

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host.partition('#')[0]}"


@lru_cache(maxsize=1)
def _started_s(pid: int) -> float:
    """Return when this process started; after a fork the pid is another one."""
    return psutil.Process(pid).create_time()


@lru_cache(maxsize=1)
def _this_host() -> str:
    """Return what process ids are unique within: host and, on Linux, the pid namespace."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}#{namespace}"


@dataclass(frozen=True, slots=True)
class Claim:
    """Who does a step, since when, and when they were last heard of (UTC)."""

    identity: str
    owner: Owner
    claimed_at: datetime
    heartbeat_at: datetime
    doubted_at: datetime | None = None
    """When this heartbeat was first found too old."""

    def is_silent(self, stale_after_s: float) -> bool:
        """Tell whether the owner is on another host and was not heard of for too long."""
        return not self.owner.is_here and _now() - self.heartbeat_at > _seconds(stale_after_s)

    def is_stale(self, stale_after_s: float) -> bool:
        """Tell whether the owner is dead, or on another host and gone.

        On this host the process itself tells, however long it could not reach the store. One
        elsewhere that is silent may have found the store away: it is gone if somebody saw the
        same heartbeat more than two beats ago, or after six hours.
        """
        if self.owner.is_here:
            return self.owner.is_gone()
        if not self.is_silent(stale_after_s):
            return False
        if _now() - self.heartbeat_at > _seconds(_OUTLASTS_OUTAGES * stale_after_s):
            return True
        looks_s = _BEATS_BETWEEN_LOOKS * stale_after_s / BEATS_BEFORE_STALE
        return self.doubted_at is not None and _now() - self.doubted_at > _seconds(looks_s)

    def __str__(self) -> str:
        age = (_now() - self.heartbeat_at).total_seconds()
        return f"{self.owner}, since {self.claimed_at:%Y-%m-%d %H:%M} UTC, alive {age:.0f} s ago"


class Claims:
    """Claims in a store's ``claims`` collection.

    Parameters
    ----------
    store
        Connected maggma store, embedded or MongoDB.
    stale_after_s
        A claim of another host counts as abandoned after this long without a heartbeat, and
        two beats more after it was first found so: while a server is away, nobody is heard of.
        A claim of a dead process of this host is abandoned at once.
    """

    def __init__(self, store: Store, stale_after_s: float = STALE_AFTER_S) -> None:
        self._collection = store._collection
        self.stale_after_s = stale_after_s

    def acquire(self, identity: str, owner: Owner) -> bool:
        """Claim a step; a second call of the same owner is a heartbeat.

        Returns
        -------
        bool
            False while a live owner holds it.
        """
        now = _now()
        record = _record(Claim(identity, owner, now, now))
        try:
            self._collection.insert_one(record)
        except DuplicateKeyError:
            holder = self.holder(identity)
        else:
            return True
        if holder is None:  # released between the two calls
            return self.acquire(identity, owner)
        holder = self._looked_at(holder)
        if holder.owner.token != owner.token and not holder.is_stale(self.stale_after_s):
            return False
        if not holder.owner.is_here:
            time.sleep(_SETTLE_S)
        # compare and set: of several who saw the same stale claim, one replaces it, and none if
        # its owner has beaten since
        if self._collection.replace_one(_same(holder), record).matched_count:
            return True
        holder = self.holder(identity)  # mine, if a server went away before it could answer
        return holder is not None and holder.owner.token == owner.token

    def heartbeat(self, identity: str, owner: Owner) -> None:
        """Say that the owner is alive.

        Raises
        ------
        ClaimError
            Somebody else has taken the step over.
        """
        held = self.require(identity, owner)
        record = _record(Claim(identity, owner, held.claimed_at, _now()))
        mine = {"_id": identity, "owner.token": owner.token}
        if not self._collection.replace_one(mine, record).matched_count:
            self.require(identity, owner)

    def require(self, identity: str, owner: Owner) -> Claim:
        """Return the claim that the owner still holds.

        Raises
        ------
        ClaimError
            Somebody else has taken the step over.
        """
        holder = self.holder(identity)
        if holder is not None and holder.owner.token == owner.token:
            return holder
        raise ClaimError(
            f"the claim on step {identity[:12]} is lost",
            given=f"claimed by {owner}; now held by {holder or 'nobody'}",
            remedy="stop this process; the other one does the step",
        )

    def release(self, identity: str, owner: Owner) -> None:
        """Give a step back; nothing happens when it is another owner's by now."""
        self._collection.delete_many({"_id": identity, "owner.token": owner.token})

    def holder(self, identity: str) -> Claim | None:
        """Return the claim on a step, stale or not."""
        found = next(iter(self._collection.find({"_id": identity})), None)
        return None if found is None else _claim(found)

    def live(self, identities: Iterable[str] | None = None) -> dict[str, Claim]:
        """Return the claims that are not stale, by identity."""
        wanted = None if identities is None else set(identities)
        claims = self._found({}, wanted)
        return {one.identity: one for one in claims if not one.is_stale(self.stale_after_s)}

    def abandoned(self, identities: Iterable[str]) -> dict[str, datetime]:
        """Return those steps whose owner is dead or silent for too long: when it claimed them."""
        wanted = set(identities)
        stale = self._stale(wanted)
        if any(not one.owner.is_here for one in stale):
            time.sleep(_SETTLE_S)
            stale = self._stale(wanted)
        return {one.identity: one.claimed_at for one in stale}

    def _stale(self, wanted: set[str]) -> list[Claim]:
        return [one for one in self._found({}, wanted) if one.is_stale(self.stale_after_s)]

    def _found(self, criteria: Mapping[str, Any], among: set[str] | None = None) -> list[Claim]:
        """Return claims; those among a sweep's steps are picked here: the steps may be many."""
        rows = list(self._collection.find(criteria))
        mine = [row for row in rows if among is None or row["_id"] in among]
        return [self._looked_at(_claim(row)) for row in mine]

    def _looked_at(self, claim: Claim) -> Claim:
        """Note the first look at a claim whose owner is silent: the next heartbeat removes that.

        Who may only read the store leaves it to others.
        """
        after_s = self.stale_after_s
        if claim.doubted_at or claim.is_stale(after_s) or not claim.is_silent(after_s):
            return claim
        doubted = replace(claim, doubted_at=_now())
        with suppress(StoreError, PyMongoError, sqlite3.Error):  # a reader's look changes nothing
            self._collection.replace_one(_same(claim), _record(doubted))
        return doubted

    def wait(self, identity: str, *, timeout_s: float, poll_s: float = 1.0) -> None:
        """Return when nobody alive holds the step.

        Raises
        ------
        ClaimError
            It is still held after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while (holder := next(iter(self._found({"_id": identity})), None)) is not None:
            if holder.is_stale(self.stale_after_s):
                return
            if time.monotonic() >= deadline:
                raise ClaimError(
                    f"step {identity[:12]} is still held after {timeout_s:g} s",
                    given=str(holder),
                    remedy="wait for that process, or stop it",
                )
            time.sleep(min(poll_s, max(deadline - time.monotonic(), 0.0)))

    @contextmanager
    def turn(self, name: str, *, timeout_s: float) -> Iterator[None]:
        """Be the only one in a short ``with`` block of this name.

        Raises
        ------
        ClaimError
            It is still another's turn after `timeout_s`.
        """
        owner = Owner.here()
        while not self.acquire(name, owner):
            self.wait(name, timeout_s=timeout_s, poll_s=0.05)
        try:
            yield
        finally:
            self.release(name, owner)

    @contextmanager
    def held(self, identity: str, owner: Owner) -> Iterator[bool]:
        """Claim a step for a ``with`` block, heartbeats from a thread included.

        Yields
        ------
        bool
            Whether the claim was got; the block runs either way.
        """
        if not self.acquire(identity, owner):
            yield False
            return
        _heart.add(self, identity, owner)
        try:
            yield True
        finally:
            _heart.remove(identity, owner)
            self.release(identity, owner)

    @staticmethod
    def require_unlost(identity: str, owner: Owner) -> None:
        """Ask the heartbeats of `held`, and not the store, whether the claim is still there.

        Raises
        ------
        ClaimError
            The last of them found that somebody else has taken the step over.
        """
        _heart.require(identity, owner)


_heart = Heart()


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def _now() -> datetime:
    """Return the time as stores keep it: naive, UTC, in milliseconds."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _record(claim: Claim) -> dict[str, Any]:
    return {
        "_id": claim.identity,
        "owner": {field: getattr(claim.owner, field) for field in Owner.__slots__},
        "claimed_at": claim.claimed_at,
        "heartbeat_at": claim.heartbeat_at,
        "doubted_at": claim.doubted_at,
    }


def _same(claim: Claim) -> dict[str, Any]:
    """Return the condition that nobody took a claim over or beat for it since."""
    return {
        "_id": claim.identity,
        "owner.token": claim.owner.token,
        "heartbeat_at": claim.heartbeat_at,
    }


def _claim(record: dict[str, Any]) -> Claim:
    owner = Owner(**record["owner"])
    times = (record["claimed_at"], record["heartbeat_at"], record.get("doubted_at"))
    return Claim(record["_id"], owner, *times)
