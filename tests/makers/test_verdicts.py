"""Documents of runs whose sample melted, decomposed or crystallised."""

from __future__ import annotations

import pytest
from ase.build import bulk
from pair_potential import LEVEL
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from haloflow.analysis.evidence import Evidence
from haloflow.makers import guards
from haloflow.makers.md import MDMaker
from haloflow.makers.melt_quench import MeltQuenchMaker
from haloflow.makers.protocol import MeltQuenchProtocol
from haloflow.quantity import Status
from haloflow.systems.families import get_family
from haloflow.systems.mixture import Mixture
from haloflow.systems.packing import pack

BONDING = "ase:pair_potential:Pair?size_a=1.8&depth_ev=0.4"
CLOSE = "ase:pair_potential:Pair?size_a=2.0&depth_ev=0.1"


def dynamics(level=LEVEL, **settings):
    defaults = {"equilibration_steps": 0, "trajectory_interval": 50}
    return MDMaker(level=level, **defaults | settings)


def crystal(formula, a, repeat=2):
    atoms = bulk(formula, "rocksalt", a=a, cubic=True) * repeat
    return AseAtomsAdaptor.get_structure(atoms)


def test_a_crystal_that_melts(workshop):
    maker = dynamics(temperature_k=1500.0, full_cell=True, production_steps=2500)
    found = workshop.run(maker, crystal("NaTa", 6.0))
    assert found.status is Status.DECOMPOSED
    assert found.note.startswith("the framework melted: MSD ")
    assert 0 < found.n_steps < found.n_steps_target


def test_chlorine_that_pairs_up(workshop):
    rows = [[0.1, 0.1, 0.1], [0.1, 0.1, 0.317], [0.6, 0.6, 0.1], [0.6, 0.6, 0.317]]
    loose = Structure(Lattice.cubic(12.0), ["Cl"] * 4, rows)
    maker = dynamics(BONDING, temperature_k=300.0, timestep_fs=1.0, production_steps=600)
    found = workshop.run(maker, loose)
    assert found.status is Status.DECOMPOSED
    assert found.note.startswith("bonds between anions: ")
    assert "Cl-Cl (by right: 0) at step" in found.note
    assert found.density_g_cm3.status is Status.DECOMPOSED
    assert workshop.run(dynamics(BONDING, anions=("O",), temperature_k=300.0, timestep_fs=1.0,
                                 production_steps=300), loose).status is Status.OK  # fmt: skip


def test_a_glass_that_is_a_crystal(workshop, monkeypatch):
    monkeypatch.setattr(guards, "BRAGG_CHECK_STEPS", 100)
    maker = dynamics(temperature_k=60.0, production_steps=150)
    found = workshop.run(maker, crystal("NaCl", 5.6, repeat=3))
    assert found.status is Status.CRYSTALLISED
    assert "times the diffuse scattering at step 100" in found.note
    assert found.n_steps == 100
    as_crystal = dynamics(temperature_k=60.0, production_steps=100, full_cell=True)
    assert workshop.run(as_crystal, crystal("NaCl", 5.6, repeat=1)).status is Status.OK


def test_a_melt_that_decomposes_makes_no_glass(workshop):
    protocol = MeltQuenchProtocol(
        melt_temperature_k=600, melt_steps=60, hold_steps=20, quench_steps=40,
        npt_block_steps=20, npt_max_blocks=2, prerelax_steps=20, trajectory_interval=5,
    )  # fmt: skip
    maker = MeltQuenchMaker(level=CLOSE, n_atoms=16, protocol=protocol)
    found = workshop.run(maker, Mixture({"NaCl": 1}).canonical())
    assert found.status is Status.DECOMPOSED
    assert found.note.startswith("bonds between anions: ")
    assert found.bonds["Cl-Cl"] > 0
    assert found.density_g_cm3.status is Status.DECOMPOSED
    assert found.energy_ev_per_atom.status is Status.DECOMPOSED


@pytest.mark.parametrize(
    ("bonds", "melted", "amorphous", "status", "words"),
    [
        ({}, True, True, Status.OK, ""),
        ({}, True, False, Status.CRYSTALLISED, "a reflection at 40 times the diffuse scattering"),
        ({}, False, False, Status.NOT_MELTED, "not melted: MSD of Ta 3.0 A^2, 16.0 wanted"),
        ({"Cl-Cl": 4}, False, False, Status.DECOMPOSED, "bonds between anions: 4 Cl-Cl"),
        ({"Cl-Cl": 1}, True, True, Status.OK, ""),
    ],
)
def test_the_worst_verdict_on_a_glass_counts(bonds, melted, amorphous, status, words):
    mixture = get_family("namocl4").mixture(former="Ta")
    box = pack(mixture, mixture.integer_units(target_n_atoms=42), seed=1)
    slow = {"msd_Ta_a2": 3.0, "nearest_neighbour_Ta_a": 4.0, "growth_Ta": 2.0}
    peak = {"strongest_reflection_ratio": 40.0}
    found = MeltQuenchMaker()._judge(
        mixture, box, bonds, Evidence(melted, "", slow), Evidence(amorphous, "", peak)
    )
    assert found[0] is status
    assert found[1].startswith(words)
    assert bool(found[1]) == bool(words)
