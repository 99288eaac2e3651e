"""The plan of a sweep, and the examination of an installation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from haloflow.engines.availability import Finding, State, pip_line
from haloflow.errors import StoreError
from haloflow.stores.connection import open_store
from haloflow.workflows import doctor

SWEEP = """
name: small
systems:
  - {crystal: NaTaCl6_P21c}
  - {family: tacl5-na2s, x: [0.5], phase: glass}
seeds: [1]
md: {temperatures_k: [600], production_steps: 1000}
"""


def words(text):
    return " ".join(text.split())


@pytest.fixture
def sweep_file(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    return path


def test_plan_shows_candidates_steps_and_cost_and_writes_nothing(haloflow, sweep_file, tmp_path):
    result = haloflow("plan", sweep_file, "--store", tmp_path / "store")
    assert result.exit_code == 0
    out = words(result.stdout)
    assert "NaTaCl6 crystal" in out
    assert "1 melt_quench" in out
    assert "2 candidates" in out
    assert "0 reused" in out
    assert "core-hours" in out
    assert "note: NaTaCl6 crystal (NaTaCl6_P21c): searched model" in out
    assert list(tmp_path.iterdir()) == [sweep_file]


def test_plan_lists_every_step_on_request(haloflow, sweep_file, tmp_path):
    out = haloflow("plan", sweep_file, "--steps", "--store", tmp_path / "store").stdout
    assert "melt_quench-seed1" in out
    assert "to run" in out


def test_plan_warns_of_a_budget_it_exceeds(haloflow, sweep_file, tmp_path):
    sweep_file.write_text(SWEEP + "budget: {core_hours: 0.001}\n")
    result = haloflow("plan", sweep_file, "--store", tmp_path / "store")
    assert result.exit_code == 0
    assert "over budget: the sweep would exceed its budget.core_hours" in words(result.stdout)


def test_plan_looks_into_a_store_that_is_there(haloflow, sweep_file, store_folder):
    assert "0 reused" in haloflow("plan", sweep_file, "--store", store_folder).stdout


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_wrong_sweep_file_is_refused(haloflow, tmp_path, command):
    path = tmp_path / "wrong.yaml"
    path.write_text("name: x\nsystms: []\n")
    result = haloflow(command, path, "--store", tmp_path / "store")
    assert result.exit_code == 2
    assert "unknown key" in result.stderr
    assert "did you mean 'systems'" in words(result.stderr)
    assert not (tmp_path / "store").exists()


def test_a_missing_sweep_file_is_refused(haloflow, tmp_path):
    result = haloflow("run", tmp_path / "none.yaml")
    assert result.exit_code == 2
    assert "the sweep file cannot be read" in result.stderr


def test_doctor_finds_this_installation_ready(haloflow, tmp_path):
    result = haloflow("doctor", "--store", tmp_path / "store")
    assert result.exit_code == 0
    for text in ("Python", "core packages", "chgnet-r2scan", "packmol", "cores", "memory"):
        assert text in result.stdout
    assert "Ready to run sweeps." in result.stdout
    assert not (tmp_path / "store").exists()


def test_doctor_exits_with_1_when_something_blocks(haloflow):
    result = haloflow("doctor", "--store", "s3://somewhere")
    assert result.exit_code == 1
    assert "problem" in result.stdout
    assert "1 problem to solve first." in result.stdout


def test_an_old_python_is_a_problem():
    check = doctor.check_python((3, 10, 2))
    assert check.verdict == "problem"
    assert "3.11" in check.remedy


def test_missing_and_old_packages_come_with_their_pip_line():
    checks = doctor.check_packages(
        ["nosuchpackage>=2", "numpy>=999", "rich>=1", "torch; extra == 'chgnet'"]
    )
    assert [(c.subject, c.verdict) for c in checks] == [
        ("nosuchpackage", "problem"),
        ("numpy", "problem"),
    ]
    assert checks[0].remedy == "pip install -c constraints.txt 'nosuchpackage>=2'"
    assert "needed is >=999" in checks[1].message


def test_no_potential_at_all_is_a_problem(monkeypatch):
    rows = doctor.list_potentials()
    bare = [type(row)(**{**vars(row), "installed_version": None}) for row in rows]
    monkeypatch.setattr(doctor, "list_potentials", lambda: bare)
    first = doctor.check_installed_potentials()[0]
    assert first.verdict == "problem"
    assert first.remedy == "pip install -c constraints.txt 'haloflow[chgnet]'"


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (Finding("e3nn", State.CLASH, "0.5.6", pip_line(["mace"]), blocks=True), "problem"),
        (Finding("calorine", State.MISSING, "not installed", pip_line(["nep"])), "note"),
    ],
)
def test_a_clash_is_a_problem_and_an_extra_that_is_not_there_a_note(
    haloflow, tmp_path, monkeypatch, finding, verdict
):
    monkeypatch.setattr(doctor, "check_potentials", lambda: [finding])
    (check,) = [c for c in doctor.check_installed_potentials() if c.subject == finding.subject]
    assert (check.verdict, check.remedy) == (verdict, finding.remedy)
    result = haloflow("doctor", "--store", tmp_path / "store")
    assert result.exit_code == (1 if verdict == "problem" else 0)
    assert ("Ready to run sweeps." in result.stdout) is (verdict == "note")


def test_potentials_that_are_not_installed_come_with_the_pip_line_of_their_extra(monkeypatch):
    rows = [
        replace(row, installed_version=None) if row.extra in {"mace", "sevennet"} else row
        for row in doctor.list_potentials()
    ]
    monkeypatch.setattr(doctor, "list_potentials", lambda: rows)
    notes = [c for c in doctor.check_installed_potentials() if "not installed: " in c.message]
    assert {c.remedy for c in notes} == {pip_line(["mace"]), pip_line(["sevennet"])}
    assert any("sevennet-0, sevennet-l3i5" in c.message for c in notes)


def test_an_existing_store_is_written_to_and_left_as_it_was(store_folder):
    check = doctor.check_store(str(store_folder))
    assert check.verdict == "ok"
    assert "writable, 4 candidates" in check.message
    with open_store(store_folder) as store:
        assert store.meta.query_one({"_id": "doctor"}) is None


def test_a_store_that_cannot_be_used_is_a_problem():
    check = doctor.check_store("mongodb://127.0.0.1:1/x")
    assert check.verdict == "problem"
    assert "HALOFLOW_FILES_DIR" in check.message


def test_missing_packmol_is_a_problem(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "packmol.cli", None)
    check = doctor.check_packmol()
    assert check.verdict == "problem"
    assert check.remedy == "pip install -c constraints.txt packmol"


def test_store_errors_are_haloflow_errors():
    with pytest.raises(StoreError, match="a store of this kind is not known"):
        open_store("s3://somewhere")
