"""What a trained model's own numbers make of it: whether it learned, and how wrong it stayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..quantity import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..stores.domain_report import ErrorTable
    from ..stores.fine_tuning import FineTuning

FORCE_LIMIT_MEV_A: Final = 120.0
FORCE_LIMIT_OF_RMS: Final = 0.1
"""Mean errors of test forces above both are too large: that, and that share of the labels' RMS."""
STILL_FALLING: Final = 0.05
"""A training is not over whose loss fell by more in the last tenth of its epochs."""
_LAST_SHARE: Final = 0.1


def model_verdict(
    errors: Mapping[str, ErrorTable], fine_tuning: FineTuning | None
) -> tuple[Status, str]:
    """Return what errors and training of a model make of it, and why.

    Parameters
    ----------
    errors
        By split; those of the test frames count.
    fine_tuning
        ``None`` for a NEP, whose own runs decide when it is done.
    """
    problems = [
        (Status.OUT_OF_DOMAIN, _too_wrong(errors.get("test"))),
        (Status.UNCONVERGED, _unfinished(fine_tuning)),
    ]
    found = [(status, why) for status, why in problems if why]
    return (found[0][0], "; ".join(why for _, why in found)) if found else (Status.OK, "")


def _too_wrong(test: ErrorTable | None) -> str:
    if test is None:
        return "its errors on test frames are not known"
    limit = max(FORCE_LIMIT_MEV_A, FORCE_LIMIT_OF_RMS * test.force_rms_mev_a)
    if test.force_mae_mev_a <= limit:
        return ""
    return f"its test forces are {test.force_mae_mev_a:.0f} meV/A off, {limit:.0f} allowed"


def _unfinished(training: FineTuning | None) -> str:
    if training is None:
        return ""
    if training.best_epoch == 0:
        return "no epoch of its training was better than the start"
    last = training.history[-1].epoch
    if training.stopped_early or training.best_epoch < last:
        return ""
    tail = max(1, round(_LAST_SHARE * last))
    loss = {row.epoch: row.validation_loss for row in training.history}
    before = min(loss[epoch] for epoch in loss if epoch <= last - tail)
    if loss[last] >= (1.0 - STILL_FALLING) * before:
        return ""
    return (
        f"its loss still fell by {1.0 - loss[last] / before:.0%} in the last {tail} of {last} "
        "epochs: train for longer"
    )
