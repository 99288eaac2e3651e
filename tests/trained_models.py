"""Trained models as their step stores them, with random weights."""

from __future__ import annotations

import pytest
from pymatgen.core import Composition
from random_nep import random_nep
from sample_documents import provenance
from tiny_frames import rattled_salt

from haloflow.engines.domain import NepDomain, domain_path
from haloflow.engines.potentials import identify
from haloflow.identity import file_sha256, step_uuid
from haloflow.quantity import Quantity, Status
from haloflow.settings import get_settings
from haloflow.stores.documents import FileReference
from haloflow.stores.domain_report import ErrorTable
from haloflow.stores.fine_tuning import FineTuning, TrainingEpoch
from haloflow.stores.models import TrainedModelDocument
from haloflow.stores.student_checks import (
    Agreement,
    ComparedRun,
    LongRun,
    StudentCheck,
    StudentCheckDocument,
)
from haloflow.stores.training import DataDomain

ERRORS = ErrorTable(
    energy_mae_mev_per_atom=2.0, energy_rmse_mev_per_atom=3.0, force_mae_mev_a=76.0,
    force_rmse_mev_a=110.0, stress_mae_gpa=0.1, stress_rmse_gpa=0.2, force_rms_mev_a=900.0,
    force_mae_of_element_mev_a={"Na": 60.0}, n_frames=20,
)  # fmt: skip


def fine_tuning(losses, *, stopped_early=False):
    """Return a training whose validation losses were these, that of its start first."""
    history = [
        TrainingEpoch(
            epoch=epoch, learning_rate=1e-3, train_loss=None, validation_loss=loss,
            energy_mev_per_atom=1.0, force_mev_a=50.0, stress_gpa=None,
        )
        for epoch, loss in enumerate(losses)
    ]  # fmt: skip
    return FineTuning(
        parent_level="chgnet-r2scan", settings={}, n_parameters_trained=1, reference_shift_ev={},
        best_epoch=losses.index(min(losses)), stopped_early=stopped_early, history=history,
        parent_errors=None, errors_at={},
    )  # fmt: skip


def change_machine(monkeypatch, folder):
    """Keep fetched files and trained models in a folder from now on, as another machine would."""
    monkeypatch.setenv("HALOFLOW_CACHE_DIR", str(folder))
    get_settings.cache_clear()


@pytest.fixture
def own_machine(tmp_path, monkeypatch):
    """Begin on a machine that holds no trained models."""
    change_machine(monkeypatch, tmp_path / "machine-a")
    yield
    get_settings.cache_clear()


def put_model(store, seed, *, us=25.0, formulas=("NaCl",), kelvin=(200.0, 700.0), status=Status.OK):
    """Store a trained model as its step does, and return its document."""
    identity = f"{seed:064d}"
    folder = store.files_dir / identity[:2] / identity
    folder.mkdir(parents=True)
    weights = random_nep(folder / "student.nep.txt", seed=seed)
    NepDomain.of_frames(weights, rattled_salt(4, seed=1)).save()
    files = [
        FileReference(
            path=path.relative_to(store.files_dir).as_posix(), sha256=file_sha256(path),
            n_bytes=path.stat().st_size, role=role,
        )
        for path, role in ((weights, "weights"), (domain_path(weights), "domain"))
    ]  # fmt: skip
    document = TrainedModelDocument(
        identity=identity, provenance=provenance(), files=files, architecture="nep",
        status=status, note="" if status is Status.OK else "its runs leave the domain",
        level=identify(f"nep:{weights}").level, weights_sha256=file_sha256(weights),
        teacher="chgnet-r2scan-d3", teacher_sha256="0" * 64, data_hash="1" * 64,
        errors={"test": ERRORS}, select_grade=2.0, stop_grade=10.0, rounds=[], repulsion_ev_a={},
        domain=DataDomain(
            elements=sorted(Composition(formulas[0]).as_dict()), formulas=list(formulas),
            temperature_k=kelvin, density_g_cm3=(1.8, 2.3),
        ),
        us_per_atom_step=us,
    )  # fmt: skip
    row = {"uuid": step_uuid(identity), "index": 1, "output": document.model_dump(mode="json")}
    store.outputs.update([row], key="uuid")
    return document


def put_check(store, student):
    """Store the check of a student whose density is wrong, and return its document."""
    identity = f"{9:064d}"
    density = Agreement(
        what="density / g/cm3", teacher=Quantity(2.0, sd=0.01), student=Quantity(2.3),
        limit=0.04, status=Status.OUT_OF_DOMAIN,
    )  # fmt: skip
    run = ComparedRun(
        source="2" * 64, formula="NaCl", temperature_k=300, n_atoms=64, duration_ps=3.0,
        status=Status.OK, agreements=[density],
    )  # fmt: skip
    alone = LongRun(
        formula="NaCl", temperature_k=600, n_atoms=64, duration_ps=200, asked_ps=200,
        status=Status.OK, share_above=0.01,
    )  # fmt: skip
    document = StudentCheckDocument(
        identity=identity, provenance=provenance(), files=[], level=student.level,
        weights_sha256=student.weights_sha256, teacher=student.teacher,
        check=StudentCheck(runs=[run], long_runs=[alone]),
    )  # fmt: skip
    row = {"uuid": step_uuid(identity), "index": 1, "output": document.model_dump(mode="json")}
    store.outputs.update([row], key="uuid")
    return document
