"""The card of a model in Markdown: what is known is said, what is not is not made up."""

from __future__ import annotations

import pytest
from sample_documents import provenance
from trained_models import ERRORS, own_machine, put_check, put_model  # noqa: F401  (a fixture)

from haloflow.quantity import Quantity, Status
from haloflow.stores.connection import open_store
from haloflow.stores.fine_tuning import FineTuning, TemperatureErrors, TrainingEpoch
from haloflow.stores.models import LearningRound, TrialRun
from haloflow.stores.training import FrameGroup, TrainingSetDocument
from haloflow.workflows.model_cards import ModelCard
from haloflow.workflows.model_export import card_of
from haloflow.workflows.models import stored_models

pytestmark = pytest.mark.usefixtures("own_machine")


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store") as opened:
        yield opened


def card(document, data=None):
    return ModelCard("na-cl", f"nep:{document.weights_sha256[:12]}", document, data).markdown()


def trial(share):
    return TrialRun(
        name="01-NaCl-400K", formula="NaCl", ensemble="npt-isotropic", temperature_k=400,
        density_g_cm3=(2.0, 2.1), n_steps=300, status=Status.OK, share_above=share,
        largest_grade=2.5, n_selected=3, teacher_errors=None,
    )  # fmt: skip


def test_limits_are_those_of_its_training_and_of_its_check(store):
    document = put_model(store, 1, status=Status.OUT_OF_DOMAIN)
    assert "Its training ended as out_of_domain: its runs leave the domain." in card(document)
    learned = LearningRound(
        n_train=40, epochs=5, best_epoch=4, rmse={}, runs=[trial(0.0), trial(0.125)], n_new=3
    )
    put_check(store, document)
    (model,) = stored_models(store)
    own = card_of(model, "na-cl", store).document.model_copy(update={"rounds": [learned]})
    text = card(own)
    assert "Of its 2 trial runs, 01-NaCl-400K left the domain most: 12.5% of the frames" in text
    assert "- NaCl at 300 K: density / g/cm3 2.3, teacher 2." in text
    assert "passes 10, and count as such" in text


def test_data_are_counted_by_where_they_come_from(store):
    document = put_model(store, 1)
    groups = [
        FrameGroup(
            name=f"g{i}", origin=origin, source="0" * 64, formula="NaCl", split="train",
            n_frames=5, n_offered=6, stride=1, temperature_k=None, density_g_cm3=(2.0, 2.0),
        )
        for i, origin in enumerate(("md", "md", "packing"))
    ]  # fmt: skip
    data = TrainingSetDocument(
        identity="3" * 64, provenance=provenance(), files=[], level="chgnet-r2scan-d3",
        level_sha256="0" * 64, content_hash="1" * 64, n_frames={"train": 15}, n_duplicates=0,
        n_strained=0, max_force_ev_a=25.0, rms_force_ev_a=1.0, groups=groups,
        domain=document.domain,
    )  # fmt: skip
    assert "| data | `111111111111`; 10 of md, 5 of packing |" in card(document, data)


def test_a_fine_tuned_model_has_no_grades_and_errors_at_its_temperatures(store):
    epoch = TrainingEpoch(
        epoch=1, learning_rate=1e-3, train_loss=1.0, validation_loss=1.0,
        energy_mev_per_atom=1.0, force_mev_a=50.0, stress_gpa=None,
    )  # fmt: skip
    tuned = FineTuning(
        parent_level="chgnet-r2scan", settings={}, n_parameters_trained=10,
        reference_shift_ev={}, best_epoch=1, stopped_early=False, history=[epoch],
        parent_errors=ERRORS,
        errors_at={"test": [
            TemperatureErrors(temperature_k=700.0, errors=ERRORS),
            TemperatureErrors(temperature_k=None, errors=ERRORS),
        ]},
    )  # fmt: skip
    document = put_model(store, 1).model_copy(
        update={
            "architecture": "chgnet", "fine_tuning": tuned, "select_grade": None,
            "stop_grade": None,
        }
    )  # fmt: skip
    text = card(document)
    assert "A CHGNET potential" in text
    assert "| 700 K | 20 | 2.0 | 76 |" in text
    assert "| at rest | 20 | 2.0 | 76 |" in text
    assert "extrapolation grade" not in text
    assert "- It keeps no domain: its runs are not watched" in text
    assert "torchnep" not in text
    assert "haloflow run SWEEP" in text


def test_numbers_have_their_errors(store):
    document = put_model(store, 1)
    check = put_check(store, document).check
    (run,) = check.runs
    moved = run.agreements[0].model_copy(
        update={
            "what": "D of Na / cm2/s", "limit": None, "status": Status.OK,
            "teacher": Quantity(4.8e-5, lower=4e-5, upper=6e-5), "student": Quantity(None),
        }
    )  # fmt: skip
    check = check.model_copy(update={"runs": [run.model_copy(update={"agreements": [moved]})]})
    text = card(document.model_copy(update={"check": check}))
    lost = moved.model_copy(update={"status": Status.OUT_OF_DOMAIN})
    gone = check.model_copy(update={"runs": [run.model_copy(update={"agreements": [lost]})]})
    assert gone.problems == ["NaCl at 300 K: D of Na / cm2/s unknown, teacher 4.8e-05"]
    assert "| 4.8e-05 (4e-05 to 6e-05) | - | intervals overlap | ok |" in text
