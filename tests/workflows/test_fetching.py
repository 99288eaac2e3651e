"""Fetching: whole, checked, resumable, from each kind of place; and as other formats."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import sample_candidates
from ase.io import read
from kept_elsewhere import KINDS, STEP, Elsewhere, fill_with_a_run
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.engines.trajectory import TrajectoryReader
from haloflow.errors import TrajectoryError, UnknownNameError
from haloflow.identity import file_sha256, step_uuid
from haloflow.settings import get_settings
from haloflow.stores.connection import open_store
from haloflow.stores.copying import copy_store
from haloflow.stores.documents import Release
from haloflow.workflows.exporting import ExportWishes, export
from haloflow.workflows.fetching import fetch_files, fetch_frames, find_documents
from haloflow.workflows.pruning import prune
from haloflow.workflows.trajectories import open_trajectory

pytestmark = pytest.mark.usefixtures("quick_settings")


@pytest.fixture(params=KINDS)
def kept(request, tmp_path):
    """A store that another machine filled, whose folder is gone."""
    elsewhere = Elsewhere(request.param, tmp_path, request)
    elsewhere.use()
    with elsewhere.opened("a") as store:
        candidate, run, frames = fill_with_a_run(store)
    shutil.rmtree(tmp_path / "a")
    return elsewhere, candidate, run, frames


@pytest.fixture
def filled(tmp_path):
    with open_store(tmp_path / "store") as store:
        yield store, *fill_with_a_run(store)


def test_all_files_come_checked_and_once(kept, tmp_path):
    elsewhere, candidate, run, frames = kept
    target, told = tmp_path / "out", []
    with elsewhere.opened("b", read_only=True) as store:
        title, documents = find_documents(store, candidate.candidate_id[:12])
        assert title == candidate.candidate_id
        done = fetch_files(documents, store.files, target, report=lambda *row: told.append(row))
        assert (done.n_fetched, done.n_there, done.failures) == (6, 0, {})
        total = sum(file.n_bytes for file in run.files)
        assert told[-1] == ("fetching files", total, total)
        chunk = target / STEP / "production/trajectory/chunk-000001.h5"
        assert file_sha256(chunk) == run.files[4].sha256
        chunk.write_bytes(b"cut short")
        again = fetch_files(documents, store.files, target)
        assert (again.n_fetched, again.n_there) == (1, 5)
    whole = TrajectoryReader(target / STEP / "production")
    whole.verify()
    assert np.allclose(whole.positions(), frames.positions, atol=1e-4)
    assert open_trajectory(target / STEP).n_frames == 45
    assert not list(target.rglob("*.part"))


def test_a_damaged_file_is_named_and_the_rest_comes(kept, tmp_path):
    elsewhere, candidate, run, _ = kept
    elsewhere.damage(run.files[3].sha256)
    with elsewhere.opened("b", read_only=True) as store:
        _, documents = find_documents(store, candidate.candidate_id)
        done = fetch_files(documents, store.files, tmp_path / "out")
        ((name, why),) = done.failures.items()
        assert name == f"{STEP}: {run.files[3].path}"
        assert "checksum of a trajectory file does not match" in why
        assert done.n_fetched == 5
        other = fetch_frames(documents, store.files, tmp_path / "frames", "extxyz")
        assert list(other.failures) == [f"{STEP}-production"]
        assert other.n_fetched == 1
        names = [path.name for path in (tmp_path / "frames").iterdir() if path.name[0] != "."]
        assert names == [f"{STEP}-equilibration.extxyz"], "nothing half"


def test_steps_and_jobs_are_found_by_the_start_of_their_ids(filled):
    store, candidate, run, _ = filled
    for name in (run.identity, run.identity[:9], step_uuid(run.identity)[:13]):
        title, documents = find_documents(store, name)
        assert (title, documents["md"].identity) == (run.identity[:12], run.identity)
    assert set(find_documents(store, candidate.label)[1]) == set(candidate.steps)
    with pytest.raises(UnknownNameError, match="unknown candidate"):
        find_documents(store, "no such label")
    with pytest.raises(UnknownNameError, match="no candidate, step or job of the store"):
        find_documents(store, "0123456789")


@pytest.mark.parametrize("kind", ["extxyz", "traj"])
def test_frames_keep_their_numbers(filled, tmp_path, kind):
    store, _, run, frames = filled
    done = fetch_frames({STEP: run}, store.files, tmp_path, kind, stride=2)
    assert done.failures == {}
    atoms = read(tmp_path / f"{STEP}-production.{kind}", index=":")
    assert len(atoms) == 23
    assert np.allclose(atoms[1].positions, frames.positions[2], atol=1e-4)
    assert atoms[1].cell[0, 0] == pytest.approx(frames.cells[2][0, 0])
    times_fs = TrajectoryReader((store.files_dir / run.files[3].path).parent).times_fs
    assert [a.info["time_ps"] for a in atoms] == pytest.approx((times_fs[::2] / 1000).tolist())
    assert atoms[1].pbc.all()
    with pytest.raises(UnknownNameError, match="unknown format"):
        fetch_frames({STEP: run}, store.files, tmp_path, "pdb")


def test_a_folder_that_takes_nothing_is_said(filled, tmp_path):
    store, _, run, _ = filled
    (tmp_path / "out").write_text("a file")
    done = fetch_files({STEP: run}, store.files, tmp_path / "out")
    assert len(done.failures) == 6
    assert all("a file cannot be written" in why for why in done.failures.values())


def test_the_command_says_what_came_and_what_did_not(filled, tmp_path, monkeypatch):
    store, candidate, run, _ = filled
    monkeypatch.setenv("COLUMNS", "200")
    get_settings.cache_clear()

    def haloflow(*words):
        return CliRunner().invoke(app, [*words, "--store", store.uri])

    out = tmp_path / "out"
    said = haloflow("fetch", candidate.candidate_id, "--to", str(out))
    assert said.exit_code == 0, said.output
    assert f"6 files fetched to {out}" in said.stdout
    (store.files_dir / run.files[0].path).unlink()
    said = haloflow("fetch", run.identity[:10], "--to", str(tmp_path / "other"))
    assert said.exit_code == 1
    assert "a trajectory file is missing" in said.stdout
    assert "1 file is not here; the rest is, and was checked." in said.stdout
    assert haloflow("fetch", candidate.candidate_id, "--step", "md-1K").exit_code == 2
    assert haloflow("fetch", candidate.candidate_id, "--format", "pdb").exit_code == 2
    assert "Traceback" not in said.output


def test_hostile_names_stay_in_the_folder(filled, tmp_path):
    store, _, run, _ = filled
    inside = store.files_dir / run.files[0].path
    (store.files_dir / "x").write_bytes(inside.read_bytes())
    own = f"{run.identity[:2]}/{run.identity}"
    hostile = run.files[0].model_copy(update={"path": f"{own}/../../x", "role": "density"})
    document = run.model_copy(update={"files": [hostile]})
    done = fetch_files({"../../md": document, "..": document}, store.files, tmp_path / "out" / "in")
    assert done.failures == {}
    assert not (tmp_path / "out" / "x").exists()
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("x")}
    assert {name for name in found if not name.startswith(("store/", "out/in/"))} == set()


def test_paths_that_lead_out_and_back_into_the_store_lead_out_of_other_folders(filled, tmp_path):
    store, candidate, run, _ = filled
    out_and_in = f"../{store.files_dir.name}/{run.files[0].path}"
    hostile = run.files[0].model_copy(update={"path": out_and_in})
    sideways = run.files[1].model_copy(update={"role": "trajectory-x/../../../y"})
    absolute = run.files[2].model_copy(update={"path": str(store.files_dir / run.files[2].path)})
    broken = run.files[3].model_copy(update={"sha256": "../../x"})
    files = [hostile, sideways, absolute, broken]
    document = run.model_copy(update={"files": files})
    (tmp_path / "out").mkdir()
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    done = fetch_files({"md": document}, store.files, tmp_path / "out" / "in")
    assert (done.n_fetched, len(done.failures)) == (1, 3)
    assert all("lies outside of the store's files" in why for why in done.failures.values())
    fetch_frames({"md": document}, store.files, tmp_path / "out" / "in", "extxyz")
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert new
    assert all(path.is_relative_to(tmp_path / "out" / "in") for path in new)
    sample_candidates.fill(store, [(candidate, {STEP: document})])
    with pytest.raises(TrajectoryError, match="lies outside"):
        export(store, tmp_path / "out" / "in" / "data", ExportWishes(trajectories=True))
    with open_store(tmp_path / "out" / "in" / "copy") as target:
        report = copy_store(store, target)
        assert set(report.files.missing) == {hostile.path, absolute.path}
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(path.is_relative_to(tmp_path / "out" / "in") for path in new)


def test_a_released_path_that_leads_out_is_not_deleted(filled, tmp_path):
    store, candidate, run, _ = filled
    away = tmp_path / "away"
    away.write_text("precious")
    mark = Release(rule="failed: release", by="ada@login", at="2026-01-02T03:04:05Z")
    path = f"../../{away.name}"
    outside = run.files[0].model_copy(update={"path": path, "released": mark})
    document = run.model_copy(update={"files": [outside, *run.files[1:]]})
    sample_candidates.fill(store, [(candidate, {STEP: document})])
    prune(store)
    assert away.read_text() == "precious"
