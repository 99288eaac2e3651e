"""What is read from VASP's files is what was computed: energies, forces, stress, order, signs."""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.io.ase import AseAtomsAdaptor

from haloflow.engines.potentials import load_potential
from haloflow.engines.vasp_output import (
    VaspOutcome,
    last_structure,
    read_frames,
    read_origin,
    read_outcome,
    require_potcars,
)
from haloflow.engines.vasp_relax import evaluate_with_vasp
from haloflow.errors import EngineError, PotentialError

sys.path.insert(0, str(Path(__file__).parent))  # the stand-in is started as a script
from stand_in_files import Salt

TITLE = "PAW_PBE Na_pv 19Sep2006"


def judged(result, structure, calculator):
    """Return the outcome in the order of `structure`, and what `calculator` says of it."""
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    atoms.calc = calculator
    forces = np.empty((len(atoms), 3))
    forces[list(result.order)] = result.outcome.forces_ev_a
    return forces, atoms


def test_numbers_come_back_in_the_order_and_with_the_signs_of_ase(task, salt):
    salt.apply_strain([0.03, 0.0, -0.02])
    result = evaluate_with_vasp(salt, task())
    forces, atoms = judged(result, salt, Salt())
    assert result.outcome.energy_ev == pytest.approx(atoms.get_potential_energy(), abs=1e-7)
    assert forces == pytest.approx(atoms.get_forces(), abs=1e-8)
    stress = atoms.get_stress(voigt=False) * 160.21766  # eV/A^3 in GPa
    assert result.outcome.stress_gpa == pytest.approx(stress, abs=1e-6)
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() == pytest.approx(
        result.outcome.max_force_ev_a
    )


def test_the_stand_in_evaluates_with_chgnet(task, salt, monkeypatch):
    monkeypatch.setenv("VASP_STAND_IN_POTENTIAL", "chgnet-r2scan")
    result = evaluate_with_vasp(salt, task("vasp-r2scan"))
    forces, atoms = judged(result, salt, load_potential("chgnet-r2scan").calculator)
    assert result.outcome.energy_ev == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
    assert forces == pytest.approx(atoms.get_forces(), abs=1e-4)


def outcome(salt, **changes):
    known = {
        "version": "6", "subversion": "", "titles": (TITLE,), "structure": salt,
        "energy_ev": -1.0, "forces_ev_a": np.full((8, 3), 0.01), "stress_gpa": np.eye(3) * 0.1,
        "n_steps": 5, "n_steps_asked": 99, "electronic_converged": True, "was_stopped": False,
    }  # fmt: skip
    return VaspOutcome(**known | changes)


def test_the_gate_opens_for_forces_stress_and_electrons_only(salt):
    gate = {"fmax_ev_a": 0.02, "stress_tolerance_gpa": 0.3}
    assert outcome(salt).unconverged(**gate) == []
    pushed = outcome(salt, forces_ev_a=np.full((8, 3), 0.02))
    assert pushed.unconverged(**gate) == ["a force of 0.0346 eV/A is left, above 0.02"]
    pressed = outcome(salt, stress_gpa=np.diag([0.0, -0.5, 0.0]))
    assert pressed.unconverged(**gate) == ["a stress of 0.5 GPa is left, above 0.3"]
    assert pressed.unconverged(fmax_ev_a=0.02) == []
    moving = outcome(salt, electronic_converged=False)
    assert moving.unconverged() == ["the electrons did not converge in the last step"]
    broken = outcome(salt, forces_ev_a=np.full((8, 3), np.nan))
    assert broken.unconverged(fmax_ev_a=0.02)


def test_potcars_of_another_release_are_refused(tmp_path):
    require_potcars([TITLE, "PAW_PBE Cl 06Sep2000"], tmp_path)
    with pytest.raises(PotentialError, match="do not belong to the set of PBE_64") as refused:
        require_potcars([TITLE, "PAW_PBE Na 08Apr2002", "PAW_PBE O_s 07Sep2000"], tmp_path)
    assert "PAW_PBE Na 08Apr2002, PAW_PBE O_s 07Sep2000" in str(refused.value)


def test_files_that_are_missing_or_cut_short_are_said(tmp_path):
    with pytest.raises(EngineError, match="a VASP run left no vasprun"):
        read_outcome(tmp_path)
    (tmp_path / "vasprun.xml").write_text("<modeling><generator></generator>")
    with pytest.raises(EngineError, match="damaged or cut short") as refused:
        read_origin(tmp_path)
    assert "before its POTCARs are named" in str(refused.value)
    assert list(read_frames(tmp_path)) == []
    assert last_structure(tmp_path) is None
    (tmp_path / "CONTCAR").write_text("half\n1.0\n5 0 0\n")
    assert last_structure(tmp_path) is None


def test_runs_without_a_whole_step_are_said(task, salt):
    work = task()
    (path,) = evaluate_with_vasp(salt, work).files.values()
    text = gzip.decompress(path.read_bytes()).decode()
    path.unlink()
    plain = path.parent / "vasprun.xml"
    plain.write_text(re.sub(r"<calculation>.*</calculation>", "", text, flags=re.DOTALL))
    with pytest.raises(EngineError, match="damaged or cut short"):
        read_outcome(path.parent)
    plain.write_text(re.sub(r'<varray name="stress">.*?</varray>', "", text, flags=re.DOTALL))
    with pytest.raises(EngineError, match="the last step of a VASP run is not complete"):
        read_outcome(path.parent)


def test_packed_files_are_read_alike(task, salt):
    work = task()
    result = evaluate_with_vasp(salt, work)
    (path,) = result.files.values()
    assert path.suffix == ".gz"
    packed = read_outcome(path.parent)
    (path.parent / "vasprun.xml").write_bytes(gzip.decompress(path.read_bytes()))
    plain = read_outcome(path.parent)
    assert packed.energy_ev == plain.energy_ev == result.outcome.energy_ev
    assert [f.energy_ev for f in read_frames(path.parent)] == [plain.energy_ev]


def test_the_free_energy_is_that_of_the_last_step_with_the_entropy_of_smearing(task, salt):
    work = task()
    energy = evaluate_with_vasp(salt, work).outcome.energy_ev
    (path,) = (work.runs("static")[-1]).glob("vasprun.xml.gz")
    before, mark, after = gzip.decompress(path.read_bytes()).decode().rpartition("e_fr_energy")
    said = f'"> {energy:.8f}'
    assert said in after
    path.write_bytes(gzip.compress((before + mark + after.replace(said, '"> -7.5', 1)).encode()))
    assert read_outcome(path.parent).free_energy_ev == -7.5
