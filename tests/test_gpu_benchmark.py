"""The benchmark of GPUs says what it could not measure."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from page_blocks import ROOT


def test_without_a_gpu_only_the_overhead_is_measured():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here: the benchmark itself is the test")
    sizes = ["--atoms", "28", "--steps", "4", "--glasses", "3"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "gpu.py", *sizes],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    speed, overhead = done.stdout.splitlines()
    assert speed == "speed: nothing measured: no GPU here"
    found = re.fullmatch(
        r"3 glasses of 28 atoms, everything but the potential: (\d+) us of one core per glass "
        r"and step",
        overhead,
    )
    assert found
    assert int(found[1]) > 0
