"""Relaxed frames of a glass's MD above the hull, as a sweep plans them."""

from __future__ import annotations

from statistics import fmean, stdev

import numpy as np
import pytest
from pair_potential import LEVEL
from tiny_sweeps import CRYSTAL, GLASS, run_job, tiny_sweep

from haloflow.dashboard.figures_ensemble import ensemble_figure
from haloflow.engines.vasp_levels import is_vasp
from haloflow.errors import InputError, SweepError, UnknownNameError
from haloflow.makers.ensemble import frame_of, shares
from haloflow.makers.run_data import production_of
from haloflow.quantity import Quantity, Status
from haloflow.stores.connection import open_store
from haloflow.stores.ensemble_documents import EnsembleDocument
from haloflow.stores.summary import summarize
from haloflow.workflows.plan import plan_sweep

ENSEMBLE = {"n_frames": 4}


@pytest.fixture(scope="module")
def glass(tmp_path_factory):
    """Return a plan with an ensemble, its documents by name, and its store."""
    folder = tmp_path_factory.mktemp("ensemble")
    plan = plan_sweep(tiny_sweep(systems=[GLASS], ensemble=ENSEMBLE))
    with pytest.MonkeyPatch.context() as patch, open_store(str(folder / "store")) as store:
        patch.chdir(folder)
        made = {step.name: run_job(step.to_job(), store) for step in plan.steps.values()}
        yield plan, made, store


def test_frames_are_those_of_the_hottest_run_and_the_numbers_theirs(glass):
    plan, made, store = glass
    document = made["ensemble-seed1"]
    assert isinstance(document, EnsembleDocument)
    frames = [made[f"frame-seed1-400K-{n:02d}"] for n in (1, 2, 3, 4)]
    hull = made["hull-seed1"]
    relaxed = made["relax-seed1"].energy_ev_per_atom.value
    zero = hull.energy_above_hull_ev_per_atom.value - relaxed
    above = [frame.energy_ev_per_atom.value + zero for frame in frames]
    assert document.temperature_k == 400
    assert document.level == hull.level
    found = [frame.energy_above_hull_ev_per_atom for frame in document.frames]
    assert found == pytest.approx(above)
    mean = document.energy_above_hull_ev_per_atom
    assert mean.value == pytest.approx(fmean(above))
    assert mean.sd == pytest.approx(stdev(above))
    assert "sd and interval are the scatter of the frames" in mean.note
    assert document.lowest_ev_per_atom.value == pytest.approx(min(above))
    assert document.quantiles_ev_per_atom["0.5"] == pytest.approx(np.median(above))
    reader = production_of(made["md-seed1-400K"], store.files)
    assert shares(4) == [0.25, 0.5, 0.75, 1.0]
    last = frame_of(made["md-seed1-400K"], 1.0, store.files)
    apart = last.frac_coords - reader.positions(reader.n_frames - 1)[0] @ np.linalg.inv(
        last.lattice.matrix
    )
    assert np.allclose(apart, np.rint(apart), atol=1e-6)
    summary = summarize(plan.candidates[0].document, {d.identity: d for d in made.values()})
    column = summary.ensemble_above_hull_ev_per_atom
    assert column.value == pytest.approx(fmean(above))
    assert f"lowest {1000 * min(above):.1f} meV" in column.note
    figure = ensemble_figure(document)
    assert figure["data"][0]["y"] == pytest.approx([1000 * value for value in above])


def test_frames_that_are_lost_are_counted_and_make_it_unconverged(glass):
    plan, made, store = glass
    (step,) = (one for one in plan.steps.values() if one.kind == "ensemble")
    frames = [made[f"frame-seed1-400K-{n:02d}"] for n in (1, 2)]
    phases = {i: made.get(f"phase-{i}") for i in step.inputs["phases"]}
    document = run_job(step.maker.make([*frames, None, None], phases), store)
    assert document.n_asked == 4
    assert len(document.frames) == 2
    assert document.status is not Status.OK
    assert "2 of 4 frames have no result" in document.note
    lost = frames[0].model_copy(
        update={"energy_ev_per_atom": Quantity(status=Status.UNCONVERGED, note="why")}
    )
    with pytest.raises(InputError, match="the relax step has no energy"):  # and not one of 0 eV
        run_job(step.maker.make([frames[1], lost], phases), store)
    with pytest.raises(InputError, match="needs a relaxed frame and all competing phases"):
        run_job(step.maker.make([None, None], phases), store)


def test_the_level_of_frames_and_phases_is_one_and_may_be_vasp():
    plan = plan_sweep(tiny_sweep(systems=[GLASS], ensemble=ENSEMBLE | {"level": "vasp-r2scan"}))
    steps = {step.name: step for step in plan.steps.values()}
    ensemble = steps["ensemble-seed1"]
    assert ensemble.maker.level == "vasp-r2scan"
    before = [plan.steps[identity] for identity in ensemble.after]
    assert len([s for s in before if s.name.startswith("frame-")]) == 4
    assert {s.name for s in before if s.name.startswith("reference-")}
    assert all(is_vasp(step.maker.level) for step in before)
    assert steps["hull-seed1"].maker.level == LEVEL


def test_what_cannot_be_is_refused():
    with pytest.raises(SweepError, match="ensemble: no candidate is a glass"):
        plan_sweep(tiny_sweep(systems=[CRYSTAL], ensemble=ENSEMBLE))
    with pytest.raises(SweepError, match="there is no MD run at this temperature"):
        plan_sweep(tiny_sweep(systems=[GLASS], ensemble=ENSEMBLE | {"temperature_k": 1000}))
    with pytest.raises(SweepError, match="the same ones of a run again and again") as refused:
        plan_sweep(tiny_sweep(systems=[GLASS], ensemble={"n_frames": 12}))
    assert "12 of 12 stored frames" in str(refused.value)
    plan_sweep(tiny_sweep(systems=[GLASS], ensemble={"n_frames": 11}))
    with pytest.raises(UnknownNameError, match=r"ensemble\.level: "):
        plan_sweep(tiny_sweep(systems=[GLASS], ensemble=ENSEMBLE | {"level": "no-such"}))


def test_other_frames_are_another_candidate_with_the_same_dynamics():
    plain, asked = (
        plan_sweep(tiny_sweep(systems=[GLASS, CRYSTAL], **k)) for k in ({}, {"ensemble": ENSEMBLE})
    )
    new = {asked.steps[i].kind for i in asked.steps.keys() - plain.steps.keys()}
    assert new == {"relax", "ensemble"}
    ids = [{c.document.candidate_id for c in plan.candidates} for plan in (plain, asked)]
    assert len(ids[0] & ids[1]) == 1  # the crystal's
