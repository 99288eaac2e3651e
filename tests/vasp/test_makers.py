"""The Makers of VASP as jobflow jobs: documents, identity, what a store takes."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from jobflow import run_locally
from monty.json import MontyDecoder
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Incar

from haloflow.engines.potentials import identify, load_potential
from haloflow.engines.vasp_levels import VASP_LEVELS
from haloflow.errors import CoverageError, EngineError, InputError, MissingDependencyError
from haloflow.makers.protocol import MeltQuenchProtocol
from haloflow.makers.run_data import production_of
from haloflow.makers.step import release_claims, step_directory
from haloflow.makers.vasp import VaspRelaxMaker, VaspStaticMaker
from haloflow.makers.vasp_glass import VaspMeltQuenchMaker
from haloflow.makers.vasp_md import VaspMDMaker
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.purpose import is_for_tests, mark_for_tests
from haloflow.stores.results import failures
from haloflow.systems.mixture import Mixture


def left_over(store):
    """Return the files of a step that must not be passed on, or that nothing reads later."""
    runs = list(store.files_dir.rglob("run-*/*"))
    assert any(path.name == "vasprun.xml.gz" for path in runs)
    return [path for path in runs if path.name in {"POTCAR", "WAVECAR", "CHGCAR", "OUTCAR"}]


def run(store, maker, start):
    """Run one step as a job of its own; raise what it raises."""
    job = maker.make(start)
    try:
        run_locally(job, log=False, store=store.jobstore, raise_immediately=True)
    finally:
        release_claims()
    found = store.outputs.query_one({"uuid": job.uuid})
    return MontyDecoder().process_decoded(found["output"])


@pytest.fixture
def tested(tmp_path):
    with open_store(tmp_path / "tested") as store:
        mark_for_tests(store)
        yield store


def test_a_document_says_what_vasp_and_its_potcars_were(stand_in, tested, salt):
    document = run(tested, VaspStaticMaker(level="vasp-pbe-d3", labels=True), salt)
    assert document.kind == "static"
    assert document.level == "vasp-pbe-d3"
    assert document.status is Status.OK
    assert document.energy_ev_per_atom.value < 0
    assert document.structure == salt
    assert document.provenance.potential.weights_sha256 == VASP_LEVELS["vasp-pbe-d3"].sha256()
    assert {k: v for k, v in document.provenance.packages.items() if k.startswith("POTCAR")} == {
        "POTCAR Na_pv": "PAW_PBE Na_pv 19Sep2006",
        "POTCAR Cl": "PAW_PBE Cl 06Sep2000",
    }
    (file,) = document.files
    assert file.role == "vasp-static/run-001"
    assert (tested.files_dir / file.path).stat().st_size == file.n_bytes


def test_what_custodian_changed_stands_in_the_note(stand_in, tested, salt):
    stand_in.fail(electronic={})
    document = run(tested, VaspStaticMaker(level="vasp-pbe-d3"), salt)
    assert document.status is Status.OK
    assert document.note == "custodian corrected static: Unconverged: ALGO All, ISEARCH 1"


def test_a_failure_is_recorded_with_its_cause_and_run_again_it_goes_on(stand_in, tested, salt):
    stand_in.fail(segv={"calculation": "relax2", "step": 3})
    maker = VaspRelaxMaker(level="vasp-pbe-d3")
    with pytest.raises(EngineError, match="died by SIGSEGV"):
        run(tested, maker, salt)
    (identity,) = {path.parent.parent.parent.name for path in tested.files_dir.rglob("INCAR")}
    assert "died by SIGSEGV" in failures(tested, [identity])[identity]
    document = run(tested, maker, salt)
    assert document.status is Status.OK
    assert document.provenance.n_resumes == 1


def test_only_a_store_for_tests_takes_a_stand_in(stand_in, tested, salt, tmp_path):
    maker = VaspStaticMaker(level="vasp-pbe-d3")
    document = run(tested, maker, salt)
    assert is_for_tests(tested)
    with open_store(tmp_path / "results") as store:
        assert not is_for_tests(store)
        shutil.copytree(
            step_directory(tested.files_dir, document.identity),
            step_directory(store.files_dir, document.identity),
        )
        with pytest.raises(EngineError, match="written by a stand-in for VASP, not by VASP"):
            run(store, maker, salt)


def test_without_potcars_vasp_is_not_started(stand_in, salt, tmp_path):
    with (
        open_store(tmp_path / "results") as store,
        pytest.raises(MissingDependencyError, match="VASP needs POTCARs") as refused,
    ):
        run(store, VaspStaticMaker(level="vasp-pbe-d3"), salt)
    assert "set PMG_VASP_PSP_DIR" in str(refused.value)


def test_an_element_without_potcar_is_refused(stand_in, tested):
    strange = Structure(Lattice.cubic(5), ["Na", "Bk"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(CoverageError, match="vasp-r2scan does not cover Bk"):
        run(tested, VaspRelaxMaker(), strange)


def test_aimd_gives_the_document_and_trajectories_of_any_run(stand_in, tested, salt):
    maker = VaspMDMaker(
        level="vasp-pbe-d3",
        temperature_k=300.0,
        timestep_fs=1.0,
        equilibration_steps=10,
        production_steps=20,
        trajectory_interval=2,
        full_cell=True,
    )
    document = run(tested, maker, salt)
    assert document.kind == "md"
    assert document.status is Status.OK, document.note
    assert document.level == "vasp-pbe-d3"
    assert document.ensemble == "npt-full (Langevin) then nvt (Nose-Hoover)"
    assert document.n_steps == document.n_steps_target == 20
    assert document.provenance.potential.package == "vasp"
    assert not left_over(tested)
    reader = production_of(document, tested.files)
    assert reader.n_frames == 10
    assert list(reader.species) == [site.specie.symbol for site in salt]
    assert np.ptp(reader.thermo()["volume_a3"]) == pytest.approx(0, abs=1e-6)
    assert {file.role for file in document.files} == {
        "trajectory-equilibration", "trajectory-production",
    }  # fmt: skip
    moved = reader.positions()[0] - salt.cart_coords
    assert np.abs(moved - moved.mean(axis=0)).max() < 1.0


def test_a_glass_is_made_with_a_force_field_that_the_melt_has_taught(stand_in, tested):
    mixture = Mixture({"NaCl": 1}).canonical()
    maker = VaspMeltQuenchMaker(
        level="vasp-pbe-d3",
        n_atoms=16,
        protocol=MeltQuenchProtocol(
            melt_temperature_k=600, melt_steps=20, hold_steps=20, quench_steps=20,
            npt_block_steps=20, npt_max_blocks=2, density_tolerance=1e-6, prerelax_steps=20,
            trajectory_interval=5,
        ),
    )  # fmt: skip
    document = run(tested, maker, mixture)
    assert document.kind == "melt_quench"
    assert document.level == "vasp-pbe-d3"
    assert len(document.structure) == 16
    assert not left_over(tested)
    assert {file.role for file in document.files} == {
        "trajectory-melt", "trajectory-hold", "trajectory-quench", "trajectory-npt",
    }  # fmt: skip
    assert document.energy_ev_per_atom.value < 0
    assert len(document.density_blocks_g_cm3) == 2
    folder = step_directory(tested.files_dir, document.identity)
    modes = {
        path.parent.parent.name: Incar.from_file(path)["ML_MODE"].lower()
        for path in folder.glob("*/run-*/INCAR")
        if path.parent.parent.name != "prerelax"
    }
    assert modes == {
        "melt": "train", "hold": "train", "refit": "refit", "quench": "run", "npt": "run",
    }  # fmt: skip
    known = int((folder / "hold/run-001/ML_ABN").read_text().split()[-1])
    assert known > int((folder / "melt/run-001/ML_ABN").read_text().split()[-1])
    refitted = (folder / "refit/run-001/ML_FFN").read_text()
    assert (folder / "npt/run-001/ML_FF").read_text() == refitted
    assert len(list(folder.glob("npt/run-*"))) == 2


def test_a_criterion_above_the_levels_makes_no_other_step():
    parents = {"start": "x"}
    loose, own, tight = (
        VaspRelaxMaker(fmax_ev_a=fmax).identity(parents) for fmax in (0.05, 0.02, 0.01)
    )
    assert loose == own
    assert tight != own
    others = {VaspRelaxMaker(level=level).identity(parents) for level in VASP_LEVELS}
    assert len(others) == len(VASP_LEVELS)


def test_a_level_of_vasp_is_known_and_is_no_calculator():
    known = identify("vasp-r2scan")
    assert (known.level, known.package) == ("vasp-r2scan", "vasp")
    assert {"Na", "Ta", "O", "Cl"} <= set(known.elements)
    with pytest.raises(InputError, match="VASP evaluates this level, in runs of its own"):
        load_potential("vasp-r2scan")
