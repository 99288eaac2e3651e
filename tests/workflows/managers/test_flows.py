"""From a plan to flows and resources, and what managers refuse."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from tiny_sweeps import GLASS, tiny_data, tiny_sweep

from haloflow.errors import MissingDependencyError, StoreError, SweepError, UnknownNameError
from haloflow.identity import step_uuid
from haloflow.settings import get_settings
from haloflow.stores.connection import open_store
from haloflow.workflows.managers.base import cause_of, open_manager, require_server, tail_of
from haloflow.workflows.managers.flows import pending_components
from haloflow.workflows.managers.resources import resources_of
from haloflow.workflows.plan import plan_sweep


@pytest.fixture(scope="module")
def plan():
    return plan_sweep(tiny_sweep())


@pytest.fixture
def _gpu(monkeypatch):
    monkeypatch.setenv("HALOFLOW_DEVICE", "cuda")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_candidates_that_share_phases_are_one_flow_with_each_step_once(plan):
    (component,) = pending_components(plan)
    assert component.name == "tiny: 2 candidates"
    names = [step.identity for step in component.steps]
    assert sorted(names) == sorted(plan.steps)
    seen = set()
    for step in component.steps:
        assert seen.issuperset(step.after), "a parent comes later"
        seen.add(step.identity)
    flow = component.flow()
    assert list(flow.job_uuids) == [step_uuid(identity) for identity in names]


def test_what_shares_nothing_is_a_flow_of_its_own():
    plan = plan_sweep(tiny_sweep(level="chgnet-r2scan"))  # the energies of phases are shipped
    parts = pending_components(plan)
    assert [part.name for part in parts] == ["tiny: NaCl glass", "tiny: NaCl crystal (NaCl_B1)"]
    assert sum(len(part.steps) for part in parts) == plan.n_steps
    seeds = plan_sweep(tiny_sweep(systems=[GLASS], seeds=2))
    shared = {i for i, step in seeds.steps.items() if step.kind in {"hull", "relax"}}
    assert [len(part.steps) for part in pending_components(seeds, known=shared)] == [7, 7]


def test_known_steps_stand_only_where_new_ones_start_from_them(plan):
    assert pending_components(plan, known=plan.steps) == []
    by_name = {step.name: step for step in plan.steps.values()}
    known = plan.steps.keys() - {by_name["diffusion"].identity}
    (component,) = pending_components(plan, known=known)
    assert [step.name for step in component.steps] == ["phase-NaCl_B1", "md-300K", "diffusion"]


def test_resources_come_from_the_estimate_or_from_the_sweep():
    stages = {
        "md": {"cores": 4, "gpus": 1, "memory_gb": 2.5, "walltime_h": 26.5},
        "relax": {"walltime_h": 0.01},
    }
    sweep = tiny_sweep(resources=stages)
    steps = {step.kind: step for step in plan_sweep(sweep).steps.values()}
    md = resources_of(steps["md"], sweep)
    assert (md.cores, md.gpus, md.memory_gb, md.walltime) == (4, 1, 2.5, "26:30:00")
    assert (md.category, md.step_s) == ("gpu", 26.5 * 3600 - 120)
    relax = resources_of(steps["relax"], sweep)
    assert (relax.walltime, relax.step_s) == ("00:00:36", pytest.approx(27))
    analysis = resources_of(steps["diffusion"], sweep)
    assert (analysis.cores, analysis.gpus, analysis.walltime) == (1, 0, "00:30:00")
    long = tiny_sweep(md={"production_steps": 10**9, "trajectory_interval": 10**5})
    run = next(step for step in plan_sweep(long).steps.values() if step.kind == "md")
    assert resources_of(run, long).walltime == "24:00:00"


@pytest.mark.usefixtures("_gpu")
def test_on_a_gpu_what_evaluates_a_potential_asks_for_one(plan):
    asked = {step.kind: resources_of(step, plan.sweep).category for step in plan.steps.values()}
    assert (asked["md"], asked["relax"], asked["diffusion"]) == ("gpu", "gpu", "cpu")


def test_resources_of_an_unknown_stage_are_refused():
    with pytest.raises(SweepError, match=r"resources") as caught:
        tiny_sweep(resources={"quench": {"cores": 1}})
    assert "'relax', 'melt_quench', 'md' or 'analysis'" in str(caught.value)


def test_an_unknown_manager_is_refused():
    with pytest.raises(UnknownNameError, match=r"unknown manager") as caught:
        open_manager("firework")
    assert "did you mean fireworks" in str(caught.value)


def test_a_manager_that_is_not_installed_names_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "fireworks", None)
    for name in list(sys.modules):
        if name.startswith("haloflow.workflows.managers.fireworks"):
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingDependencyError, match=r"fireworks") as caught:
        open_manager("fireworks")
    assert "haloflow[fireworks]" in str(caught.value)


def test_an_embedded_store_is_refused(tmp_path):
    with (
        open_store(tmp_path) as store,
        pytest.raises(StoreError, match=r"cannot share an embedded store") as caught,
    ):
        require_server(store)
    assert "haloflow db start" in str(caught.value)


def test_fireworks_without_configuration_says_where_it_looks(tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_data()))
    done = subprocess.run(
        [sys.executable, "-c", "from haloflow.cli.main import run; run()",
         "submit", "tiny.yaml", "--to", "fireworks"],
        cwd=tmp_path, env={"HOME": str(tmp_path), "COLUMNS": "300"}, text=True,
        capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert "FireWorks is not configured on this machine" in done.stderr
    assert "FW_CONFIG_FILE" in done.stderr


def test_the_cause_is_the_last_line_of_a_traceback():
    text = "Traceback:\n" + "  deep\n" * 30 + "ValueError: no\n\n"
    assert cause_of(text) == "ValueError: no"
    assert tail_of(text).splitlines()[-1] == "ValueError: no"
    assert len(tail_of(text).splitlines()) == 12
    assert cause_of("") == "it left no message"
