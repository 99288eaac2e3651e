"""A student held against its teacher: the same runs from the same atoms, and long ones alone."""

from __future__ import annotations

import numpy as np
import pytest
from pair_potential import LEVEL
from trained_models import own_machine, put_model  # noqa: F401  (a fixture)

from haloflow.engines.potential_registry import find_recipe
from haloflow.engines.potentials import level_of
from haloflow.engines.trajectory import TrajectoryReader
from haloflow.errors import InputError
from haloflow.identity import file_sha256
from haloflow.makers.agreement import (
    Tolerances,
    compare_runs,
    half_width_95,
    judged_together,
)
from haloflow.makers.md import MDMaker
from haloflow.makers.run_data import production_of
from haloflow.makers.student_check import StudentCheckMaker
from haloflow.quantity import Quantity, Status
from haloflow.stores.documents import FileReference
from haloflow.stores.models import TrainedModelDocument
from haloflow.stores.student_checks import Agreement, ComparedRun
from haloflow.systems.phases import get_phase

pytestmark = pytest.mark.usefixtures("own_machine")
OTHER = "ase:pair_potential:Pair?depth_ev=0.05&size_a=2.65"
TOLERANCES = Tolerances(density=0.02, peak_a=0.03, coordination=0.15)


def md(workshop, level=LEVEL, **settings):
    maker = MDMaker(
        level=level, temperature_k=150, equilibration_steps=60, production_steps=200,
        trajectory_interval=5, full_cell=True, **settings,
    )  # fmt: skip
    return workshop.run(maker, get_phase("NaCl_B1").structure().to_conventional())


def by_name(agreements):
    return {one.what: one for one in agreements}


def test_a_run_agrees_with_itself_and_with_another_of_the_same_potential(workshop):
    run, again = md(workshop), md(workshop, seed=5)
    same = by_name(compare_runs(run, run, workshop.store.files, TOLERANCES, mobile="Na"))
    assert set(same) == {
        "density / g/cm3", "first peak of Na-Cl / A", "Cl around Na", "D of Na / cm2/s",
    }  # fmt: skip
    for one in same.values():
        assert one.student == one.teacher
    assert [one.status for one in same.values()][:3] == [Status.OK] * 3
    assert same["D of Na / cm2/s"].status is Status.UNCONVERGED, "a cold crystal shows no D"
    assert 5.5 < same["Cl around Na"].teacher.value < 7.0
    other = by_name(compare_runs(run, again, workshop.store.files, TOLERANCES))
    assert "D of Na / cm2/s" not in other
    for one in other.values():
        assert one.status is not Status.OUT_OF_DOMAIN, one


def test_of_many_numbers_one_may_differ_by_chance():
    """Eighty differences of the same mean: by themselves some are told apart, together none."""
    rng = np.random.default_rng(4)
    alone, runs = [], []
    for _ in range(80):
        one, other = (
            Quantity(float(np.mean(blocks)), sd=float(np.std(blocks, ddof=1) / 2))
            for blocks in rng.normal(5.0, 0.2, size=(2, 4))
        )
        apart = abs(one.value - other.value) > half_width_95(one.sd, other.sd)
        alone.append(apart)
        agreement = Agreement(
            what="Cl around Na", teacher=one, student=other, limit=0.0, status=Status.OK
        )
        runs.append(
            ComparedRun(
                source="run", formula="NaCl", temperature_k=300, n_atoms=8, duration_ps=1,
                status=Status.OK, agreements=[agreement],
            )
        )  # fmt: skip
    assert 1 <= sum(alone) <= 12
    statuses = [run.agreements[0].status for run in judged_together(runs)]
    assert set(statuses) == {Status.UNCONVERGED}
    student = runs[7].agreements[0].student
    runs[7].agreements[0].student = Quantity(student.value + 5.0, sd=student.sd)
    assert judged_together(runs)[7].agreements[0].status is Status.OUT_OF_DOMAIN


def test_another_potential_is_told_apart(workshop):
    run, larger = md(workshop), md(workshop, OTHER)
    found = by_name(compare_runs(run, larger, workshop.store.files, TOLERANCES))
    peak, density = found["first peak of Na-Cl / A"], found["density / g/cm3"]
    assert peak.student.value - peak.teacher.value > 0.05
    assert density.student.value < 0.95 * density.teacher.value
    assert {peak.status, density.status} == {Status.OUT_OF_DOMAIN}


def a_student(workshop, **changes):
    """Return a student of random weights that calls the pair potential its teacher."""
    document = put_model(workshop.store, 1)
    return document.model_copy(update={"teacher": level_of(LEVEL), **changes})


def test_a_student_that_knows_nothing_does_not_pass(workshop):
    student, run = a_student(workshop), md(workshop)
    checked = workshop.run(
        StudentCheckMaker(long_steps=40, long_temperatures_k=(100.0, 200.0)), student, [run, None]
    )
    assert checked.status is Status.OUT_OF_DOMAIN
    assert (checked.level, checked.weights_sha256) == (student.level, student.weights_sha256)
    assert checked.provenance.potential.level == student.level
    (repeated,) = checked.check.runs
    assert (repeated.source, repeated.formula, repeated.n_atoms) == (run.identity, "NaCl", 8)
    assert [one.temperature_k for one in checked.check.long_runs] == [100.0, 200.0]
    assert {one.asked_ps for one in checked.check.long_runs} == {0.08}
    assert checked.check.problems
    assert checked.note.startswith("; ".join(checked.check.problems))
    assert checked.note.startswith("NaCl at 150 K")
    carried = student.model_copy(update={"check": checked.check})
    assert TrainedModelDocument.model_validate_json(carried.model_dump_json()) == carried


def a_twin(workshop, formula="NaCl"):
    """Return a student of CHGNet that holds CHGNet's own weights."""
    stock = find_recipe("chgnet-r2scan").weights.obtain()
    folder = workshop.store.files_dir / "11" / ("1" * 64)
    folder.mkdir(parents=True)
    weights = folder / "Cl-Na.chgnet.pth"
    weights.write_bytes(stock.read_bytes())
    sha256 = file_sha256(weights)
    file = FileReference(
        path=weights.relative_to(workshop.store.files_dir).as_posix(), sha256=sha256,
        n_bytes=weights.stat().st_size, role="weights",
    )  # fmt: skip
    return put_model(workshop.store, 1, formulas=(formula,)).model_copy(
        update={
            "teacher": "chgnet-r2scan", "architecture": "chgnet", "weights_sha256": sha256,
            "level": f"chgnet:{weights.name}@{sha256[:12]}", "files": [file],
        }
    )  # fmt: skip


def test_a_student_that_is_its_teacher_passes(workshop):
    run = md(workshop, "chgnet-r2scan")
    assert run.status is Status.OK, run.note
    maker = StudentCheckMaker(long_steps=40, long_temperatures_k=(150.0,))
    checked = workshop.run(maker, a_twin(workshop), [run])
    assert checked.check.problems == []
    assert {one.status for one in checked.check.runs[0].agreements} == {Status.OK}
    assert [one.status for one in checked.check.long_runs] == [Status.OK]
    (folder,) = workshop.store.files_dir.glob("*/*/NaCl-150K/production")
    (first, *_), (*_, last) = (
        reader.cells()
        for reader in (TrajectoryReader(folder), production_of(run, workshop.store.files))
    )
    np.testing.assert_allclose(first, last, err_msg="it keeps the volume of the teacher's run")
    assert (checked.status, checked.note) == (Status.OK, "")


def test_a_run_that_compares_nothing_is_not_called_ok(workshop):
    """Tantalum has no anions to count, and no density at constant volume."""
    metal = get_phase("Ta_bcc").structure().to_conventional()
    maker = MDMaker(level="chgnet-r2scan", temperature_k=50, equilibration_steps=0,
                    production_steps=20, trajectory_interval=5, full_cell=True)  # fmt: skip
    run = workshop.run(maker, metal)
    checked = workshop.run(StudentCheckMaker(), a_twin(workshop, "Ta"), [run])
    assert checked.check.problems == []
    assert checked.check.runs[0].agreements == []
    assert checked.status is Status.UNCONVERGED
    assert checked.note == "Ta at 50 K does not tell whether anything agrees"


@pytest.mark.parametrize(
    ("sds", "width"),
    [((0.0, 0.0), 0.0), ((1.0, 0.0), 3.182), ((1.0, 1.0), 2.447 * 2**0.5)],
)
def test_four_blocks_have_the_errors_of_student(sds, width):
    assert half_width_95(*sds) == pytest.approx(width, rel=1e-3)


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("other", "chgnet-r2scan-d3"),
        ("none", "a student is checked by sound runs"),
        ("missing", "there is no student to check"),
    ],
)
def test_what_is_no_check_is_refused(workshop, case, said):
    student = put_model(workshop.store, 1)
    runs = {"other": [md(workshop)], "none": [None], "missing": []}[case]
    with pytest.raises(InputError) as caught:
        workshop.run(StudentCheckMaker(), None if case == "missing" else student, runs)
    assert said in str(caught.value)


def test_runs_without_frames_are_refused(workshop):
    run = md(workshop).model_copy(update={"files": []})
    with pytest.raises(InputError, match="cannot be repeated"):
        workshop.run(StudentCheckMaker(), a_student(workshop), [run])
