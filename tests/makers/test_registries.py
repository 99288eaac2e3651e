"""Chain registries relaxed for real, loosely."""

import pytest
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

from haloflow.engines.relax_settings import RelaxResult
from haloflow.errors import InputError
from haloflow.makers.registries import RegistryMaker, _by_energy
from haloflow.makers.step import StepContext, parents_of, plan_job
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.records import step_of
from haloflow.stores.registry_documents import RegistryDocument
from haloflow.systems.phases import get_phase
from haloflow.systems.registries import chain_registries


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


def test_polar_starts_that_relax_to_the_centre_become_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    structure = get_phase("NaTaOCl4_Cmc21").structure().get_primitive_structure()
    maker = RegistryMaker(shifts=(0.0,), off_centre_a=0.1, fmax_ev_a=0.05, max_steps=40)
    with open_store(str(tmp_path / "store")) as store:
        document = _run(store, maker, structure)
    first, second = document.registries
    assert {first.label, second.label} == {"0+ 0+", "0+ 0-"}
    assert (first.relaxed_into, second.relaxed_into) == (None, first.label)
    assert second.relative_energy_mev_per_atom.value < 1.0


def test_a_relaxation_that_broke_down_stands_last_and_without_energy():
    structure = get_phase("NaTaOCl4_Cmc21").structure().get_primitive_structure()
    registries = chain_registries(structure, "Ta", off_centre_a=None)
    results = [
        RelaxResult(status, note, AseAtomsAdaptor.get_atoms(r.structure), energy, 0.1, 0.0, 9, 0)
        for r, (status, note, energy) in zip(
            registries,
            [(Status.DIVERGED, "the volume grew", -999.0), (Status.OK, "", -190.0)],
            strict=True,
        )
    ]
    sound, broken = _by_energy(registries, results)
    assert (sound.label, broken.label) == ("0 1/2", "0 0")
    assert sound.relative_energy_mev_per_atom.value == 0.0
    assert broken.energy_ev_per_atom.value is None
    assert broken.relative_energy_mev_per_atom.value is None
    assert broken.relative_energy_mev_per_atom.status is Status.DIVERGED
    assert broken.relative_energy_mev_per_atom.note == "the volume grew"


def test_a_crystal_without_chains_is_refused(tmp_path):
    structure = get_phase("NaCl_B1").structure()
    context = StepContext("0" * 64, tmp_path / "step", tmp_path, {})
    with pytest.raises(InputError, match=r"there are no chains of Ta and O\. Given: NaCl"):
        RegistryMaker().work(structure, context)
