"""Frames of trajectories: right, bounded, and only from files that are what they were."""

from __future__ import annotations

import shutil

import many_candidates
import numpy as np
import pytest
import sample_candidates
import sample_trajectories
from kept_elsewhere import KINDS, Elsewhere, fill_with_a_run
from sample_documents import provenance
from web_client import WebClient

from haloflow.dashboard.app import create_app
from haloflow.engines.trajectory import TrajectoryReader
from haloflow.quantity import Quantity
from haloflow.settings import get_settings
from haloflow.stores.connection import open_store
from haloflow.stores.documents import FileReference, MDDocument

N_FRAMES = 450
STEP = "md-600K"


@pytest.fixture(scope="module")
def walk():
    return sample_trajectories.walk(N_FRAMES, 16, breathing=0.01)


@pytest.fixture
def stored(tmp_path, walk):
    """A store with one MD run of 450 frames in three files; its client and its folder."""
    candidate, documents = sample_candidates.searched_crystal()
    with open_store(tmp_path) as store:
        folder = walk.store(store.files_dir / "run" / "production" / "trajectory", chunk_frames=200)
        files = [
            FileReference(
                path=chunk.path.relative_to(store.files_dir).as_posix(),
                sha256=chunk.sha256,
                n_bytes=chunk.n_bytes,
                role="trajectory-production",
            )
            for chunk in TrajectoryReader(folder).files
        ]
        run = MDDocument(
            identity=candidate.steps[STEP],
            provenance=provenance(),
            files=files,
            level="x",
            ensemble="nvt",
            temperature_k=600,
            timestep_fs=2.0,
            n_steps=22_500,
            n_steps_target=22_500,
            seed=1,
            density_g_cm3=Quantity(3.0),
            trajectory_interval_steps=50,
            structure=documents["relax"].structure,
        )
        sample_candidates.fill(store, [(candidate, {**documents, STEP: run})])
        yield WebClient(create_app(store)), candidate.candidate_id, folder, store, run


def frames(client, name, status=200, **asked):
    answer = client.get(f"/api/v1/candidates/{name}/trajectory/frames", {"step": STEP, **asked})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_trajectory_is_listed_with_its_length(stored):
    client, name, *_ = stored
    (row,) = client.data(f"/candidates/{name}/trajectory")
    expected = {"step": STEP, "part": "production", "n_frames": N_FRAMES, "frame_ps": 0.1}
    assert expected.items() <= row.items()
    assert row["temperature_k"] == 600
    assert not row["problem"]


def test_without_a_stride_all_frames_fit_the_limit(stored, walk):
    client, name, *_ = stored
    body = frames(client, name)
    assert body["meta"] == {"n_frames": N_FRAMES, "stride": 3, "next_start": None}
    assert body["data"]["frames"] == list(range(0, N_FRAMES, 3))
    assert body["data"]["species"] == walk.species.tolist()
    np.testing.assert_allclose(body["data"]["positions_a"], walk.positions[::3], atol=1e-3)
    np.testing.assert_allclose(body["data"]["cells_a"], walk.cells[::3], atol=1e-4)
    np.testing.assert_allclose(body["data"]["times_ps"], 0.1 * np.arange(N_FRAMES)[::3])


def test_with_a_stride_the_answer_says_where_to_go_on(stored, walk):
    client, name, *_ = stored
    seen, start = [], 5
    while start is not None:
        body = frames(client, name, start=start, stop=440, stride=2)
        assert len(body["data"]["frames"]) <= 200
        seen += body["data"]["frames"]
        start = body["meta"]["next_start"]
    assert seen == list(range(5, 440, 2))


def test_wrapped_atoms_lie_in_the_cell(stored, walk):
    client, name, *_ = stored
    body = frames(client, name, start=N_FRAMES - 1, wrap="true")
    inside = np.array(body["data"]["positions_a"][0]) @ np.linalg.inv(walk.cells[-1])
    assert inside.min() > -1e-3
    assert inside.max() < 1 + 1e-3
    moved = np.array(frames(client, name, start=N_FRAMES - 1)["data"]["positions_a"][0])
    shift = (moved @ np.linalg.inv(walk.cells[-1]) - inside).round(3)
    np.testing.assert_allclose(shift, shift.round(), atol=2e-3)


def test_many_atoms_make_few_frames(stored, monkeypatch, walk):
    client, name, *_ = stored
    monkeypatch.setattr(
        "haloflow.dashboard.api.trajectories.MOST_POSITIONS", 10 * len(walk.species)
    )
    body = frames(client, name, stride=1)
    assert body["data"]["frames"] == list(range(10))
    assert body["meta"]["next_start"] == 10


def test_a_damaged_file_is_named_and_never_shown(stored):
    client, name, folder, *_ = stored
    chunk = folder / "chunk-000001.h5"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    assert frames(client, name, stop=200)["data"]["frames"]
    error = frames(client, name, 404, start=200, stop=400)["error"]
    assert error["problem"] == "the checksum of a trajectory file does not match its content"
    assert error["given"].startswith("run/production/trajectory/chunk-000001.h5")
    chunk.unlink()
    assert frames(client, name, 404, start=200)["error"]["problem"] == (
        "a trajectory file is missing"
    )


def test_files_that_were_replaced_with_their_index_are_refused(stored):
    client, name, folder, *_ = stored
    for path in folder.iterdir():
        path.unlink()
    sample_trajectories.walk(N_FRAMES, 16, seed=99).store(folder, chunk_frames=200)
    error = frames(client, name, 404)["error"]
    assert error["problem"] == "the checksum of a trajectory file does not match its content"
    for path in folder.iterdir():
        path.unlink()
    sample_trajectories.walk(150, 16).store(folder, chunk_frames=200)
    error = frames(client, name, 404)["error"]
    assert error["problem"] == "the index of a trajectory lacks files that its step wrote"
    assert "chunk-000001.h5" in error["given"]
    (row,) = client.data(f"/candidates/{name}/trajectory")
    assert row["n_frames"] == 0
    assert "lacks files" in row["problem"]


def test_a_file_outside_of_the_store_is_not_read(stored, tmp_path_factory, walk):
    client, name, _, store, run = stored
    away = walk.store(tmp_path_factory.mktemp("away"), chunk_frames=500)
    (chunk,) = TrajectoryReader(away).files
    path = f"../../{'../' * len(store.files_dir.parts)}{chunk.path}".replace("//", "/")
    outside = FileReference(
        path=path, sha256=chunk.sha256, n_bytes=chunk.n_bytes, role="trajectory-production"
    )
    candidate, _ = sample_candidates.searched_crystal()
    changed = run.model_copy(update={"files": [outside]})
    sample_candidates.fill(store, [(candidate, {STEP: changed})])
    error = frames(client, name, 404)["error"]
    assert error["problem"] == "a trajectory file lies outside of the store's files"


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"step": "md-601K"}, "unknown step with a trajectory"),
        ({"part": "melt"}, "unknown trajectory of the md step"),
        ({"start": N_FRAMES}, "the trajectory has no such frames"),
        ({"start": -1}, "the parameter start cannot be so"),
        ({"stride": 0}, "the parameter stride cannot be so"),
    ],
)
def test_what_cannot_be_asked_is_refused(stored, asked, problem):
    client, name, *_ = stored
    assert frames(client, name, 400, **asked)["error"]["problem"] == problem


def test_synthetic_trajectories_are_read(embedded, embedded_store):
    rows = embedded_store.candidates.query({}, ["candidate_id"], limit=many_candidates._BATCH)
    for row in rows:
        name = row["candidate_id"]
        for one in embedded.data(f"/candidates/{name}/trajectory")[:1]:
            path = f"/candidates/{name}/trajectory/frames?step={one['step']}"
            assert len(embedded.data(path)["frames"]) == min(one["n_frames"], 200)
            return
    pytest.fail("no candidate has a trajectory")


@pytest.mark.parametrize("kind", KINDS)
def test_frames_come_from_wherever_the_files_are(kind, request, tmp_path, monkeypatch):
    elsewhere = Elsewhere(kind, tmp_path, request)
    elsewhere.use()
    with elsewhere.opened("worker") as store:
        candidate, run, moves = fill_with_a_run(store)
    shutil.rmtree(tmp_path / "worker")
    monkeypatch.setenv("HALOFLOW_CACHE_DIR", str(tmp_path / "cache"))
    get_settings.cache_clear()
    with elsewhere.opened("dashboard", read_only=True) as store:
        client = WebClient(create_app(store))
        name = candidate.candidate_id
        rows = {row["part"]: row for row in client.data(f"/candidates/{name}/trajectory")}
        assert (rows["production"]["n_frames"], rows["production"]["problem"]) == (45, "")
        assert not list((tmp_path / "cache").rglob("*")), "to list reads no file"
        data = frames(client, name, start=25, stop=27)["data"]
        assert np.allclose(data["positions_a"], moves.positions[25:27], atol=1e-3)
        elsewhere.damage(run.files[5].sha256)
        error = frames(client, name, 404, start=41)["error"]
        assert "checksum of a trajectory file does not match" in error["problem"]
    get_settings.cache_clear()
