"""`haloflow run` of a sweep at the level of r2SCAN: plan, VASP, hull, store, summary."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pair_potential import LEVEL
from tiny_sweeps import CRYSTAL, GLASS, tiny_data

from haloflow.errors import SweepError
from haloflow.makers.vasp import VaspRelaxMaker
from haloflow.makers.vasp_glass import VaspMeltQuenchMaker
from haloflow.makers.vasp_md import VaspMDMaker
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.purpose import mark_for_tests
from haloflow.workflows.lookup import read_documents
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.sweep import parse_sweep

TESTS = Path(__file__).parents[1]
TIMEOUT_S = 580.0
VASP = {"relax": "vasp-r2scan", "hull": "vasp-r2scan", "melt_quench": LEVEL, "md": LEVEL}


def data(**stages):
    made = tiny_data(name="vasp", systems=[CRYSTAL], md={"production_steps": 20})
    del made["level"]
    made["stages"] = VASP | stages
    made["relax"] = {"fmax_ev_a": 0.1, "max_steps": 200}
    return made


def run(folder, environment):
    code = "from haloflow.cli.main import run; run()"
    path = os.pathsep.join([str(TESTS), str(TESTS / "without_torch")])
    return subprocess.run(
        [sys.executable, "-c", code, "run", "vasp.yaml", "--store", "store", "-j", "2"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, **environment, "PYTHONPATH": path, "COLUMNS": "120"},
        check=False,
    )


@pytest.mark.timeout(600)  # nine runs of VASP and all other steps of a sweep
def test_a_sweep_at_r2scan_runs_end_to_end(stand_in, tmp_path):
    (tmp_path / "vasp.yaml").write_text(yaml.safe_dump(data()))
    with open_store(tmp_path / "store") as store:
        mark_for_tests(store)
    done = run(tmp_path, stand_in.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    sweep = parse_sweep(data())
    with open_store(tmp_path / "store") as store:
        plan = plan_sweep(sweep, store)
        assert plan.to_run == {}
        candidate = plan.candidates[0].document
        documents = read_documents(store, candidate).documents
        files = {f.role for f in documents["relax"].files}
        there = all((store.files_dir / f.path).is_file() for f in documents["relax"].files)
    relaxed, hull = documents["relax"], documents["hull"]
    assert relaxed.level == hull.level == "vasp-r2scan"
    assert relaxed.status is hull.status is Status.OK
    assert relaxed.max_force_ev_a <= 0.02  # the level's own, not the looser one asked for
    assert {entry.phase_id for entry in hull.entries} == {"Na_bcc", "Cl2_Cmce"}
    energies = {
        name: documents[name].energy_ev_per_atom.value
        for name in ("relax", "phase-Na_bcc", "phase-Cl2_Cmce")
    }
    salt, sodium, chlorine = energies.values()
    assert hull.energy_ev_per_atom == salt
    assert hull.formation_energy_ev_per_atom == pytest.approx(salt - (sodium + chlorine) / 2)
    assert salt < (sodium + chlorine) / 2
    assert there
    assert {role.partition("/")[0] for role in files} == {
        "vasp-relax1", "vasp-relax2", "vasp-static",
    }  # fmt: skip
    provenance = relaxed.provenance
    assert provenance.potential.package == "vasp"
    assert provenance.potential.package_version.startswith("6.4.2 ")
    assert provenance.packages["POTCAR Na_pv"] == "PAW_PBE Na_pv 19Sep2006"
    assert documents["md-300K"].level == LEVEL  # dynamics by a potential, energies by DFT


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({"registries": True}, "relax, with registries"),
        (
            {
                "stages": VASP | {"md": "vasp-pbe"},
                "md": {"tether": {"species": ["Cl"], "alpha_ev_a2": 1.0}},
            },
            "md, with md.tether",
        ),
    ],
)
def test_what_vasp_does_not_run_is_refused(changes, stage):
    sweep = parse_sweep(data() | changes)
    with pytest.raises(
        SweepError, match=f"stages.{stage}: VASP relaxes, melts and quenches"
    ) as refused:
        plan_sweep(sweep)
    assert "name a potential for this stage" in str(refused.value)


def test_one_level_of_vasp_for_all_stages_plans_aimd_and_learnt_glasses():
    made = data()
    del made["stages"]
    plan = plan_sweep(parse_sweep(made | {"level": "vasp-r2scan", "systems": [CRYSTAL, GLASS]}))
    makers = {step.name: step.maker for step in plan.steps.values()}
    assert isinstance(makers["md-300K"], VaspMDMaker)
    assert isinstance(makers["melt_quench-seed1"], VaspMeltQuenchMaker)
    assert isinstance(makers["relax-seed1"], VaspRelaxMaker)
    levels = {maker.level for maker in makers.values() if hasattr(maker, "level")}
    assert levels == {"vasp-r2scan"}


def test_the_plan_needs_no_vasp_and_shares_the_phase_that_is_the_candidate(monkeypatch):
    monkeypatch.setenv("ATOMATE2_VASP_CMD", "/nowhere/vasp_std")
    plan = plan_sweep(parse_sweep(data()))
    relaxations = [step for step in plan.steps.values() if step.kind == "relax"]
    assert {step.maker.level for step in relaxations} == {"vasp-r2scan", LEVEL}
    assert len([s for s in relaxations if s.maker.level == "vasp-r2scan"]) == 3
    steps = plan.candidates[0].document.steps
    assert steps["phase-NaCl_B1"] == steps["relax"]
