"""What large sweeps cost before and beside the calculations.

::

    python benchmarks/queues.py [--only planning|submitting|queries|builder] [--candidates 100000]

- ``planning``: CPU and peak memory of a process that plans 10 000 glasses.
- ``submitting``: handing 1000 flows to FireWorks against a bare ``LaunchPad.bulk_add_wfs`` of
  the same workflows, on a private mongod; A B A B in one run.
- ``queries``: `benchmarks/queries.py` on an embedded store and on a MongoDB server.
- ``builder``: bringing the summaries up to date after one new document, among 100 and among
  many candidates, on both stores. Of the embedded store, which works in this process, CPU time.

Prints each figure beside its limit, and the load; exit code 1 above a limit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fireworks import LaunchPad

from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.connection import open_store
from haloflow.workflows.managers.fireworks import FireWorksManager
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.sweep import parse_sweep

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import many_candidates
from mongo_server import running_mongod
from small_candidates import compute, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from fireworks import Workflow

    from haloflow.stores.connection import HaloflowStore
    from haloflow.workflows.plan import Plan

N_PLANNED, PLANNING_LIMIT_S, PLANNING_LIMIT_MB = 10_000, 20.0, 500.0
N_FLOWS, SUBMITTING_LIMIT, N_PAIRS = 1000, 1.5, 3
FEW, BUILDER_LIMIT, N_BUILDS = 100, 1.5, 15
QUERIES = Path(__file__).with_name("queries.py")


@dataclass(frozen=True)
class Figure:
    """Something measured, and the most it may be."""

    name: str
    value: float
    limit: float
    unit: str = ""
    note: str = ""

    def __str__(self) -> str:
        met = "met" if self.value <= self.limit else "NOT MET"
        value = f"{self.value:.4g}{self.unit}, limit {self.limit:g}{self.unit}: {met}"
        return f"{self.name:52} {value}{f' ({self.note})' if self.note else ''}"


def sweep_of(n: int) -> dict[str, object]:
    """Return a sweep of `n` glasses, each of one seed at three temperatures: ten steps."""
    return {
        "name": "many",
        "seeds": [1],
        "md": {"temperatures_k": [600, 800, 1000]},
        "systems": [{"family": "tacl5-na2s", "x": [round(0.3 + 0.6 * k / n, 7) for k in range(n)]}],
    }


# -- planning ------------------------------------------------------------------------------


def planned_here(n: int) -> None:
    """Plan in this process, and print what it cost."""
    sweep = parse_sweep(sweep_of(n))
    started = time.process_time()
    plan = plan_sweep(sweep)
    cost_s = time.process_time() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    sys.stdout.write(json.dumps([len(plan.candidates), plan.n_steps, cost_s, peak_mb]))


def planning() -> list[Figure]:
    """Plan in a process of its own."""
    command = [sys.executable, __file__, "--plan", str(N_PLANNED)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    n_candidates, n_steps, cost_s, peak_mb = json.loads(said)
    assert n_candidates == N_PLANNED
    name = f"planning {n_candidates} candidates, {n_steps} steps"
    return [
        Figure(f"{name}: CPU", cost_s, PLANNING_LIMIT_S, " s"),
        Figure(f"{name}: peak memory", peak_mb, PLANNING_LIMIT_MB, " MB", "all of the process"),
    ]


# -- submitting ----------------------------------------------------------------------------


def submitting() -> list[Figure]:
    """Submit to one LaunchPad with everything, and bare to another."""
    with tempfile.TemporaryDirectory() as scratch, running_mongod(Path(scratch)) as uri:
        files = Path(scratch) / "files"
        with open_store(f"{uri}/results", files_dir=files) as store:
            first = plan_sweep(parse_sweep(sweep_of(2)), store)
            submit(first, store, launchpad(f"{uri}/launchpad"))  # what is imported at first
            plan = plan_sweep(parse_sweep(sweep_of(N_FLOWS)), store)
            ours, bare = [], []
            for _ in range(N_PAIRS):
                ours.append(submit(plan, store, launchpad(f"{uri}/launchpad")))
                workflows = converted(plan, store, launchpad(f"{uri}/bare"))
                bare.append(added(workflows, launchpad(f"{uri}/bare")))
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    note = f"{statistics.median(ours):.2f} s against {statistics.median(bare):.2f} s"
    name = f"submitting {N_FLOWS} flows against bulk_add_wfs"
    return [Figure(name, statistics.median(ratios), SUBMITTING_LIMIT, "", note)]


def launchpad(uri: str) -> LaunchPad:
    """Return an empty LaunchPad."""
    place = urlsplit(uri)
    pad = LaunchPad(host=place.hostname, port=place.port, name=place.path[1:], strm_lvl="CRITICAL")
    with redirect_stdout(StringIO()):
        pad.reset("", require_password=False, max_reset_wo_password=10**9)
    return pad


def submit(plan: Plan, store: HaloflowStore, pad: LaunchPad) -> float:
    """Return the seconds that a submission takes."""
    with closing(FireWorksManager(pad)) as manager:
        started = time.perf_counter()
        submission = manager.submit(plan, store)
        taken = time.perf_counter() - started
        assert submission.n_flows == len(plan.candidates) == pad.workflows.count_documents({})
    return taken


def converted(plan: Plan, store: HaloflowStore, pad: LaunchPad) -> list[Workflow]:
    """Return the workflows that a submission hands to FireWorks, without doing so."""
    made: list[Workflow] = []
    pad.bulk_add_wfs = made.extend
    with closing(FireWorksManager(pad)) as manager:
        manager.submit(plan, store)
    return made


def added(workflows: list[Workflow], pad: LaunchPad) -> float:
    """Return the seconds that FireWorks alone takes for new workflows."""
    with redirect_stderr(StringIO()):  # a progress bar
        started = time.perf_counter()
        pad.bulk_add_wfs(workflows)
        taken = time.perf_counter() - started
    assert pad.workflows.count_documents({}) == len(workflows)
    pad.connection.close()
    return taken


# -- queries -------------------------------------------------------------------------------


def queries(n: int) -> list[Figure]:
    """Let `queries.py` ask both stores, and take its verdicts."""
    with tempfile.TemporaryDirectory() as scratch, running_mongod(Path(scratch)) as uri:
        files = f"{scratch}/files"
        return [
            asked("embedded", [str(n)]),
            asked("MongoDB", [str(n), f"{uri}/queries", "--files", files]),
        ]


def asked(kind: str, arguments: list[str]) -> Figure:
    """Run `queries.py`; show what it says, and return the worst ratio to a limit."""
    command = [sys.executable, str(QUERIES), *arguments]
    said = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True).stdout
    print(said)
    worst = re.findall(r"at most ([\d.]+) of the limit", said)
    return Figure(f"queries on {kind}, slowest answer over its limit", float(worst[-1]), 1.0)


# -- builder -------------------------------------------------------------------------------


def builder(n: int) -> list[Figure]:
    """Compare updates among few and among many candidates."""
    figures = []
    with tempfile.TemporaryDirectory() as scratch, running_mongod(Path(scratch)) as uri:
        for kind, clock in (("embedded", time.process_time), ("MongoDB", time.perf_counter)):
            places = [
                f"{uri}/of{size}" if kind == "MongoDB" else f"{scratch}/of{size}"
                for size in (FEW, n)
            ]
            few_ms, many_ms = updates_ms(places, (FEW, n), f"{scratch}/files", clock)
            note = f"{many_ms:.1f} ms against {few_ms:.1f} ms"
            name = f"a new document among {n} against among {FEW}, {kind}"
            figures.append(Figure(name, many_ms / few_ms, BUILDER_LIMIT, "", note))
    return figures


def updates_ms(
    places: list[str], sizes: tuple[int, int], files: str, clock: Callable[[], float]
) -> list[float]:
    """Return the median times of updates after one new document, taken in turns."""
    times: list[list[float]] = [[] for _ in places]
    with ExitStack() as opened:
        stores = [opened.enter_context(open_store(place, files_dir=files)) for place in places]
        for store, size in zip(stores, sizes, strict=True):
            many_candidates.fill(store, size)
            put(store, "the one", ["the step"])
            SummaryBuilder.of(store).run()
        for number in range(N_BUILDS):
            for store, taken in zip(stores, times, strict=True):
                compute(store, "the step", note=f"run {number}")
                started = clock()
                SummaryBuilder.of(store).run()
                taken.append(1e3 * (clock() - started))
                summary = store.summaries.query_one({"candidate_id": "the one"})
                assert summary["steps"][0]["note"] == f"run {number}"
    return [statistics.median(taken) for taken in times]


def main() -> None:
    """Measure, and compare with the limits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts: dict[str, Callable[[], list[Figure]]] = {
        "planning": planning,
        "submitting": submitting,
        "queries": lambda: queries(asked_for.candidates),
        "builder": lambda: builder(asked_for.candidates),
    }
    parser.add_argument("--only", choices=parts)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--plan", type=int, help=argparse.SUPPRESS)
    asked_for = parser.parse_args()
    if asked_for.plan:
        planned_here(asked_for.plan)
        return
    missed = 0
    for name in [asked_for.only] if asked_for.only else parts:
        for figure in parts[name]():
            print(f"{figure}; load {os.getloadavg()[0]:.1f}", flush=True)
            missed += figure.value > figure.limit
    raise SystemExit(missed > 0)


if __name__ == "__main__":
    main()
