"""Sweeps that were handed to a manager: submitted, gone on with, taken back."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...errors import UnknownNameError
from ...stores.claims import Claims
from ...stores.results import clear_failures, finished, forget
from ..mending import dependants, mend
from ..plan import plan_sweep
from ..status import candidate_documents, record_candidates, update_summaries
from ..sweep import parse_sweep
from .base import Submission, open_manager, require_server

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ...stores.connection import HaloflowStore
    from ..plan import Plan
    from ..sweep import Sweep
    from .base import JobState, Manager

_TURN_TIMEOUT_S = 900.0
_PREFIX = "submitted-"


@dataclass(frozen=True)
class Campaign:
    """A sweep in the hands of a manager."""

    sweep: Sweep
    manager: Manager

    def identities(self, store: HaloflowStore) -> set[str]:
        """Return the identities of its steps, those that are done included."""
        documents = candidate_documents(store, self.sweep.name)
        return {identity for document in documents for identity in document.steps.values()}

    def pending(self, store: HaloflowStore) -> set[str]:
        """Return the identities of its steps without a result."""
        identities = self.identities(store)
        return identities - finished(store, identities)

    def recover(self, store: HaloflowStore) -> set[str]:
        """Find what was lost with a process or a machine, and let it run again.

        Also jobs whose document is stored, if they could not say so: others wait for them. A
        step that a living process has claimed is not lost because its job is silent.
        """
        return recover([self], store)[self.sweep.name]


def submit_sweep(
    sweep: Sweep, store: HaloflowStore, manager: Manager, *, over_budget: bool = False
) -> tuple[Plan, Submission]:
    """Hand what `sweep` still needs to `manager`.

    Submitted twice, or from two machines at once, every step is handed over once.

    Raises
    ------
    SweepError, CompositionError, UnknownNameError, CoverageError, StoreError
        Before anything is handed over.
    """
    require_server(store)
    with Claims(store.claims).turn("submission", timeout_s=_TURN_TIMEOUT_S):
        plan = plan_sweep(sweep, store)
        if not over_budget:
            plan.require_budget()
        forget(store, plan.outdated)
        record_candidates(store, plan)
        _note(store, sweep, manager)
        return plan, manager.submit(plan, store)


@contextmanager
def campaigns(
    store: HaloflowStore, sweep_name: str | None = None, *, manager: Manager | None = None
) -> Iterator[list[Campaign]]:
    """Give the submitted sweeps, or the one of this name, and close their managers at the end.

    Parameters
    ----------
    manager
        An open one, which stays open: give its sweeps only.

    Raises
    ------
    UnknownNameError
        No sweep of this name was submitted.
    """
    rows = list(store.meta.query({"_id": {"$regex": f"^{_PREFIX}"}}, sort={"_id": 1}))
    names = [row["_id"].removeprefix(_PREFIX) for row in rows]
    if sweep_name is not None and sweep_name not in names:
        raise UnknownNameError.of("submitted sweep", sweep_name, names)
    chosen = [
        (name, row) for name, row in zip(names, rows, strict=True) if sweep_name in {None, name}
    ]
    if manager is not None:
        chosen = [(name, row) for name, row in chosen if row["manager"] == manager.name]
    with ExitStack() as opened:
        managers = {
            name: manager or opened.enter_context(closing(open_manager(name)))
            for name in dict.fromkeys(row["manager"] for _, row in chosen)
        }
        yield [
            Campaign(parse_sweep(row["sweep"], name), managers[row["manager"]])
            for name, row in chosen
        ]


def recover(several: Collection[Campaign], store: HaloflowStore) -> dict[str, set[str]]:
    """Find what was lost of several sweeps, and let it run again.

    What lasts, to hear of who is silent, does so once for all of them.

    Returns
    -------
    dict
        Name of the sweep to identities.
    """
    of_each = {one.sweep.name: one.identities(store) for one in several}
    of_managers: dict[Manager, set[str]] = {}
    for one in several:
        of_managers.setdefault(one.manager, set()).update(of_each[one.sweep.name])
    claims, everything = Claims(store.claims), set[str]().union(*of_each.values())
    abandoned = claims.abandoned(everything)
    lost: set[str] = set()
    for manager, identities in of_managers.items():
        lost |= manager.recover(identities, abandoned, claims.live(identities).keys())
    return {name: identities & lost for name, identities in of_each.items()}


def go_on(campaign: Campaign, store: HaloflowStore) -> dict[str, Any]:
    """Let all run that has no result: paused, lost, failed, damaged, or not handed over.

    Returns
    -------
    dict
        ``mended``, ``resumed``, ``recovered`` and ``retried`` identities, and the
        ``submission``.
    """
    mended = mend(store, campaign.pending(store))
    if mended:  # what was to start from their documents is handed over anew, after them
        plan = plan_sweep(campaign.sweep, store)
        campaign.manager.cancel(dependants(plan, mended))
    pending = campaign.pending(store)
    recovered = campaign.recover(store)
    resumed = campaign.manager.resume(pending)
    retried = campaign.manager.retry(campaign.identities(store))
    clear_failures(store, retried | recovered)
    _, submission = submit_sweep(campaign.sweep, store, campaign.manager, over_budget=True)
    update_summaries(store)
    return {
        "mended": mended,
        "recovered": recovered,
        "resumed": resumed,
        "retried": retried - recovered,
        "submission": submission,
    }


def retry(campaign: Campaign, store: HaloflowStore, causes: Collection[str]) -> set[str]:
    """Run again the failed steps whose cause holds one of the texts; without any, all failed.

    Returns
    -------
    set
        Identities.
    """
    states = campaign.manager.states(campaign.pending(store))
    chosen = {state.identity for state in states.values() if _is_meant(state, causes)}
    retried = campaign.manager.retry(chosen)
    clear_failures(store, retried)
    update_summaries(store)
    return retried


def cancel(campaign: Campaign, store: HaloflowStore) -> set[str]:
    """Take back what is unfinished; what is stored stays. Return the identities."""
    others = _needed_by_others(campaign, store)
    taken = campaign.manager.cancel(campaign.pending(store) - others)
    store.meta.remove_docs({"_id": _PREFIX + campaign.sweep.name})
    return taken


def pause(campaign: Campaign, store: HaloflowStore) -> set[str]:
    """Let no further step start. Return the identities."""
    return campaign.manager.pause(campaign.pending(store) - _needed_by_others(campaign, store))


def _needed_by_others(campaign: Campaign, store: HaloflowStore) -> set[str]:
    """Return the steps that other submitted sweeps wait for, too."""
    rows = store.meta.query({"_id": {"$regex": f"^{_PREFIX}"}}, ["_id"])
    names = {row["_id"].removeprefix(_PREFIX) for row in rows} - {campaign.sweep.name}
    others = store.candidates.query({"sweeps": {"$in": sorted(names)}}, ["steps"])
    return {identity for row in others for identity in row["steps"].values()}


def _is_meant(state: JobState, causes: Iterable[str]) -> bool:
    wanted = [text.casefold() for text in causes]
    if state.phase != "failed":
        return False
    said = f"{state.cause}\n{state.tail}".casefold()
    return not wanted or any(text in said for text in wanted)


def _note(store: HaloflowStore, sweep: Sweep, manager: Manager) -> None:
    record = {
        "_id": _PREFIX + sweep.name,
        "manager": manager.name,
        "sweep": sweep.model_dump(mode="json", exclude_none=True),
        "submitted_at": datetime.now(UTC).replace(tzinfo=None),
    }
    store.meta.update([record], key="_id")
