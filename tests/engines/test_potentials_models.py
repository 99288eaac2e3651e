"""SevenNet, MACE and NEP by name and by path, through relaxation, MD and restart."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.data import chemical_symbols
from random_nep import random_nep
from tiny_mace import NUMBERS, write_tiny_mace

from haloflow.engines.md import MDSettings, run_md
from haloflow.engines.potential_loaders import third_party_quiet
from haloflow.engines.potential_registry import find_recipe, registered
from haloflow.engines.potentials import identify, level_of, load_potential, require_coverage
from haloflow.engines.relax import relax
from haloflow.engines.relax_settings import RelaxSettings
from haloflow.errors import CoverageError, PotentialError
from haloflow.quantity import Status


def salt(sd=0.05):
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.rattle(sd, seed=2)
    return atoms


@pytest.fixture(scope="module")
def tiny_mace(tmp_path_factory):
    return write_tiny_mace(tmp_path_factory.mktemp("mace") / "tiny.model")


def test_mace_by_path_knows_its_elements_once_loaded(tiny_mace):
    name = f"mace:{tiny_mace}"
    assert identify(name).elements is None
    identity = load_potential(name).identity
    assert identity.elements == tuple(chemical_symbols[z] for z in NUMBERS)
    with pytest.raises(CoverageError, match=r"does not cover Zr.* chgnet-r2scan"):
        require_coverage(identity, ["Na", "Zr", "Cl"])


def test_head_and_precision_of_a_mace_file_are_part_of_its_level(tiny_mace):
    plain = identify(f"mace:{tiny_mace}").level
    single = identify(f"mace:{tiny_mace}?dtype=float32").level
    both = f"mace:{tiny_mace}?head=pbe&dtype=float32"
    swapped = f"mace:{tiny_mace}?dtype=float32&head=pbe"
    assert single == f"{plain}?dtype=float32"
    assert identify(both).level == level_of(swapped) == f"{plain}?dtype=float32&head=pbe"
    assert identify(both).as_parameters() == identify(swapped).as_parameters()


def test_mace_file_is_its_content_wherever_it_lies(tiny_mace, tmp_path):
    first = identify(f"mace:{tiny_mace}")
    copy = tmp_path / tiny_mace.name
    copy.write_bytes(tiny_mace.read_bytes())
    assert identify(f"mace:{copy}").as_parameters() == first.as_parameters()
    assert first.level == f"mace:tiny.model@{first.weights_sha256[:12]}"
    assert identify(f"mace:{copy}?dtype=float64").as_parameters() != first.as_parameters()


def test_mace_precision_can_be_chosen(tiny_mace):
    results = {}
    for dtype in ("float32", "float64"):
        calculator = load_potential(f"mace:{tiny_mace}?dtype={dtype}").calculator
        calculator.calculate(salt())
        results[dtype] = calculator.results["forces"]
    assert results["float64"].dtype == np.float64
    assert 0 < np.abs(results["float64"] - results["float32"]).max() < 1e-5


def test_file_that_is_no_mace(tmp_path):
    file = tmp_path / "broken.model"
    file.write_bytes(b"no model")
    with pytest.raises(PotentialError, match="cannot be loaded") as caught:
        load_potential(f"mace:{file}")
    assert str(file) in str(caught.value)


def test_mace_relaxes_and_resumes(tiny_mace, tmp_path):
    calculator = load_potential(f"mace:{tiny_mace}").calculator
    whole = relax(salt(), calculator, tmp_path / "a", RelaxSettings(), signature="m")
    assert whole.status is Status.OK
    for steps in (2, 5, 1000):
        settings = RelaxSettings(max_steps=steps)
        parts = relax(salt(), calculator, tmp_path / "b", settings, signature="m")
    assert parts.energy_ev == whole.energy_ev
    assert np.array_equal(parts.atoms.positions, whole.atoms.positions)
    assert np.array_equal(parts.atoms.cell[:], whole.atoms.cell[:])


def mace_md(name, folder, n_steps):
    settings = MDSettings(
        "nvt-langevin", temperature_k=600.0, n_steps=n_steps, checkpoint_interval=10
    )
    return run_md(salt(), load_potential(name).calculator, settings, folder, signature="m")


def test_mace_md_in_two_processes_equals_one(tiny_mace, tmp_path):
    """The second half runs in a fresh process: compiled kernels must not change the bits."""
    name = f"mace:{tiny_mace}"
    whole = mace_md(name, tmp_path / "a", 40)
    mace_md(name, tmp_path / "b", 20)
    code = (
        "from pathlib import Path; import numpy as np\n"
        "from ase.build import bulk\n"
        "from haloflow.engines.md import MDSettings, run_md\n"
        "from haloflow.engines.potentials import load_potential\n"
        "atoms = bulk('NaCl', 'rocksalt', a=5.6, cubic=True); atoms.rattle(0.05, seed=2)\n"
        "settings = MDSettings('nvt-langevin', temperature_k=600.0, n_steps=40,\n"
        "                      checkpoint_interval=10)\n"
        f"calculator = load_potential({name!r}).calculator\n"
        f"folder = Path({str(tmp_path / 'b')!r})\n"
        "steps = []\n"
        "result = run_md(atoms, calculator, settings, folder, signature='m',\n"
        "                on_progress=lambda step, _total: steps.append(step))\n"
        f"np.savez({str(tmp_path / 'end.npz')!r}, r=result.atoms.positions,\n"
        "         p=result.atoms.get_momenta(), first=min(steps))\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    end = np.load(tmp_path / "end.npz")
    assert end["first"] >= 20
    assert np.array_equal(end["r"], whole.atoms.positions)
    assert np.array_equal(end["p"], whole.atoms.get_momenta())


def test_mace_foundation_files_are_those_that_mace_knows():
    with third_party_quiet():
        from mace.calculators.foundations_models import mace_mp_urls
        from mace.tools.utils import get_cache_dir
    ours = {n: r for n, r in registered().items() if r.package == "mace-torch"}
    for name, recipe in ours.items():
        key = name.removeprefix("mace-")
        url = mace_mp_urls.get(key) or mace_mp_urls[name]
        assert recipe.weights.url == url
        assert recipe.weights.path.parent == get_cache_dir()


def test_sevennet_in_a_fresh_process_without_a_warning():
    """e3nn is imported by nobody else there, so its trap under torch >= 2.6 is passed here."""
    code = (
        "from ase.build import bulk\n"
        "from haloflow.engines.potentials import load_potential\n"
        "for name in ('sevennet-0', 'sevennet-l3i5'):\n"
        "    atoms = bulk('NaCl', 'rocksalt', a=5.6)\n"
        "    atoms.calc = load_potential(name).calculator\n"
        "    print(name, atoms.get_potential_energy(), atoms.get_forces().max())\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TORCH_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["sevennet-0", "sevennet-l3i5"]
    for _, energy, force in lines:
        assert float(energy) == pytest.approx(-6.77, abs=0.1)
        assert abs(float(force)) < 1e-3


def test_sevennet_covers_what_is_said():
    potential = load_potential("sevennet-0")
    known = {chemical_symbols[z] for z in potential.calculator.type_map}
    assert known == set(potential.identity.elements)
    atoms = salt()
    first = potential.calculator.get_property("forces", atoms).copy()
    potential.calculator.reset()
    assert np.array_equal(potential.calculator.get_property("forces", atoms), first)


def test_nep_by_path(tmp_path):
    name = f"nep:{random_nep(tmp_path / 'nep.txt')}"
    identity = identify(name)
    assert identity.elements == ("Na", "Ta", "O", "Cl")
    assert identity.level.startswith("nep:nep.txt@")
    calculator = load_potential(name).calculator
    settings = RelaxSettings(cell=None, max_steps=3, fmax_ev_a=1e-4)
    result = relax(salt(), calculator, tmp_path / "run", settings, signature="n")
    assert np.isfinite(result.energy_ev)
    assert result.n_steps == 3
    with pytest.raises(CoverageError, match="does not cover Zr"):
        require_coverage(identity, ["Na", "Zr"])


def test_recipes_by_path_use_the_file_as_weights(tiny_mace):
    assert find_recipe(f"mace:{tiny_mace}").weights.obtain() == tiny_mace


def test_device_that_does_not_exist():
    with pytest.raises(PotentialError, match="chgnet-r2scan cannot be loaded") as caught:
        load_potential("chgnet-r2scan", device="warp")
    assert "on device warp" in str(caught.value)
    assert "that the device exists" in str(caught.value)


def test_a_file_of_chgnets_own_trainer_is_a_potential(tmp_path):
    from chgnet.model import CHGNet
    from chgnet.trainer import Trainer

    with third_party_quiet():
        model = CHGNet.from_file(str(find_recipe("chgnet-r2scan").weights.obtain()))
        trainer = Trainer(model=model, targets="efs", epochs=2, use_device="cpu")
        trainer.training_history = {"e": {"train": [0.1, torch.tensor(0.2)], "val": [0.1, 0.2]}}
        trainer.save(str(tmp_path / "bestE.pth.tar"))
    calculator = load_potential(f"chgnet:{tmp_path / 'bestE.pth.tar'}").calculator
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    calculator.calculate(atoms)
    stock = load_potential("chgnet-r2scan").calculator
    stock.calculate(atoms)
    assert calculator.results["energy"] == pytest.approx(stock.results["energy"], abs=1e-6)


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return type(self.path).touch, (self.path,)


def test_a_file_of_chgnet_executes_nothing(tmp_path):
    stock = torch.load(find_recipe("chgnet-r2scan").weights.obtain(), weights_only=True)
    torch.save({"model": stock["model"], "extra": Trap(tmp_path / "trapped")}, tmp_path / "m.pth")
    with pytest.raises(PotentialError, match="cannot be loaded") as caught:
        load_potential(f"chgnet:{tmp_path / 'm.pth'}")
    assert "weights_only" in str(caught.value) or "Unsupported" in str(caught.value)
    assert not (tmp_path / "trapped").exists()
