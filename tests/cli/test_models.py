"""``haloflow models``: the list, a card, a wrong name, an empty store."""

from __future__ import annotations

import pytest
from trained_models import (  # noqa: F401  (a fixture)
    change_machine,
    own_machine,
    put_check,
    put_model,
)

from haloflow.engines import trained_models
from haloflow.engines.potentials import identify
from haloflow.stores.connection import open_store
from haloflow.stores.models import TrainedModelDocument

pytestmark = pytest.mark.usefixtures("own_machine")


def test_the_command_lists_them_and_shows_their_cards(haloflow, tmp_path):
    uri = str(tmp_path / "store")
    with open_store(uri) as store:
        document = put_model(store, 1)
    listed = haloflow("models", "--store", uri)
    assert listed.exit_code == 0
    for word in (document.weights_sha256[:12], "NaCl", "76 meV/A", "25 us", "chgnet-r2scan-d3"):
        assert word in listed.stdout
    card = haloflow("models", document.weights_sha256[:8], "--store", uri)
    assert f"as a potential: nep:{document.weights_sha256[:12]}" in card.stdout
    assert "errors, test: 20 frames, energy 2.0 meV/atom, forces 76 meV/A" in card.stdout
    assert "its runs are watched, and end where an atom's grade passes 10" in card.stdout
    missing = haloflow("models", "ffff0000", "--store", uri)
    assert missing.exit_code == 2
    assert "unknown trained model" in missing.stderr


def test_a_store_without_models(tmp_path, haloflow):
    open_store(tmp_path / "empty").close()
    shown = haloflow("models", "--store", str(tmp_path / "empty"))
    assert "No model was trained in this store" in shown.stdout


def test_without_any_store_the_list_is_that_of_the_package(tmp_path, haloflow, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HALOFLOW_STORE", raising=False)
    shown = haloflow("models")
    assert shown.exit_code == 0
    assert "No model was trained in this store" in shown.stdout
    missing = haloflow("models", "--store", str(tmp_path / "none"))
    assert missing.exit_code == 1
    assert "there is no haloflow store here" in missing.stderr


def test_a_model_is_exported_as_haloflow_brings_it_along(haloflow, tmp_path, monkeypatch):
    uri = str(tmp_path / "store")
    with open_store(uri) as store:
        document = put_model(store, 1)
    name = f"nep:{document.weights_sha256[:12]}"
    folder = tmp_path / "students"
    done = haloflow(
        "models", "export", name, "--to", str(folder), "--name", "na-cl", "--store", uri
    )
    assert done.exit_code == 0, done.stderr
    names = {"na-cl.nep.txt", "na-cl.nep.domain.npz", "na-cl.json", "na-cl.md"}
    assert {path.name for path in folder.iterdir()} == names
    assert done.stdout.count("na-cl.") == 4
    card = (folder / "na-cl.md").read_text()
    for words in (
        "# na-cl", f"| as a potential | `{name}` |", "`chgnet-r2scan-d3`",
        "| test | 20 | 2.0 | 76 |",
        "| Na | 60 |", "200 to 700", "## Known limits", "`check: {}`",
        f"haloflow models export {name} --to FOLDER --name na-cl", "BSD-3-Clause",
    ):  # fmt: skip
        assert words in card
    wrong = haloflow(
        "models", "export", name, "--to", str(folder), "--name", "../x", "--store", uri
    )
    assert wrong.exit_code == 2
    assert "a model cannot be called this" in wrong.stderr
    monkeypatch.setattr(trained_models, "SHIPPED", folder)
    monkeypatch.chdir(tmp_path)
    change_machine(monkeypatch, tmp_path / "machine-b")
    monkeypatch.delenv("HALOFLOW_STORE", raising=False)
    listed = haloflow("models")
    assert f"{name} (haloflow's)" in listed.stdout
    shown = haloflow("models", name)
    assert "errors, test: 20 frames" in shown.stdout
    assert identify(name).level == document.level


def test_the_check_of_a_student_is_shown(haloflow, tmp_path):
    uri = str(tmp_path / "store")
    with open_store(uri) as store:
        document = put_model(store, 1)
        checked = put_check(store, document)
    (problem,) = checked.check.problems
    assert problem == "NaCl at 300 K: density / g/cm3 2.3, teacher 2"
    shown = haloflow("models", document.weights_sha256[:12], "--store", uri)
    assert "held against its teacher: 1 runs repeated, 1 long ones, 1 differences" in shown.stdout
    assert f"differs: {problem}" in shown.stdout
    folder = tmp_path / "out"
    done = haloflow(
        "models", "export", document.weights_sha256[:12], "--to", str(folder), "--store", uri
    )
    assert done.exit_code == 0, done.stderr
    card = (folder / "student.md").read_text()
    assert "| NaCl | 300 | density / g/cm3 | 2 ± 0.01 | 2.3 | 0.04 | out_of_domain |" in card
    assert "| NaCl | 600 | 200 of 200 | 1.0% | ok |" in card
    assert f"- {problem}." in card
    shipped = TrainedModelDocument.model_validate_json((folder / "student.json").read_text())
    assert shipped.check == checked.check
