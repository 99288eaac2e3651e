"""The registry's potentials inside atomate2's ASE jobs."""

import pytest
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

from haloflow.engines.potentials import identify, load_potential
from haloflow.makers.ase_flows import LevelRelaxMaker, LevelStaticMaker
from haloflow.systems.phases import get_phase

LEVEL = "chgnet-r2scan"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # atomate2 writes its trajectories where it runs


def _run(maker, structure):
    job = maker.make(structure)
    return run_locally(job, log=False, ensure_success=True)[job.uuid][1].output


def test_static_gives_the_potentials_energy():
    structure = get_phase("NaCl_B1").structure()
    document = _run(LevelStaticMaker(level=LEVEL), structure)
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    atoms.calc = load_potential(LEVEL).calculator
    assert document.output.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)


def test_relaxation_brings_a_strained_crystal_back_and_names_its_weights():
    phase = get_phase("NaCl_B1")
    maker = LevelRelaxMaker(level=LEVEL, relax_kwargs={"fmax": 0.02})
    document = _run(maker, phase.structure().apply_strain(0.03, inplace=False))
    stored = phase.energy_per_atom_ev["chgnet-0.4.2-r2scan"]
    assert document.output.energy_per_atom == pytest.approx(stored, abs=0.002)
    assert identify(LEVEL).weights_sha256 in document.tags[0]
