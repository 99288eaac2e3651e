"""Diffusion over temperature: which runs may speak, and how loudly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pair_potential import LEVEL

from haloflow.errors import InputError
from haloflow.makers.diffusion import DiffusionMaker, judged, kink_of
from haloflow.makers.md import MDMaker
from haloflow.makers.trajectory_makers import TransportMaker
from haloflow.quantity import Quantity, Status
from haloflow.stores.documents import MDDocument, Provenance
from haloflow.systems.phases import get_phase

NINE_K = np.linspace(300.0, 700.0, 9)
FOUND = Quantity(1.0, 0.1, 0.8, 1.2)


def md(temperature_k, density, status=Status.OK, density_status=Status.OK):
    return MDDocument(
        identity=f"{int(temperature_k):064d}",
        status=status,
        provenance=Provenance(haloflow_version="1", code_version=1, python_version="3.11"),
        level=LEVEL,
        ensemble="nvt",
        temperature_k=temperature_k,
        timestep_fs=2.0,
        n_steps=10,
        n_steps_target=10,
        seed=1,
        density_g_cm3=Quantity(density, status=density_status),
        trajectory_interval_steps=5,
        structure=get_phase("NaCl_B1").structure(),
    )


def expanding(temperature_k):
    """Density with a glass transition at 500 K."""
    return 2.5 - 1e-4 * temperature_k - 6e-4 * np.maximum(0.0, temperature_k - 500.0)


def test_a_glass_transition_is_found_in_settled_densities():
    found = kink_of([md(t, float(expanding(t))) for t in NINE_K])
    assert found.value == pytest.approx(500.0, abs=3.0)
    assert found.note == ""


@pytest.mark.parametrize(
    "broken", [{"status": Status.DIVERGED}, {"density_status": Status.UNCONVERGED}]
)
def test_runs_that_broke_or_did_not_settle_make_no_glass_transition(broken):
    """Swollen hot boxes look like a kink; without them there is a straight line."""
    runs = [
        md(t, float(expanding(t)), **(broken if t > 550.0 else {}))
        if t > 550.0
        else md(t, 2.5 - 1e-4 * t)
        for t in NINE_K
    ]
    found = kink_of(runs)
    assert found.value is None
    assert found.status is Status.UNCONVERGED
    assert "3 of 9 runs have no settled density" in found.note


def test_a_number_is_no_better_than_its_run():
    settled = md(600.0, 2.0)
    assert judged(FOUND, settled, 24) == FOUND
    loose = md(600.0, 2.0, density_status=Status.UNCONVERGED)
    loose.density_g_cm3 = replace(loose.density_g_cm3, note="not equilibrated")
    found = judged(FOUND, loose, 24)
    assert found.status is Status.UNCONVERGED
    assert found.note == "density not settled: not equilibrated"
    assert judged(FOUND, md(600.0, 2.0, Status.DECOMPOSED), 24).status is Status.DECOMPOSED
    assert judged(FOUND, settled, 23).note == "23 mobile ions, 24 needed"


@pytest.fixture
def runs(workshop):
    start = get_phase("NaCl_B1").structure()
    settings = {"equilibration_steps": 40, "production_steps": 150, "trajectory_interval": 5}
    return [
        workshop.run(MDMaker(level=LEVEL, temperature_k=t, full_cell=True, **settings), start)
        for t in (80.0, 100.0, 120.0)
    ]


def test_the_coldest_run_that_failed_forbids_ok(workshop, runs):
    whole = workshop.run(DiffusionMaker(), runs)
    assert [point.temperature_k for point in whole.points] == [80.0, 100.0, 120.0]
    found = workshop.run(DiffusionMaker(), [None, *runs[1:]])
    assert found.sigma_300k_ms_cm.status.severity >= Status.UNCONVERGED.severity
    assert found.sigma_300k_ms_cm.note.startswith("the coldest MD run failed")
    assert found.note == "1 of 3 MD runs failed"
    hot = workshop.run(DiffusionMaker(), [*runs[:2], None])
    assert "coldest" not in hot.sigma_300k_ms_cm.note
    with pytest.raises(InputError, match="diffusion needs MD runs of one level"):
        workshop.run(DiffusionMaker(), [None, None])


def test_transport_carries_the_doubts_of_its_runs(workshop, runs):
    runs[1].status = Status.DIVERGED
    runs[1].note = "too hot"
    found = workshop.run(TransportMaker(), runs)
    assert found.points[1].sigma_ms_cm.status is Status.DIVERGED
    assert "too hot" in found.points[1].diffusivity_cm2_s.note
    for point in found.points:
        assert point.diffusivity_cm2_s.status is not Status.OK
        assert "4 mobile ions, 24 needed" in point.sigma_ne_ms_cm.note
    assert found.laws["sigma_ms_cm"].name is None
    assert "100 K (diverged)" in found.laws["sigma_ms_cm"].sigma_300k_ms_cm.note


def test_a_run_at_a_density_that_was_not_equilibrated_gives_no_ok(workshop):
    start = get_phase("NaCl_B1").structure()
    maker = MDMaker(level=LEVEL, temperature_k=100.0, equilibration_steps=0, production_steps=40)
    run = workshop.run(maker, start)
    assert run.status is Status.OK
    assert run.density_g_cm3.value == pytest.approx(start.density)
    assert run.density_g_cm3.status is Status.UNCONVERGED
    found = judged(FOUND, run, 24)
    assert found.status is Status.UNCONVERGED
    assert "the start structure's, not equilibrated at this temperature" in found.note
