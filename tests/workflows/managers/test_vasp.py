"""VASP in a queue: r2SCAN and its hull, a glass learnt on the fly, and bands, by real custodian.

The same steps by jobflow's `run_locally` and by Slurm, with a stand-in for VASP.
"""

from __future__ import annotations

import pytest
import yaml
from jobflow import Flow, run_locally
from pair_potential import LEVEL
from tiny_sweeps import GLASS, tiny_data
from vasp_stand_in import stand_in_of_a_test

from haloflow.makers.step import release_claims
from haloflow.stores.connection import open_store
from haloflow.stores.purpose import mark_for_tests
from haloflow.stores.records import step_of
from haloflow.stores.results import stored_outputs
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.sweep import parse_sweep

R2SCAN = "vasp-r2scan"
SHORT = {
    "melt_temperature_k": 400, "final_temperature_k": 200, "melt_steps": 12, "hold_steps": 6,
    "quench_steps": 12, "npt_block_steps": 10, "npt_max_blocks": 2, "prerelax_steps": 80,
    "density_scale": 0.8, "trajectory_interval": 2,
}  # fmt: skip
BANDS = {"level": R2SCAN, "max_distance_a": 3.6, "per_kind": 1, "n_images": 1, "max_steps": 8}


def sweep_data():
    made = tiny_data(
        name="vasp",
        systems=[GLASS],
        size={"glass_n_atoms": 16},
        relax={"fmax_ev_a": 0.1, "max_steps": 60},
        melt_quench=SHORT,
        md={"temperatures_k": [300], "production_steps": 20},
        neb=BANDS,
    )
    del made["level"]
    made["stages"] = {"relax": R2SCAN, "hull": R2SCAN, "melt_quench": R2SCAN, "md": LEVEL}
    return made


def results(store, plan):
    """Return the documents by the names of their steps."""
    outputs = stored_outputs(store, plan.steps)
    return {step.name: step_of(outputs[i]) for i, step in plan.steps.items()}


stand_in = pytest.fixture(stand_in_of_a_test)


@pytest.fixture
def by_hand(stand_in, tmp_path, monkeypatch):
    """Return what `run_locally` makes of all steps as one flow."""
    folder = tmp_path / "by-hand"
    folder.mkdir()
    monkeypatch.chdir(folder)
    plan = plan_sweep(parse_sweep(sweep_data()))
    flow = Flow([step.to_job() for step in plan.steps.values()])
    with open_store(str(folder / "store")) as store:
        mark_for_tests(store)
        run_locally(flow, log=False, ensure_success=True, raise_immediately=True,
                    store=store.jobstore)  # fmt: skip
        release_claims()
        return results(store, plan)


def test_the_same_of_r2scan_glasses_and_bands_by_hand_and_through_slurm(
    by_hand, stand_in, site, slurm
):
    site.environment |= stand_in.environment
    (site.folder / "vasp.yaml").write_text(yaml.safe_dump(sweep_data()))
    with site.open() as store:
        mark_for_tests(store)
    site.haloflow("submit", "vasp.yaml", "--to", "fireworks")
    site.queue_through(slurm)
    site.qlaunch()
    plan = plan_sweep(parse_sweep(sweep_data()))
    with site.open() as store:
        queued = results(store, plan)
    assert queued.keys() == by_hand.keys()

    relaxed = queued["relax-seed1"]
    assert relaxed.level == R2SCAN
    assert relaxed.energy_ev_per_atom.value == by_hand["relax-seed1"].energy_ev_per_atom.value
    assert relaxed.provenance.potential.package == "vasp"
    hull = "energy_above_hull_ev_per_atom"
    assert getattr(queued["hull-seed1"], hull) == getattr(by_hand["hull-seed1"], hull)

    glass = queued["melt_quench-seed1"]
    parts = {file.role for file in glass.files}
    assert {"trajectory-melt", "trajectory-hold", "trajectory-quench"} <= parts
    assert glass.structure == by_hand["melt_quench-seed1"].structure

    bands, others = queued["neb-seed1"], by_hand["neb-seed1"]
    assert bands.level == R2SCAN
    assert [hop.energies_ev for hop in bands.hops] == [hop.energies_ev for hop in others.hops]
    assert [hop.barrier_ev for hop in bands.hops] == [hop.barrier_ev for hop in others.hops]
    assert "nothing to do" in site.haloflow("resume")
