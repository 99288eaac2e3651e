"""The students that come with the package: files, cards, and their teacher's word on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymatgen.io.ase import AseAtomsAdaptor

from haloflow.engines.assessment import errors_of
from haloflow.engines.domain import NepDomain, share_above
from haloflow.engines.labels import label_frames
from haloflow.engines.md import MDSettings
from haloflow.engines.potentials import load_potential
from haloflow.engines.relax import relax
from haloflow.engines.relax_settings import RelaxSettings
from haloflow.engines.trained_models import SHIPPED, find_trained
from haloflow.makers.trials import Trial, run_trial
from haloflow.quantity import Status
from haloflow.systems.packing import pack
from haloflow.workflows.candidates import expand
from haloflow.workflows.model_export import card_of
from haloflow.workflows.models import RunDomain, choose_model, known_models
from haloflow.workflows.sweep import load_sweep

EXAMPLES = Path(__file__).parents[2] / "examples" / "students"
NAMES = sorted(path.stem for path in SHIPPED.glob("*.json"))
HOT_K = 1200.0


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def student(name):
    potential = f"nep:{find_by_card(name).document.weights_sha256[:12]}"
    return load_potential(potential), NepDomain.load(find_trained(potential).path("weights"))


def find_by_card(name):
    sha256 = (SHIPPED / f"{name}.md").read_text().partition("weights | `")[2].partition("`")[0]
    (found,) = [one for one in known_models(None).models if one.document.weights_sha256 == sha256]
    return found


def glasses(name):
    sweep = load_sweep(EXAMPLES / f"{name}.yaml")
    return [one for one in expand(sweep) if one.phase == "glass"]


def test_each_is_four_files_and_has_its_sweep():
    kinds = ("json", "md", "nep.domain.npz", "nep.txt")
    assert sorted(path.name for path in SHIPPED.iterdir()) == sorted(
        ["README.md", *(f"{name}.{kind}" for name in NAMES for kind in kinds)]
    )
    assert {*NAMES} <= {path.stem for path in EXAMPLES.glob("*.yaml")}


def test_they_are_sound_and_within_their_limits(name):
    found = find_by_card(name)
    assert found.is_shipped
    assert found.document.status is Status.OK
    assert found.check is not None
    assert found.check.problems == []
    assert {run.status for run in found.check.long_runs} == {Status.OK}
    table = found.document.errors["test"]
    assert table.force_mae_mev_a <= max(120.0, 0.1 * table.force_rms_mev_a)
    assert table.energy_mae_mev_per_atom <= 5.0


def test_the_card_is_what_the_document_says(name):
    card = (SHIPPED / f"{name}.md").read_text()
    written = card_of(find_by_card(name), name, None).markdown()
    assert {*written.splitlines()} <= {*card.splitlines()} | {
        line for line in written.splitlines() if line.startswith(("| data |", "Means of"))
    }  # what the training set alone knows


def test_auto_takes_it_for_each_glass_of_its_sweep(name):
    models = known_models(None).models
    for candidate in glasses(name):
        run = RunDomain(candidate.mixture.composition, (300.0, HOT_K))
        choice = choose_model(models, run, "chgnet-r2scan-d3")
        assert choice.model is not None, choice.reason


def test_its_teacher_agrees_on_a_melt_that_it_makes_of_a_packing(name, student, tmp_path):
    potential, domain = student
    mixture = glasses(name)[0].mixture
    box = pack(mixture, mixture.integer_units(target_n_atoms=50), seed=99)
    packed = AseAtomsAdaptor.get_atoms(box.structure, msonable=False)
    settings = RelaxSettings(fmax_ev_a=0.5, cell=None, max_steps=100)
    calm = relax(packed, potential.calculator, tmp_path / "relax", settings, signature="calm")
    start = calm.atoms.copy()
    md = MDSettings("nvt-langevin", HOT_K, n_steps=3000, timestep_fs=2.0, seed=7)
    tried = run_trial(
        Trial("melt", start, md), potential.calculator, domain, tmp_path / "md",
        signature="melt", stop_grade=10.0,
    )  # fmt: skip
    assert tried.result.status is Status.OK, tried.result.note
    assert share_above(domain, tried.frames) <= 0.05
    teacher = load_potential("chgnet-r2scan-d3").calculator
    picked = [tried.frames[i] for i in (len(tried.frames) // 2, -1)]
    table = errors_of(
        potential.calculator, label_frames(picked, teacher, tmp_path / "labels", signature="d3")
    )
    assert table.force_mae_mev_a <= max(150.0, 0.15 * table.force_rms_mev_a)
    assert table.energy_mae_mev_per_atom <= 15.0
    assert np.isfinite(table.stress_mae_gpa)
