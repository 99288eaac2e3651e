"""Runs that leave the domain of their student: taught from, gone on with, handed on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from cold_salt import LEFT_K, REFINED, cold_student, rock_salt, student_maker
from pair_potential import LEVEL, Pair
from pymatgen.io.ase import AseAtomsAdaptor
from trained_models import change_machine

from haloflow.analysis.fingerprints import decorrelation_stride
from haloflow.engines.guards import GuardVerdict
from haloflow.engines.md import MDSettings, run_md
from haloflow.engines.trajectory import TrajectoryReader
from haloflow.errors import CheckpointError, InputError
from haloflow.identity import structure_hash
from haloflow.makers.diffusion import DiffusionMaker
from haloflow.makers.domain_check import left_domain
from haloflow.makers.frames import run_group
from haloflow.makers.learned_md import LearnedMDMaker
from haloflow.makers.learned_students import LearnedSetMaker, LearnedStudentMaker
from haloflow.makers.md import MDMaker
from haloflow.makers.past_run import PastRun, kept_state
from haloflow.makers.run_data import part_of, production_of
from haloflow.makers.step import StepContext, step_job
from haloflow.quantity import Status
from haloflow.settings import get_settings
from haloflow.stores.connection import open_store
from haloflow.stores.domain_report import DomainReport
from haloflow.stores.learned_runs import shared_level

MD = {
    "equilibration_steps": 100, "production_steps": 600, "trajectory_interval": 10,
    "checkpoint_interval": 50, "full_cell": True, "timestep_fs": 1.0,
}  # fmt: skip
SET = {"last_frames": 10, "frames_per_run": 20, "least_distance": 0.02, "max_force_ev_a": 1e3}


@dataclass
class Again(MDMaker):
    """Go on with a run at its own level."""

    @step_job()
    def make(self, run, parents=None):
        return self.run_step(
            lambda context: self.go_on(rock_salt(), context, PastRun.of(run, context.files)),
            parents or {"run": run.identity},
        )


class Round:
    """A student of the cold, its runs, and what a round makes of them."""

    def __init__(self, workshop):
        self.workshop = workshop
        self.files = workshop.store.files
        self.parent, self.frames = cold_student(workshop)
        self.left = workshop.run(self.maker(), rock_salt())
        within = self.left.domain.model_copy(update={"share_above": 0.0})
        self.inside = self.left.model_copy(
            update={"identity": "6" * 64, "status": Status.OK, "note": "", "domain": within}
        )
        self.set = self.learn_from([self.inside, self.left])
        self.student = self.teach(self.set)
        self.later = self.go_on(self.left, self.student)

    def maker(self, kind=MDMaker):
        name = f"nep:{self.parent.weights_sha256[:12]}"
        return kind(level=name, temperature_k=LEFT_K, **MD)

    def learn_from(self, runs, **settings):
        made = LearnedSetMaker(level=LEVEL, **SET | settings)
        return self.workshop.run(made, runs, None, None, [self.frames])

    def teach(self, frames):
        made = student_maker(LearnedStudentMaker, **REFINED)
        return self.workshop.run(made, frames, self.parent)

    def go_on(self, run, student):
        return self.workshop.run(self.maker(LearnedMDMaker), rock_salt(), run, student)


@pytest.fixture(scope="module")
def made(tmp_path_factory, make_workshop):
    folder = tmp_path_factory.mktemp("learned")
    with pytest.MonkeyPatch.context() as patch:
        change_machine(patch, folder / "machine")
        with open_store(folder / "store") as store:
            yield Round(make_workshop(store))
    get_settings.cache_clear()


def states_of(run):
    return [file for file in run.files if file.role.startswith("checkpoint-")]


def frames_of(reader):
    return [reader.positions(), reader.cells(), *reader.thermo().values()]


def test_a_run_that_leaves_keeps_its_last_trusted_state(made):
    assert left_domain(made.left.status, made.left.domain)
    assert made.left.domain.share_above > 0.05
    assert (made.left.models, made.left.level) == ([], made.parent.level)
    (kept,) = states_of(made.left)
    past = PastRun.of(made.left, made.files)
    assert kept.role == f"checkpoint-{past.part}"
    assert past.state.step < made.left.n_steps or past.part == "equilibration"
    taught = made.workshop.run(replace(made.maker(), level=LEVEL), rock_salt())
    assert (taught.status, states_of(taught)) == (Status.OK, [])
    assert PastRun.of(taught, made.files) is None


def test_it_goes_on_with_what_was_learned_from_it(made):
    assert made.set.n_frames["train"] > made.frames.n_frames["train"]
    assert made.set.handed_from == ""
    assert [g.source for g in made.set.groups if g.origin == "md"][-1] == made.left.identity
    assert made.inside.identity not in {group.source for group in made.set.groups}
    assert (made.student.parent, made.student.of_round) == (made.parent.weights_sha256, True)
    later, past = made.later, PastRun.of(made.left, made.files)
    assert (later.status, later.note) == (Status.OK, "")
    assert later.domain.share_above <= 0.05
    assert later.n_steps == later.n_steps_target == MD["production_steps"]
    assert [one.level for one in later.models] == [made.parent.level, made.student.level]
    assert (later.models[1].part, later.models[1].from_step) == (past.part, past.state.step)
    assert later.level == f"{made.parent.level} + {made.student.level}"
    assert later.provenance.potential.weights_sha256 == made.student.weights_sha256
    assert later.provenance.parents == sorted([made.left.identity, made.student.identity])
    assert later.density_g_cm3.status is not Status.OUT_OF_DOMAIN


def test_the_two_are_one_trajectory(made):
    past = PastRun.of(made.left, made.files)
    before, after = (part_of(run, past.part, made.files) for run in (made.left, made.later))
    n = 1 + past.state.step // MD["trajectory_interval"]
    for own, theirs in zip(frames_of(before), frames_of(after), strict=True):
        np.testing.assert_array_equal(own[:n], theirs[:n])
    assert not np.array_equal(before.positions(-1)[0], after.positions(-1)[0])
    steps = production_of(made.later, made.files).thermo()["step"]
    assert steps.tolist() == list(range(0, 601, 10))
    roles = {file.role for file in made.later.files}
    assert roles == {"trajectory-equilibration", "trajectory-production"}
    for file in made.later.files:
        assert made.files.size(file) == file.n_bytes


def test_its_frames_know_what_the_first_run_began_with(made):
    """A handed-on run and one that went on have two parents more."""
    whole = structure_hash(rock_salt())
    runs = [made.left, made.later, made.go_on(made.inside, made.student)]
    assert [run.start for run in runs] == [whole] * 3
    assert [len(run.provenance.parents) for run in runs] == [1, 2, 2]
    assert [run_group(run, made.files, 20, 5).start for run in runs] == [whole] * 3
    of_before = made.left.model_copy(update={"start": ""})
    assert run_group(of_before, made.files, 20, 5).start == whole


def test_a_change_of_model_does_not_thin_its_frames(made):
    """Energies jump there: as one series, they would look correlated from end to end."""
    (change,) = [one for one in made.later.models if one.from_step]
    group = run_group(made.later, made.files, 100)
    as_one_series = run_group(made.later.model_copy(update={"models": []}), made.files, 100)
    equilibration = part_of(made.later, "equilibration", made.files).thermo()
    thermo = production_of(made.later, made.files).thermo()
    after = thermo["step"] > change.from_step
    energies = thermo["energy_ev"]
    assert group.stride == max(
        decorrelation_stride(equilibration["energy_ev"]),
        *(decorrelation_stride(energies[mine]) for mine in (after, ~after)),
    )
    assert as_one_series.stride != group.stride or len(as_one_series.frames) != len(group.frames)


def test_where_the_run_before_came_about_anew_it_begins_anew(made):
    """Nothing is left of what had gone on from another state, under the same identity."""
    before = made.left.model_copy(update={"identity": "7" * 64})
    first = made.go_on(before, made.student)
    made.workshop.store.outputs.remove_docs({"output.identity": first.identity})
    stateless = [file for file in before.files if file not in states_of(before)]
    again = made.go_on(before.model_copy(update={"files": stateless}), made.student)
    assert again.identity == first.identity
    assert (again.models[1].part, again.models[1].from_step) == ("equilibration", 0)
    fresh = made.go_on(made.left.model_copy(
        update={"identity": "b" * 64, "files": stateless}), made.student)  # fmt: skip
    for part in ("equilibration", "production"):
        found, wanted = (frames_of(part_of(run, part, made.files)) for run in (again, fresh))
        for own, theirs in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(own, theirs)


def test_with_the_same_weights_it_is_the_same_run(made):
    again = made.workshop.run(made.maker(Again), made.left)
    assert again.status is made.left.status
    ends = [frames_of(production_of(run, made.files)) for run in (made.left, again)]
    for own, theirs in zip(*ends, strict=True):
        np.testing.assert_array_equal(own, theirs)
    for name in ("density_g_cm3", "domain", "n_steps", "temperature_mean_k"):
        assert getattr(again, name) == getattr(made.left, name)
    assert again.provenance.n_resumes == 0, "nobody stopped it"


def test_what_stayed_inside_is_handed_on(made):
    same = made.go_on(made.inside, made.student)
    assert same.identity != made.inside.identity
    assert (same.status, same.level, same.models) == (Status.OK, made.inside.level, [])
    assert same.files == made.inside.files, "the same files, and no copies"
    assert same.provenance.parents == sorted([made.inside.identity, made.student.identity])
    frames = made.learn_from([made.inside])
    assert frames.handed_from == made.frames.identity
    assert (frames.content_hash, frames.files) == (made.frames.content_hash, made.frames.files)
    student = made.teach(frames)
    assert student.handed_from == made.parent.identity
    assert (student.weights_sha256, student.files) == (
        made.parent.weights_sha256, made.parent.files,
    )  # fmt: skip
    assert student.provenance.parents == sorted([frames.identity, made.parent.identity])
    untaught = made.go_on(made.left, student)
    assert (untaught.status, untaught.files) == (made.left.status, made.left.files)


def test_frames_that_teach_nothing_new_make_no_student(made):
    """A run that left, of which no frame is of use: it stays out of domain."""
    frames = made.learn_from([made.left], max_force_ev_a=1e-6)
    assert frames.handed_from == made.frames.identity
    with pytest.raises(InputError, match="adds frames to the set of its student") as caught:
        made.workshop.run(LearnedSetMaker(level=LEVEL, **SET), [made.left], None, None, [None])
    assert "0 sets before" in str(caught.value)


def test_a_broken_run_is_handed_on_and_a_missing_one_is_an_error(made):
    broken = made.inside.model_copy(update={"status": Status.DIVERGED, "identity": "8" * 64})
    same = made.go_on(broken, made.student)
    assert (same.status, same.files) == (Status.DIVERGED, made.left.files)
    alone = made.go_on(made.left, None)
    assert alone.provenance.parents == [made.left.identity]
    assert (alone.status, alone.note) == (made.left.status, made.left.note)
    with pytest.raises(InputError, match="there is no run to go on with"):
        made.workshop.run(made.maker(LearnedMDMaker), rock_salt(), None, made.student)


def test_without_a_kept_state_it_starts_over(made):
    old = made.left.model_copy(
        update={
            "identity": "9" * 64,
            "files": [file for file in made.left.files if file not in states_of(made.left)],
        }
    )
    later = made.go_on(old, made.student)
    assert [(one.level, one.part, one.from_step) for one in later.models] == [
        (made.parent.level, "equilibration", 0), (made.student.level, "equilibration", 0),
    ]  # fmt: skip
    assert later.level == made.student.level, "nothing is left of the first"
    assert later.n_steps == MD["production_steps"]
    assert shared_level([later, made.inside]) == f"{made.student.level} + {made.parent.level}"
    grown = made.go_on(later.model_copy(update={"status": Status.OUT_OF_DOMAIN}), made.parent)
    assert [one.level for one in grown.models] == [made.parent.level, made.parent.level]


def test_analyses_take_runs_that_began_at_one_level(made):
    found = made.workshop.run(DiffusionMaker(), [made.inside, made.later])
    assert found.level == f"{made.parent.level} + {made.student.level}"
    other = made.inside.model_copy(update={"level": LEVEL})
    with pytest.raises(InputError, match="needs MD runs of one level of theory"):
        made.workshop.run(DiffusionMaker(), [other, made.later])


def test_damaged_states_are_named(made):
    (kept,) = states_of(made.left)
    path = made.files.here(kept)
    data = path.read_bytes()
    path.write_bytes(data[:-9] + b"truncated")
    try:
        with pytest.raises(CheckpointError, match="checksum of a checkpoint does not match"):
            PastRun.of(made.left, made.files)
    finally:
        path.write_bytes(data)
    assert TrajectoryReader(PastRun.of(made.left, made.files).chunks or path.parents[1]).n_frames


@pytest.mark.parametrize(
    ("share", "doubt", "end", "kept"),
    [
        (0.01, 110, 270, "production/checkpoints/step-000000000250.ckpt"),
        (0.20, 110, 270, "production/checkpoints/step-000000000100.ckpt"),
        (0.20, 110, None, "production/checkpoints/step-000000000100.ckpt"),
        (0.20, 10, None, "equilibration/checkpoints/step-000000000100.ckpt"),
        (0.20, None, None, "equilibration/checkpoints/step-000000000100.ckpt"),
    ],
)
def test_a_run_is_trusted_up_to_too_many_doubts(share, doubt, end, kept, tmp_path):
    """Ended by its grade with few frames above the lower one, up to its end."""

    def guard(atoms, step):
        if step == end:
            return GuardVerdict(Status.OUT_OF_DOMAIN, "left")
        return GuardVerdict(Status.OUT_OF_DOMAIN, "doubted", ends=False) if step == doubt else None

    atoms = AseAtomsAdaptor.get_atoms(rock_salt(), msonable=False)
    context = StepContext("5" * 64, tmp_path / "step", tmp_path, {})
    parts = {
        name: run_md(
            atoms, Pair(), MDSettings("nve", 30.0, n, checkpoint_interval=50),
            context.directory / name, signature=name, guards=guards,
        )
        for name, n, guards in (("equilibration", 100, []), ("production", 300, [guard]))
    }  # fmt: skip
    report = DomainReport(share_above=share, grade=2.0, n_graded=100)
    (file,) = kept_state(parts, context, report)
    assert file.path == f"step/{kept}"
    assert file.role == f"checkpoint-{kept.partition('/')[0]}"
