"""Jobs of a step in a row that got it no further: they come to an end."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ...errors import EngineError
from ...makers.step import step_directory
from ...stores.claims import Claims
from ...stores.saved_runs import MARKER, last_saving, saving_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...stores.connection import HaloflowStore
    from .task import Orders

MOST_IDLE = 3
"""Jobs in a row without progress, after which the step fails."""
MOST_JOBS = 1000
"""A job that does less than this share of what is left counts as one without progress."""
_PREFIX = "attempts-"
_CHECKPOINTS = "step-*.ckpt"
_OTHER_STATE = ("checkpoint.pt", "OUTCAR*")
"""What steps without such checkpoints go on from."""


@dataclass(frozen=True)
class Mark:
    """How far a step has come, by what lies in its folder or is saved of it elsewhere.

    Attributes
    ----------
    files
        What it can go on from: names of checkpoints, names and contents of other files.
    units
        Steps up to the newest checkpoints of all parts.
    """

    files: str
    units: int

    @classmethod
    def of(cls, store: HaloflowStore, identity: str) -> Mark:
        """Look at what the next job of a step will go on from.

        That is the folder of this machine, unless another one has saved more since.
        """
        directory = step_directory(store.files_dir, identity)
        record = last_saving(store, identity)
        rows = {} if record is None else {row["path"]: row for row in record["files"]}
        if record is not None and record["token"] != saving_of(directory):
            return cls._of(rows, {name: str(row["sha256"]) for name, row in rows.items()})
        paths = {
            path.relative_to(directory).as_posix(): path
            for pattern in (_CHECKPOINTS, *_OTHER_STATE)
            for path in directory.rglob(pattern)
        }
        saved_ns = (directory / MARKER).stat().st_mtime_ns if record is not None else -1
        contents = {}
        for name, path in paths.items():
            found, row = path.stat(), rows.get(name)
            is_saved = row is not None and row["n_bytes"] == found.st_size
            if is_saved and found.st_mtime_ns <= saved_ns:
                contents[name] = str(rows[name]["sha256"])
            else:
                contents[name] = f"{found.st_size}:{found.st_mtime_ns}"
        return cls._of(paths, contents)

    @classmethod
    def _of(cls, paths: Iterable[str], contents: Mapping[str, str]) -> Mark:
        newest: dict[str, int] = {}
        others = []
        for path in map(PurePosixPath, paths):
            part = path.parent.as_posix()
            if fnmatch(path.name, _CHECKPOINTS):
                newest[part] = max(int(path.stem.partition("-")[2]), newest.get(part, 0))
            elif any(fnmatch(path.name, pattern) for pattern in _OTHER_STATE):
                others.append(f"{path}:{contents[str(path)]}")
        files = [f"{part}:{step}" for part, step in newest.items()] + others
        return cls("\n".join(sorted(files)), sum(newest.values()))


class Attempt:
    """A job of a step, from its beginning to its end without a result.

    Parameters
    ----------
    store
        Where the jobs in a row are counted.

    Raises
    ------
    EngineError
        As many jobs as may be have got the step no further.
    """

    def __init__(self, store: HaloflowStore, orders: Orders) -> None:
        self._store, self._orders = store, orders
        self._key = _PREFIX + orders.identity
        self._began = Mark.of(store, orders.identity)
        noted = store.meta.query_one({"_id": self._key})
        same = noted is not None and noted["mark"] == self._began.files
        self._n_idle = noted["n_idle"] + 1 if noted is not None and same else 1
        if self._n_idle > MOST_IDLE:
            self.close()
            raise self._error("they ended without a word: killed, or out of memory or time")
        self._note(self._began)

    def interrupted(self, reason: str) -> None:
        """Note why the job ended before the step.

        Raises
        ------
        EngineError
            As above.
        """
        if Claims(self._store.claims).live([self._orders.identity]):  # it waited for another
            self._n_idle -= 1
            self._note(self._began)
            return
        now = Mark.of(self._store, self._orders.identity)
        if now.files != self._began.files and not self._crawls(now, reason):
            self._n_idle = 0
            self._note(now)
            return
        if self._n_idle >= MOST_IDLE:
            self.close()
            raise self._error(f"the last was ended so: {reason}")
        self._note(now)

    def close(self) -> None:
        """Forget the count."""
        self._store.meta.remove_docs({"_id": self._key})

    def _crawls(self, now: Mark, reason: str) -> bool:
        left = self._orders.work_units - now.units
        gained = now.units - self._began.units
        return "walltime" in reason and 0 < gained * MOST_JOBS < left

    def _note(self, mark: Mark) -> None:
        row = {"_id": self._key, "mark": mark.files, "n_idle": self._n_idle}
        self._store.meta.update([row], key="_id")

    def _error(self, how: str) -> EngineError:
        orders = self._orders
        stage = f"{{{orders.stage}: {{walltime_h: ...}}}}"
        return EngineError(
            f"{MOST_IDLE} jobs in a row got the step hardly further",
            given=f"{how}; each had {orders.walltime_s:.0f} s, while the way to a checkpoint "
            f"is estimated at {orders.checkpoint_s:.0f} s and the start of a job comes on top",
            remedy=f"give it more time by `resources: {stage}` in the sweep file, or let it write "
            "checkpoints more often; submit the sweep again, and then: haloflow retry",
        )
