"""What a step costs in the local manager, against a bare jobflow job of the same size.

Both sides make jobs that compute nothing, return the document of a cell as large as the glasses
of the quickstart and store it in a fresh embedded store: bare jobflow in one `run_locally` with
its own JobStore, haloflow through its manager and one worker process with everything a step goes
through (queue, claim, reuse check, provenance, summaries). Python start and imports are left out
on both sides. Sides alternate; exit code 1 above the limit.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jobflow import Flow, JobStore, Maker, job, run_locally
from pymatgen.core import Lattice, Structure

from haloflow.identity import step_uuid
from haloflow.makers.step import StepMaker, step_job
from haloflow.quantity import Quantity
from haloflow.stores.connection import open_store
from haloflow.stores.documents import CandidateDocument, Provenance, StaticDocument
from haloflow.stores.records import step_of
from haloflow.stores.results import stored_outputs
from haloflow.workflows.candidates import expand
from haloflow.workflows.cost import analysis_cost
from haloflow.workflows.plan import CandidatePlan, Plan
from haloflow.workflows.run import run_plan
from haloflow.workflows.steps import PlannedStep
from haloflow.workflows.sweep import parse_sweep

if TYPE_CHECKING:
    from haloflow.makers.progress import Progress
    from haloflow.makers.step import StepContext
    from haloflow.workflows.run import StepLabel

N_JOBS = 200
N_PAIRS = 5
LIMIT = 1.2


SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
SALT.make_supercell((3, 2, 1))  # 48 atoms


def document_of(identity: str, provenance: Provenance) -> StaticDocument:
    """Return the document that jobs of both sides return."""
    return StaticDocument(
        identity=identity, provenance=provenance, structure=SALT, level="none",
        energy_ev_per_atom=Quantity(-3.4), max_force_ev_a=0.0,
    )  # fmt: skip


@dataclass
class TrivialMaker(StepMaker):
    """Returns the document of a calculation that it does not do."""

    number: int = 0

    kind: ClassVar[str] = "static"
    code_version: ClassVar[int] = 1

    @step_job()
    def make(self, parents: dict[str, str] | None = None) -> StaticDocument | dict[str, Any]:
        """Return the document of step `number`."""
        return self.run_step(self._document, parents or {})

    def _document(self, context: StepContext) -> StaticDocument:
        return document_of(context.identity, self.provenance(context))


class Stopwatch:
    """Observer that notes when each step was finished."""

    def __init__(self) -> None:
        self.times_s: list[float] = []

    def planned(self, plan: Plan) -> None:
        """Not needed."""

    def started(self, label: StepLabel) -> None:
        """Not needed."""

    def progressed(self, label: StepLabel, progress: Progress) -> None:
        """Not needed."""

    def finished(self, label: StepLabel, wall_s: float) -> None:  # noqa: ARG002  (the protocol's)
        """Note the time."""
        self.times_s.append(time.perf_counter())

    def failed(self, label: StepLabel, message: str) -> None:
        """End the benchmark."""
        raise RuntimeError(f"{label}: {message}")


def measured_plan() -> Plan:
    """Return a plan of `N_JOBS` steps of one candidate, which do not depend on each other."""
    makers = [TrivialMaker(number=number) for number in range(N_JOBS)]
    identities = [maker.identity({}) for maker in makers]
    steps = [
        PlannedStep(f"trivial-{i}", maker, {}, {}, (), analysis_cost(), identity)
        for i, (maker, identity) in enumerate(zip(makers, identities, strict=True))
    ]
    document = CandidateDocument(
        candidate_id="trivial", label="trivial", family="none", formula="NaCl", phase="glass",
        components={"NaCl": 1.0}, levels={}, n_atoms=2, n_mobile=1,
        steps={step.name: step.identity for step in steps},
    )  # fmt: skip
    sweep = parse_sweep({"name": "trivial", "systems": [{"crystal": "NaCl_B1"}]})
    return Plan(sweep, [CandidatePlan(document, expand(sweep)[0], steps, frozenset())])


def haloflow_ms(folder: Path) -> tuple[float, Provenance]:
    """Return the wall time per step in one worker, in ms, and a step's provenance."""
    watch = Stopwatch()
    with open_store(folder) as store:
        plan = measured_plan()
        run_plan(plan, store, workers=1, observer=watch)
        outputs = stored_outputs(store, plan.steps)
    assert len(outputs) == N_JOBS
    document = step_of(next(iter(outputs.values())))
    elapsed_s = watch.times_s[-1] - watch.times_s[0]
    return elapsed_s / (N_JOBS - 1) * 1e3, document.provenance


@dataclass
class BareMaker(Maker):
    """Makes plain jobflow jobs that return a document like that of a step."""

    name: str = "bare"
    number: int = 0

    @job
    def make(self, provenance: Provenance) -> StaticDocument:
        """Return the document."""
        return document_of(step_uuid(str(self.number)) * 2, provenance)


def bare_jobflow_ms(folder: Path, provenance: Provenance) -> float:
    """Return the wall time per job of one flow, in ms."""
    with open_store(folder) as store, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jobflow's own: a deprecated cd, jobs without order
        bare = JobStore(store.outputs)
        run_locally(BareMaker().make(provenance), log=False, store=bare)  # imports
        started = time.perf_counter()
        flow = Flow([BareMaker(number=number).make(provenance) for number in range(N_JOBS)])
        run_locally(flow, log=False, store=bare)
        return (time.perf_counter() - started) / N_JOBS * 1e3


def main() -> None:
    """Alternate the two sides and compare their medians."""
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as scratch:
        _, provenance = haloflow_ms(Path(scratch) / "warm")
        for pair in range(N_PAIRS):
            theirs.append(bare_jobflow_ms(Path(scratch) / f"bare-{pair}", provenance))
            ours.append(haloflow_ms(Path(scratch) / f"haloflow-{pair}")[0])
            print(f"bare jobflow {theirs[-1]:6.2f} ms/job    haloflow {ours[-1]:6.2f} ms/step")
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"ratio of medians {ratio:.2f}, at most {LIMIT} wanted")
    raise SystemExit(ratio > LIMIT)


if __name__ == "__main__":
    main()
