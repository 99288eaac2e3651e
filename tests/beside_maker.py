"""A Maker whose steps run side by side; worker processes can import it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from batched_argon import BatchedArgon, argon

from haloflow.engines.batching import BatchedCalculator
from haloflow.engines.md import MDSettings, run_md
from haloflow.makers.step import StepMaker, step_job
from haloflow.stores.documents import StepDocument


@cache
def model():
    return BatchedArgon()


@dataclass
class BesideMaker(StepMaker):
    """Runs argon and notes how many were evaluated with it, at most.

    Its process dies at step `dies_at`, once or, if it `is_mortal`, each time; with `copper` it
    cannot be evaluated.
    """

    n_steps: int = 20
    seed: int = 0
    copper: bool = False
    dies_at: int = 0
    is_mortal: bool = False
    marks: str = ""

    kind: ClassVar[str] = "beside"
    code_version: ClassVar[int] = 1

    @property
    def runs_beside_others(self):
        return True

    @step_job()
    def make(self, parents=None):
        return self.run_step(self._do, parents or {})

    def _do(self, context):
        atoms = argon(self.seed)
        if self.copper:
            atoms.symbols[0] = "Cu"
        settings = MDSettings(
            "nvt-langevin", 40.0, self.n_steps, seed=self.seed, checkpoint_interval=10,
            sync_interval=10,
        )  # fmt: skip
        result = run_md(
            atoms, BatchedCalculator(model()), settings, context.directory / "run",
            signature=context.identity, guards=[self._die],
        )  # fmt: skip
        context.n_resumes = result.n_resumes
        return StepDocument(
            kind="beside",
            identity=context.identity,
            note=f"{max(model().sizes)} together, process {os.getpid()}",
            provenance=self.provenance(context),
            files=context.trajectories({"run": result}),
        )

    def _die(self, _atoms, step):
        mark = Path(self.marks) / "died"
        if self.dies_at and step == self.dies_at and (self.is_mortal or not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
