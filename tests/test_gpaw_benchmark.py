"""The table of GPAW against CHGNet says what it does not know, and why."""

from __future__ import annotations

from importlib import util

import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from page_blocks import ROOT

from haloflow.engines.potentials import PotentialIdentity
from haloflow.systems.phases import REFERENCE_LEVEL, get_phase


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    spec = util.spec_from_file_location("gpaw_chgnet", ROOT / "benchmarks" / "gpaw_chgnet.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    known = PotentialIdentity(module.GPAW, module.GPAW, "", "gpaw", "26.7.0", "w", None)
    monkeypatch.setattr(module, "identify", lambda _level: known)
    return module


def salt(energy_ev, force_ev_a):
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.info = {"box": "NaCl-2-1", "part": "melt"}
    forces = [[force_ev_a, 0.0, 0.0], [-force_ev_a, 0.0, 0.0]]
    atoms.calc = SinglePointCalculator(atoms, energy=energy_ev, forces=forces)
    return atoms


def printed(benchmark, known, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "computed_energies", lambda _level, _weights: known)
    benchmark.table({0: salt(-13.0, 1.0)}, {0: salt(-7.0, 0.8)})
    return capsys.readouterr().out


def test_what_needs_elements_that_are_not_shipped_is_a_dash_with_its_reason(
    benchmark, monkeypatch, capsys
):
    out = printed(benchmark, {"Na_bcc": -3.5}, monkeypatch, capsys)
    assert "| NaCl-2-1 melt | 2 | - | - | 67 | 115 | 1.00 |" in out
    assert "1 frames: formation energy -; within a composition MAE 0 meV/atom;" in out
    assert out.rstrip().splitlines()[-1] == (
        "-: GPAW's energy of Ta_bcc, Nb_bcc, O2_alpha, Cl2_Cmce is not shipped for the GPAW that "
        "is installed; see docs/gpaw.md"
    )
    assert "nan" not in out


def test_formation_energies_are_those_from_the_elements(benchmark, monkeypatch, capsys):
    known = dict.fromkeys(benchmark.ELEMENTS.values(), 0.0) | {"Na_bcc": -3.0, "Cl2_Cmce": -8.0}
    out = printed(benchmark, known, monkeypatch, capsys)
    ours = sum(get_phase(p).energy_per_atom_ev[REFERENCE_LEVEL] for p in ("Na_bcc", "Cl2_Cmce"))
    error = 1e3 * ((-7.0 - ours) / 2 + 1.0)
    assert f"| 2 | -1.000 | {error:+.0f} | 67 |" in out
    assert f"formation energy MAE {abs(error):.0f}, mean {error:+.0f} meV/atom of 1 frames;" in out
    assert "is not shipped" not in out
