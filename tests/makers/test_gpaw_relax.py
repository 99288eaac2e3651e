"""A relaxation by GPAW as a step: one document, and what its numbers were made with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gpaw_here import needs_gpaw

from haloflow.engines import potentials
from haloflow.engines.gpaw_levels import gpaw_level
from haloflow.engines.potentials import identify
from haloflow.errors import EngineError
from haloflow.makers.relax import RelaxMaker, StaticMaker
from haloflow.quantity import Status
from haloflow.systems.dft_energies import computed_levels
from haloflow.systems.phases import get_phase


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
