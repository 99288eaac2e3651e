"""A sweep that learns: what leaves the domain is learned and goes on, the rest is handed on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from cold_salt import LEFT_K, REFINED, Bench, cold_student
from tiny_sweeps import CRYSTAL, tiny_data
from trained_models import change_machine
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.makers.domain_check import left_domain
from haloflow.makers.step import step_directory
from haloflow.quantity import Status
from haloflow.settings import get_settings
from haloflow.stores.connection import open_store
from haloflow.stores.records import step_of
from haloflow.stores.results import stored_outputs
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.run import run_sweep
from haloflow.workflows.status import find_summary
from haloflow.workflows.sweep import parse_sweep

pytestmark = pytest.mark.timeout(600)  # two trainings, by processes of their own
TESTS = Path(__file__).parents[1]
LIMIT_S = 200.0
COLD_K = 20.0
MD = {
    "crystal_temperatures_k": [COLD_K, LEFT_K], "equilibration_steps": 100,
    "production_steps": 600, "trajectory_interval": 10,
}  # fmt: skip
STUDENT = {
    **{name: value for name, value in REFINED.items() if name != "nep"},
    "learn": True, "temperatures_k": list(REFINED["temperatures_k"]), "density_scales": [],
    "least_distance": 0.1, "accepted_share": 0.15, "frames_per_run": 20, "max_force_ev_a": 1e3,
}  # fmt: skip


class Place:
    """A store with a student of the cold, and sweeps that run at it."""

    def __init__(self, folder: Path):
        self.folder, self.store = folder, str(folder / "store")
        with open_store(self.store) as store:
            self.parent, self.frames = cold_student(Bench(store))
        self.name = f"nep:{self.parent.weights_sha256[:12]}"

    def data(self, **student):
        section = STUDENT | {"parent": self.name} | student
        return tiny_data(systems=[CRYSTAL], stages={"md": self.name}, md=MD, student=section)

    def sweep(self, **student):
        return parse_sweep(self.data(**student))

    def steps(self, sweep):
        with open_store(self.store) as store:
            return {step.name: step for step in plan_sweep(sweep, store).steps.values()}

    def documents(self, sweep):
        with open_store(self.store) as store:
            plan = plan_sweep(sweep, store)
            found = stored_outputs(store, plan.steps)
            return {s.name: step_of(found[i]) for i, s in plan.steps.items() if i in found}

    def completed_at(self):
        with open_store(self.store) as store:
            rows = store.outputs.query({}, ["uuid", "completed_at"])
            return {row["uuid"]: row["completed_at"] for row in rows}

    def start(self, sweep):
        (self.folder / "learn.yaml").write_text(yaml.safe_dump(sweep))
        return subprocess.Popen(
            [sys.executable, "-c", "from haloflow.cli.main import run; run()",
             "run", "learn.yaml", "--store", "store", "-j", "1"],
            cwd=self.folder, env=os.environ | {"PYTHONPATH": str(TESTS)}, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def show(self, *words):
        found = CliRunner(env={"COLUMNS": "300"}).invoke(app, [*words, "--store", self.store])
        assert found.exit_code == 0, found.output
        return found.output


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("learning")
    with pytest.MonkeyPatch.context() as patch:
        change_machine(patch, folder / "machine")
        yield Place(folder)
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def report(place):
    """Kill the sweep while its student is trained; then let it run through."""
    sweep = place.sweep()
    student = place.steps(sweep)["student-round1"].identity
    with open_store(place.store) as store:
        training = step_directory(store.files_dir, student) / "round-0" / "training"
    deadline = time.monotonic() + LIMIT_S
    with place.start(place.data()) as process:
        while not training.exists() and process.poll() is None:
            assert time.monotonic() < deadline, "too slow"
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        error = process.stderr.read()
    assert training.exists(), error
    before = place.completed_at()
    found = run_sweep(sweep, place.store, workers=1)
    assert before.items() <= place.completed_at().items(), "nothing is done twice"
    return found


def test_runs_that_leave_learn_and_finish(place, report):
    assert (report.failures, report.interrupted) == ([], False)
    assert report.n_reused > 0
    found = place.documents(place.sweep())
    student = found["student-round1"]
    for kelvin in (COLD_K, LEFT_K):
        left, last = found[f"round0-md-{kelvin:g}K"], found[f"md-{kelvin:g}K"]
        assert left_domain(left.status, left.domain)
        assert (last.status, last.note) == (Status.OK, "")
        assert [one.level for one in last.models] == [place.parent.level, student.level]
    assert student.parent == place.parent.weights_sha256
    nep = place.parent.provenance.parameters["nep"]
    assert student.provenance.parameters["nep"] == nep | {"seed": 1}, "nobody said it again"
    diffusion = found["diffusion"]
    assert diffusion.level == last.level
    assert [point.temperature_k for point in diffusion.points] == [COLD_K, LEFT_K]
    assert set(diffusion.provenance.parents) == {
        found[f"md-{kelvin:g}K"].identity for kelvin in (COLD_K, LEFT_K)
    }


def test_a_round_with_nothing_to_learn_hands_on(place, report):
    found = place.documents(place.sweep())
    frames, student = found["training_set-round1"], found["student-round1"]
    assert found["training_set-round2"].handed_from == frames.identity
    assert found["student-round2"].handed_from == student.identity
    assert found["student-round2"].weights_sha256 == student.weights_sha256
    first, last = (found[f"{name}md-{LEFT_K:g}K"] for name in ("round1-", ""))
    assert first.identity != last.identity
    assert (first.files, first.models) == (last.files, last.models)
    for name in ("training_set-round2", "student-round2", f"md-{LEFT_K:g}K"):
        folder = step_directory(place.folder / "store" / "files", found[name].identity)
        assert not [path for path in folder.rglob("*") if path.suffix in {".h5", ".xyz", ".txt"}]


def test_run_again_it_has_nothing_to_do(place, report):
    before = place.completed_at()
    again = run_sweep(place.sweep(), place.store, workers=1)
    assert (again.n_done, again.n_failed) == (0, 0)
    assert place.completed_at() == before


def test_people_are_told(place, report):
    (candidate,) = report.plan.candidates
    with open_store(place.store) as store:
        summary = find_summary(store, candidate.document.candidate_id)
    assert summary.complete
    assert summary.levels["md"] == f"{place.parent.level} + learned"
    assert not [text for text in summary.warnings if "out_of_domain" in text or "round0" in text]
    assert {step.kind for step in summary.steps if step.name.startswith("round0-")} == {"md"}
    student = place.documents(place.sweep())["student-round1"]
    shown = place.show("show", candidate.document.candidate_id)
    assert f"driven by {student.level} from step" in shown
    assert f"round0-md-{LEFT_K:g}K" in place.show("status")
    plan = CliRunner(env={"COLUMNS": "300"}).invoke(
        app, ["plan", str(place.folder / "learn.yaml"), "--store", place.store, "--steps"]
    )
    assert "learn: 2 rounds after MD at" in plan.output
    assert "training_set-round1" in plan.output


def test_the_store_is_whole_and_a_dataset_holds_each_file_once(place, report, tmp_path):
    assert "nothing is wrong" in place.show("db", "check").lower()
    made = tmp_path / "dataset"
    place.show("export", "tiny", "--trajectories", "--to", str(made))
    found = CliRunner().invoke(app, ["export", "--verify", str(made)])
    assert found.exit_code == 0, found.output
    chunks = {file.path for one in place.documents(place.sweep()).values() for file in one.files}
    assert {path for path in chunks if not (made / "files" / path).is_file()} == set()


def test_what_is_outside_after_the_last_round_stays_so(place, report):
    """Of frames that are all like known ones no student comes."""
    sweep = place.sweep(least_distance=1e3, learn_rounds=1)
    before = place.completed_at()
    found = run_sweep(sweep, place.store, workers=1)
    assert (found.failures, found.skipped) == ([], [])
    assert found.n_reused >= 5, "runs and all before them are those of the other sweep"
    documents = place.documents(sweep)
    assert documents["training_set-round1"].handed_from == place.frames.identity
    assert documents["student-round1"].handed_from == place.parent.identity
    left, last = documents[f"round0-md-{LEFT_K:g}K"], documents[f"md-{LEFT_K:g}K"]
    assert (last.status, last.note, last.files) == (left.status, left.note, left.files)
    assert documents["diffusion"].status.severity >= left.status.severity
    assert before.items() <= place.completed_at().items()


def test_a_student_that_cannot_be_trained_takes_no_run_with_it(place, report):
    """The runs are handed on, and made again once there is a student."""
    wrong = place.sweep(nep={"neurons": 7}, learn_rounds=1)
    found = run_sweep(wrong, place.store, workers=1)
    failed = {label.step_name: message for label, message in found.failures}
    assert failed.keys() == {"student-round1"}
    assert "a student cannot go on with the weights" in failed["student-round1"]
    documents = place.documents(wrong)
    for kelvin in (COLD_K, LEFT_K):
        left, last = (documents[f"{name}md-{kelvin:g}K"] for name in ("round0-", ""))
        assert (last.status, last.files) == (left.status, left.files)
    steps = place.steps(wrong)
    with open_store(place.store) as store:
        outdated = plan_sweep(wrong, store).outdated
    assert {steps[f"md-{kelvin:g}K"].identity for kelvin in (COLD_K, LEFT_K)} <= outdated
