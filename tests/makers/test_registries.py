"""Chain registries relaxed for real, loosely."""

import pytest
from jobflow import run_locally

from haloflow.makers.registries import RegistryMaker
from haloflow.makers.step import parents_of, plan_job
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.documents import RegistryDocument
from haloflow.stores.records import step_of
from haloflow.systems.phases import get_phase


def _run(store, maker, structure):
    parents = parents_of(structure)
    identity = maker.identity(parents)
    job = plan_job(maker, {"start": structure}, parents, name="registries", identity=identity)
    outputs = run_locally(job, log=False, ensure_success=True, store=store.jobstore)
    return step_of(outputs[job.uuid][1].output)


def test_registries_are_relaxed_compared_and_reused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    structure = get_phase("NaTaOCl4_Cmc21").structure().get_primitive_structure()
    maker = RegistryMaker(off_centre_a=None, fmax_ev_a=0.3, max_steps=25, checkpoint_interval=10)
    with open_store(str(tmp_path / "store")) as store:
        document = _run(store, maker, structure)
        again = _run(store, maker, structure)
    assert isinstance(document, RegistryDocument)
    assert again.provenance.wall_s == document.provenance.wall_s  # the stored document
    lowest, higher = document.registries
    assert {lowest.label, higher.label} == {"0 0", "0 1/2"}
    assert lowest.relative_energy_mev_per_atom.value == 0.0
    difference = higher.energy_ev_per_atom.value - lowest.energy_ev_per_atom.value
    assert higher.relative_energy_mev_per_atom.value == pytest.approx(1e3 * difference)
    assert 0.0 < higher.relative_energy_mev_per_atom.value < 60.0
    unshifted = lowest if lowest.label == "0 0" else higher
    stored = get_phase("NaTaOCl4_Cmc21").energy_per_atom_ev["chgnet-0.4.2-r2scan"]
    assert unshifted.energy_ev_per_atom.value == pytest.approx(stored, abs=1e-3)
    assert unshifted.energy_ev_per_atom.status is Status.OK
    assert higher.relaxed_into is None
    assert document.level == document.provenance.potential.level
    assert document.status is max(
        (r.energy_ev_per_atom.status for r in document.registries), key=lambda s: s.severity
    )
    for row in document.registries:
        assert row.structure.composition == structure.composition
        assert row.n_steps <= 25
