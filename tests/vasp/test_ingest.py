"""Folders of VASP at any depth, taken where they pass the gates and named where they do not."""

from __future__ import annotations

import gzip
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from pymatgen.core import Structure
from typer.testing import CliRunner
from vasp_cells import rock_salt

from haloflow.cli.main import app
from haloflow.engines.interrupts import StopRequest
from haloflow.engines.vasp_host import vasp_host
from haloflow.engines.vasp_ingest import (
    _level_of,
    _peculiar,
    _plain,
    _segment_of,
    _smearing,
    learnt_errors,
)
from haloflow.engines.vasp_inputs import MDSegment, dynamics, relaxation, static
from haloflow.engines.vasp_output import read_frames, read_run
from haloflow.engines.vasp_relax import VaspTask
from haloflow.errors import InputError
from haloflow.makers.run_data import production_of
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.documents import MDDocument
from haloflow.stores.purpose import mark_for_tests
from haloflow.stores.records import step_of
from haloflow.stores.results import stored_outputs
from haloflow.units import density_g_cm3
from haloflow.workflows.ingest import find_runs, ingest

LEVEL = "vasp-pbe-d3"


@pytest.fixture(scope="module")
def runs(stand_in_environment, tmp_path_factory):
    """Return old folders: an energy, a relaxation deeper down and packed, and bad ones."""
    folder, salt = tmp_path_factory.mktemp("made"), rock_salt()
    work = VaspTask(folder, LEVEL, vasp_host(), StopRequest(), for_tests=True)
    work.run("static", static(LEVEL, salt))
    work.run("relax", relaxation(LEVEL, salt))
    early = relaxation(LEVEL, salt, max_steps=2)
    work.run("early", early)
    moving = dynamics(LEVEL, salt, MDSegment("md", 12, 300, 300, 1.0, learning="train"), seed=1)
    learnt = work.prepare("md", moving)
    work.execute(learnt, is_dynamics=True)
    (learnt / "ML_LOGFILE").write_text(
        "# ERR nstep rmse_energy rmse_force rmse_stress\n"
        "ERR 2 1.0E-03 5.0E-02 9.0E-01\nERR 12 2.5E-03 4.0E-02 6.0E-01\n"
    )
    short = dynamics(LEVEL, salt, MDSegment("short", 1, 300, 300, 1.0), seed=1)
    work.execute(work.prepare("short", short), is_dynamics=True)
    coarse = static(LEVEL, salt)
    coarse.incar["ENCUT"] = 400
    work.run("coarse", coarse)
    old = tmp_path_factory.mktemp("old")
    for name in ("static", "early", "md", "short", "coarse"):
        shutil.copytree(work.directory / name / "run-001", old / name)
    shutil.copytree(work.directory / "static" / "run-001", old / "cut")
    path = old / "cut" / "vasprun.xml"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    deep = old / "a" / "b" / "relax"
    shutil.copytree(work.directory / "relax" / "run-001", deep)
    data = (deep / "vasprun.xml").read_bytes()
    (deep / "vasprun.xml.gz").write_bytes(gzip.compress(data))
    (deep / "vasprun.xml").unlink()
    shutil.copytree(deep, old / "torn")
    (old / "torn" / "vasprun.xml.gz").write_bytes(gzip.compress(data)[:2000])
    return old


def test_good_runs_become_documents_and_bad_ones_leave_nothing(runs, tmp_path):
    with open_store(tmp_path / "store") as store:
        mark_for_tests(store)
        found = {one.folder.name: one for one in ingest(store, [runs])}
        assert {name for name, one in found.items() if one.is_new} == {"static", "relax", "md"}
        for name, reason in {
            "early": "did not converge",
            "short": "molecular dynamics by VASP cannot be taken",
            "coarse": "nearest is vasp-pbe-d3: ENCUT 400 instead of 680",
            "cut": "damaged or cut short",
            "torn": "",
        }.items():
            assert found[name].identity == ""
            assert reason in found[name].words
            assert found[name].words
        documents = stored_outputs(store, [one.identity for one in found.values() if one.identity])
        assert sorted(d["kind"] for d in documents.values()) == ["md", "relax", "static"]
        assert all(d["level"] == LEVEL for d in documents.values())
        for document in documents.values():
            file = document["files"][0]
            assert (store.files_dir / file["path"]).stat().st_size == file["n_bytes"]
        left = {path.name for path in store.files_dir.rglob("vasprun*")}
        assert left == {"vasprun.xml", "vasprun.xml.gz"}
        assert len(list(store.files_dir.rglob("vasprun*"))) == 3
        assert store.failures.count() == 0
        again = [one for one in ingest(store, [runs, runs / "static"]) if one.identity]
        assert [one.is_new for one in again] == [False, False, False]


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"ISPIN": 2}, "ISPIN 2 instead of 1"),
        ({"NELECT": 57.0}, "NELECT 57 instead of 56 of the neutral cell"),
        ({"ISMEAR": 1}, "ISMEAR 1 instead of one of (-5, -4, 0)"),
        ({"ISMEAR": 0, "SIGMA": 0.2}, "SIGMA 0.2 above 0.05"),
        ({"LSORBIT": True}, "LSORBIT True instead of False"),
        ({"LNONCOLLINEAR": True}, "LNONCOLLINEAR True instead of False"),
        ({"GGA_COMPAT": True}, "GGA_COMPAT True instead of False"),
    ],
)
def test_settings_that_decide_the_energy_are_those_of_the_level(runs, tags, words):
    run = read_run(runs / "static")
    assert _level_of(run, "static", runs / "static").name == LEVEL
    run.parameters.update(tags)
    run.incar.update(tags)
    with pytest.raises(InputError) as refused:
        _level_of(run, "static", runs / "static")
    assert f"nearest is {LEVEL}: {words};" in str(refused.value).replace(". Allowed", ";")


def test_metals_may_be_smeared_more():
    metal = SimpleNamespace(structure=Structure(np.eye(3) * 3, ["Na"], [[0, 0, 0]]), incar={})
    assert _smearing({"ISMEAR": 1, "SIGMA": 0.2}, metal) == []
    assert _smearing({"ISMEAR": 1, "SIGMA": 0.5}, metal) == ["SIGMA 0.5 above 0.2"]


def test_molecular_dynamics_becomes_a_trajectory_of_all_its_steps(runs, tmp_path):
    with open_store(tmp_path / "store") as store:
        mark_for_tests(store)
        (taken,) = ingest(store, [runs / "md"])
        document = step_of(stored_outputs(store, [taken.identity])[taken.identity])
        reader = production_of(document, store.files)
    assert isinstance(document, MDDocument)
    assert (document.n_steps, document.n_steps_target, document.timestep_fs) == (12, 12, 1.0)
    assert (document.level, document.temperature_k) == (LEVEL, 300.0)
    assert document.ensemble == "nvt (VASP)"
    assert "training errors 2.5 meV/atom, 40 meV/A, 0.06 GPa" in document.note
    assert reader.n_frames == 12  # the steps of the force field too, not those of DFT alone
    volume = float(np.linalg.det(reader.cells(0, 1)[0]))
    assert document.density_g_cm3.value == pytest.approx(
        density_g_cm3(document.structure.composition.weight, volume)
    )
    frames = list(read_frames(runs / "md"))
    apart = reader.positions(11, 12)[0] @ np.linalg.inv(frames[-1].cell) - frames[-1].frac
    assert np.allclose(apart, np.rint(apart), atol=1e-5)
    thermo = reader.thermo()
    assert thermo["energy_ev"] == pytest.approx([frame.energy_ev for frame in frames], abs=1e-6)


@pytest.mark.parametrize(
    ("tags", "ensemble"),
    [
        ({"MDALGO": 2, "SMASS": 0}, "nvt"),  # Nose-Hoover
        ({"MDALGO": 3, "SMASS": -3}, "nvt"),  # Langevin
        ({"MDALGO": 3, "SMASS": -3, "ISIF": 3}, "npt"),
        ({"MDALGO": 0, "SMASS": -1}, "rescale"),
        ({"MDALGO": 0, "SMASS": -3}, "nve"),
        ({"MDALGO": 1, "ANDERSEN_PROB": 0.0}, "nve"),
        ({"MDALGO": 1, "ANDERSEN_PROB": 0.1}, "nvt"),
    ],
)
def test_ensembles_are_told_by_their_tags(tags, ensemble):
    known = {"POTIM": 2.0, "TEBEG": 600.0, "TEEND": 300.0, "PSTRESS": 10.0}
    run = SimpleNamespace(parameters=known, incar=tags, md_data=[], ionic_steps=[{}] * 4)
    segment = _segment_of(run)
    assert segment.ensemble == ensemble
    assert (segment.n_steps, segment.start_k, segment.end_k) == (4, 600.0, 300.0)
    assert segment.pressure_gpa == pytest.approx(1.0)
    assert segment.learning is None
    assert _peculiar(segment) == "a ramp from 600 to 300 K, named by its middle"


@pytest.mark.parametrize(
    ("mode", "learning", "said"),
    [
        ({}, "train", ""),
        ({"ML_MODE": "TRAIN"}, "train", ""),
        ({"ML_MODE": "run"}, "run", "forces of a field that was learnt before, none of DFT"),
        ({"ML_MODE": "REFIT"}, "refit", "forces of a field that was learnt before, none of DFT"),
    ],
)
def test_forces_that_are_not_of_dft_are_named(mode, learning, said):
    known = {"POTIM": 2.0, "TEBEG": 600.0, "ML_LMLFF": True}
    run = SimpleNamespace(parameters=known, incar=mode, md_data=[], ionic_steps=[{}] * 4)
    segment = _segment_of(run)
    assert segment.learning == learning
    assert _peculiar(segment) == said


def test_a_packed_log_of_learning_is_read(runs, tmp_path):
    log = (runs / "md" / "ML_LOGFILE").read_bytes()
    (tmp_path / "ML_LOGFILE.gz").write_bytes(gzip.compress(log))
    assert learnt_errors(tmp_path) == learnt_errors(runs / "md") != ""


def test_a_run_that_was_cut_short_is_not_converged(runs, tmp_path):
    shutil.copytree(runs / "md", tmp_path / "md")
    path = tmp_path / "md" / "vasprun.xml"
    path.write_text(re.sub(r'(name="NSW"> )12', r"\g<1>40", path.read_text()))
    with open_store(tmp_path / "store") as store:
        mark_for_tests(store)
        (taken,) = ingest(store, [tmp_path / "md"])
        document = step_of(stored_outputs(store, [taken.identity])[taken.identity])
    assert document.status is Status.UNCONVERGED
    assert document.note.startswith("12 of 40 steps")
    assert (document.n_steps, document.n_steps_target) == (12, 40)


def test_a_stand_in_is_refused_by_a_store_of_results(runs, tmp_path):
    with open_store(tmp_path / "store") as store:
        found = list(ingest(store, [runs / "static"]))
        assert "written by a stand-in for VASP" in found[0].words
        assert store.outputs.count() == 0


def test_the_command_names_what_it_takes_and_skips(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    store = tmp_path / "store"
    with open_store(store) as opened:
        mark_for_tests(opened)
    done = CliRunner().invoke(app, ["ingest", str(runs), "--store", str(store)])
    assert done.exit_code == 1
    assert "NaCl, relax at vasp-pbe-d3" in done.output
    assert "3 taken, 0 there already, 5 skipped" in done.output
    done = CliRunner().invoke(app, ["ingest", str(runs / "static"), "--store", str(store)])
    assert done.exit_code == 0
    assert "0 taken, 1 there already, 0 skipped" in done.output


def test_folders_without_runs_are_said(tmp_path):
    with open_store(tmp_path / "store") as store:
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="there is no VASP run in these folders"):
            list(ingest(store, [tmp_path / "empty"]))
    with pytest.raises(InputError, match="there is no such folder"):
        list(find_runs([tmp_path / "nowhere"]))


@pytest.mark.parametrize(
    ("written", "meant"),
    [(" Auto", "AUTO"), (".FALSE.", False), ("T", True), ("accurate", "ACCURA"), (12, 12)],
)
def test_tags_are_read_as_vasp_writes_them(written, meant):
    assert _plain(written) == meant
