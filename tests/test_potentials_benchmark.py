"""The benchmark of students measures what a production run does."""

from __future__ import annotations

import subprocess
import sys

from page_blocks import ROOT
from pair_potential import LEVEL

SCRIPT = ROOT / "benchmarks" / "potentials.py"


def test_it_measures_both_ratios():
    sizes = ["--atoms", "28", "--steps", "2", "--repeats", "1", "--teacher", LEVEL]
    done = subprocess.run(
        [sys.executable, SCRIPT, *sizes], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stderr == ""
    for ensemble in ("nvt-nose-hoover", "npt-isotropic"):
        assert f"NEP, {ensemble}, 28 atoms, 2 steps: ours/calorine = " in done.stdout
    assert f"one thread, us per atom and step: {LEVEL} " in done.stdout
    assert done.stdout.rstrip().endswith("times (at least 30)")
    text = SCRIPT.read_text()
    assert "domain_guards(level)" in text
    assert "dynamics_guards(" in text
