"""A run that was ended goes on in another folder from its last trusted state, bit for bit."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from haloflow.engines.checkpoint import CheckpointFolder
from haloflow.engines.guards import GuardVerdict
from haloflow.engines.md import run_md
from haloflow.engines.trajectory import TrajectoryReader
from haloflow.engines.trusted import (
    begin_from,
    chunks_before,
    first_frame,
    read_trusted,
    trusted_file,
)
from haloflow.errors import CheckpointError, TrajectoryError
from haloflow.quantity import Status

END, DOUBT = 70, 30


def watching(end=None, doubt=None):
    """Return a guard that doubts from one step on and ends the run at another."""

    def guard(atoms, step):
        if end is not None and step >= end:
            return GuardVerdict(Status.OUT_OF_DOMAIN, f"left at step {step}")
        if doubt is not None and step == doubt:
            return GuardVerdict(Status.OUT_OF_DOMAIN, f"doubted at step {step}", ends=False)
        return None

    return guard


def run(md_cases, case, folder, *, signature="run", **guard):
    return run_md(
        md_cases.noble_gas(), md_cases.SkinLennardJones(), md_cases.settings_of(case), folder,
        signature=signature, guards=[watching(**guard)],
    )  # fmt: skip


def go_on(md_cases, case, before, folder, *, same=True):
    """Go on in another folder from the trusted state of the run `before`."""
    state = read_trusted(trusted_file(before))
    chunks = chunks_before(state, TrajectoryReader(before).files)
    begin_from(folder, state, chunks, signature="later", same_potential=same)
    return state, run(md_cases, case, folder, signature="later")


def frames_of(folder):
    reader = TrajectoryReader(folder)
    return [reader.positions(), reader.cells(), *reader.thermo().values()]


def assert_equal(one, other):
    for own, theirs in zip(frames_of(one), frames_of(other), strict=True):
        np.testing.assert_array_equal(own, theirs)


@pytest.mark.parametrize(
    "case",
    ["nve", "langevin", "nose-hoover", "npt-isotropic", "npt-full", "ramp-npt",
     "tether-nose-hoover"],
)  # fmt: skip
def test_with_the_same_potential_it_is_the_run_that_was_never_ended(case, md_cases, tmp_path):
    straight = run(md_cases, case, tmp_path / "straight")
    ended = run(md_cases, case, tmp_path / "ended", end=END)
    assert (ended.status, ended.n_steps) == (Status.OUT_OF_DOMAIN, END)
    state, later = go_on(md_cases, case, tmp_path / "ended", tmp_path / "later")
    assert state.step == 60
    assert (later.status, later.n_steps) == (Status.OK, 90)
    assert later.n_resumes == 0, "nobody stopped it"
    np.testing.assert_array_equal(later.atoms.positions, straight.atoms.positions)
    np.testing.assert_array_equal(later.atoms.get_momenta(), straight.atoms.get_momenta())
    np.testing.assert_array_equal(later.atoms.cell.array, straight.atoms.cell.array)
    assert_equal(tmp_path / "straight", tmp_path / "later")
    assert_equal(tmp_path / "straight", tmp_path / "later")


def test_what_was_doubted_is_gone_back_before(md_cases, tmp_path):
    """The checkpoint from before the doubt outlasts those after it, and a kill."""
    doubted = run(md_cases, "langevin", tmp_path / "doubted", doubt=DOUBT)
    assert (doubted.status, doubted.n_steps) == (Status.OK, 90)
    state, _ = go_on(md_cases, "langevin", tmp_path / "doubted", tmp_path / "later")
    assert state.step == 20
    assert_equal(tmp_path / "doubted", tmp_path / "later")
    folder = CheckpointFolder(tmp_path / "doubted" / "checkpoints")
    assert folder.paths() == [folder.path(step) for step in (20, 80, 90)]
    folder.path(90).unlink()  # as a kill after step 80 leaves it
    again = run(md_cases, "langevin", tmp_path / "doubted", doubt=DOUBT)
    assert again.n_resumes == 1
    assert trusted_file(tmp_path / "doubted") == folder.path(20)


def test_a_doubted_run_that_is_ended_goes_on_from_either(md_cases, tmp_path):
    run(md_cases, "nve", tmp_path / "run", doubt=DOUBT, end=END)
    path = trusted_file(tmp_path / "run", though_doubted=True)
    assert read_trusted(path).step == 60
    assert read_trusted(trusted_file(tmp_path / "run")).step == 20


def test_a_doubted_run_that_came_to_its_end_goes_on_from_either(md_cases, tmp_path):
    run(md_cases, "nve", tmp_path / "run", doubt=DOUBT)
    path = trusted_file(tmp_path / "run", though_doubted=True)
    assert read_trusted(path).step == 90
    assert read_trusted(trusted_file(tmp_path / "run")).step == 20


@pytest.mark.parametrize("guard", [{"end": 0}, {"end": 10}, {"doubt": 0}, {"doubt": 10}])
def test_nothing_is_trusted_that_was_not_saved_before(guard, md_cases, tmp_path):
    run(md_cases, "nve", tmp_path / "run", **guard)
    assert trusted_file(tmp_path / "run") is None


def test_a_run_that_nobody_doubts_is_trusted_to_its_end(md_cases, tmp_path):
    run(md_cases, "npt-full", tmp_path / "run")
    assert trusted_file(tmp_path / "none") is None
    state, later = go_on(md_cases, "npt-full", tmp_path / "run", tmp_path / "later")
    assert state.step == 90
    assert later.n_resumes == 0
    assert_equal(tmp_path / "run", tmp_path / "later")


class Stiffer:
    """Makes the class of a calculator whose well is deeper."""

    def __new__(cls, md_cases):
        return type("Stiff", (md_cases.SkinLennardJones,), {"epsilon": 0.02})()


def test_another_potential_evaluates_the_state_anew(md_cases, tmp_path):
    run(md_cases, "nve", tmp_path / "ended", end=END)
    state = read_trusted(trusted_file(tmp_path / "ended"))
    chunks = chunks_before(state, TrajectoryReader(tmp_path / "ended").files)
    begin_from(tmp_path / "later", state, chunks, signature="later", same_potential=False)
    settings = md_cases.settings_of("nve")
    later = run_md(
        md_cases.noble_gas(), Stiffer(md_cases), settings, tmp_path / "later", signature="later"
    )
    before, after = (TrajectoryReader(tmp_path / name) for name in ("ended", "later"))
    n = 1 + state.step // settings.trajectory_interval
    np.testing.assert_array_equal(before.positions(0, n), after.positions(0, n))
    energies = later.thermo["energy_ev"] + later.thermo["kinetic_energy_ev"]
    assert np.ptp(energies[n:]) < 0.1 * abs(energies[n] - energies[n - 1])


def test_it_begins_once_and_a_kill_meanwhile_does_no_harm(md_cases, tmp_path):
    run(md_cases, "nve", tmp_path / "ended", end=END)
    (tmp_path / "later" / "trajectory").mkdir(parents=True)
    (tmp_path / "later" / "trajectory" / "chunk-000000.h5").write_bytes(b"half")
    state, first = go_on(md_cases, "nve", tmp_path / "ended", tmp_path / "later")
    _, second = go_on(md_cases, "nve", tmp_path / "ended", tmp_path / "later")
    np.testing.assert_array_equal(first.atoms.positions, second.atoms.positions)
    frame = first_frame(state, TrajectoryReader(tmp_path / "ended").files)
    np.testing.assert_allclose(frame.positions, md_cases.noble_gas().positions, atol=1e-6)
    assert frame == first_frame(state, []) or state.meta["n_chunks"]


@pytest.mark.parametrize(("killed_at", "n_resumes"), [(80, 0), (90, 1)])
def test_what_goes_on_is_resumed_as_any_run(killed_at, n_resumes, md_cases, tmp_path):
    """A stop counts once the run has saved something of its own, as for any run."""
    straight = run(md_cases, "langevin", tmp_path / "straight")
    run(md_cases, "langevin", tmp_path / "ended", end=END)
    state = read_trusted(trusted_file(tmp_path / "ended"))
    chunks = chunks_before(state, TrajectoryReader(tmp_path / "ended").files)
    begin_from(tmp_path / "later", state, chunks, signature="later", same_potential=True)
    shutil.rmtree(tmp_path / "ended")

    def lethal(atoms, step):
        if step == killed_at:
            raise KeyboardInterrupt

    settings = md_cases.settings_of("langevin")
    arguments = (md_cases.noble_gas(), md_cases.SkinLennardJones(), settings, tmp_path / "later")
    with pytest.raises(KeyboardInterrupt):
        run_md(*arguments, signature="later", guards=[lethal])
    later = run_md(*arguments, signature="later")
    assert later.n_resumes == n_resumes
    np.testing.assert_array_equal(later.atoms.positions, straight.atoms.positions)
    assert_equal(tmp_path / "straight", tmp_path / "later")


def test_what_was_damaged_is_not_gone_on_from(md_cases, tmp_path):
    run(md_cases, "nve", tmp_path / "ended", end=END)
    path = trusted_file(tmp_path / "ended")
    state, chunks = read_trusted(path), TrajectoryReader(tmp_path / "ended").files
    chunks[0].path.write_bytes(b"damaged")
    with pytest.raises(TrajectoryError, match="checksum of a trajectory file does not match"):
        begin_from(tmp_path / "later", state, chunks, signature="later", same_potential=True)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CheckpointError, match="checksum of a checkpoint does not match"):
        read_trusted(path)
