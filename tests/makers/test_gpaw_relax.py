"""Relaxation and labels by GPAW as steps: documents, and what their numbers were made with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gpaw_here import needs_gpaw
from pair_potential import LEVEL
from tiny_sweeps import GLASS, tiny_sweep

from haloflow.engines import potentials
from haloflow.engines.gpaw_levels import gpaw_level
from haloflow.engines.potentials import identify, load_potential
from haloflow.errors import EngineError
from haloflow.makers.md import MDMaker
from haloflow.makers.relax import RelaxMaker, StaticMaker
from haloflow.makers.training_set import TrainingSetMaker, read_set
from haloflow.quantity import Status
from haloflow.systems.dft_energies import computed_levels
from haloflow.systems.phases import get_phase
from haloflow.workflows.plan import plan_sweep


@pytest.fixture
def coarse_levels(monkeypatch):
    """Levels of GPAW that cost seconds."""

    def coarse(name, **settings):
        return replace(gpaw_level(name), cutoff_ev=350.0, kspacing=1.0, **settings)

    monkeypatch.setattr(potentials, "gpaw_level", coarse)
    return coarse


def salt():
    return get_phase("NaCl_B1").structure().get_primitive_structure()


@needs_gpaw
def test_a_relaxation_by_gpaw_is_a_step_like_any_other(workshop, coarse_levels):
    found = workshop.run(RelaxMaker(level="gpaw-pbe", fmax_ev_a=0.02), salt())
    assert (found.status, found.level) == (Status.OK, "gpaw-pbe")
    assert found.max_stress_gpa < 0.1
    assert 0 < found.n_steps < 10
    record, packages = found.provenance.potential, found.provenance.packages
    assert record.weights_sha256 == identify("gpaw-pbe").weights_sha256
    assert (record.package, record.package_version) == ("gpaw", packages["gpaw"])
    assert packages["libxc"].endswith(", Fermi hole curvature off")
    assert packages["PAW Cl"].startswith("Cl.PBE sha256 ")


@needs_gpaw
def test_electrons_that_do_not_converge_fail_the_step_with_their_cause(workshop, monkeypatch):
    def hopeless(name):
        return replace(gpaw_level(name), cutoff_ev=300.0, kspacing=3.0, most_iterations=2)

    monkeypatch.setattr(potentials, "gpaw_level", hopeless)
    with pytest.raises(EngineError, match="the electrons did not converge"):
        workshop.run(RelaxMaker(level="gpaw-pbe"), salt())
    (failure,) = workshop.store.failures.query()
    assert "the electrons did not converge" in str(failure)


@needs_gpaw
@pytest.mark.skipif("gpaw-r2scan" not in computed_levels(), reason="nothing is shipped yet")
def test_rock_salt_has_its_shipped_energy(workshop):
    shipped = computed_levels()["gpaw-r2scan"]
    assert shipped.weights_sha256 == identify("gpaw-r2scan").weights_sha256
    (phase,) = (phase for phase in shipped.phases if phase.phase_id == "NaCl_B1")
    found = workshop.run(StaticMaker(level="gpaw-r2scan"), phase.structure())
    assert found.energy_ev_per_atom.value == pytest.approx(phase.energy_ev_per_atom, abs=1e-4)
    assert found.max_stress_gpa == pytest.approx(phase.max_stress_gpa, abs=0.02)


@needs_gpaw
def test_gpaw_labels_frames_as_any_teacher(workshop, monkeypatch):
    one_point = {"cutoff_ev": 300.0, "kspacing": 3.0}
    monkeypatch.setattr(
        potentials, "gpaw_level", lambda name: replace(gpaw_level(name), **one_point)
    )
    maker = MDMaker(
        level=LEVEL, temperature_k=300, equilibration_steps=0, production_steps=60,
        trajectory_interval=3, full_cell=True,
    )  # fmt: skip
    runs = [workshop.run(replace(maker, seed=seed), salt()) for seed in (1, 2, 3)]
    teacher = TrainingSetMaker(level="gpaw-pbe", frames_per_run=1, least_distance=0.0)
    found = workshop.run(teacher, runs)
    known = identify("gpaw-pbe")
    assert (found.level, found.level_sha256) == (known.level, known.weights_sha256)
    assert (found.n_failed, found.n_strained, sum(found.n_frames.values())) == (0, 0, 3)
    assert found.provenance.packages["libxc"].endswith(", Fermi hole curvature off")
    assert found.provenance.packages["PAW Cl"].startswith("Cl.PBE sha256 ")
    (frame,) = read_set(found, workshop.store.files, "test")
    calculator = load_potential("gpaw-pbe").calculator
    calculator.calculate(frame)
    assert frame.get_potential_energy() == pytest.approx(
        calculator.results["free_energy"], abs=1e-5
    )
    assert frame.get_forces() == pytest.approx(calculator.results["forces"], abs=2e-3)
    assert frame.get_stress() == pytest.approx(calculator.results["stress"], abs=1e-4)
    assert abs(frame.get_forces()).max() > 0.01


@needs_gpaw
def test_gpaw_may_teach_in_a_sweep():
    plan = plan_sweep(tiny_sweep(systems=[GLASS], fine_tune={"teacher": "gpaw-pbe"}))
    (frames,) = (step for step in plan.steps.values() if step.kind == "training_set")
    assert isinstance(frames.maker, TrainingSetMaker)
    assert frames.maker.levels == ("gpaw-pbe",)
