"""The benchmark of the MD runner measures what a production run does."""

from __future__ import annotations

import subprocess
import sys

from page_blocks import ROOT


def test_it_measures_each_thermostat_with_the_guards_of_production():
    options = ["--calculator", "lj", "--steps", "2", "--repeats", "1"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "md_overhead.py", *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    for ensemble in ("nvt-langevin", "nvt-nose-hoover", "npt-isotropic"):
        assert f"lj, {ensemble}, 32 atoms, 2 steps: ours/bare = " in done.stdout
    assert done.stdout.count("Bragg guard") == 3
    text = (ROOT / "benchmarks" / "md_overhead.py").read_text()
    assert "dynamics_guards(" in text
    assert "engines.guards" not in text
