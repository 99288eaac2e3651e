"""The glass transition of a candidate's MD runs, by their densities and their enthalpies."""

from __future__ import annotations

import numpy as np
import pytest
import sample_trajectories
from sample_runs import run_of

from haloflow.engines.trajectory import THERMO, TrajectoryWriter
from haloflow.makers.run_data import enthalpy_ev_per_atom, kink_of
from haloflow.makers.step import step_directory
from haloflow.makers.trajectory_makers import TransportMaker
from haloflow.quantity import Quantity, Status

TEMPERATURES_K = tuple(300.0 + 60.0 * step for step in range(10))
CLASSICAL_EV_PER_K = 3 * 8.617e-5


def kinked(temperature_k, tg_k, below, above):
    return below * (temperature_k - 300) + (above - below) * max(0.0, temperature_k - tg_k)


@pytest.fixture
def runs(workshop):
    """Make runs with densities and energies whose slopes change at given temperatures."""
    files_dir = workshop.store.files_dir

    def make(density_kink_k, enthalpy_kink_k):
        frames = sample_trajectories.chains(6, 2)
        rng = np.random.default_rng(4)
        made = []
        for at in TEMPERATURES_K:
            run = run_of(workshop, at, frames)
            energy = -5.0 + kinked(at, enthalpy_kink_k, 0.5 * CLASSICAL_EV_PER_K, 2.5e-4)
            kinetic = 0.5 * CLASSICAL_EV_PER_K * at
            folder = step_directory(files_dir, run.identity) / "production" / "trajectory"
            write_energies(folder, frames, (energy + 2e-4 * rng.normal(), kinetic))
            density = 3.0 - kinked(at, density_kink_k, 2e-4, 6e-4) + 1e-3 * rng.normal()
            made.append(run.model_copy(update={"density_g_cm3": Quantity(density, 1e-3)}))
        return made

    return make


def write_energies(folder, frames, per_atom):
    for path in folder.iterdir():
        path.unlink()
    n_atoms = len(frames.species)
    energies = dict(zip(("energy_ev", "kinetic_energy_ev"), per_atom, strict=True))
    numbers = np.full(n_atoms, 11)
    writer = TrajectoryWriter(folder, numbers, chunk_frames=1000, signature="sample")
    for index, (frame, cell) in enumerate(zip(frames.positions, frames.cells, strict=True)):
        swing = 0.01 * (-1) ** index * n_atoms
        row = {name: n_atoms * value for name, value in energies.items()} | {"step": index}
        row["energy_ev"] += swing
        row["kinetic_energy_ev"] -= swing
        writer.append(frame, cell, [row.get(name, 0.0) for name in THERMO])
    writer.close()


def test_the_enthalpy_is_the_mean_total_energy_per_atom(workshop, runs):
    run = runs(1e4, 1e4)[0]
    found = enthalpy_ev_per_atom(run, workshop.store.files)
    assert found == pytest.approx(-5.0 + 0.5 * CLASSICAL_EV_PER_K * 300, abs=1e-3)
    gone = run.model_copy(update={"files": []})
    assert enthalpy_ev_per_atom(gone, workshop.store.files) is None


def test_the_enthalpies_show_a_transition_that_the_densities_do_not(workshop, runs):
    found = kink_of(runs(1e4, 560.0), workshop.store.files)
    assert found.lower < 560.0 < found.upper
    assert found.status is Status.OK
    assert found.note.startswith("enthalpies; densities: no kink")


def test_the_densities_come_first_and_enthalpies_must_agree(workshop, runs):
    found = kink_of(runs(560.0, 560.0), workshop.store.files)
    assert found.lower < 560.0 < found.upper
    assert found.status is Status.OK
    assert found.note.startswith("densities; by the enthalpies 5")
    apart = kink_of(runs(440.0, 680.0), workshop.store.files)
    assert apart.lower < 440.0 < apart.upper
    assert apart.status is Status.UNCONVERGED
    neither = kink_of(runs(1e4, 1e4), workshop.store.files)
    assert neither.value is None
    assert neither.note.startswith("densities: no kink")


def test_runs_that_broke_down_do_not_speak_of_the_glass(workshop, runs):
    made = runs(560.0, 560.0)
    made[3:] = [run.model_copy(update={"status": Status.DECOMPOSED}) for run in made[3:]]
    found = kink_of(made, workshop.store.files)
    assert found.value is None
    assert found.note == (
        "densities: 3 temperatures, 6 needed to look for a kink; "
        "7 of 10 runs have no settled density"
    )


def test_laws_of_transport_know_lost_runs_and_the_transition_of_the_densities(workshop):
    runs = []
    for at in np.arange(500.0, 801.0, 50.0):
        density = Quantity(3.0 - kinked(at, 640.0, 2e-4, 8e-4), 1e-3)
        run = run_of(workshop, at, sample_trajectories.walk(500))
        runs.append(run.model_copy(update={"density_g_cm3": density}))
    straight = [run.model_copy(update={"density_g_cm3": Quantity(2.0)}) for run in runs]
    with_kink, lost = (
        workshop.run(TransportMaker(), rows).laws["sigma_ne_ms_cm"].sigma_300k_ms_cm
        for rows in (runs, [None, *straight])
    )
    assert "glass transition" in with_kink.note
    assert "glass transition" not in lost.note
    assert "the coldest MD run failed" in lost.note
    assert "failed" not in with_kink.note
    assert lost.lower is None
    assert lost.status is Status.UNCONVERGED
