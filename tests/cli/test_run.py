"""``haloflow run`` for real: stopped, resumed, reused, ranked, and looked at afterwards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

SWEEP = """
name: tiny
level: chgnet-r2scan
systems: [{crystal: NaCl_B1}]
size: {crystal_n_mobile: 4, crystal_max_atoms: 8}
relax: {fmax_ev_a: 0.1, max_steps: 20}
md:
  temperatures_k: [600]
  equilibration_steps: 0
  production_steps: 600
  trajectory_interval: 5
"""
TIMEOUT_S = 240.0


def start(folder, *options):
    code = "from haloflow.cli.main import run; run()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", "tiny.yaml", "--store", "store", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
    )


def finish(process):
    with process:
        out, err = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "tiny.yaml").write_text(SWEEP)
    return folder


@pytest.fixture(scope="module")
def stopped(folder):
    """Stop the first run while its MD is at work, as Ctrl-C does."""
    progress = folder / "store" / "files"
    deadline = time.monotonic() + 60
    with start(folder, "-j", "1") as process:
        while not any('"production"' in p.read_text() for p in progress.glob("*/*/progress.json")):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"no MD was started: {process.communicate()}")
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        return finish(process)


@pytest.fixture(scope="module")
def resumed(folder, stopped):
    return finish(start(folder, "-j", "1"))


def test_a_stopped_run_says_how_to_go_on(stopped):
    code, out, err = stopped
    assert code == 130, err
    assert re.search(r"^done +NaCl crystal \(NaCl_B1\): relax, ", out, re.MULTILINE)
    assert "Stopped. Run the same command again" in out
    assert "Traceback" not in err


def test_the_second_run_reuses_finishes_and_ranks(resumed):
    code, out, err = resumed
    assert code == 0, err
    assert "1 candidates, 7 steps: 1 reused, 6 to run" in out
    assert "reused: NaCl crystal (NaCl_B1), 1 of 7 steps" in out
    assert "6 steps done, 1 reused, 0 failed" in out
    assert "below the line" in out
    assert "4 mobile ions are fewer than 24" in out
    assert "unconverged" in out
    assert "haloflow report --store store" in out


def test_the_interrupted_md_was_resumed_not_repeated(folder, resumed, haloflow):
    out = haloflow("show", "NaCl crystal (NaCl_B1)", "--store", folder / "store").stdout
    assert "resumed 1 times" in " ".join(out.split())


def test_the_store_answers_all_other_commands(folder, resumed, haloflow, tmp_path):
    store = ("--store", folder / "store")
    assert re.search(r"NaCl crystal .* 7 +–", haloflow("status", *store).stdout)
    assert "7 reused" in " ".join(haloflow("plan", folder / "tiny.yaml", *store).stdout.split())
    assert "NaCl crystal" in haloflow("query", "-w", "sweep == tiny", *store).stdout
    report = tmp_path / "report.html"
    assert haloflow("report", "-o", report, *store).exit_code == 0
    assert "After relax" in report.read_text(encoding="utf-8")


def test_running_what_is_there_does_nothing_but_rank(folder, resumed):
    code, out, _ = finish(start(folder))
    assert code == 0
    assert "7 reused, 0 to run" in out
    assert "0 steps done, 7 reused" in out
