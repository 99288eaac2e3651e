"""A Maker whose steps die, fail or sleep when told to; worker processes can import it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from haloflow.errors import AnalysisError
from haloflow.makers.step import StepMaker, step_job
from haloflow.stores.documents import StepDocument


@dataclass
class DeedMaker(StepMaker):
    """Does what it is told, and leaves a mark each time.

    ``deeds`` are taken in turn, one per attempt: ``ok``, ``die``, ``fail``, ``break``, ``sleep``.
    """

    deeds: tuple[str, ...] = ("ok",)
    marks: str = ""
    extra: int = 0

    kind: ClassVar[str] = "deed"
    code_version: ClassVar[int] = 1

    @step_job()
    def make(self, parents=None):
        return self.run_step(self._do, parents or {})

    def _do(self, context):
        attempt = len(list(Path(self.marks).iterdir()))
        mark = Path(self.marks) / f"{time.time_ns()}-{os.getpid()}"
        mark.write_text(os.environ.get("OMP_NUM_THREADS", "no limit"))
        deed = self.deeds[min(attempt, len(self.deeds) - 1)]
        if deed == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if deed == "fail":
            raise AnalysisError("the deed was bad", given=attempt, remedy="do better")
        if deed == "break":
            return {}["no such key"]
        if deed == "sleep":
            time.sleep(60)
        return StepDocument(
            kind="deed", identity=context.identity, provenance=self.provenance(context)
        )
