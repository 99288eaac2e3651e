"""One call's work on an MD run: steps, checkpoints, and the reasons to stop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

from ..errors import InterruptedRunError
from ..identity import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

    from .checkpoint import Checkpoint, CheckpointFolder
    from .guards import GuardVerdict
    from .interrupts import StopRequest
    from .md_run import Run
    from .md_settings import MDSettings
    from .trajectory import TrajectoryWriter

_PROGRESS_INTERVAL_S: Final = 0.5
TRUSTED: Final = "trusted"
"""In a checkpoint: the last step that was saved before a guard doubted the run, or ended it."""


class Session:
    """Drives a run to its end, or to the first reason to stop.

    Parameters
    ----------
    run
        Started or resumed.
    writer, folder
        Its trajectory and its checkpoints.
    settings, signature
        What it is asked to do, and its identity.
    stop
        Signals and walltime.
    saved
        Checkpoint that the run was resumed from, if it was.
    """

    def __init__(
        self,
        run: Run,
        *,
        writer: TrajectoryWriter,
        folder: CheckpointFolder,
        settings: MDSettings,
        signature: str,
        stop: StopRequest,
        saved: Checkpoint | None,
    ) -> None:
        self._run, self._writer, self._folder = run, writer, folder
        self._settings, self._stop = settings, stop
        self._fresh = saved is None
        self._saved_step = run.step
        self._trusted: int | None = None if saved is None else saved.meta.get(TRUSTED)
        self._is_trusted = saved is None or self._trusted == saved.step
        self._wall_before_s = 0.0 if saved is None else float(saved.meta["wall_s"])
        self._meta = {
            "signature": signature,
            "settings": canonical(settings.physics()),
            "n_resumes": 0 if saved is None else _n_resumes(saved),
        }

    def drive(self, on_progress: Callable[[int, int], None] | None) -> Checkpoint:
        """Go on to the last step or the first verdict, and return the last checkpoint."""
        run, settings = self._run, self._settings
        last = settings.n_steps
        reported = -_PROGRESS_INTERVAL_S
        with np.errstate(all="ignore"):  # the guards look after numbers that are not finite
            verdict = (run.attempt(run.begin) or run.judge()) if self._fresh else None
            while verdict is None and run.step < last:
                verdict = run.attempt(run.advance)
                step = run.step
                if verdict is None and (step % settings.guard_interval == 0 or step == last):
                    verdict = run.judge()
                if verdict is None and step % settings.sync_interval == 0 and step < last:
                    self._synchronise()
                now = time.monotonic()
                if on_progress is not None and now - reported >= _PROGRESS_INTERVAL_S:
                    reported = now
                    on_progress(step, last)
        if on_progress is not None:
            on_progress(run.step, last)
        self._writer.close()
        return self._save(verdict, complete=True)

    def _synchronise(self) -> None:
        run, settings = self._run, self._settings
        run.forget()
        reason = self._stop.reason()
        if reason is not None:
            self._writer.close()
            self._save()
            raise interrupted(reason, run.step, settings.n_steps)
        if run.step - self._saved_step >= settings.checkpoint_interval:
            self._save()
            self._saved_step = run.step

    def _save(self, verdict: GuardVerdict | None = None, *, complete: bool = False) -> Checkpoint:
        self._is_trusted &= verdict is None and not self._run.is_doubted
        if self._is_trusted:
            self._trusted = self._run.step
        checkpoint = self._run.checkpoint(
            {
                **self._meta,
                TRUSTED: self._trusted,
                "wall_s": self._wall_before_s + self._stop.elapsed_s,
                "complete": complete,
                "verdict": None if verdict is None else [verdict.status.value, verdict.note],
            }
        )
        self._folder.save(checkpoint, keep=self._trusted)
        return checkpoint


def interrupted(reason: str, step: int, n_steps: int) -> InterruptedRunError:
    """Return the error that tells how far a stopped run has come."""
    return InterruptedRunError(
        f"an MD run was stopped by {reason}",
        given=f"{step} of {n_steps} steps are done and saved",
        remedy="run the same again; it goes on from there",
    )


def _n_resumes(saved: Checkpoint) -> int:
    """Count the stops so far; to make a finished run longer is none."""
    before: int = saved.meta["n_resumes"]
    return before if saved.meta["complete"] else before + 1
