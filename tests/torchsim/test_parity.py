"""torch-sim against the ASE runner on a glass of Na, Ta, O and Cl: the gate that it passes."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec

import numpy as np
import pytest
from pymatgen.io.ase import AseAtomsAdaptor
from tiny_mace import write_tiny_mace

from haloflow.engines.batching import Structure
from haloflow.engines.dispersion import D3_BJ, DispersionCorrected
from haloflow.engines.lockstep import Lockstep
from haloflow.engines.md import MDSettings, run_md
from haloflow.engines.potential_loaders import third_party_quiet
from haloflow.engines.potentials import load_potential
from haloflow.engines.torchsim_models import _dispersion, load_batched
from haloflow.engines.trajectory import TrajectoryReader
from haloflow.errors import InterruptedRunError
from haloflow.quantity import Status
from haloflow.systems.families import get_family
from haloflow.systems.packing import pack

if find_spec("torch_sim") is None:
    pytest.skip(
        "torch-sim is not installed: pip install 'haloflow[torchsim]' on Python >= 3.12",
        allow_module_level=True,
    )
import torch

with third_party_quiet():
    from haloflow.engines.torchsim_dispersion import DispersionModel

DEVICES = ("cpu", "cuda")
# single-precision networks
TOLERANCES = {
    "chgnet-r2scan": (1e-6, 2e-4, 1e-6),
    "chgnet-r2scan-d3": (2e-6, 3e-4, 2e-6),
    "mace?dtype=float64": (1e-12, 1e-10, 1e-13),
    "mace?dtype=float32": (1e-6, 1e-5, 1e-7),
}


@cache
def glass(n_atoms, seed):
    mixture = get_family("namocl4").mixture({}, former="Ta")
    box = pack(mixture, mixture.integer_units(target_n_atoms=n_atoms), seed=seed)
    return AseAtomsAdaptor.get_atoms(box.structure, msonable=False)


@pytest.fixture(params=DEVICES)
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    return request.param


@pytest.fixture(scope="session")
def tiny_mace(tmp_path_factory):
    return write_tiny_mace(tmp_path_factory.mktemp("mace") / "tiny.model")


def level_of(name, tiny_mace):
    return name.replace("mace", f"mace:{tiny_mace}") if name.startswith("mace") else name


def run(level, device, settings, folder, *, atoms=None, guards=()):
    """Return a task that runs in lockstep."""
    start = glass(42, settings.seed) if atoms is None else atoms
    calculator = load_batched(level, device=device).calculator
    return folder.name, partial(
        run_md, start, calculator, settings, folder, signature=folder.name, guards=guards
    )


def settings(ensemble="nvt-langevin", n_steps=20, **more):
    defaults = {"seed": 1, "trajectory_interval": 2, "sync_interval": 10, "timestep_fs": 1.0}
    return MDSettings(ensemble, 300.0, n_steps, **(defaults | more))


def positions(folder):
    return TrajectoryReader(folder / "trajectory").positions()


@pytest.mark.parametrize("name", TOLERANCES)
def test_energies_forces_and_stresses_are_those_of_the_ase_runner(name, device, tiny_mace):
    level = level_of(name, tiny_mace)
    per_atom, force, stress = TOLERANCES[name]
    far = glass(42, 2).copy()
    far.positions += np.array([3, -2, 40]) @ far.cell.array  # it has walked
    boxes = [glass(84, 1), far, glass(42, 3)]

    def evaluate(atoms):
        own = atoms.copy()
        own.calc = load_batched(level, device=device).calculator
        return own.get_potential_energy(), own.get_forces(), own.get_stress()

    found = dict(Lockstep().run((str(i), partial(evaluate, box)) for i, box in enumerate(boxes)))
    for i, box in enumerate(boxes):
        own = box.copy()
        own.calc = load_potential(level).calculator
        energy, forces, stresses = found[str(i)]
        assert energy == pytest.approx(own.get_potential_energy(), abs=per_atom * len(own))
        assert forces == pytest.approx(own.get_forces(), abs=force)
        assert stresses == pytest.approx(own.get_stress(), abs=stress)
        assert np.abs(forces).max() > 100 * force, "there is something to compare"


@pytest.mark.parametrize(
    ("counted_bohr", "per_atom", "force", "stress"),
    [(25.0, 5e-7, 1e-4, 1e-6), (60.0, 1e-7, 2e-5, 2e-7)],
)
def test_dispersion_is_the_same(counted_bohr, per_atom, force, stress, device):
    """A packing with close contacts: where counting to 60 bohr or 25 differs by 2e-3 eV/A."""
    with third_party_quiet():
        from haloflow.engines.torchsim import TorchSimModel

    parameters = replace(D3_BJ["r2scan"], coordination_cutoff_bohr=counted_bohr)
    model = TorchSimModel(_dispersion(parameters, device, torch.float64))
    atoms = glass(42, 3).copy()
    (found,) = model.evaluate([Structure(atoms.numbers, atoms.positions, atoms.cell.array)])
    atoms.calc = DispersionCorrected(None, parameters).correction
    assert found.energy_ev == pytest.approx(atoms.get_potential_energy(), abs=per_atom * 42)
    assert found.forces_ev_a == pytest.approx(atoms.get_forces(), abs=force)
    assert found.stress_ev_a3 == pytest.approx(atoms.get_stress(), abs=stress)


def test_dispersion_pulls_as_its_energy_falls(device):
    model = load_batched("chgnet-r2scan-d3", device=device).calculator.model.model.models[1]
    assert isinstance(model, DispersionModel)
    with third_party_quiet():
        from haloflow.engines.torchsim import TorchSimModel

    atoms, step = glass(42, 3).copy(), 0.01
    way = np.random.default_rng(1).normal(size=(42, 3))
    dispersion = TorchSimModel(model)

    def evaluate(amount):
        moved = atoms.positions + amount * way
        (found,) = dispersion.evaluate([Structure(atoms.numbers, moved, atoms.cell.array)])
        return found

    slope = (evaluate(step).energy_ev - evaluate(-step).energy_ev) / (2 * step)
    assert slope == pytest.approx(-np.sum(evaluate(0.0).forces_ev_a * way), rel=1e-2)


def test_a_batched_potential_has_the_threads_that_it_was_given(device, tiny_mace):
    before = torch.get_num_threads()
    try:
        load_batched(f"mace:{tiny_mace}?dtype=float64", device=device, threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("ensemble", ["nve", "nvt-langevin", "nvt-nose-hoover", "npt-isotropic"])
def test_trajectories_are_those_of_the_ase_runner(ensemble, device, tiny_mace, tmp_path):
    """Same noise, same thermostat, same barostat: only the forces come from elsewhere."""
    level = f"mace:{tiny_mace}?dtype=float64"
    wanted = settings(ensemble, thermostat_time_fs=50.0, barostat_time_fs=200.0)
    tasks = [
        run(level, device, wanted, tmp_path / "batched"),
        run(level, device, settings(seed=2), tmp_path / "beside"),
    ]
    found = dict(Lockstep().run(tasks))
    alone = run_md(
        glass(42, 1), load_potential(level).calculator, wanted, tmp_path / "ase", signature="ase"
    )
    assert found["batched"].status is alone.status is Status.OK
    assert positions(tmp_path / "batched") == pytest.approx(positions(tmp_path / "ase"), abs=1e-5)
    for name in ("temperature_k", "energy_ev", "pressure_gpa", "volume_a3"):
        assert found["batched"].thermo[name] == pytest.approx(alone.thermo[name], rel=1e-7), name
    if ensemble == "nve":
        conserved = found["batched"].thermo["conserved_energy_ev"]
        assert np.ptp(conserved) < 1e-4 * 42


def test_a_member_that_explodes_leaves_the_others_alone(device, tiny_mace, tmp_path):
    level = f"mace:{tiny_mace}?dtype=float64"
    bad = glass(42, 4).copy()
    bad.positions[1] = bad.positions[0]

    def others(folder):
        return [run(level, device, settings(seed=i), tmp_path / folder / str(i)) for i in (1, 2)]

    first, second = others("with")
    found = dict(
        Lockstep().run([first, run(level, device, settings(), tmp_path / "bad", atoms=bad), second])
    )
    assert found["bad"].status is Status.DIVERGED
    dict(Lockstep().run(others("without")))
    for name in ("1", "2"):
        assert found[name].status is Status.OK
        assert positions(tmp_path / "with" / name) == pytest.approx(
            positions(tmp_path / "without" / name), abs=1e-6
        )


def test_a_batch_that_was_stopped_goes_on(device, tiny_mace, tmp_path):
    level = f"mace:{tiny_mace}?dtype=float64"

    def strike(_atoms, step):
        if step == 10:
            os.kill(os.getpid(), signal.SIGTERM)

    def tasks(folder, guards=()):
        return [
            run(
                level,
                device,
                settings(seed=i),
                tmp_path / folder / str(i),
                guards=guards if i == 1 else (),
            )
            for i in (1, 2)
        ]

    stopped = dict(Lockstep().run(tasks("stopped", [strike])))
    assert all(isinstance(error, InterruptedRunError) for error in stopped.values())
    resumed = dict(Lockstep().run(tasks("stopped")))
    whole = dict(Lockstep().run(tasks("whole")))
    for name, result in resumed.items():
        assert result.n_resumes == 1
        expected = whole[name].atoms
        if device == "cpu":
            assert np.array_equal(result.atoms.positions, expected.positions)
            assert np.array_equal(result.atoms.get_momenta(), expected.get_momenta())
        assert result.atoms.positions == pytest.approx(expected.positions, abs=1e-6)
