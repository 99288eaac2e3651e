"""One quantity from several independent samples, e.g. the glasses of several seeds."""

from __future__ import annotations

import math
from statistics import fmean, variance
from typing import TYPE_CHECKING

from ..quantity import Quantity, Status, worst

if TYPE_CHECKING:
    from collections.abc import Sequence

Z95 = 1.959963984540054


def combine(samples: Sequence[Quantity], *, n_expected: int, logarithmic: bool = False) -> Quantity:
    """Return the mean over samples, its error within and between them kept apart in the note.

    The variance is the mean variance inside a run plus the variance between the samples
    (their scatter less what the runs' errors explain): the spread to expect of one more
    sample. Samples of which only bounds are known widen the interval, and their status makes
    the result no better than theirs.

    Parameters
    ----------
    samples
        One quantity per sample that was computed.
    n_expected
        How many samples there will be; with fewer the result is ``unconverged``.
    logarithmic
        Take the geometric mean, for positive quantities that vary over decades.
    """
    if len(samples) == n_expected == 1:
        return samples[0]
    known = [sample for sample in samples if is_known(sample)]
    bounded = [sample for sample in samples if not is_known(sample)]
    notes = [sample.note for sample in samples if sample.status is not Status.OK and sample.note]
    statuses = [sample.status for sample in samples]
    if len(samples) < n_expected:
        statuses.append(Status.UNCONVERGED)
        notes.append(f"{len(samples)} of {n_expected} samples computed")
    if not known:
        lower, upper = _bounds(bounded)
        return Quantity(None, None, lower, upper, worst(*statuses), _joined(notes))
    mean, sd, lower, upper, note = _mean(known, logarithmic=logarithmic)
    if bounded:
        below, above = _bounds(bounded)
        lower = None if lower is None or below is None else min(lower, below)
        upper = None if upper is None or above is None else max(upper, above)
    return Quantity(mean, sd, lower, upper, worst(*statuses), _joined([note, *notes]))


def is_known(quantity: Quantity) -> bool:
    """Tell whether there is a finite value."""
    return quantity.value is not None and math.isfinite(quantity.value)


def _joined(notes: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(note for note in notes if note))


def _bounds(samples: Sequence[Quantity]) -> tuple[float | None, float | None]:
    lowers = [sample.lower for sample in samples if sample.lower is not None]
    uppers = [sample.upper for sample in samples if sample.upper is not None]
    return (
        min(lowers) if lowers and len(lowers) == len(samples) else None,
        max(uppers) if uppers and len(uppers) == len(samples) else None,
    )


def _mean(
    known: Sequence[Quantity], *, logarithmic: bool
) -> tuple[float, float | None, float | None, float | None, str]:
    values = [sample.value for sample in known if sample.value is not None]
    if len(values) == 1:
        only = known[0]
        return values[0], only.sd, only.lower, only.upper, ""
    in_log = logarithmic and min(values) > 0
    points = [math.log(value) for value in values] if in_log else values
    errors = [_log_sd(sample) if in_log else sample.sd for sample in known]
    within = fmean((error or 0.0) ** 2 for error in errors)
    between = max(0.0, variance(points) - within)
    centre, spread = fmean(points), math.sqrt(within + between)
    low, high = centre - Z95 * spread, centre + Z95 * spread
    kind = "geometric mean" if in_log else "mean"
    unit = " in ln" if in_log else ""
    note = (
        f"{kind} of {len(values)} samples (lowest {min(values):.3g}, highest {max(values):.3g}); "
        f"sd{unit} within a run {math.sqrt(within):.2g}, between samples {math.sqrt(between):.2g}"
    )
    if in_log:
        value = math.exp(centre)
        return value, value * spread, math.exp(low), math.exp(high), note
    return centre, spread, low, high, note


def _log_sd(sample: Quantity) -> float | None:
    """Return the standard deviation of ln(value), from the interval where it is known."""
    if sample.lower and sample.upper and sample.lower > 0:
        return (math.log(sample.upper) - math.log(sample.lower)) / (2 * Z95)
    return sample.sd / sample.value if sample.sd is not None and sample.value else None
