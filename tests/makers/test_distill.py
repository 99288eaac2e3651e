"""Distillation: the student learns until its own MD stays inside what it knows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from cold_salt import cold_set, rock_salt, student_maker
from pair_potential import LEVEL, Pair
from tiny_frames import TINY, rattled_salt
from trained_models import own_machine  # noqa: F401  (a fixture)

from haloflow.engines.domain import NepDomain
from haloflow.engines.labels import read_labelled
from haloflow.engines.md import MDSettings
from haloflow.engines.potentials import identify, load_potential
from haloflow.errors import InputError
from haloflow.identity import file_sha256
from haloflow.makers.distill import DistillMaker
from haloflow.makers.learning import Learning
from haloflow.makers.md import MDMaker
from haloflow.makers.training_set import TrainingSetMaker, read_set
from haloflow.makers.trials import Trial, plan_trials, run_trial, trial_starts
from haloflow.quantity import Status
from haloflow.stores.connection import open_store

OTHER = "ase:pair_potential:Pair?depth_ev=0.08&size_a=2.5"


@pytest.fixture(scope="module")
def made(tmp_path_factory, make_workshop):
    with open_store(tmp_path_factory.mktemp("distill") / "store") as store:
        workshop = make_workshop(store)
        frames = cold_set(workshop)
        yield workshop, frames, workshop.run(student_maker(), frames)


def worst_share(one):
    return max(run.share_above for run in one.runs)


def test_the_loop_brings_the_runs_inside(made):
    _, frames, student = made
    first, last = student.rounds[0], student.rounds[-1]
    assert first.n_train == frames.n_frames["train"]
    assert worst_share(first) > 0.3
    assert worst_share(last) <= 0.15
    assert {run.status for run in last.runs} == {Status.OK}
    assert (student.status, student.note) == (Status.OK, "")
    assert last.n_train == first.n_train + sum(one.n_new for one in student.rounds[:-1])
    for one in student.rounds[:-1]:
        labelled = sum(run.n_selected + run.teacher_errors.n_frames for run in one.runs)
        assert one.n_new == labelled, "what was chosen, and what the teacher checked"
    assert {run.name for run in last.runs} == {
        "00-NaCl-60K", "01-NaCl-400K", "02-NaCl-quench", "03-NaCl-crystal",
        "04-NaCl-packing",
    }  # fmt: skip


def test_the_teacher_agrees_that_it_got_better(made):
    _, _, student = made
    errors = [
        np.mean([run.teacher_errors.force_mae_mev_a for run in one.runs])
        for one in (student.rounds[0], student.rounds[-1])
    ]
    assert errors[1] < errors[0] / 3


def test_the_teacher_checks_frames_of_every_run(made):
    _, _, student = made
    for run in (run for one in student.rounds for run in one.runs):
        assert run.teacher_errors.n_frames <= 2
        assert run.teacher_errors.force_mae_mev_a > 0
        assert run.teacher_errors.force_rms_mev_a > 0


def test_files_name_the_student_wherever_they_lie(made):
    workshop, frames, student = made
    (weights,), (domain,) = (workshop.files(student, role) for role in ("weights", "domain"))
    lines = [(weights.parent / f"round-{n}/training/nep.in").read_text() for n in (0, 1)]
    assert ["lambda_e 1\n" in lines[0], "lambda_e 20\n" in lines[1]] == [True, True]
    assert weights.name == "Cl-Na.nep.txt"
    assert domain.name == "Cl-Na.nep.domain.npz"
    assert file_sha256(weights) == student.weights_sha256
    assert identify(f"nep:{weights}").level == student.level
    assert (student.teacher, student.data_hash) == (LEVEL, frames.content_hash)
    trained = read_set(frames, workshop.store.files, "train")
    grades = [NepDomain.load(weights).grade(frame) for frame in trained]
    assert max(grades) <= 1.02, "training frames lie inside"


def test_errors_are_those_of_the_stored_student(made):
    workshop, frames, student = made
    (weights,) = workshop.files(student, "weights")
    calculator = load_potential(f"nep:{weights}").calculator
    differences = []
    for frame in read_set(frames, workshop.store.files, "test"):
        calculator.calculate(frame.copy())
        differences.append(calculator.results["forces"] - frame.get_forces())
    table = student.errors["test"]
    assert table.n_frames == frames.n_frames["test"]
    assert table.force_mae_mev_a == pytest.approx(1e3 * np.abs(differences).mean())
    assert set(table.force_mae_of_element_mev_a) == {"Cl", "Na"}
    assert min(student.repulsion_ev_a.values()) > 1.0
    assert 0 < student.us_per_atom_step < 1e4


def test_run_again_from_its_folders_it_is_the_same_student(made):
    """Nothing is computed twice: each training, run and labelling returns what it has."""
    workshop, frames, student = made
    workshop.store.outputs.remove_docs({"output.identity": student.identity})
    (weights,) = workshop.files(student, "weights")
    before = {p: p.stat().st_mtime_ns for p in weights.parent.glob("round-*/training/*")}
    again = workshop.run(student_maker(), frames)
    assert again.weights_sha256 == student.weights_sha256
    assert [one.model_dump() for one in again.rounds] == [o.model_dump() for o in student.rounds]
    after = {p: p.stat().st_mtime_ns for p in before if p.name != "lock"}
    assert after == {p: t for p, t in before.items() if p.name != "lock"}


def test_trial_of_a_packing_found_again_has_the_same_frames(made, tmp_path):
    """Its relaxation too, whose frames on the way are worth labels."""
    workshop, frames, student = made
    (weights,) = workshop.files(student, "weights")
    calculator, domain = load_potential(f"nep:{weights}").calculator, NepDomain.load(weights)
    read = read_set(frames, workshop.store.files, "train")
    trials = plan_trials(
        *trial_starts(read, frames.groups),
        temperatures_k=(60.0, 400.0), density_scales=(), n_steps=100, timestep_fs=2.0, seed=3,
    )  # fmt: skip
    packing = next(trial for trial in trials if trial.is_packing)
    packing.start.set_cell(0.7 * packing.start.cell.array, scale_atoms=True)
    packing.start.positions += np.random.default_rng(5).normal(scale=0.5, size=(8, 3))
    first, again = (
        run_trial(packing, calculator, domain, tmp_path, signature="packing", stop_grade=1e9)
        for _ in range(2)
    )
    assert again.grades == first.grades
    for one, other in zip(first.frames, again.frames, strict=True):
        np.testing.assert_array_equal(other.positions, one.positions)
    assert not np.array_equal(first.frames[0].positions, first.frames[1].positions)


@pytest.mark.parametrize(("kelvin", "boils"), [(5000.0, True), (60.0, False)])
def test_boiling_at_no_pressure_is_told_from_leaving_the_domain(made, tmp_path, kelvin, boils):
    workshop, _, student = made
    (weights,) = workshop.files(student, "weights")
    settings = MDSettings("npt-isotropic", kelvin, n_steps=3000, timestep_fs=2.0, seed=1)
    start = rattled_salt(1, seed=1)[0]
    tried = run_trial(
        Trial("hot", start, settings), Pair(), NepDomain.load(weights), tmp_path,
        signature="hot", stop_grade=1e9,
    )  # fmt: skip
    assert tried.boiled == boils, tried.result.note
    assert (tried.result.status is Status.DIVERGED) == boils
    tried.grades = [0.5] * len(tried.grades)
    assert outside(tried) == []
    tried.grades = [3.0] * len(tried.grades)
    assert len(outside(tried)) == 1
    other = dataclasses.replace(tried.result, status=Status.DECOMPOSED, note="bonds")
    assert outside(dataclasses.replace(tried, result=other)) == ["hot: bonds"]


def outside(tried):
    """Return what a student's rounds say of a trial."""
    rounds = Learning.__new__(Learning)
    rounds._maker = student_maker()
    return rounds._outside([tried])


def test_labels_must_be_the_teachers(made):
    workshop, frames, _ = made
    with pytest.raises(InputError, match="are not those of the teacher") as caught:
        workshop.run(DistillMaker(level=OTHER), frames)
    assert f"labels of {LEVEL}, teacher {OTHER}" in str(caught.value)


def test_md_of_a_student_is_watched_and_checked_by_its_teacher(made):
    workshop, _, student = made
    (weights,) = workshop.files(student, "weights")
    salt = rock_salt()
    settings = {"equilibration_steps": 0, "production_steps": 200, "trajectory_interval": 10,
                "full_cell": True}  # fmt: skip
    inside = workshop.run(MDMaker(level=f"nep:{weights}", temperature_k=60, **settings), salt)
    assert inside.status is Status.OK, inside.note
    assert (inside.domain.n_graded, inside.domain.share_above) == (21, 0.0)
    assert inside.domain.teacher == LEVEL
    assert inside.domain.teacher_errors.n_frames == 5
    assert inside.domain.teacher_errors.force_mae_mev_a < 50
    torn = salt.copy()
    torn.translate_sites([0, 5], [0.22, 0.05, 0.0])
    outside = workshop.run(MDMaker(level=f"nep:{weights}", temperature_k=60, **settings), torn)
    assert outside.status is Status.OUT_OF_DOMAIN
    assert "has an extrapolation grade of" in outside.note
    assert outside.domain.largest_grade > 10
    assert outside.n_steps < outside.n_steps_target


def test_a_student_without_its_domain_is_another_potential(made, tmp_path):
    """Guards end runs, so the domain beside a student is part of a step's identity."""
    workshop, _, student = made
    (weights,) = workshop.files(student, "weights")
    alone = tmp_path / weights.name
    alone.write_bytes(weights.read_bytes())
    with_domain, without = identify(f"nep:{weights}"), identify(f"nep:{alone}")
    assert with_domain.level == without.level
    assert with_domain.as_parameters() != without.as_parameters()
    assert MDMaker(level=f"nep:{weights}").identity({}) != MDMaker(level=f"nep:{alone}").identity(
        {}
    )


@pytest.mark.usefixtures("own_machine")
def test_a_student_goes_on_with_what_its_runs_found(made):
    """A run that left the domain is labelled by the teacher, and learned from its weights on."""
    workshop, frames, student = made
    (weights,) = workshop.files(student, "weights")
    (learned,) = workshop.files(student, "frames-learned")
    n_learned = sum(one.n_new for one in student.rounds)
    assert len(read_labelled(learned)) == n_learned > 0
    torn = rock_salt()
    torn.translate_sites([0, 5], [0.22, 0.05, 0.0])
    left = MDMaker(level=f"nep:{weights}", temperature_k=60, equilibration_steps=0,
                   production_steps=100, trajectory_interval=5, full_cell=True)  # fmt: skip
    more = workshop.run(
        TrainingSetMaker(level=LEVEL, last_frames=5, least_distance=0.02, max_force_ev_a=1e3),
        [workshop.run(left, torn)], None, None, [frames],
    )  # fmt: skip
    assert more.n_frames["train"] > frames.n_frames["train"]
    grown = workshop.run(student_maker(max_rounds=1, refine_epochs=3, n_checked=0), more, student)
    assert (grown.parent, student.parent) == (student.weights_sha256, None)
    (one,) = grown.rounds
    assert (one.epochs, one.n_train) == (3, more.n_frames["train"] + n_learned)
    assert grown.provenance.parents == sorted([more.identity, student.identity])
    assert grown.weights_sha256 != student.weights_sha256
    anew = student_maker(max_rounds=1, refine_epochs=3, n_checked=0)
    assert grown.identity != anew.identity({"training_set": more.identity})


@pytest.mark.parametrize(
    ("changes", "settings", "said"),
    [
        ({}, {"nep": {**TINY, "neurons": 7}}, "neurons 6"),
        ({"teacher_sha256": "0" * 64}, {}, f"teacher {LEVEL}"),
        ({"architecture": "mace"}, {}, "architecture mace"),
        ({"data_hash": "0" * 64, "provenance": None}, {}, "a training set that is not among these"),
    ],
)
def test_a_student_does_not_go_on_with_what_is_no_kin(made, changes, settings, said):
    workshop, frames, student = made
    if "provenance" in changes:
        stranger = student.provenance.model_copy(update={"parents": ["0" * 64]})
        changes = changes | {"provenance": stranger}
    other = student.model_copy(update=changes)
    with pytest.raises(InputError, match="cannot go on with the weights") as caught:
        workshop.run(student_maker(**settings, seed=9), frames, other)
    assert said in str(caught.value)
