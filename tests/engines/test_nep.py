"""NEP through our runner: exact derivatives, conserved energy, restart, damaged files."""

import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.units import GPa
from page_blocks import ROOT
from random_nep import random_nep

from haloflow.engines.md import MDSettings, run_md
from haloflow.engines.potentials import identify, load_potential, require_coverage
from haloflow.errors import CoverageError, EngineError, PotentialError

TESTS = ROOT / "tests"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return random_nep(tmp_path_factory.mktemp("nep") / "nep.txt", scale=0.6)


def oxychloride():
    """Return 16 atoms of four elements without symmetry, in a cell without right angles."""
    atoms = bulk("NaCl", "rocksalt", a=5.2) * 2
    atoms.symbols[1], atoms.symbols[3], atoms.symbols[4] = "O", "O", "Ta"
    atoms.set_cell(atoms.cell.array @ [[1.0, 0.05, 0.0], [0.02, 1.1, 0.03], [0.0, 0.04, 0.95]],
                   scale_atoms=True)  # fmt: skip
    atoms.rattle(0.1, seed=3)
    return atoms


def test_forces_are_the_slope_of_the_energy(model):
    calculator, atoms, h = load_potential(f"nep:{model}").calculator, oxychloride(), 1e-4
    forces = calculator.get_property("forces", atoms).copy()
    assert np.abs(forces).max() > 0.05
    for number, axis in np.ndindex(4, 3):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[number, axis] += sign * h
            energies.append(calculator.get_property("energy", moved))
        slope = -(energies[0] - energies[1]) / (2 * h)
        assert forces[number, axis] == pytest.approx(slope, abs=1e-6)
    assert np.abs(forces.sum(axis=0)).max() < 1e-10


def test_stress_is_the_slope_of_the_energy_with_strain(model):
    """All six components, with the sign of ASE: a stretched solid has a positive stress."""
    calculator, atoms, h = load_potential(f"nep:{model}").calculator, oxychloride(), 1e-4
    stress = calculator.get_property("stress", atoms).copy()
    assert np.abs(stress).min() > 1e-5
    for voigt, (i, j) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * h / 2
            strain[j, i] += sign * h / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            energies.append(calculator.get_property("energy", strained))
        slope = (energies[0] - energies[1]) / (2 * h * atoms.get_volume())
        assert stress[voigt] / GPa == pytest.approx(slope / GPa, abs=1e-4)


def test_atoms_may_have_left_the_cell(model):
    """Our runner never wraps positions."""
    calculator, atoms = load_potential(f"nep:{model}").calculator, oxychloride()
    forces = calculator.get_property("forces", atoms).copy()
    cells = np.random.default_rng(0).integers(-7, 8, (len(atoms), 3))
    atoms.positions += cells @ atoms.cell.array
    assert calculator.get_property("forces", atoms) == pytest.approx(forces, abs=1e-12)


def md(model, folder, ensemble, n_steps, **more):
    settings = MDSettings(ensemble, temperature_k=300.0, n_steps=n_steps, **more)
    calculator = load_potential(f"nep:{model}").calculator
    return run_md(oxychloride(), calculator, settings, folder, signature="nep")


def test_energy_is_conserved_with_the_square_of_the_timestep(model, tmp_path):
    drifts = []
    for timestep in (2.0, 1.0):
        steps = int(160 / timestep)
        run = md(model, tmp_path / str(timestep), "nve", steps, timestep_fs=timestep,
                 trajectory_interval=1)  # fmt: skip
        drifts.append(run.thermo["conserved_energy_ev"].std())
        assert run.thermo["kinetic_energy_ev"].std() > 0.05
    assert drifts[0] / drifts[1] == pytest.approx(4.0, rel=0.15)
    assert drifts[1] < 2e-3 * run.thermo["kinetic_energy_ev"].std()


@pytest.mark.parametrize("ensemble", ["nvt-langevin", "npt-full"])
def test_run_in_two_processes_equals_one(model, tmp_path, ensemble):
    whole = md(model, tmp_path / "a", ensemble, 100, checkpoint_interval=50)
    md(model, tmp_path / "b", ensemble, 50, checkpoint_interval=50)
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        f"sys.path[:0] = {[str(p) for p in (TESTS, TESTS / 'engines')]!r}\n"
        "from test_nep import md\n"
        f"run = md(Path({str(model)!r}), Path({str(tmp_path / 'b')!r}), {ensemble!r}, 100,\n"
        "         checkpoint_interval=50)\n"
        f"np.savez({str(tmp_path / 'end.npz')!r}, r=run.atoms.positions,\n"
        "         p=run.atoms.get_momenta(), cell=run.atoms.cell.array)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    end = np.load(tmp_path / "end.npz")
    assert np.array_equal(end["r"], whole.atoms.positions)
    assert np.array_equal(end["p"], whole.atoms.get_momenta())
    assert np.array_equal(end["cell"], whole.atoms.cell.array)


def test_wrong_elements(model, tmp_path):
    with pytest.raises(CoverageError, match="does not cover Hf") as caught:
        require_coverage(identify(f"nep:{model}"), ["Na", "Hf", "Cl"])
    assert "Allowed: Na, Ta, O, Cl" in str(caught.value)
    settings = MDSettings("nve", temperature_k=300.0, n_steps=10)
    calculator = load_potential(f"nep:{model}").calculator
    salt = bulk("KBr", "rocksalt", a=6.6, cubic=True)
    with pytest.raises(EngineError, match="species that are not supported by the NEP model"):
        run_md(salt, calculator, settings, tmp_path, signature="nep")


def lines_with(lines, number, text):
    return [*lines[:number], text, *lines[number + 1 :]]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: lines[:60], "fewer values than its header describes"),
        (lambda lines: [*lines, "1.0"], "more values than its header describes"),
        (lambda lines: lines[:3], "This line should be basis_size"),
        (lambda lines: lines_with(lines, 40, "nan"), "should hold one number"),
        (lambda lines: lines_with(lines, 40, "1.0e"), "could not convert string to float"),
        (lambda lines: lines_with(lines, 286, "1e999"), "should hold one number"),
    ],
    ids=["cut", "long", "header", "nan", "word", "overflow"],
)
def test_damaged_file_is_refused_when_it_is_loaded(model, tmp_path, damage, message):
    file = tmp_path / "nep.txt"
    file.write_text("\n".join(damage(model.read_text().splitlines())) + "\n")
    with pytest.raises(PotentialError, match=message) as caught:
        load_potential(f"nep:{file}")
    assert str(file) in str(caught.value)


def test_element_that_does_not_exist(model, tmp_path):
    file = tmp_path / "nep.txt"
    file.write_text(model.read_text().replace("nep4 4 Na Ta O Cl", "nep4 4 Na Ta O Qq"))
    with pytest.raises(PotentialError, match="names what is no element") as caught:
        identify(f"nep:{file}")
    assert "Qq" in str(caught.value)


def test_loading_leaves_no_trace_of_the_probe(model):
    calculator = load_potential(f"nep:{model}").calculator
    one = Atoms("Na", cell=[9.0] * 3, pbc=True)
    assert calculator.get_property("forces", one).shape == (1, 3)
