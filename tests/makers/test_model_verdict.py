"""What errors and training of a model make of it."""

from __future__ import annotations

import pytest
from trained_models import ERRORS, fine_tuning

from haloflow.makers.model_verdict import model_verdict
from haloflow.quantity import Status

FLAT = [5.0, *(1.0 for _ in range(18)), 0.99]
FALLING = [2.0 * 0.9**epoch for epoch in range(21)]


def errors(mae, rms):
    return {"test": ERRORS.model_copy(update={"force_mae_mev_a": mae, "force_rms_mev_a": rms})}


@pytest.mark.parametrize(
    ("mae", "rms", "status"),
    [
        (119.0, 300.0, Status.OK),
        (121.0, 300.0, Status.OUT_OF_DOMAIN),
        (199.0, 2000.0, Status.OK),
        (201.0, 2000.0, Status.OUT_OF_DOMAIN),
        (float("nan"), 2000.0, Status.OUT_OF_DOMAIN),
    ],
)
def test_wrong_forces(mae, rms, status):
    assert model_verdict(errors(mae, rms), None)[0] is status


@pytest.mark.parametrize(
    ("training", "said"),
    [
        (fine_tuning(FLAT), ""),
        (fine_tuning([*FALLING[:-1], 5.0]), ""),
        (fine_tuning(FALLING, stopped_early=True), ""),
        (fine_tuning(FALLING), "its loss still fell by 19% in the last 2 of 20 epochs"),
        (fine_tuning([1.0, 0.5]), "its loss still fell by 50% in the last 1 of 1 epochs"),
        (fine_tuning([1.0, 1.5, 1.0]), "no epoch of its training was better than the start"),
    ],
    ids=["flat", "best before", "stopped", "falling", "one epoch", "nothing learned"],
)
def test_a_training_that_is_not_over(training, said):
    status, note = model_verdict({"test": ERRORS}, training)
    assert status is (Status.UNCONVERGED if said else Status.OK)
    assert note.startswith(said)
    assert bool(note) == bool(said)


def test_both_are_said_and_the_worse_counts():
    status, note = model_verdict(errors(500.0, 300.0), fine_tuning([1.0, 0.5]))
    assert status is Status.OUT_OF_DOMAIN
    assert note == (
        "its test forces are 500 meV/A off, 120 allowed; its loss still fell by 50% in the last "
        "1 of 1 epochs: train for longer"
    )
