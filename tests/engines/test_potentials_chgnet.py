"""CHGNet for inference against the stock calculator, float64 and finite differences; D3(BJ)."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.stress import full_3x3_to_voigt_6_stress
from dftd3.ase import DFTD3
from dftd3.parameters import get_damping_param
from pymatgen.io.ase import AseAtomsAdaptor

from haloflow.engines.dispersion import D3_BJ
from haloflow.engines.potential_loaders import third_party_quiet
from haloflow.engines.potential_registry import find_recipe
from haloflow.engines.potentials import load_potential
from haloflow.systems.phases import REFERENCE_LEVEL, get_phase, load_phases

MODELS = ("r2scan", "0.3.0")


def stock_model(name):
    with third_party_quiet():
        from chgnet.model import CHGNet

        return CHGNet.load(model_name=name, use_device="cpu", verbose=False)


@pytest.fixture(scope="module")
def stock():
    from chgnet.model import CHGNetCalculator

    with third_party_quiet():
        return {
            name: CHGNetCalculator(stock_model(name), use_device="cpu", on_isolated_atoms="ignore")
            for name in MODELS
        }


@pytest.fixture(scope="module")
def double():
    """The same network in float64: what rounding is measured against."""
    from haloflow.engines.chgnet_fast import FastCHGNetCalculator

    return FastCHGNetCalculator(stock_model("r2scan").double())


def crystal(phase):
    return AseAtomsAdaptor.get_atoms(get_phase(phase).structure())


def shaken(atoms, sd=0.15, seed=7):
    atoms = atoms.copy()
    atoms.rattle(sd, seed=seed)
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + 0.02 * np.ones((3, 3))), scale_atoms=True)
    return atoms


def boxed_oxygen():
    atoms = molecule("O2", cell=[8.0, 8.0, 8.0], pbc=True)
    atoms.center()
    return atoms


STRUCTURES = {
    "oxychloride": lambda: shaken(crystal("NaTaOCl4_Cmc21")),
    "images of one atom": lambda: shaken(bulk("NaCl", "rocksalt", a=4.6), sd=0.1),
    "no angles": lambda: shaken(bulk("Na", "bcc", a=4.3, cubic=True) * 2, sd=0.05),
    "molecule": boxed_oxygen,
}


def properties(calculator, atoms):
    calculator.calculate(atoms.copy())
    stress = np.asarray(calculator.results["stress"])
    stress = stress if stress.shape == (6,) else full_3x3_to_voigt_6_stress(stress)
    return calculator.results["energy"], calculator.results["forces"], stress


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True:UserWarning")
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_agrees_with_the_stock_calculator(stock, model, structure):
    atoms = STRUCTURES[structure]()
    energy, forces, stress = properties(stock[model], atoms)
    fast = load_potential(f"chgnet-{model}").calculator
    fast_energy, fast_forces, fast_stress = properties(fast, atoms)
    assert abs(fast_energy - energy) / len(atoms) < 1e-5
    scale = max(1.0, float(np.abs(forces).max()))
    assert np.abs(fast_forces - forces).max() < 1e-4 * scale
    assert np.abs(fast_stress - stress).max() < 1e-5


@pytest.mark.parametrize("structure", STRUCTURES)
def test_float32_is_close_to_float64(double, structure):
    atoms = STRUCTURES[structure]()
    energy, forces, _ = properties(double, atoms)
    fast_energy, fast_forces, _ = properties(load_potential("chgnet-r2scan").calculator, atoms)
    assert abs(fast_energy - energy) / len(atoms) < 1e-5
    assert np.abs(fast_forces - forces).max() < 1e-4 * max(1.0, float(np.abs(forces).max()))


def test_forces_and_stress_are_derivatives_of_the_energy(double):
    atoms = shaken(crystal("NaTaOCl4_Cmc21"))
    energy_forces_stress(atoms, double, step=1e-5, tolerance=1e-6)


def energy_forces_stress(atoms, calculator, *, step, tolerance):
    def energy(changed):
        calculator.calculate(changed)
        return calculator.results["energy"]

    calculator.calculate(atoms)
    forces, stress = calculator.results["forces"], calculator.results["stress"]
    for index, axis in ((0, 0), (5, 2)):
        shifts = np.zeros((2, len(atoms), 3))
        shifts[:, index, axis] = step, -step
        pair = [Atoms(atoms, positions=atoms.positions + shift) for shift in shifts]
        slope = (energy(pair[0]) - energy(pair[1])) / (2 * step)
        assert forces[index, axis] == pytest.approx(-slope, abs=tolerance)
    for voigt, (row, column) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        pair = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[row, column] += sign * step / 2
            strain[column, row] += sign * step / 2
            changed = atoms.copy()
            changed.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
            pair.append(energy(changed))
        slope = (pair[0] - pair[1]) / (2 * step) / atoms.get_volume()
        assert stress[voigt] == pytest.approx(slope, abs=tolerance)


def test_same_atoms_give_same_bits_whatever_came_before():
    calculator = load_potential("chgnet-r2scan-d3").calculator
    atoms, other = STRUCTURES["oxychloride"](), STRUCTURES["molecule"]()
    first = properties(calculator, atoms)
    properties(calculator, other)
    properties(calculator, shaken(atoms, seed=1))
    again = properties(calculator, atoms)
    assert first[0] == again[0]
    assert np.array_equal(first[1], again[1])
    assert np.array_equal(first[2], again[2])


def test_unwrapped_atoms_keep_their_forces():
    calculator = load_potential("chgnet-r2scan-d3").calculator
    atoms = STRUCTURES["oxychloride"]()
    energy, forces, stress = properties(calculator, atoms)
    atoms.positions[3] += 7 * atoms.cell[0] - 40 * atoms.cell[2]
    far_energy, far_forces, far_stress = properties(calculator, atoms)
    assert far_energy == pytest.approx(energy, abs=1e-4)
    assert np.allclose(far_forces, forces, atol=1e-3)
    assert np.allclose(far_stress, stress, atol=1e-5)


def test_forces_sum_to_nothing():
    _, forces, _ = properties(
        load_potential("chgnet-r2scan").calculator, shaken(crystal("NaCl_B1"))
    )
    assert np.abs(forces.sum(axis=0)).max() < 1e-12


def test_input_that_is_not_finite_gives_no_number():
    atoms = crystal("NaCl_B1")
    atoms.positions[0, 0] = np.inf
    energy, forces, stress = properties(load_potential("chgnet-r2scan").calculator, atoms)
    assert np.isnan(energy)
    assert np.isnan(forces).all()
    assert np.isnan(stress).all()


def test_lone_atoms_have_an_energy_and_no_force():
    atoms = Atoms("NaCl", positions=[[0, 0, 0], [9, 9, 9]], cell=[18, 18, 18], pbc=True)
    energy, forces, _ = properties(load_potential("chgnet-r2scan").calculator, atoms)
    assert np.isfinite(energy)
    assert np.abs(forces).max() == 0.0


def test_cluster_without_a_cell_has_no_stress():
    calculator = load_potential("chgnet-r2scan-d3").calculator
    calculator.calculate(molecule("O2"))
    assert "stress" not in calculator.results
    assert np.isfinite(calculator.results["energy"])


def test_covered_elements_are_those_that_were_trained(stock):
    from ase.data import chemical_symbols

    reference = stock["r2scan"].model.composition_model.fc.weight[0].detach()
    trained = {chemical_symbols[z + 1] for z in range(94) if abs(float(reference[z])) > 1e-6}
    assert set(find_recipe("chgnet-r2scan").elements) == trained
    norms = stock["0.3.0"].model.atom_embedding.embedding.weight.detach().norm(dim=1)
    moved = {chemical_symbols[z + 1] for z in range(94) if float(norms[z]) > 10.0}
    assert set(find_recipe("chgnet-0.3.0").elements) == moved


def test_loading_is_silent_and_sets_the_threads(capfd):
    import torch

    from haloflow.engines.potentials import _loaded

    _loaded.cache_clear()
    load_potential("chgnet-0.3.0-d3", threads=1)
    assert torch.get_num_threads() == 1
    assert capfd.readouterr() == ("", "")


def test_stored_energies_of_all_phases_are_met():
    calculator = load_potential("chgnet-r2scan").calculator
    for name, phase in load_phases().items():
        atoms = AseAtomsAdaptor.get_atoms(phase.structure())
        calculator.calculate(atoms)
        energy = calculator.results["energy"] / len(atoms)
        assert energy == pytest.approx(phase.energy_per_atom_ev[REFERENCE_LEVEL], abs=0.001), name


@pytest.mark.parametrize("model", MODELS)
def test_d3_is_that_of_the_package(model):
    method = {"r2scan": "r2scan", "0.3.0": "pbe"}[model]
    atoms = STRUCTURES["oxychloride"]()
    plain = properties(load_potential(f"chgnet-{model}").calculator, atoms)
    corrected = properties(load_potential(f"chgnet-{model}-d3").calculator, atoms)
    package = DFTD3(method=method, damping="d3bj")
    package.calculate(atoms, ["energy", "forces", "stress"])
    energy, forces, stress = (package.results[key] for key in ("energy", "forces", "stress"))
    assert corrected[0] - plain[0] == pytest.approx(energy, abs=1e-6 * len(atoms))
    assert np.allclose(corrected[1] - plain[1], forces, rtol=0, atol=1e-5)
    assert np.allclose(corrected[2] - plain[2], stress, rtol=0, atol=1e-7)
    assert energy / len(atoms) < -0.05
    assert stress[:3].mean() / units.GPa > 0.1


@pytest.mark.parametrize("method", D3_BJ)
def test_d3_parameters_are_those_of_the_package(method):
    table = get_damping_param(method, defaults=["bj"])
    ours = D3_BJ[method]
    assert (ours.s6, ours.s8, ours.a1, ours.a2) == (
        table["s6"], table["s8"], table["a1"], table["a2"],
    )  # fmt: skip


def test_forgetting_reaches_both_parts():
    calculator = load_potential("chgnet-r2scan-d3").calculator
    calculator.calculate(crystal("NaCl_B1"))
    calculator.reset()
    assert calculator.results == calculator.base.results == calculator.correction.results == {}


def test_derivatives_of_the_sum():
    calculator = load_potential("chgnet-r2scan-d3").calculator
    atoms = shaken(crystal("NaCl_B1"))
    energy_forces_stress(atoms, calculator, step=5e-3, tolerance=2e-3)
