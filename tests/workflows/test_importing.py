"""Exports that become stores again: the same documents and files, or refused."""

from __future__ import annotations

import shutil

import pytest
from kept_elsewhere import fill_with_a_run
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.errors import DocumentError, InputError
from haloflow.stores.checking import Fault, check_store
from haloflow.stores.connection import open_store
from haloflow.stores.copying import copy_store
from haloflow.stores.manifest import write_manifest
from haloflow.stores.records import step_of
from haloflow.stores.results import stored_output
from haloflow.workflows.exporting import ExportWishes, export
from haloflow.workflows.importing import is_export, opened_export

pytestmark = pytest.mark.usefixtures("quick_settings")


@pytest.fixture
def dataset(tmp_path):
    """An export with trajectories, and the run whose they are; its store is gone."""
    with open_store(tmp_path / "store") as store:
        _, run, _ = fill_with_a_run(store)
        export(store, tmp_path / "data", ExportWishes(trajectories=True))
        export(store, tmp_path / "packed.tar.gz", ExportWishes(trajectories=True))
        export(store, tmp_path / "small", ExportWishes())
    shutil.rmtree(tmp_path / "store")
    return tmp_path, run


@pytest.mark.parametrize("name", ["data", "packed.tar.gz"])
def test_a_copy_of_an_export_is_exported_to_the_same_bytes(dataset, name):
    folder, run = dataset
    words = ["db", "copy", str(folder / name), str(folder / "again")]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 1, "not into a store with documents"
    with open_store(folder / "again") as store:
        assert step_of(stored_output(store, run.identity)) == run
        assert check_store(store).findings == []
        export(store, folder / "round", ExportWishes(trajectories=True))
    manifest = "manifest-sha256.txt"
    assert (folder / "round" / manifest).read_text() == (folder / "data" / manifest).read_text()


def test_a_copy_may_be_done_in_parts(dataset, monkeypatch):
    folder, run = dataset
    with monkeypatch.context() as patch, open_store(folder / "again") as target:
        patch.setattr("haloflow.stores.copying._verify", lambda *_, **__: 1 / 0)
        with opened_export(folder / "data") as source, pytest.raises(ZeroDivisionError):
            copy_store(source, target)
    with opened_export(folder / "data") as source, open_store(folder / "again") as target:
        copy_store(source, target)
        assert stored_output(target, run.identity)


def test_an_export_without_files_says_which_are_missing(dataset):
    folder, _ = dataset
    with opened_export(folder / "small") as source, open_store(folder / "again") as target:
        report = copy_store(source, target)
        assert len(report.files.missing) == 6
        assert {f.fault for f in check_store(target).findings} == {Fault.FILE_MISSING}
    assert not (folder / "small" / "files").exists(), "the export is left as it is"


def test_a_changed_export_is_refused(dataset):
    folder, _ = dataset
    lines = folder / "data" / "documents" / "md.jsonl"
    lines.write_text(lines.read_text().replace("600", "700"))
    with (
        pytest.raises(InputError, match="an export is not as it was written"),
        opened_export(folder / "data"),
    ):
        pass
    lines.write_text("no json\n")
    write_manifest(folder / "data")
    with (
        pytest.raises(DocumentError, match="a file of an export cannot be read"),
        opened_export(folder / "data"),
    ):
        pass
    assert is_export(folder / "data")
    assert not is_export(folder)
    assert not is_export("mongodb://host/data.tar")
