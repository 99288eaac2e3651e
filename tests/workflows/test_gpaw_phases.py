"""Levels of GPAW in sweeps: phases by themselves, shipped energies, what the doctor says."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpaw_here import needs_gpaw

from haloflow.engines import gpaw_host
from haloflow.engines.potentials import PotentialIdentity, identify
from haloflow.errors import PotentialError, SweepError
from haloflow.makers.relax import RelaxMaker
from haloflow.systems import dft_energies
from haloflow.systems.dft_energies import ComputedLevel, ComputedPhase, computed_levels
from haloflow.systems.phases import get_phase, load_phases
from haloflow.workflows import doctor, references
from haloflow.workflows.doctor import check_gpaw
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.references import shipped_energies
from haloflow.workflows.sweep import load_sweep, parse_sweep

EXAMPLE = Path(__file__).parents[2] / "examples" / "gpaw_phases.yaml"


def sweep_of(*systems):
    return parse_sweep({"name": "phases", "systems": list(systems)})


@pytest.mark.parametrize("phase_id", ["NaCl_B1", "Na_bcc", "TaCl5_C2m", "O2_alpha"])
def test_any_phase_is_relaxed_by_itself_in_its_primitive_cell(phase_id):
    (plan,) = plan_sweep(sweep_of({"crystal": phase_id, "until": "relax"})).candidates
    (step,) = plan.steps
    cell = get_phase(phase_id).structure().get_primitive_structure()
    assert isinstance(step.maker, RelaxMaker)
    assert step.inputs["start"] == cell
    assert (plan.document.n_atoms, plan.document.phase_id) == (len(cell), phase_id)


def test_a_phase_by_itself_is_another_candidate_than_the_whole():
    once, whole = plan_sweep(
        sweep_of({"crystal": "NaTaCl6_P21c", "until": "relax"}, {"crystal": "NaTaCl6_P21c"})
    ).candidates
    assert once.document.candidate_id != whole.document.candidate_id
    assert len(once.steps) == 1
    assert len(whole.steps) > 1


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"family": "namocl4", "until": "relax"}, "a family"),
        ({"components": {"NaCl": 1.0}, "until": "relax"}, "an entry of components"),
    ],
)
def test_only_crystals_end_at_their_relaxation(entry, kind):
    with pytest.raises(SweepError, match=f"{kind} takes no until"):
        plan_sweep(sweep_of(entry))


def test_the_example_relaxes_phases_of_the_library():
    sweep = load_sweep(EXAMPLE)
    ids = [entry.crystal for entry in sweep.systems]
    assert {entry.until for entry in sweep.systems} == {"relax"}
    assert set(ids) <= set(load_phases())
    assert len(set(ids)) == len(ids)
    wanted = {"NaCl_B1", "Na2O_antiCaF2", "Na2S_antiCaF2", "NaTaOCl4_Cmc21", "NaNbOCl4_Cmc21"}
    assert wanted <= set(ids)


def test_shipped_energies_count_for_their_own_settings_alone(monkeypatch):
    phase = ComputedPhase(
        phase_id="NaCl_B1", energy_ev_per_atom=-6.6, max_force_ev_a=0.0, max_stress_gpa=0.0,
        n_steps=1, identity="x", lattice=((3.0, 0.0, 0.0), (0.0, 3.0, 0.0), (0.0, 0.0, 3.0)),
        sites=(("Na", 0.0, 0.0, 0.0), ("Cl", 0.5, 0.5, 0.5)),
    )  # fmt: skip
    level = ComputedLevel(level="gpaw-pbe", weights_sha256="right", made_with={}, phases=(phase,))
    monkeypatch.setattr(dft_energies, "computed_levels", lambda: {"gpaw-pbe": level})
    found = {}
    for weights in ("right", "wrong"):
        known = PotentialIdentity("gpaw-pbe", "gpaw-pbe", "", "gpaw", "1", weights, None)
        monkeypatch.setattr(references, "identify", lambda _name, known=known: known)
        found[weights] = shipped_energies(["NaCl_B1", "Na_bcc"], "gpaw-pbe")
    assert found == {"right": {"NaCl_B1": -6.6}, "wrong": {}}
    assert phase.structure().composition.reduced_formula == "NaCl"


@needs_gpaw
@pytest.mark.parametrize("level", list(computed_levels()))
def test_what_is_shipped_is_of_the_settings_here(level):
    shipped = computed_levels()[level]
    assert shipped.weights_sha256 == identify(level).weights_sha256
    assert {phase.phase_id for phase in shipped.phases} <= set(load_phases())
    for phase in shipped.phases:
        assert phase.structure().composition.reduced_formula == (
            get_phase(phase.phase_id).composition.reduced_formula
        )


@needs_gpaw
def test_the_doctor_says_which_gpaw_is_here():
    (check,) = check_gpaw()
    assert (check.subject, check.verdict) == ("GPAW", "ok")
    assert "without Fermi hole curvature" in check.message


def test_the_doctor_says_what_is_wrong_with_a_gpaw(monkeypatch):
    def wrong():
        raise PotentialError("its libxc is wrong", remedy="make gpaw")

    monkeypatch.setattr(doctor, "is_installed", lambda: True)
    monkeypatch.setattr(doctor, "require_gpaw", wrong)
    (check,) = check_gpaw()
    assert (check.verdict, check.message, check.remedy) == (
        "problem", "its libxc is wrong", "make gpaw",
    )  # fmt: skip


def test_the_doctor_says_nothing_of_a_gpaw_that_is_not_there(monkeypatch):
    monkeypatch.setattr(gpaw_host, "package_root", lambda _module: None)
    assert check_gpaw() == []
