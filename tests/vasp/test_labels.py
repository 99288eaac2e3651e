"""Labels of frames by VASP: a step for each, gathered into a set that says what is missing."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pair_potential import LEVEL
from pymatgen.io.ase import AseAtomsAdaptor
from tiny_sweeps import run_job

from haloflow.engines.vasp_labels import labelled_by_vasp
from haloflow.engines.vasp_levels import VASP_LEVELS
from haloflow.engines.vasp_relax import evaluate_with_vasp
from haloflow.errors import EngineError, InputError
from haloflow.makers.frame_sample import FrameSampleMaker, read_sample
from haloflow.makers.labelled_set import LabelledSetMaker
from haloflow.makers.md import MDMaker
from haloflow.makers.step import step_directory
from haloflow.makers.training_set import read_set
from haloflow.makers.vasp_labels import LABEL_ROLE, VaspLabelMaker
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.purpose import mark_for_tests
from haloflow.stores.results import forget
from haloflow.stores.training import SPLITS
from haloflow.systems.mixture import Mixture
from haloflow.systems.phases import get_phase

sys.path.insert(0, str(Path(__file__).parent))
from stand_in_files import Salt

D3 = "vasp-pbe-d3"
SAMPLING = FrameSampleMaker(
    frames_per_run=2, least_distance=0.02, strains=(0.02,), rattles_a=(0.1,),
    packing_density_scales=(0.8,), packing_n_atoms=12, most_frames=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    with open_store(folder / "store") as opened, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        mark_for_tests(opened)
        yield opened


@pytest.fixture(scope="module")
def runs(store):
    crystal = get_phase("NaCl_B1").structure()
    maker = MDMaker(
        level=LEVEL, temperature_k=300, equilibration_steps=0, production_steps=90,
        trajectory_interval=3, full_cell=True,
    )  # fmt: skip
    return [run_job(replace(maker, seed=seed).make(crystal), store) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def sample(store, runs):
    crystals = {"NaCl_B1": get_phase("NaCl_B1").structure()}
    mixtures = [Mixture({"NaCl": 1.0}).canonical()]
    given = [*runs, None]  # what would have started from a melt that broke down
    melt = runs[0].model_copy(update={"status": Status.DECOMPOSED})
    return run_job(SAMPLING.make(given, crystals, mixtures, starts={"3": melt}), store)


@pytest.fixture(scope="module")
def labels(stand_in_environment, store, sample):
    return [label_of(sample, store, number) for number in range(1, sample.n_frames + 1)]


def label_of(sample, store, number, **keywords):
    return run_job(VaspLabelMaker(number=number).make(sample, **keywords), store)


def gather(sample, labels, store, **settings):
    return run_job(LabelledSetMaker(**settings).make(sample, labels), store)


def test_a_sample_holds_the_most_different_frames_of_all_there_is(store, sample, runs):
    frames = read_sample(sample, store.files)
    assert len(frames) == sample.n_frames == 8
    assert sample.n_left_over == 1
    assert {group.origin for group in sample.groups} == {"md", "crystal", "packing"}
    assert {frame.info["trajectory"] for frame in frames} == {g.name for g in sample.groups}
    assert set(sample.provenance.parents) >= {run.identity for run in runs}
    assert {frame.info.get("temperature_k") for frame in frames} == {300.0, None}
    with pytest.raises(InputError, match="a training set has no frames"):
        run_job(SAMPLING.make([]), store)


def test_frames_are_not_taken_while_a_run_may_still_come(store, runs):
    with pytest.raises(InputError, match="runs that frames are to be taken of") as refused:
        run_job(SAMPLING.make([*runs, None, None], starts={"3": runs[0], "4": None}), store)
    assert "2 of 5: run3, run4" in str(refused.value)
    assert "run the sweep again" in str(refused.value)


def test_a_label_is_what_vasp_says_of_that_frame_in_its_own_order(store, sample, labels):
    frames = read_sample(sample, store.files)
    for frame, label in zip(frames, labels, strict=True):
        assert (label.level, label.level_sha256) == (D3, VASP_LEVELS[D3].sha256())
        assert label.trajectory == frame.info["trajectory"]
        assert label.provenance.packages["POTCAR Na_pv"] == "PAW_PBE Na_pv 19Sep2006"
        assert {file.role for file in label.files} == {"vasp-static/run-001", LABEL_ROLE}
    (file,) = (store.files_dir / f.path for f in labels[0].files if f.role == LABEL_ROLE)
    assert f"level={D3}" in file.read_text()
    assert not [p for p in file.parent.rglob("*") if p.name in {"POTCAR", "WAVECAR", "CHGCAR"}]


def test_labels_make_a_set_with_the_level_in_every_frame(store, sample, labels):
    found = gather(sample, labels, store)
    assert found.status is Status.OK
    assert (found.level, found.level_sha256) == (D3, VASP_LEVELS[D3].sha256())
    assert (found.n_failed, found.failed, found.sample_hash) == (0, {}, sample.content_hash)
    assert set(found.provenance.parents) == {sample.identity, *(one.identity for one in labels)}
    assert all(found.n_frames[split] for split in SPLITS)
    assert sum(found.n_frames.values()) + found.n_strained == sample.n_frames
    given = {np.round(f.positions, 6).tobytes(): f for f in read_sample(sample, store.files)}
    for frame in read_set(found, store.files):
        assert frame.info["level"] == D3
        assert frame.info["trajectory"] in {group.name for group in found.groups}
        same = given[np.round(frame.positions, 6).tobytes()]
        assert list(frame.symbols) == list(same.symbols)
        same.calc = Salt()
        assert frame.get_potential_energy() == pytest.approx(same.get_potential_energy(), abs=1e-6)
        assert frame.get_forces() == pytest.approx(same.get_forces(), abs=1e-6)
        assert frame.get_stress() == pytest.approx(same.get_stress(), abs=1e-7)


def test_what_has_no_label_is_counted_and_named(store, sample, labels):
    first, second, *rest = labels
    without = second.model_copy(update={"failure": "the electrons did not converge"})
    found = gather(sample, [None, without, *rest], store, least_labelled=0.7)
    names = [f"frame {n} of {one.trajectory}" for n, one in ((1, first), (2, second))]
    assert found.failed == {
        names[0]: "its step failed", names[1]: "the electrons did not converge",
    }  # fmt: skip
    assert (found.n_failed, found.status) == (2, Status.UNCONVERGED)
    assert found.note.startswith(f"2 of 8 frames have no label: {names[0]}: its step failed; ")
    assert first.identity not in found.provenance.parents
    with pytest.raises(InputError, match="too few frames have a label of vasp-pbe-d3") as refused:
        gather(sample, [None, without, *rest], store)
    assert f"without one of 8: {names[0]}: its step failed" in str(refused.value)
    assert "what failed is tried again" in str(refused.value)
    with pytest.raises(InputError, match="too few frames have a label"):
        gather(sample, [None] * 8, store)
    with pytest.raises(InputError, match="there is no sample of frames"):
        gather(None, labels, store)


def test_labels_of_other_frames_or_levels_are_no_labels_of_these(store, sample, labels):
    strange = labels[0].model_copy(update={"sample_hash": "0" * 64})
    with pytest.raises(InputError, match="labels are of another sample of frames") as refused:
        gather(sample, [strange, *labels[1:]], store, max_force_ev_a=24.0)
    assert "those of frames [1]" in str(refused.value)
    strange = labels[0].model_copy(update={"level": "vasp-pbe"})
    with pytest.raises(InputError, match="labels of different levels cannot be mixed"):
        gather(sample, [*labels[1:], strange], store, max_force_ev_a=23.0)


def test_where_the_sample_is_smaller_than_planned_vasp_is_not_started(
    store, sample, labels, monkeypatch
):
    monkeypatch.setenv("ATOMATE2_VASP_CMD", "/nowhere/vasp_std")
    beyond = label_of(sample, store, 99)
    assert (beyond.trajectory, beyond.failure, beyond.status) == ("", "", Status.OK)
    assert beyond.note == "the sample holds 8 frames"
    assert gather(sample, [*labels, beyond], store, max_force_ev_a=22.0).n_failed == 0


def test_electrons_that_do_not_converge_are_no_label_and_no_failure(
    stand_in, store, sample, monkeypatch
):
    monkeypatch.setenv("HALOFLOW_VASP_MAX_ERRORS", "1")
    stand_in.fail(electronic={"times": 3})
    label = label_of(sample, store, 1, parents={"sample": "of hopeless frames"})
    assert label.status is Status.UNCONVERGED
    assert label.failure.startswith("VASP failed: 1 corrections did not mend it: Unconverged")
    assert label.trajectory
    assert label.energy_ev_per_atom is None
    assert LABEL_ROLE not in {file.role for file in label.files}


def test_a_vasp_that_dies_fails_the_step_which_goes_on(stand_in, store, sample):
    stand_in.fail(segv={})
    given = {"parents": {"sample": "of a bad node"}}
    with pytest.raises(EngineError, match="died by SIGSEGV"):
        label_of(sample, store, 2, **given)
    label = label_of(sample, store, 2, **given)
    assert (label.status, label.provenance.n_resumes) == (Status.OK, 1)


def test_a_frame_that_came_in_the_place_of_another_is_labelled_itself(stand_in, store, sample):
    given = {"sample": "taken again"}
    before = label_of(sample, store, 1, parents=given)
    frames = read_sample(sample, store.files)
    other = run_job(replace(SAMPLING, most_frames=3, seed=4).make(
        None, {"NaCl_B1": get_phase("NaCl_B1").structure()}
    ), store)  # fmt: skip
    assert not np.allclose(read_sample(other, store.files)[0].positions, frames[0].positions)
    forget(store, [before.identity])
    after = label_of(other, store, 1, parents=given)
    assert after.identity == before.identity
    assert after.sample_hash == other.content_hash
    assert after.energy_ev_per_atom.value != pytest.approx(before.energy_ev_per_atom.value)
    folder = step_directory(store.files_dir, after.identity)
    assert len(list(folder.glob("frame-*"))) == 2


def test_only_a_store_for_tests_takes_labels_of_a_stand_in(stand_in, store, sample, tmp_path):
    label = label_of(sample, store, 3, parents={"sample": "of a stand-in"})
    with open_store(tmp_path / "results") as normal:
        for identity in (label.identity, sample.identity):
            shutil.copytree(
                step_directory(store.files_dir, identity),
                step_directory(normal.files_dir, identity),
            )
        with pytest.raises(EngineError, match="written by a stand-in for VASP, not by VASP"):
            label_of(sample, normal, 3, parents={"sample": "of a stand-in"})


def test_the_energy_of_a_label_is_that_whose_derivatives_the_forces_are(task, salt):
    result = evaluate_with_vasp(salt, task(), labels=True)
    free = replace(result.outcome, free_energy_ev=-1.5)
    frame = AseAtomsAdaptor.get_atoms(salt, msonable=False)
    labelled = labelled_by_vasp(frame, replace(result, outcome=free))
    assert labelled.get_potential_energy() == -1.5 != result.outcome.energy_ev
    frame.calc = Salt()
    assert labelled.get_forces() == pytest.approx(frame.get_forces(), abs=1e-7)
    assert labelled.get_stress() == pytest.approx(frame.get_stress(), abs=1e-8)
