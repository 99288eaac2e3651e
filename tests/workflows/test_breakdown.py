"""Sweeps whose physics breaks down: no failure, and nothing runs that has no start."""

from __future__ import annotations

import pytest
from pair_potential import LEVEL
from tiny_sweeps import GLASS, tiny_sweep
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.errors import SweepError
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.run import run_sweep
from haloflow.workflows.status import candidate_states, find_summary
from haloflow.workflows.sweep import load_sweep

SWEEP = f"""
name: broken
level: "{LEVEL}"
stages: {{melt_quench: "{LEVEL}&nan_after=30"}}
systems: [{{components: {{NaCl: 1}}, phase: glass}}]
seeds: 1
size: {{glass_n_atoms: 16}}
relax: {{fmax_ev_a: 0.2, max_steps: 20}}
melt_quench: {{melt_temperature_k: 600, melt_steps: 60, hold_steps: 20, quench_steps: 30,
  prerelax_steps: 20, npt_block_steps: 20, npt_max_blocks: 3, trajectory_interval: 5}}
md: {{temperatures_k: [300], equilibration_steps: 20, production_steps: 60,
  trajectory_interval: 5}}
"""


def test_what_starts_from_a_diverged_glass_does_not_run_and_is_no_failure(tmp_path, without_torch):
    path, store_uri = tmp_path / "broken.yaml", str(tmp_path / "store")
    path.write_text(SWEEP)
    arguments = ["run", str(path), "--store", store_uri, "-j", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "0 failed" in text
    assert "7 steps do not run: the physics before broke down" in text
    assert "NaCl glass: hull-seed1: not run: melt_quench-seed1 diverged" in text
    with open_store(store_uri) as store:
        summary = find_summary(store, "NaCl glass")
        (candidate,) = candidate_states(store)
        plan = plan_sweep(load_sweep(path), store)
    for quantity in (summary.energy_above_hull_ev_per_atom, summary.sigma_300k_ms_cm):
        assert quantity.status is Status.DIVERGED
        assert quantity.note.startswith("melt_quench-seed1 diverged: ")
    skipped = {state.name for state in candidate.steps if state.state == "skipped"}
    assert skipped == {plan.steps[identity].name for identity in plan.skipped}
    assert len(skipped) == 7
    assert not plan.to_run
    assert summary.complete

    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert "0 steps done, 4 reused, 0 failed" in " ".join(again.output.split())


def test_over_budget_and_force_are_two_things(tmp_path, without_torch):
    store_uri = str(tmp_path / "store")
    sweep = tiny_sweep(systems=[GLASS], budget={"core_hours": 1e-9}, seeds=1)
    with pytest.raises(SweepError, match="or pass --over-budget"):
        run_sweep(sweep, store_uri, force=True)
    report = run_sweep(sweep, store_uri, workers=2, over_budget=True)
    assert report.failures == []
    assert report.n_done == report.plan.n_steps
    again = run_sweep(sweep, store_uri)
    assert (again.n_done, again.n_reused) == (0, report.n_done)
    with pytest.raises(SweepError, match="or pass --over-budget"):
        run_sweep(sweep, store_uri, force=True)
    with open_store(store_uri) as store:
        assert store.outputs.count() == report.n_done


@pytest.fixture
def without_torch(monkeypatch):
    folder = __file__.rpartition("/workflows/")[0]
    monkeypatch.syspath_prepend(f"{folder}/without_torch")
