"""Directories that hold something else than the run asked for, or less."""

import pytest

from haloflow.engines.durable import sole_use
from haloflow.engines.md import run_md
from haloflow.errors import CheckpointError, EngineError, PotentialError, TrajectoryError


def interrupt(md_cases, tmp_path, case="nve"):
    calculator = md_cases.SkinLennardJones()
    compute = calculator.calculate

    def fail_late(*args, **kwargs):
        if calculator.evaluations == 45:
            raise PotentialError("the weights are gone")
        compute(*args, **kwargs)

    calculator.calculate = fail_late
    with pytest.raises(PotentialError, match="the weights are gone"):
        md_cases.run(case, tmp_path, calculator)


@pytest.mark.parametrize("changes", [{"temperature_k": 41.0}, {"trajectory_interval": 6}])
def test_checkpoint_of_other_settings(changes, md_cases, tmp_path):
    interrupt(md_cases, tmp_path)
    name = next(iter(changes))
    with pytest.raises(CheckpointError, match=rf"of another run. Given: other {name}"):
        md_cases.run("nve", tmp_path, **changes)


def test_checkpoint_of_a_ramp_of_other_length(md_cases, tmp_path):
    interrupt(md_cases, tmp_path, "ramp-langevin")
    with pytest.raises(CheckpointError, match="Given: other n_steps"):
        md_cases.run("ramp-langevin", tmp_path, n_steps=200)


def test_checkpoint_of_another_signature(md_cases, tmp_path):
    interrupt(md_cases, tmp_path)
    arguments = (md_cases.noble_gas(), md_cases.SkinLennardJones(), md_cases.settings_of("nve"))
    with pytest.raises(CheckpointError, match=r"Given: other signature.*a directory of its own"):
        run_md(*arguments, tmp_path, signature="other")


def test_checkpoint_interval_may_change(md_cases, tmp_path):
    interrupt(md_cases, tmp_path)
    assert md_cases.run("nve", tmp_path, checkpoint_interval=7).n_resumes == 1


def test_fewer_steps_than_done(md_cases, tmp_path):
    md_cases.run("nve", tmp_path)
    with pytest.raises(CheckpointError, match=r"further than asked. Given: n_steps=50.*from 90"):
        md_cases.run("nve", tmp_path, n_steps=50)


def test_checkpoint_of_other_atoms(md_cases, tmp_path):
    interrupt(md_cases, tmp_path)
    atoms = md_cases.noble_gas()
    atoms.symbols[1] = "Ne"
    with pytest.raises(CheckpointError, match=r"of other atoms.*32 atoms.*started from"):
        run_md(
            atoms,
            md_cases.SkinLennardJones(),
            md_cases.settings_of("nve"),
            tmp_path,
            signature="nve",
        )


def test_all_checkpoints_damaged(md_cases, tmp_path):
    interrupt(md_cases, tmp_path)
    for path in (tmp_path / "checkpoints").glob("*.ckpt"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match=r"all checkpoints of a run are damaged.*checksum"):
        md_cases.run("nve", tmp_path)


def test_trajectory_of_another_run_without_checkpoint(md_cases, tmp_path):
    md_cases.run("nve", tmp_path)
    for path in (tmp_path / "checkpoints").glob("*.ckpt"):
        path.unlink()
    with pytest.raises(TrajectoryError, match="holds the trajectory of another run"):
        md_cases.run("langevin", tmp_path)


def test_lost_chunk(md_cases, tmp_path):
    interrupt(md_cases, tmp_path)
    (tmp_path / "trajectory" / "chunk-000000.h5").unlink()
    with pytest.raises(TrajectoryError, match=r"missing or cut short. Given: 0 whole of 1"):
        md_cases.run("nve", tmp_path)


def test_lost_last_chunk_of_a_finished_run(md_cases, tmp_path):
    md_cases.run("nve", tmp_path, n_steps=30)
    other = tmp_path / "other"
    md_cases.run("nve", other, n_steps=21)
    for name in ("index.json", "chunk-000000.h5"):
        (tmp_path / "trajectory" / name).write_bytes((other / "trajectory" / name).read_bytes())
    with pytest.raises(TrajectoryError, match=r"not complete. Given: 8 frames.*11 frames"):
        md_cases.run("nve", tmp_path, n_steps=30)


def test_two_runs_in_one_directory(md_cases, tmp_path):
    with (
        sole_use(tmp_path),
        pytest.raises(EngineError, match=r"another run works in this directory.*of its own"),
    ):
        md_cases.run("nve", tmp_path)
    assert md_cases.run("nve", tmp_path).n_steps == 90
