"""One quantity from several independent samples, e.g. the glasses of several seeds."""

from __future__ import annotations

import math
from statistics import fmean, variance
from typing import TYPE_CHECKING

from scipy import special

from ..quantity import Quantity, Status, worst

if TYPE_CHECKING:
    from collections.abc import Sequence

Z95 = 1.959963984540054


def combine(samples: Sequence[Quantity], *, n_expected: int, logarithmic: bool = False) -> Quantity:
    """Return the mean over samples, its error within and between them kept apart in the note.

    The variance is the mean variance inside a run plus the variance between the samples
    (their scatter less what the runs' errors explain).

    The 95 % interval is for one more sample, made and measured in the same way: mean +- t s
    sqrt(1 + 1/n), with s the scatter of the n samples and t the quantile of Student's t with
    n - 1 degrees of freedom. It is never narrower than the interval of a run, whose error may
    be common to all samples. Samples of which only bounds are known widen it, and their
    status makes the result no better than theirs; where a value is bounded on one side only,
    so is the mean.

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
    if any(sample.lower is None and sample.upper is not None for sample in known):
        lower = None
    if any(sample.upper is None and sample.lower is not None for sample in known):
        upper = None
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
    within = fmean(_sd(sample, in_log=in_log) ** 2 for sample in known)
    between = max(0.0, variance(points) - within)
    centre, spread = fmean(points), math.sqrt(within + between)
    half = _half_width(points, within)
    low, high = centre - half, centre + half
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


def _half_width(points: Sequence[float], within: float) -> float:
    """Return half the 95 % interval of one more sample."""
    n = len(points)
    student = float(special.stdtrit(n - 1, 0.975))
    scatter = student * math.sqrt(variance(points) * (1.0 + 1.0 / n))
    return max(scatter, Z95 * math.sqrt(within))


def _sd(sample: Quantity, *, in_log: bool) -> float:
    """Return the standard deviation of the value or its logarithm; 0 where it is unknown."""
    if not in_log:
        return sample.sd or 0.0
    if sample.lower and sample.upper and sample.lower > 0:
        return (math.log(sample.upper) - math.log(sample.lower)) / (2 * Z95)
    return sample.sd / sample.value if sample.sd is not None and sample.value else 0.0
