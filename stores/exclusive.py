"""Having a store to oneself: for what must not happen while steps run or another does the same."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import ClaimError, StoreError
from .claims import Claims, Owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .connection import HaloflowStore


@contextmanager
def alone(store: HaloflowStore, task: str) -> Iterator[None]:
    """Be the only process that does `task`, e.g. ``migrating``, on a store, in a ``with`` block.

    Raises
    ------
    ClaimError
        Another process does.
    StoreError
        Steps are running.
    """
    claims = Claims(store.claims)
    name = f"{task} this store"
    with claims.held(name, Owner.here()) as is_ours:
        if not is_ours:
            raise ClaimError(
                f"another process is {name}",
                given=f"{store.name}, by {claims.holder(name)}",
                remedy="wait for it",
            )
        refuse_running(store, besides=name)
        yield


def refuse_running(store: HaloflowStore, besides: str = "") -> None:
    """Raise StoreError where a living process has a claim, other than that named `besides`."""
    live = Claims(store.claims).live()
    live.pop(besides, None)
    if live:
        what, claim = next(iter(live.items()))
        raise StoreError(
            f"the store is at work: {len(live)} claims on it are alive",
            given=f"{store.name}; {what[:24]} by {claim}",
            remedy="wait until the steps are done, or stop them",
        )
