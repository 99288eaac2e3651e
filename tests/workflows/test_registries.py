"""The step of the chain registries as a sweep plans it, run for real with a pair potential."""

from __future__ import annotations

from jobflow import run_locally
from tiny_sweeps import tiny_sweep

from haloflow.makers.step import release_claims
from haloflow.stores.connection import open_store
from haloflow.stores.records import step_of
from haloflow.stores.registry_documents import RegistryDocument
from haloflow.workflows.plan import plan_sweep


def test_the_planned_step_is_run_stored_and_found_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    systems, size = [{"crystal": "NaTaOCl4_Cmc21"}], {"crystal_max_atoms": 32}
    relax = {"max_steps": 4}
    sweep = tiny_sweep(systems=systems, size=size, relax=relax, registries=True)
    (step,) = (s for s in plan_sweep(sweep).steps.values() if s.kind == "registries")
    with open_store(str(tmp_path / "store")) as store:
        run_locally(step.to_job(), log=False, ensure_success=True, store=store.jobstore)
        release_claims()
        document = step_of(store.outputs.query_one({"output.kind": "registries"})["output"])
        again = plan_sweep(sweep, store)
    assert isinstance(document, RegistryDocument)
    assert document.identity == step.identity
    assert document.registries[0].relative_energy_mev_per_atom.value == 0.0
    assert len(document.registries) == 4
    assert sum(row.multiplicity for row in document.registries) == 8
    assert step.identity in again.done
    assert step.identity not in again.to_run
