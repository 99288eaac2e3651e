"""Resuming with calculators that people use: ASE's own, sums of them, and networks."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.mixing import SumCalculator

from haloflow.engines.checkpoint import CheckpointFolder
from haloflow.engines.evaluator import Evaluator, forget_history
from haloflow.engines.md import MDSettings, run_md
from haloflow.errors import InterruptedRunError

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SIGMA = {"sigma": 2.3, "epsilon": 0.2, "rc": 4.5}


def copper():
    atoms = bulk("Cu", cubic=True) * (3, 2, 2)
    atoms.rattle(0.05, seed=3)
    return atoms


KINDS = {
    "Lennard-Jones": lambda: LennardJones(smooth=True, **SIGMA),
    "EMT": EMT,
    "sum": lambda: SumCalculator([EMT(), LennardJones(smooth=True, **SIGMA)]),
}


def arrays_of(directory):
    return CheckpointFolder(directory / "checkpoints").newest().arrays


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_and_resumed_equals_uninterrupted(kind, tmp_path):
    settings = MDSettings(
        "nvt-langevin", 900.0, 30, timestep_fs=5.0, sync_interval=5, trajectory_interval=5
    )

    def run(name, on_progress=None):
        calculator = KINDS[kind]()
        forces = calculator.get_property("forces", copper())  # an earlier use leaves a list
        assert np.isfinite(forces).all()
        directory = tmp_path / name
        run_md(copper(), calculator, settings, directory, signature=kind, on_progress=on_progress)

    run("straight")
    for _ in range(2):
        with pytest.raises(InterruptedRunError):
            run("stopped", lambda *_: signal.raise_signal(signal.SIGTERM))
    run("stopped")
    assert_equal(arrays_of(tmp_path / "stopped"), arrays_of(tmp_path / "straight"))


@pytest.mark.parametrize("kind", KINDS)
def test_forgetting_rebuilds_neighbour_lists(kind):
    atoms, aged, fresh = copper(), KINDS[kind](), KINDS[kind]()
    aged.get_property("forces", atoms)
    parts = aged.mixer.calcs if kind == "sum" else [aged]
    built = [part.nl.nl.nupdates for part in parts]
    assert min(built) >= 1
    atoms.rattle(0.01, seed=4)
    forget_history(aged)
    forces = aged.get_property("forces", atoms)
    assert np.array_equal(forces, fresh.get_property("forces", atoms))


def test_bare_neighbour_list_of_a_calculator_is_forgotten():
    from ase.neighborlist import NewPrimitiveNeighborList, PrimitiveNeighborList

    calculator = EMT()
    calculator.lists = None
    for kind in (PrimitiveNeighborList, NewPrimitiveNeighborList):
        calculator.held = kind([2.0] * 48)
        atoms = copper()
        calculator.held.update(atoms.pbc, atoms.cell, atoms.positions)
        forget_history(calculator)
        assert calculator.held.nupdates == 0


def test_evaluator_computes_each_state_once_and_in_float64():
    atoms = copper()
    calculator = LennardJones(smooth=True, **SIGMA)
    counted = []
    compute = calculator.calculate
    calculator.calculate = lambda *a, **k: (counted.append(1), compute(*a, **k))
    atoms.calc = Evaluator(calculator, atoms, needs_stress=True)
    for _ in range(3):
        energy, forces, stress = (
            atoms.get_potential_energy(),
            atoms.get_forces(),
            atoms.get_stress(),
        )
        forces += 1.0  # callers may change what they get
        stress += 1.0
    assert len(counted) == 1
    atoms.calc.forget()
    assert atoms.get_potential_energy() == energy
    assert len(counted) == 1
    atoms.set_cell(atoms.cell.array * 1.01)
    atoms.get_forces()
    assert len(counted) == 2
    bare = copper()
    bare.set_cell(atoms.cell.array)
    bare.calc = LennardJones(smooth=True, **SIGMA)
    assert np.array_equal(atoms.get_forces(), bare.get_forces())
    assert np.array_equal(atoms.get_stress(), bare.get_stress())


NETWORK_RUN = """
import os, signal, sys
from pathlib import Path
from ase.build import bulk
from haloflow.engines.md import MDSettings, run_md

def make(kind):
    if kind == "stock":
        from chgnet.model import CHGNet, CHGNetCalculator
        model = CHGNet.load(model_name="r2scan", use_device="cpu", verbose=False)
        return CHGNetCalculator(model, use_device="cpu")
    from haloflow.engines.potentials import load_potential
    return load_potential(kind).calculator

directory = Path(sys.argv[1])
atoms = bulk("NaCl", "rocksalt", a=5.7)
atoms.rattle(0.05, seed=1)
for kind in sys.argv[2:]:
    settings = MDSettings("npt-full", 300.0, 12, trajectory_interval=2, sync_interval=3,
                          checkpoint_interval=3)
    calculator = make(kind)
    run_md(atoms, calculator, settings, directory / "straight" / kind, signature=kind)
    child = os.fork()
    if child == 0:
        compute, count = calculator.calculate, []
        def lethal(*args, **kwargs):
            count.append(1)
            if len(count) == 8:
                os.kill(os.getpid(), signal.SIGKILL)
            compute(*args, **kwargs)
        calculator.calculate = lethal
        run_md(atoms, calculator, settings, directory / "killed" / kind, signature=kind)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
"""


def test_networks_killed_and_resumed_in_another_process(tmp_path):
    """The resuming process has a network of its own, loaded and used for the first time."""
    pytest.importorskip("chgnet")
    kinds = ("stock", "chgnet-r2scan", "chgnet-r2scan-d3")
    command = [sys.executable, "-c", NETWORK_RUN, tmp_path, *kinds]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True)
    resume = NETWORK_RUN.partition("    child = os.fork()")[0].replace('"straight"', '"killed"')
    command = [sys.executable, "-c", resume, tmp_path, *kinds]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True)
    for kind in kinds:
        straight, killed = (Path(tmp_path) / name / kind for name in ("straight", "killed"))
        meta = CheckpointFolder(killed / "checkpoints").newest().meta
        assert meta["n_resumes"] == 1
        assert_equal(arrays_of(killed), arrays_of(straight))
