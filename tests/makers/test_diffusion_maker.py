"""From trajectories of known diffusivity to sigma(300 K), with what failed, broke or is small."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from haloflow.engines.trajectory import TrajectoryWriter
from haloflow.engines.trajectory_files import THERMO
from haloflow.errors import InputError
from haloflow.makers.diffusion import DiffusionMaker
from haloflow.quantity import Quantity, Status
from haloflow.stores.documents import FileReference, MDDocument, Provenance
from haloflow.units import (
    BOLTZMANN_EV_PER_K,
    BOLTZMANN_J_PER_K,
    ELEMENTARY_CHARGE_C,
)

BARRIER_EV, PREFACTOR_CM2_S = 0.25, 1.2e-3
LENGTH_A, FRAME_PS, N_FRAMES = 16.0, 0.25, 2500
TEMPERATURES_K = (500, 600, 700, 900)


def diffusivity(temperature_k):
    return PREFACTOR_CM2_S * math.exp(-BARRIER_EV / (BOLTZMANN_EV_PER_K * temperature_k))


def conductivity(temperature_k, n_mobile=32):
    per_m3 = n_mobile / (LENGTH_A * 1e-10) ** 3
    d_m2_s = diffusivity(temperature_k) * 1e-4
    sigma = per_m3 * ELEMENTARY_CHARGE_C**2 * d_m2_s / (BOLTZMANN_J_PER_K * temperature_k)
    return sigma * 10  # S/m in mS/cm


class Runs:
    """Writes random walks as the trajectories of MD runs."""

    def __init__(self, workshop):
        self.files_dir = workshop.store.files_dir

    def __call__(self, temperature_k, *, n_mobile=32, n_frames=N_FRAMES, level="none", **fields):
        identity = f"{temperature_k:04d}" * 16
        directory = self.files_dir / identity[:2] / identity / "production" / "trajectory"
        symbols = ["Na"] * n_mobile + ["Cl"] * 32
        random = np.random.default_rng(temperature_k)
        step_a = math.sqrt(2 * diffusivity(temperature_k) * 1e4 * FRAME_PS)
        start = random.uniform(0, LENGTH_A, (len(symbols), 3))
        cell = np.eye(3) * LENGTH_A
        numbers = np.array([11] * n_mobile + [17] * 32)
        writer = TrajectoryWriter(directory, numbers, chunk_frames=1000, signature=identity)
        positions = start.copy()
        for frame in range(n_frames):
            shaken = positions + random.normal(0, 0.05, positions.shape)
            writer.append(
                shaken, cell, (frame, frame * FRAME_PS * 1000, *[0.0] * (len(THERMO) - 2))
            )
            positions[:n_mobile] += random.normal(0, step_a, (n_mobile, 3))
        writer.close()
        known = {
            "status": Status.OK,
            "density_g_cm3": Quantity(2.0 - 1e-4 * temperature_k, 0.001),
            "files": [
                FileReference(
                    path=path.relative_to(self.files_dir).as_posix(), sha256="", n_bytes=1,
                    role="trajectory-production",
                )
                for path in sorted(directory.glob("*.h5"))
            ],
        }  # fmt: skip
        return MDDocument(
            identity=identity,
            provenance=Provenance(haloflow_version="0", code_version=1, python_version="3"),
            level=level,
            ensemble="nvt",
            temperature_k=temperature_k,
            timestep_fs=5.0,
            n_steps=n_frames * 50,
            n_steps_target=n_frames * 50,
            seed=1,
            trajectory_interval_steps=50,
            structure=Structure(Lattice.cubic(LENGTH_A), symbols, start / LENGTH_A),
            **known | fields,
        )


@pytest.fixture
def runs(workshop):
    return Runs(workshop)


def test_walks_of_known_diffusivity_give_it_back(workshop, runs):
    documents = [runs(temperature) for temperature in reversed(TEMPERATURES_K)]
    found = workshop.run(DiffusionMaker(), documents)
    assert [point.temperature_k for point in found.points] == list(TEMPERATURES_K)
    for point in found.points:
        assert point.sigma_ms_cm.status is Status.OK, point.sigma_ms_cm.note
        assert point.n_mobile == 32
        assert point.diffusivity_cm2_s.value == pytest.approx(
            diffusivity(point.temperature_k), rel=0.25
        )
        lower, upper = point.sigma_ms_cm.lower, point.sigma_ms_cm.upper
        assert lower < conductivity(point.temperature_k) < upper
    assert found.activation_energy_ev.value == pytest.approx(BARRIER_EV, abs=0.03)
    assert found.sigma_300k_ms_cm.status is Status.OK
    assert found.sigma_300k_ms_cm.lower < conductivity(300) < found.sigma_300k_ms_cm.upper
    assert found.sigma_300k_ms_cm.value == pytest.approx(conductivity(300), rel=0.5)
    assert found.status is Status.OK
    assert {curve.temperature_k for curve in found.msd} == set(TEMPERATURES_K)
    assert {curve.pair for curve in found.rdf} == {"Cl-Cl", "Cl-Na", "Na-Na"}
    assert set(found.provenance.parents) == {document.identity for document in documents}


def test_failed_runs_are_left_out_and_counted(workshop, runs):
    documents = [runs(500), None, runs(700), runs(900)]
    found = workshop.run(DiffusionMaker(), documents)
    assert found.note == "1 of 4 MD runs failed"
    assert [point.temperature_k for point in found.points] == [500, 700, 900]
    assert found.sigma_300k_ms_cm.status is Status.OK


def test_a_lost_coldest_run_leaves_the_extrapolation_unconverged(workshop, runs):
    found = workshop.run(DiffusionMaker(), [None, runs(600), runs(700), runs(900)])
    assert found.sigma_300k_ms_cm.status is Status.UNCONVERGED
    assert "the coldest MD run failed" in found.sigma_300k_ms_cm.note
    assert found.sigma_300k_ms_cm.lower is None


def test_a_small_sample_is_unconverged(workshop, runs):
    documents = [runs(temperature, n_mobile=20) for temperature in TEMPERATURES_K]
    found = workshop.run(DiffusionMaker(), documents)
    for point in found.points:
        assert point.sigma_ms_cm.status is Status.UNCONVERGED
        assert "20 mobile ions, 24 needed" in point.sigma_ms_cm.note
    assert found.sigma_300k_ms_cm.status is Status.UNCONVERGED


def test_a_short_run_is_a_bound(workshop, runs):
    found = workshop.run(DiffusionMaker(), [runs(500, n_frames=40)])
    (point,) = found.points
    assert point.diffusivity_cm2_s.status is Status.UNCONVERGED
    assert point.diffusivity_cm2_s.lower is None
    assert point.diffusivity_cm2_s.upper > diffusivity(500)
    assert found.sigma_300k_ms_cm.status is Status.UNCONVERGED


def test_a_run_that_broke_down_keeps_its_status(workshop, runs):
    broken = runs(900, status=Status.DIVERGED, note="too hot at step 7")
    nothing = runs(700, status=Status.DECOMPOSED, note="Cl-Cl bonds", files=[])
    found = workshop.run(DiffusionMaker(), [runs(500), runs(600), nothing, broken])
    by_temperature = {point.temperature_k: point for point in found.points}
    assert by_temperature[900].sigma_ms_cm.status is Status.DIVERGED
    assert "too hot at step 7" in by_temperature[900].sigma_ms_cm.note
    assert by_temperature[700].sigma_ms_cm.status is Status.DECOMPOSED
    assert by_temperature[700].sigma_ms_cm.value is None
    assert found.status is Status.DIVERGED


def test_a_density_that_moves_casts_doubt(workshop, runs):
    moving = Quantity(2.0, status=Status.UNCONVERGED, note="still moving")
    found = workshop.run(DiffusionMaker(), [runs(500, density_g_cm3=moving)])
    assert found.points[0].sigma_ms_cm.status is Status.UNCONVERGED
    assert "density not settled" in found.points[0].sigma_ms_cm.note


def test_an_extrapolation_through_a_known_glass_transition_is_marked(workshop, runs):
    documents = [runs(temperature) for temperature in TEMPERATURES_K]
    found = workshop.run(DiffusionMaker(known_glass_transition_k=466.0), documents)
    assert found.sigma_300k_ms_cm.status is Status.EXTRAPOLATED_THROUGH_TG
    assert found.status is Status.EXTRAPOLATED_THROUGH_TG


def test_charge_enters_squared(workshop, runs):
    documents = [runs(500)]
    one, two = (workshop.run(DiffusionMaker(charge=q), documents) for q in (1.0, 2.0))
    ratio = two.points[0].sigma_ms_cm.value / one.points[0].sigma_ms_cm.value
    assert ratio == pytest.approx(4)


@pytest.mark.parametrize(
    ("levels", "given"),
    [((), "nothing"), (("a", "b"), "500 K at a, 600 K at b")],
)
def test_runs_of_no_or_two_levels_are_refused(workshop, runs, levels, given):
    documents = [
        runs(t, level=level, n_frames=10) for t, level in zip((500, 600), levels, strict=False)
    ]
    with pytest.raises(InputError) as caught:
        workshop.run(DiffusionMaker(), [*documents, None])
    assert str(caught.value) == (
        f"diffusion needs MD runs of one level of theory. Given: {given}. "
        "What to do: look at the md steps with `haloflow show`."
    )
