"""Trajectories: what is written is read, and damage is named."""

import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.engines.trajectory import THERMO, TrajectoryReader, TrajectoryWriter
from haloflow.errors import InputError, TrajectoryError

NUMBERS = np.array([11, 17, 73])
N_FRAMES = 23


def frame(step):
    rng = np.random.default_rng(step)
    return rng.normal(scale=50, size=(3, 3)), 10 * np.eye(3) + step, [step, *rng.normal(size=8)]


def written(directory, n_frames=N_FRAMES, **options):
    writer = TrajectoryWriter(
        directory, NUMBERS, **{"chunk_frames": 5, "signature": "run", **options}
    )
    writer.restore()
    for step in range(n_frames):
        writer.append(*frame(step))
    writer.close()
    return writer


def test_round_trip(tmp_path):
    written(tmp_path)
    reader = TrajectoryReader(tmp_path)
    assert [chunk.n_frames for chunk in reader.files] == [5, 5, 5, 5, 3]
    assert (reader.n_frames, reader.n_atoms) == (N_FRAMES, 3)
    assert reader.species.tolist() == ["Na", "Cl", "Ta"]
    expected = [frame(step) for step in range(N_FRAMES)]
    assert np.allclose(reader.positions(), [row[0] for row in expected], atol=1e-5)
    assert np.array_equal(reader.cells(), [row[1] for row in expected])
    table = np.array([row[2] for row in expected])
    thermo = reader.thermo()
    assert list(thermo) == list(THERMO)
    for column, name in enumerate(THERMO):
        assert np.array_equal(thermo[name], table[:, column])
    assert np.array_equal(reader.times_fs, thermo["time_fs"])
    reader.verify()


@given(
    start=st.integers(-30, 30),
    stop=st.none() | st.integers(-30, 30),
    stride=st.integers(1, 12),
)
@settings(deadline=None, max_examples=60)
def test_slices_are_those_of_an_array(start, stop, stride, tmp_path_factory):
    directory = tmp_path_factory.getbasetemp() / "slices"
    if not directory.exists():
        written(directory)
    reader = TrajectoryReader(directory)
    expected = reader.cells()[start:stop:stride]
    assert np.array_equal(reader.cells(start, stop, stride), expected)


def test_blocks_cover_all_frames_once(tmp_path):
    written(tmp_path)
    reader = TrajectoryReader(tmp_path)
    for n_frames, stride in ((4, 1), (4, 3), (100, 1)):
        blocks = list(reader.blocks(n_frames, stride))
        assert max(len(block) for block in blocks) <= n_frames
        assert np.array_equal(np.concatenate(blocks), reader.positions(stride=stride))


def test_equal_frames_make_equal_files(tmp_path):
    written(tmp_path / "a")
    written(tmp_path / "b")
    one, other = TrajectoryReader(tmp_path / "a"), TrajectoryReader(tmp_path / "b")
    assert [c.sha256 for c in one.files] == [c.sha256 for c in other.files]


def test_files_are_float32_compressed_and_readable_without_haloflow(tmp_path):
    written(tmp_path)
    with h5py.File(tmp_path / "chunk-000000.h5") as file:
        assert file["positions_a"].dtype == np.float32
        assert file["positions_a"].compression == "gzip"
        assert list(file["thermo"].attrs["columns"]) == list(THERMO)


@pytest.mark.parametrize("back_to", [0, 4, 5, 7, 12, 22, 23])
def test_going_back_leaves_no_duplicate_and_no_gap(back_to, tmp_path):
    written(tmp_path / "straight")
    writer = TrajectoryWriter(tmp_path / "run", NUMBERS, chunk_frames=5, signature="run")
    writer.restore()
    for step in range(N_FRAMES):
        if step == back_to:
            state = writer.state()
        writer.append(*frame(step))
    if back_to == N_FRAMES:
        state = writer.state()
    writer.close()
    again = TrajectoryWriter(tmp_path / "run", NUMBERS, chunk_frames=5, signature="run")
    again.restore(*state)
    assert again.n_frames == back_to
    for step in range(back_to, N_FRAMES):
        again.append(*frame(step))
    again.close()
    indices = [(tmp_path / name / "index.json").read_text() for name in ("run", "straight")]
    assert indices[0] == indices[1]
    TrajectoryReader(tmp_path / "run").verify()
    assert len(list((tmp_path / "run").glob("chunk-*"))) == 5


def test_files_of_a_trajectory_can_be_read_alone(tmp_path):
    written(tmp_path)
    files = TrajectoryReader(tmp_path).files[1:3]
    assert np.array_equal(TrajectoryReader(files).cells()[0], frame(5)[1])


def test_reader_finds_the_trajectory_of_a_run(tmp_path):
    written(tmp_path / "trajectory")
    assert TrajectoryReader(tmp_path).n_frames == N_FRAMES


def test_damaged_file(tmp_path):
    written(tmp_path)
    path = tmp_path / "chunk-000002.h5"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    reader = TrajectoryReader(tmp_path)
    assert len(reader.positions(stop=10)) == 10
    for read in (reader.verify, lambda: reader.positions(start=9, stop=12)):
        with pytest.raises(TrajectoryError, match=r"does not match its content.*chunk-000002"):
            read()


def test_missing_file(tmp_path):
    written(tmp_path)
    (tmp_path / "chunk-000001.h5").unlink()
    with pytest.raises(TrajectoryError, match=r"a trajectory file is missing.*chunk-000001"):
        TrajectoryReader(tmp_path).verify()


def test_no_trajectory(tmp_path):
    with pytest.raises(TrajectoryError, match=r"no trajectory here.*index\.json"):
        TrajectoryReader(tmp_path)
    written(tmp_path, n_frames=0)
    with pytest.raises(TrajectoryError, match="has no frames yet"):
        TrajectoryReader(tmp_path)


def test_broken_index(tmp_path):
    written(tmp_path)
    (tmp_path / "index.json").write_text("{}")
    with pytest.raises(TrajectoryError, match=r"index of a trajectory cannot be read.*KeyError"):
        TrajectoryReader(tmp_path)


def rewritten(path, change):
    """Change a chunk file and note its new checksum in the index."""
    import hashlib

    with h5py.File(path, "r+") as file:
        change(file)
    index = path.parent / "index.json"
    content = json.loads(index.read_text())
    row = next(row for row in content["chunks"] if row["file"] == path.name)
    row["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    index.write_text(json.dumps(content))


def test_other_format(tmp_path):
    written(tmp_path)
    rewritten(
        tmp_path / "chunk-000000.h5", lambda file: file.attrs.modify("haloflow_trajectory", 9)
    )
    with pytest.raises(TrajectoryError, match=r"another format.*format 9.*format 1"):
        TrajectoryReader(tmp_path)


def test_files_that_do_not_belong_together(tmp_path):
    written(tmp_path)

    def other_species(file):
        file["numbers"][0] = 55

    rewritten(tmp_path / "chunk-000003.h5", other_species)
    with pytest.raises(TrajectoryError, match=r"does not fit the others.*chunk-000003"):
        TrajectoryReader(tmp_path).verify()


def test_bad_stride(tmp_path):
    written(tmp_path)
    with pytest.raises(
        InputError, match=r"stride of a trajectory slice is out of range. Given: -1"
    ):
        TrajectoryReader(tmp_path).positions(stride=-1)


def test_other_run(tmp_path):
    written(tmp_path)
    with pytest.raises(TrajectoryError, match=r"another run.*of run run.*Allowed: run new"):
        TrajectoryWriter(tmp_path, NUMBERS, chunk_frames=5, signature="new")


def test_state_that_counts_on_lost_files(tmp_path):
    writer = written(tmp_path)
    (tmp_path / "chunk-000001.h5").write_bytes(b"short")
    with pytest.raises(TrajectoryError, match=r"missing or cut short. Given: 2 whole of 3"):
        writer.restore(3)
