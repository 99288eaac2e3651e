"""Bands through the real custodian: one process each, a folder per image, continued and judged."""

from __future__ import annotations

import gzip
import threading

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.optimize import FIRE
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.vasp import Incar
from vasp_cells import wait_for

from haloflow.engines.neb import NebSettings
from haloflow.engines.vasp_neb import _chain_force, band_inputs, find_barrier_with_vasp
from haloflow.engines.vasp_relax import tidy_step
from haloflow.engines.vasp_run import images_in
from haloflow.errors import EngineError
from haloflow.makers.step import release_claims
from haloflow.makers.vasp_neb import VaspNebMaker
from haloflow.quantity import Status
from haloflow.stores.barrier_documents import BarriersDocument
from haloflow.stores.connection import open_store
from haloflow.stores.purpose import mark_for_tests
from haloflow.stores.records import step_of

SETTINGS = NebSettings(n_images=3, fmax_ev_a=0.03, max_steps=150)


@pytest.fixture(autouse=True)
def _metal(monkeypatch):
    """Let the stand-in evaluate aluminium, whose vacancies hop over a known saddle."""
    monkeypatch.setenv("VASP_STAND_IN_POTENTIAL", "emt")


def aluminium():
    return bulk("Al", "fcc", a=3.99, cubic=True) * (2, 2, 2)


def hop():
    """Return a hop of an atom to the vacancy beside it."""
    start = aluminium()
    near = int(np.argmin(start.get_distances(0, range(1, len(start)), mic=True))) + 1
    move = start.get_distance(0, near, mic=True, vector=True)
    del start[near]
    end = start.copy()
    end.positions[0] += move
    return (start, end), 0


def find(task, settings=SETTINGS, **keywords):
    ends, ion = hop()
    return find_barrier_with_vasp(ends, ion, task, settings, name="hop-000", **keywords)


def test_the_input_is_the_levels_relaxation_with_climbing_images():
    structure = AseAtomsAdaptor.get_structure(hop()[0][0])
    incar = band_inputs("vasp-r2scan", structure, n_images=5, fmax_ev_a=0.01, max_steps=80).incar
    # atomate2's NebSetGenerator for climbing images, VTST's optimizer
    expected = {"IMAGES": 5, "LCLIMB": True, "IOPT": 1, "IBRION": 3, "POTIM": 0, "SPRING": -5,
                "ISIF": 2, "EDIFF": 1e-6}  # fmt: skip
    assert {key: incar[key] for key in expected} == expected
    # the level's own
    assert incar["METAGGA"].upper() == "R2SCAN"
    assert (incar["ENCUT"], incar["PREC"], incar["NSW"]) == (680, "Accurate", 80)
    assert incar["EDIFFG"] == -0.01
    assert incar["LWAVE"] is incar["LCHARG"] is False


def test_a_band_runs_in_one_process_and_a_stopped_one_goes_on(task):
    few = NebSettings(n_images=3, fmax_ev_a=0.03, max_steps=2)
    early = find(task(), few)
    assert early.status is Status.UNCONVERGED
    assert "left across it, above 0.03" in early.note
    assert early.n_steps
    work = task()
    result = find(work)
    assert result.status is Status.OK, result.note
    assert result.difference_ev == pytest.approx(0.0, abs=0.005)
    (start, _), ion = hop()
    saddle = start.copy()
    saddle.positions[ion] += (hop()[0][1].positions - start.positions)[ion] / 2
    for atoms in (start, saddle):
        atoms.calc = EMT()
        FIRE(atoms, logfile=None).run(fmax=0.005, steps=300)
    expected = saddle.get_potential_energy() - start.get_potential_energy()
    assert result.forward_ev.value == pytest.approx(expected, abs=0.01)
    assert result.max_force_ev_a <= 0.03
    assert result.top == 2
    runs = work.runs("hop-000-band")
    assert len(runs) == 2
    first, second = runs
    assert [image.name for image in images_in(second)] == ["01", "02", "03"]
    assert Incar.from_file(second / "INCAR")["IMAGES"] == 3
    files = (first / "01" / "CONTCAR", second / "01" / "POSCAR")
    rows = [np.loadtxt(file, skiprows=8, max_rows=31, usecols=(0, 1, 2)) for file in files]
    assert np.allclose(*rows, atol=1e-8)
    assert (second / "00" / "POSCAR").is_file()
    assert (second / "04" / "POSCAR").is_file()
    assert not list(second.glob("0*/*.error"))
    again = find(task())
    assert again.energies_ev == result.energies_ev
    assert len(work.runs("hop-000-band")) == 2


def test_images_that_die_keep_what_they_have_and_a_next_call_goes_on(stand_in, task):
    stand_in.fail(segv={"calculation": "hop-000-band", "step": 4})
    with pytest.raises(EngineError, match="VASP failed: it died by SIGSEGV"):
        find(task())
    assert find(task()).status is Status.OK


def test_a_band_that_a_stopcar_ends_goes_on_from_its_images(stand_in, task):
    stand_in.fail(slow={"calculation": "hop-000-band", "value": 0.3, "times": 3})
    band = task().directory / "hop-000-band"
    stopper = threading.Thread(target=_stop_at_first_step, args=(band / "run-001",))
    stopper.start()
    result = find(task(), NebSettings(n_images=1, fmax_ev_a=0.05, max_steps=60))
    stopper.join()
    assert "soft stop encountered" in (band / "run-001" / "01" / "OUTCAR").read_text()
    assert (band / "run-002").is_dir()
    assert result.status is Status.OK, result.note


def _stop_at_first_step(folder):
    wait_for(folder / "01" / "OSZICAR", "a first step of the band")
    (folder / "STOPCAR").write_text("LSTOP = .TRUE.\n")


def test_a_vasp_without_vtst_is_told_after_its_first_run(stand_in, task):
    stand_in.fail(no_vtst={"times": 1})
    few = NebSettings(n_images=1, fmax_ev_a=0.05, max_steps=3)
    with pytest.raises(EngineError, match="VASP wrote no forces across the band") as refused:
        find(task(), few)
    assert "images 01 of hop-000-band/run-001" in str(refused.value)
    assert "built with VTST" in str(refused.value)
    work = task()
    assert find(work, few).energies_ev  # VTST is there now: it goes on
    assert len(work.runs("hop-000-band")) == 2


def test_an_image_that_was_cut_short_is_no_converged_one(task):
    settings = NebSettings(n_images=2, fmax_ev_a=0.5, max_steps=60)
    work = task()
    find(work, settings)
    last = work.runs("hop-000-band")[-1]
    for tidied in (False, True):
        if tidied:
            tidy_step(work.directory)
        assert _chain_force(last / "02") <= 0.5
    text = gzip.decompress((last / "02" / "OUTCAR.gz").read_bytes()).decode()
    cut = text[: text.index("FORCES: max atom")]
    (last / "02" / "OUTCAR.gz").write_bytes(gzip.compress(cut.encode()))
    n_runs = len(work.runs("hop-000-band"))
    result = find(task(), settings)
    assert len(work.runs("hop-000-band")) == n_runs + 1
    assert result.max_force_ev_a <= 0.5


def test_nothing_is_left_of_a_step_that_must_not_be_passed_on(tmp_path):
    run = tmp_path / "hop-000-band" / "run-001"
    for place in (run, run / "00", run / "01"):
        place.mkdir(parents=True, exist_ok=True)
        for name in ("POTCAR", "WAVECAR", "CHGCAR", "OUTCAR", "CONTCAR"):
            (place / name).write_text("x")
    tidy_step(tmp_path)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"OUTCAR.gz", "CONTCAR"}


def test_a_maker_of_barriers_by_vasp(stand_in, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VASP_STAND_IN_POTENTIAL", "pair")
    salt = bulk("NaCl", "rocksalt", a=5.2, cubic=True)
    maker = VaspNebMaker(
        level="vasp-pbe-d3", anions=("Cl",), into="vacancy", n_images=1, per_kind=1, fmax_ev_a=0.05,
        max_steps=60,
    )  # fmt: skip
    job = maker.make(AseAtomsAdaptor.get_structure(salt))
    with open_store(str(tmp_path / "store")) as store:
        mark_for_tests(store)
        run_locally(job, log=False, ensure_success=True, raise_immediately=True,
                    store=store.jobstore)  # fmt: skip
        release_claims()
        document = step_of(store.outputs.query_one({"uuid": job.uuid})["output"])
    assert isinstance(document, BarriersDocument)
    assert document.level == "vasp-pbe-d3"
    assert not [p for p in tmp_path.rglob("*") if p.name in {"WAVECAR", "CHGCAR", "OUTCAR"}]
    assert document.n_possible == {"Cl edge": 24}  # to the images of each neighbour too
    assert document.host_max_stress_gpa > 0  # the cell is not the one that the forces want
    assert "no charge was added" in document.charge_note
    assert document.provenance.potential.package == "vasp"
    assert document.provenance.packages["POTCAR Na_pv"] == "PAW_PBE Na_pv 19Sep2006"
    (hop,) = document.hops
    assert len(hop.energies_ev) == 3, hop.barrier_ev.note
    assert "the cell is 5.2 A thin, less than 8" in hop.barrier_ev.note
