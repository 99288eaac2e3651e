"""GPAW as an engine: its numbers against itself and the shipped ones, resuming, refusing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import gpaw_here
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from gpaw_here import coarse, needs_gpaw, relax_salt
from pymatgen.io.ase import AseAtomsAdaptor

from haloflow.engines import gpaw_check, gpaw_host, gpaw_levels
from haloflow.engines.gpaw_calculator import GpawCalculator, moments_of
from haloflow.engines.gpaw_levels import GPAW_LEVELS, gpaw_level, has_closed_shells
from haloflow.engines.labels import label_frames
from haloflow.engines.potentials import identify, load_potential
from haloflow.engines.weights import package_version
from haloflow.errors import EngineError, MissingDependencyError, PotentialError, UnknownNameError
from haloflow.quantity import Status
from haloflow.systems.phases import get_phase


@needs_gpaw
@pytest.mark.parametrize("level", GPAW_LEVELS)
def test_rock_salt_has_its_energy(level):
    gpaw_check.require_numbers(level)


@needs_gpaw
def test_another_energy_is_refused(monkeypatch):
    monkeypatch.setitem(gpaw_check.EXPECTED_EV, "gpaw-pbe", -6.0)
    with pytest.raises(PotentialError) as caught:
        gpaw_check.require_numbers("gpaw-pbe")
    assert str(caught.value).startswith("this GPAW does not give the energy of rock salt")
    assert "Allowed: -6.000000 eV. What to do: make gpaw." in str(caught.value)


def strained_salt():
    """Return rock salt without symmetry."""
    salt = bulk("NaCl", "rocksalt", a=5.5)
    salt.set_cell(salt.cell[:] @ [[1.02, 0.01, 0.0], [0.0, 0.99, 0.02], [0.0, 0.0, 1.0]], True)
    salt.positions[0] += [0.10, -0.05, 0.15]
    return salt


@needs_gpaw
@pytest.mark.parametrize(
    ("level", "settings"),
    [("gpaw-pbe", {"cutoff_ev": 500.0}), ("gpaw-r2scan", {"cutoff_ev": 600.0})],
)
def test_forces_and_stress_are_the_slopes_of_the_energy(level, settings):
    salt, step = strained_salt(), 0.004
    salt.calc = coarse(level, **settings)
    force = salt.get_forces()[0] @ [0.6, 0.0, 0.8]
    strain = np.array([[0.6, 0.3, 0.0], [0.3, -0.4, 0.2], [0.0, 0.2, 0.5]])
    xx, yy, zz, yz, xz, xy = salt.get_stress()
    stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    work = salt.get_volume() * np.sum(stress * strain)
    moved, turned = [], []
    for sign in (1, -1):
        other = strained_salt()
        other.calc = salt.calc
        other.positions[0] += sign * step * np.array([0.6, 0.0, 0.8])
        moved.append(other.get_potential_energy())
        other = strained_salt()
        other.calc = salt.calc
        other.set_cell(other.cell[:] @ (np.eye(3) + sign * step * strain), scale_atoms=True)
        turned.append(other.get_potential_energy())
    assert force == pytest.approx(-(moved[0] - moved[1]) / (2 * step), abs=0.02)
    assert work == pytest.approx((turned[0] - turned[1]) / (2 * step), rel=0.05, abs=0.02)


@needs_gpaw
def test_forces_sum_to_zero():
    salt = strained_salt()
    salt.calc = coarse()
    assert np.abs(salt.get_forces()).max() > 0.1
    assert salt.get_forces().sum(axis=0) == pytest.approx([0.0] * 3, abs=1e-12)


CHILD = """
import sys
from pathlib import Path
from gpaw_here import relax_salt
relax_salt(Path(sys.argv[1]), lambda step, total: print(step, flush=True))
"""


@needs_gpaw
def test_a_killed_relaxation_loses_one_step_and_goes_on_to_the_same_bits(tmp_path):
    command = [sys.executable, "-c", CHILD, tmp_path / "killed"]
    here = os.environ | {"PYTHONPATH": str(Path(gpaw_here.__file__).parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=here) as process:
        for line in process.stdout:
            if int(line) == 2:
                process.send_signal(signal.SIGKILL)
                break
    seen = []
    killed, whole = (
        relax_salt(tmp_path / name, lambda step, _total: seen.append(step))
        for name in ("killed", "whole")
    )
    assert seen[0] >= 1
    assert whole.status is Status.OK
    assert killed.n_resumes == 1
    assert killed.energy_ev == whole.energy_ev
    assert np.array_equal(killed.atoms.cell[:], whole.atoms.cell[:])


@needs_gpaw
def test_labels_of_a_training_set(tmp_path):
    frames = [strained_salt(), bulk("NaCl", "rocksalt", a=5.6)]
    labelled = label_frames(frames, coarse(), tmp_path, signature="coarse")
    again = coarse()
    for frame, found in zip(frames, labelled, strict=True):
        frame.calc = again
        assert found.get_potential_energy() == frame.calc.get_property("free_energy", frame)
        assert np.array_equal(found.get_forces(), frame.get_forces())
        assert found.get_stress() == pytest.approx(frame.get_stress(), abs=1e-15)


@needs_gpaw
def test_r2scan_that_does_not_converge_from_atoms_starts_from_pbe():
    salt = bulk("NaCl", "rocksalt", a=5.6)
    salt.calc = coarse("gpaw-r2scan", cutoff_ev=350.0, kspacing=1.0, most_iterations=14)
    from_pbe = salt.get_potential_energy()
    assert salt.calc.starts == 2
    salt.calc = coarse("gpaw-r2scan", cutoff_ev=350.0, kspacing=1.0)
    whole = salt.get_potential_energy()
    assert salt.calc.starts == 1
    assert from_pbe == pytest.approx(whole, abs=1e-6)


@needs_gpaw
@pytest.mark.parametrize("level", GPAW_LEVELS)
def test_electrons_that_do_not_converge_are_an_error_with_its_cause(level):
    salt = bulk("NaCl", "rocksalt", a=5.6)
    salt.calc = coarse(level, most_iterations=2)
    with pytest.raises(EngineError, match="the electrons did not converge") as caught:
        salt.get_potential_energy()
    assert f"Given: NaCl at {level}. Allowed: 2 iterations" in str(caught.value)


@needs_gpaw
def test_what_numbers_were_made_with():
    salt = bulk("NaCl", "rocksalt", a=5.6)
    salt.calc = coarse()
    salt.get_potential_energy()
    parts = salt.calc.parts
    assert set(parts) == {"gpaw", "gpaw-data", "libxc", "PAW Na", "PAW Cl"}
    assert parts["gpaw"] == metadata.version("gpaw")
    assert parts["libxc"].endswith(", Fermi hole curvature off")
    assert parts["PAW Na"].startswith("Na.PBE sha256 ")


@needs_gpaw
def test_identity_holds_settings_libxc_and_datasets(monkeypatch):
    names = ("gpaw-r2scan", "gpaw-pbe")
    found = {identify(name).weights_sha256 for name in names}
    assert len(found) == len(names)
    known = load_potential("gpaw-r2scan").identity
    assert (known.level, known.package) == ("gpaw-r2scan", "gpaw")
    assert {"Na", "Ta", "Nb", "Zr", "Hf", "Y", "O", "S", "Cl"} <= set(known.elements)
    host = gpaw_host.gpaw_host()
    others = {
        "datasets_hash": lambda: "others",
        "gpaw_host": lambda: replace(host, version="27.1.0"),
    }
    for name, other in others.items():
        with monkeypatch.context() as patch:
            patch.setattr(gpaw_host, name, other)
            assert identify("gpaw-r2scan").weights_sha256 != known.weights_sha256, name
    with monkeypatch.context() as patch:
        patch.setattr(gpaw_levels, "COMMON", {**gpaw_levels.COMMON, "charges": {"Na": 1}})
        assert identify("gpaw-r2scan").weights_sha256 != known.weights_sha256


@needs_gpaw
def test_a_libxc_that_enforces_the_fermi_hole_curvature_is_found_and_refused(monkeypatch):
    from gpaw.xc import libxc

    assert not gpaw_host.enforces_fermi_hole_curvature()

    class Enforcing(libxc.LibXC):
        def calculate(self, e, n, dedn, sigma, *rest):
            bound = 8 * n * rest[1]
            super().calculate(e, n, dedn, np.minimum(sigma, bound), *rest)

    gpaw_host.enforces_fermi_hole_curvature.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(libxc, "LibXC", Enforcing)
        assert gpaw_host.enforces_fermi_hole_curvature()
        with pytest.raises(PotentialError, match="enforces the Fermi hole curvature") as caught:
            load_potential("gpaw-r2scan")
    gpaw_host.enforces_fermi_hole_curvature.cache_clear()
    assert "libxc 7 or later" in str(caught.value)
    assert str(caught.value).endswith("What to do: make gpaw.")


def test_gpaw_that_is_not_installed_is_named_with_its_line(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    package_version.cache_clear()
    gpaw_host.gpaw_host.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(metadata, "version", absent)
        with pytest.raises(MissingDependencyError) as caught:
            identify("gpaw-r2scan")
    package_version.cache_clear()
    gpaw_host.gpaw_host.cache_clear()
    assert str(caught.value) == (
        "the package gpaw is needed for this potential and is not installed. What to do: make gpaw."
    )


def test_datasets_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(gpaw_host, "package_root", lambda _module: tmp_path)
    with pytest.raises(PotentialError, match="gpaw-data holds no PAW dataset of Na"):
        gpaw_host.dataset("Na")
    monkeypatch.setattr(gpaw_host, "package_root", lambda _module: None)
    with pytest.raises(MissingDependencyError, match="the package gpaw-data is needed"):
        gpaw_host.dataset("Na")


def test_a_level_that_gpaw_does_not_evaluate():
    with pytest.raises(UnknownNameError, match="unknown level of GPAW"):
        gpaw_level("gpaw-scan")


@pytest.mark.parametrize(
    ("phase_id", "has_gap"),
    [
        *((name, True) for name in ("NaCl_B1", "Na2O_antiCaF2", "NaTaOCl4_Cmc21", "Ta2O5_lambda")),
        *((name, True) for name in ("Na3YCl6_R-3", "HfO2_P21c", "Cl2_Cmce", "O2_alpha")),
        *((name, False) for name in ("Na_bcc", "Ta_bcc", "Zr_hcp", "NbO_Pm-3m", "TaS2_1T")),
        *((name, False) for name in ("NbO2_rutile", "Zr3O_R-3c", "ZrCl_R-3m", "NaO2_Pa-3")),
    ],
)
def test_only_what_has_a_gap_gets_few_k_points(phase_id, has_gap):
    level = gpaw_level("gpaw-r2scan")
    calculator = GpawCalculator(level)
    cell = get_phase(phase_id).structure().get_primitive_structure()
    calculator.atoms = AseAtomsAdaptor.get_atoms(cell, msonable=False)
    assert calculator.kspacing == (level.kspacing if has_gap else level.metal_kspacing)


def test_an_element_of_unknown_charge_may_make_a_metal():
    assert has_closed_shells(["Na", "Cl"])
    assert not has_closed_shells(["Na", "Cl", "Fe"])


def test_only_oxygen_in_pairs_has_moments():
    cell = {"cell": [8.0] * 3, "pbc": True}
    oxygen = Atoms("O2", [[0, 0, 0.1], [0, 0, 7.0]], **cell)  # 1.1 A across the boundary
    assert moments_of(oxygen).tolist() == [1.0, 1.0]
    peroxide = Atoms("NaO2", [[3, 3, 3], [0, 0, 0], [0, 0, 1.49]], **cell)
    assert moments_of(peroxide).tolist() == [0.0, 0.0, 0.0]
    assert not moments_of(bulk("NaCl", "rocksalt", a=5.6)).any()
    assert not moments_of(Atoms("O", **cell)).any()
