"""Finding fireworks that were lost with a process, and putting them back."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fireworks import fw_config
from fireworks.core.fworker import FWorker
from fireworks.core.launchpad import WFLock
from pymongo.errors import DuplicateKeyError

from .attempts import MOST_IDLE
from .batch import look_at_queue
from .fireworks_states import LAUNCH_FIELDS, queue_id_of, started_at, time_of
from .worker_names import is_own

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from fireworks import LaunchPad

BATCH = 1000
_FIRST_LOOK = "haloflow_first_look"
"""At a launch that is silent: when, and what was heard last; in the launch."""
_PINGS_BETWEEN_LOOKS = 2
_OUTLASTS_OUTAGES = timedelta(hours=6)
"""So long hardly a server is away: then one look is enough."""
_STAY_PINGS, _MOST_STAY_S = 1.5, 90.0
"""How long the second look lasts."""
_LOOK_S, _PROMPT_S = 1.0, 5.0
"""From one question in it to the next, and in which time a server that is there says so."""
_LOCK_S = 10.0
"""Longest time that FireWorks itself keeps a workflow to itself, some times over."""


class Recovery:
    """What became of fireworks that seem to run or to wait in a queue.

    Parameters
    ----------
    scheduler
        Of the queue that this machine submits to, as FireWorks calls it.
    stays
        Whether there is the time for a second look that lasts.
    """

    def __init__(self, launchpad: LaunchPad, scheduler: str | None, *, stays: bool = True) -> None:
        self._pad = launchpad
        self._scheduler = scheduler
        self._stays = stays

    def put_back(
        self, running: Mapping[int, str], abandoned: Mapping[str, datetime], after_s: float
    ) -> set[int]:
        """Let run again what is lost, and return it.

        Parameters
        ----------
        running
            Fireworks that are RUNNING or RESERVED: id to identity of the step.
        abandoned
            Steps that a process claimed at this time and left without a word.
        after_s
            Silence after which a job counts as lost, if it is as silent at a later look.
        """
        mine = {"fw_id": {"$in": list(running)}}
        silent, _, _ = self._pad.detect_lostruns(after_s, refresh=True, query=mine)
        lost = self._lost(self._silent_again(silent), mine, after_s)
        lost |= self._lost(self._left_by_the_dead(running, abandoned), mine)
        lost |= self._forgotten_by_the_queue(running, mine)
        return lost | self._never_sent(running, after_s)

    def unlock(self, fw_ids: Iterable[int]) -> None:
        """Open workflows that a process locked and was killed."""
        wanted = list(fw_ids)
        for start in range(0, len(wanted), BATCH):
            some = {"$in": wanted[start : start + BATCH]}
            locked = {"nodes": some, "locked": {"$exists": True}}
            for workflow in list(self._pad.workflows.find(locked, {"nodes": 1})):
                with WFLock(self._pad, workflow["nodes"][0], expire_secs=_LOCK_S, kill=True):
                    continue

    def sent(self, fw_ids: Iterable[int]) -> Iterator[tuple[dict[str, Any], str]]:
        """Yield the unfinished launches that this user sent to the queue here, with its id."""
        worker = FWorker.auto_load()
        states = {"state": {"$in": ["RESERVED", "RUNNING"]}, "fworker.name": worker.name}
        for launch in self._launches(fw_ids, states):
            if (job_id := queue_id_of(launch)) is not None and is_own(launch, worker.env):
                yield launch, job_id

    def _launches(
        self, fw_ids: Iterable[int], criteria: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        wanted = list(fw_ids)
        for start in range(0, len(wanted), BATCH):
            some = {"fw_id": {"$in": wanted[start : start + BATCH]}}
            yield from self._pad.launches.find({**some, **criteria}, LAUNCH_FIELDS)

    def _forgotten_by_the_queue(self, fw_ids: Collection[int], mine: dict[str, Any]) -> set[int]:
        """Put back what the queue of this machine had from here and no longer knows."""
        sent = list(self.sent(fw_ids))  # before the queue is asked: a job may start meanwhile
        if not sent or (queue := look_at_queue(self._scheduler)) is None:
            return set()
        gone = [launch for launch, job_id in sent if job_id not in queue.ids]
        waited = [launch for launch in gone if launch["state"] == "RESERVED"]
        return self._lost(gone, mine) | self._cancelled(waited)

    def _never_sent(self, fw_ids: Collection[int], after_s: float) -> set[int]:
        """Put back what was taken, long ago, by a process that was killed before it sent it."""
        reserved = {"fw_id": {"$in": list(fw_ids)}, "state": "RESERVED"}
        before = datetime.now(UTC) - timedelta(seconds=after_s)
        rows = self._pad.fireworks.find(reserved, {"fw_id": 1, "updated_on": 1})
        old = {row["fw_id"] for row in rows if time_of(row["updated_on"]) < before}
        unfinished = {"state": {"$in": ["RESERVED", "RUNNING"]}}
        launches = list(self._launches(old, unfinished))
        begun = {launch["fw_id"] for launch in launches if launch["state"] == "RUNNING"}
        in_queue = {launch["fw_id"] for launch in launches if queue_id_of(launch) is not None}
        left = [launch for launch in launches if launch["fw_id"] not in in_queue | begun]
        bare = set()
        for fw_id in old - {launch["fw_id"] for launch in launches}:
            if self._pad.fireworks.find_one({"fw_id": fw_id, "state": "RESERVED"}, {"fw_id": 1}):
                self._pad.rerun_fw(fw_id)
                bare.add(fw_id)
        return bare | self._cancelled(left)

    def _cancelled(self, launches: Iterable[Mapping[str, Any]]) -> set[int]:
        """Cancel reservations; one whose job has begun meanwhile is left alone.

        A firework whose jobs leave the queue again and again without having begun has failed:
        its jobs cannot start, and what they wrote says why.
        """
        done = set()
        for launch in launches:
            if self._n_never_begun(launch["fw_id"]) < MOST_IDLE - 1:
                with suppress(DuplicateKeyError):  # it has begun meanwhile
                    self._pad.cancel_reservation(launch["launch_id"])
                    done.add(launch["fw_id"])
            elif self._pad.get_launch_by_id(launch["launch_id"]).state == "RESERVED":
                self._pad.mark_fizzled(launch["launch_id"])
        return done

    def _n_never_begun(self, fw_id: int) -> int:
        """Count the reservations in a row, up to the present one, that came to nothing."""
        row = self._pad.fireworks.find_one({"fw_id": fw_id}, {"archived_launches": 1}) or {}
        earlier = {"launch_id": {"$in": row.get("archived_launches", [])}}
        count = 0
        for launch in self._pad.launches.find(earlier, LAUNCH_FIELDS).sort("launch_id", -1):
            if launch["state"] != "READY" or queue_id_of(launch) is None:
                break
            count += 1
        return count

    def _silent_again(self, launch_ids: Iterable[int]) -> Iterator[dict[str, Any]]:
        """Yield the launches that were as silent at a look more than two pings ago.

        What is silent for the first time is noted: after an outage of the server all are for a
        moment. It may have been away again since, so the second look lasts: it is left to those
        who have the time.
        """
        now = datetime.now(UTC)
        pause = timedelta(seconds=_PINGS_BETWEEN_LOOKS * fw_config.PING_TIME_SECS)
        again = []
        for launch in list(self._launches_by_id(launch_ids)):
            heard = launch["state_history"][-1]["updated_on"]
            seen = launch.get(_FIRST_LOOK) or {}
            if now - time_of(heard) > _OUTLASTS_OUTAGES:
                yield launch
            elif seen.get("heard") != str(heard):
                look = {"heard": str(heard), "at": now.isoformat()}
                running = {"launch_id": launch["launch_id"], "state": "RUNNING"}
                self._pad.launches.update_one(running, {"$set": {_FIRST_LOOK: look}})
            elif now - time_of(seen["at"]) > pause:
                again.append(launch)
        if self._stays:
            yield from self._unheard(again)

    def _unheard(self, launches: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those that send no ping in the time of one, while the server is there."""
        silent = {one["launch_id"]: one["state_history"][-1]["updated_on"] for one in launches}
        found: list[dict[str, Any]] = []
        until = time.monotonic() + min(_STAY_PINGS * fw_config.PING_TIME_SECS, _MOST_STAY_S)
        while silent and (left_s := until - time.monotonic()) > 0:
            time.sleep(min(_LOOK_S, left_s))
            found = [
                one
                for one in self._launches_by_id(silent)
                if one["state_history"][-1]["updated_on"] == silent[one["launch_id"]]
            ]
            asked = time.monotonic()
            self._pad.db.command("ping")
            if time.monotonic() - asked > _PROMPT_S:  # nobody could be heard
                return []
            silent = {one["launch_id"]: silent[one["launch_id"]] for one in found}
        return found

    def _launches_by_id(self, launch_ids: Iterable[int]) -> Iterator[dict[str, Any]]:
        wanted = list(launch_ids)
        fields = {"launch_id": 1, "state_history": {"$slice": -1}, _FIRST_LOOK: 1}
        for start in range(0, len(wanted), BATCH):
            some = {"$in": wanted[start : start + BATCH]}
            yield from self._pad.launches.find({"launch_id": some}, fields)

    def _lost(
        self, launches: Iterable[Mapping[str, Any]], mine: dict[str, Any], after_s: float = 0.0
    ) -> set[int]:
        """Let FireWorks take these launches as lost now, if they still run for it."""
        ids = [launch["launch_id"] for launch in launches]
        if not ids:
            return set()
        only = {"launch_id": {"$in": ids}}
        _, fw_ids, _ = self._pad.detect_lostruns(
            expiration_secs=after_s, rerun=True, query=mine, launch_query=only
        )
        return set(fw_ids)

    def _left_by_the_dead(
        self, running: Mapping[int, str], abandoned: Mapping[str, datetime]
    ) -> Iterator[dict[str, Any]]:
        """Yield launches that began before a claim that its process left without a word."""
        claimed = {fw_id: abandoned[i] for fw_id, i in running.items() if i in abandoned}
        for launch in self._launches(claimed, {"state": "RUNNING"}):
            began = started_at(launch)
            if began is not None and began <= claimed[launch["fw_id"]].replace(tzinfo=UTC):
                yield launch


def lost_after_s() -> float:
    """Return the silence after which FireWorks is configured to take a job as lost."""
    return float(fw_config.RUN_EXPIRATION_SECS)
