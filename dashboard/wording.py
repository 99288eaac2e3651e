"""How numbers, statuses and cautions read, the same on the terminal and in the report."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from ..quantity import Status
from ..stores.fields import FIELDS
from ..stores.summary import SCREEN_CRITERIA
from ..workflows.levels import level_error_ev_per_atom
from .cautions import caution_notes, marked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..quantity import Quantity
    from ..stores.documents import CandidateSummary, HullProduct
    from ..systems.declarations import PublishedValue
    from ..workflows.sections import SectionProduct

MEV_PER_EV: Final = 1000.0
NOTHING: Final = "–"
_ZERO: Final = re.compile(r"-0(?:\.0*)?(?: .*)?")
_MOST_DECIMAL_EXPONENT: Final = 4
_LEAST_DECIMAL_EXPONENT: Final = -3
_TWO_DIGITS_BELOW: Final = 3.55
_SYMMETRIC: Final = (0.8, 1.25)

_UNIT_SUFFIXES: Final = {
    "_cm2_s": "cm2/s",
    "_ms_cm": "mS/cm",
    "_s_cm": "S/cm",
    "_g_cm3": "g/cm3",
    "_percent": "%",
    "_ev": "eV",
    "_ms": "ms",
    "_a": "Å",
    "_k": "K",
    "_v": "V",
    "_c": "°C",
}

_EVIDENCE_UNITS: Final = {"_inv_a": "Å⁻¹", "_a2": "Å²", "_a": "Å", "_g_cm3": "g/cm³", "_ps": "ps"}

STATUS_LABELS: Final[dict[Status, str]] = {
    Status.OK: "ok",
    Status.EXTRAPOLATED_THROUGH_TG: "through Tg",
    Status.UNCONVERGED: "unconverged",
    Status.OUT_OF_DOMAIN: "out of domain",
    Status.NOT_MELTED: "not melted",
    Status.CRYSTALLISED: "crystallised",
    Status.DECOMPOSED: "decomposed",
    Status.DIVERGED: "diverged",
    Status.FAILED: "failed",
}

STATUS_MEANINGS: Final[dict[Status, str]] = {
    Status.OK: "met every criterion of convergence and sanity",
    Status.EXTRAPOLATED_THROUGH_TG: "converged, but the extrapolation to 300 K crosses the "
    "glass transition: below it the glass conducts otherwise",
    Status.UNCONVERGED: "too short or too small to trust; only the bounds count",
    Status.OUT_OF_DOMAIN: "the potential was used outside of what it was trained on",
    Status.NOT_MELTED: "the melt never flowed, so the glass remembers its start",
    Status.CRYSTALLISED: "order appeared where a glass was wanted",
    Status.DECOMPOSED: "molecules formed that do not belong (Cl2, O2...)",
    Status.DIVERGED: "the run left physics and was stopped; its data are kept",
    Status.FAILED: "no result",
}

EXTRAPOLATION_NOTE: Final = (
    "σ(300 K) is Nernst-Einstein conductivity from tracer diffusion, extrapolated along the "
    "Arrhenius line; intervals are 95 %."
)


def number(value: float | None, digits: int = 3) -> str:
    """Write `value` with `digits` significant digits; scientific when far from 1."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if _LEAST_DECIMAL_EXPONENT <= exponent < _MOST_DECIMAL_EXPONENT:
        return with_minus(f"{value:.{max(digits - 1 - exponent, 0)}f}")
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    return with_minus(f"{mantissa}e{int(power)}")


def with_minus(number_text: str) -> str:
    """Write a number with real minus signs; nothing that is rounded to 0 has one."""
    shown = number_text.removeprefix("-") if _ZERO.fullmatch(number_text) else number_text
    return shown.replace("-", "−")


def quantity_text(
    quantity: Quantity | None, *, scale: float = 1.0, digits: int = 2, decimals: int | None = None
) -> str:
    """Write a quantity with its error: ``45.3 ± 3.1``, ``2.3 [0.8, 6.1]``, ``5 (≤ 9)``, ``≥ 0.1``.

    Parameters
    ----------
    quantity
        ``None`` reads as nothing known.
    scale
        Factor to the unit shown (1000 from eV to meV).
    digits
        Significant digits of interval ends.
    decimals
        Decimals of values without an error; default: three significant digits.
    """
    if quantity is None:
        return NOTHING
    value, lower, upper = (_scaled(v, scale) for v in _values(quantity))
    if value is None:
        return _bounds_text(lower, upper, digits)
    if lower is not None and upper is not None and not _is_symmetric(value, lower, upper):
        return f"{number(value, digits)} [{number(lower, digits)}, {number(upper, digits)}]"
    if (lower is None) != (upper is None):
        return f"{number(value, digits)} ({_bounds_text(lower, upper, digits)})"
    sd = _scaled(quantity.sd, scale)
    if sd is not None and math.isfinite(sd) and sd > 0:
        return _plus_minus(value, sd)
    return number(value) if decimals is None else with_minus(f"{value:.{decimals}f}")


def energy_text(quantity: Quantity | None) -> str:
    """Write an energy given in eV in meV."""
    return quantity_text(quantity, scale=MEV_PER_EV, decimals=0)


def _values(quantity: Quantity) -> tuple[float | None, float | None, float | None]:
    return quantity.value, quantity.lower, quantity.upper


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def _is_symmetric(value: float, lower: float, upper: float) -> bool:
    below, above = value - lower, upper - value
    if below <= 0 or above <= 0:
        return False
    return _SYMMETRIC[0] <= above / below <= _SYMMETRIC[1]


def _bounds_text(lower: float | None, upper: float | None, digits: int) -> str:
    if lower is not None and upper is not None:
        return f"{number(lower, digits)} … {number(upper, digits)}"
    if lower is not None:
        return f"≥ {number(lower, digits)}"
    if upper is not None:
        return f"≤ {number(upper, digits)}"
    return NOTHING


def _plus_minus(value: float, sd: float) -> str:
    """Round both to one digit of the error, two below 3.55 of its first (as the PDG does)."""
    exponent = math.floor(math.log10(max(abs(value), sd)))
    power = 0
    if not _LEAST_DECIMAL_EXPONENT <= exponent < _MOST_DECIMAL_EXPONENT:
        power = exponent
    value, sd = value / 10.0**power, sd / 10.0**power
    first = math.floor(math.log10(sd))
    decimals = -first + (1 if sd / 10.0**first < _TWO_DIGITS_BELOW else 0)
    if decimals < 0:
        value, sd, decimals = round(value, decimals), round(sd, decimals), 0
    text = f"{value:.{decimals}f} ± {sd:.{decimals}f}"
    return with_minus(f"({text})e{power}" if power else text)


def status_label(status: Status | None) -> str:
    """Return the short word for `status` (``–`` for none yet)."""
    return STATUS_LABELS[status] if status is not None else NOTHING


def reason(quantity: Quantity | None) -> str:
    """Say why `quantity` is not ``ok``; empty when it is."""
    if quantity is None or quantity.status is Status.OK:
        return ""
    return quantity.note.replace("+-", "±") or STATUS_MEANINGS[quantity.status]


def evidence_text(numbers: Mapping[str, float]) -> str:
    """Write what a verdict stands on as words with units: ``MSD Ta 5.02 Å²``."""
    return ", ".join(
        f"{_evidence_name(name)} {number(v)}{_unit_of(name)}" for name, v in numbers.items()
    )


def _evidence_name(name: str) -> str:
    for suffix in _EVIDENCE_UNITS:
        name = name.removesuffix(suffix)
    words = name.removeprefix("n_").replace("_", " ")
    return f"MSD{words[3:]}" if words.startswith("msd") else words


def _unit_of(name: str) -> str:
    # of atoms by their element: nearest_neighbour_Ta_a, msd_a2_Ta
    return next(
        (f" {unit}" for suffix, unit in _EVIDENCE_UNITS.items() if name.endswith(suffix)), ""
    )


def decomposition_text(products: Iterable[HullProduct]) -> str:
    """Write products as ``0.53 NaCl + 0.47 TaOCl3``, largest first, models with a dagger."""
    ordered = sorted(products, key=lambda product: -product.amount)
    parts = (f"{p.amount:.2f} {marked(p.formula, p.phase_id)}" for p in ordered)
    return " + ".join(parts) or NOTHING


def formula_units_text(products: Iterable[HullProduct] | Iterable[SectionProduct]) -> str:
    """Write products in formula units as ``2 NaCl + 0.5 Cl2``; order and daggers as above."""
    ordered = sorted([*products], key=lambda product: -product.amount)
    parts = (f"{number(p.amount)} {marked(p.formula, p.phase_id)}" for p in ordered)
    return " + ".join(part.removeprefix("1.00 ") for part in parts) or NOTHING


def literature_text(row: PublishedValue) -> str:
    """Write the value, or range, of a published number."""
    if row.value is not None:
        return number(row.value)
    return _bounds_text(row.lower, row.upper, 3)


def literature_label(row: PublishedValue) -> str:
    """Name the quantity of a published number with its unit."""
    for known in FIELDS.values():
        if known.path in {row.quantity, f"{row.quantity}.value"}:
            return known.header
    for suffix, unit in _UNIT_SUFFIXES.items():
        if row.quantity.endswith(suffix):
            return f"{row.quantity.removesuffix(suffix).replace('_', ' ')} ({unit})"
    return row.quantity.replace("_", " ")


def quench_rate_text(rate_k_s: float | None) -> str:
    """Write a quench rate as ``1e13 K/s``."""
    return NOTHING if rate_k_s is None else f"{number(rate_k_s, 2)} K/s"


def duration_text(seconds: float) -> str:
    """Write a duration as ``12 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes == 0:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"  # noqa: PLR2004  (one digit)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest:02d} s"


def size_text(n_bytes: float) -> str:
    """Write a number of bytes with a decimal unit."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes:.0f} B"


def screen_text(screen: Mapping[str, float]) -> str:
    """Say what a screen asks, ``E_hull ≤ 100 meV/atom and σ(300 K) ≥ 1.00 mS/cm``."""
    parts = []
    for name, limit in screen.items():
        if name == SCREEN_CRITERIA[0]:
            parts.append(f"E_hull ≤ {number(limit * MEV_PER_EV)} meV/atom")
        else:
            parts.append(f"σ(300 K) ≥ {number(limit)} mS/cm")
    return " and ".join(parts)


def footnotes(summaries: Iterable[CandidateSummary], phase_ids: Iterable[str] = ()) -> list[str]:
    """Say at which levels the table's numbers stand, and how far to trust them.

    The cautions of the phases that E_hull is measured against, and of further phases that are
    shown, by id, come last.
    """
    rows = list(summaries)
    hull = sorted({row.levels["hull"] for row in rows if "hull" in row.levels})
    dynamics = sorted({row.levels["md"] for row in rows if "md" in row.levels})
    rates = sorted({row.quench_rate_k_s for row in rows if row.quench_rate_k_s is not None})
    notes = []
    notes += [hull_error_note(level) for level in hull]
    if dynamics:
        notes.append(f"Transport: level {', '.join(dynamics)}. {EXTRAPOLATION_NOTE}")
    if rates:
        ends = quench_rate_text(rates[0])
        if len(rates) > 1:
            ends = f"{ends} to {quench_rate_text(rates[-1])}"
        notes.append(
            f"Glasses were quenched at {ends}, far faster than any experiment: they are less "
            "relaxed, and conduct better, than slowly cooled ones."
        )
    cautions = {f"{row.label}: {row.phase_note}." for row in rows if row.phase_note}
    products = [product.phase_id for row in rows for product in row.decomposition]
    return notes + sorted(cautions) + caution_notes([*products, *phase_ids])


def hull_error_note(level: str) -> str:
    """Say how large the error of E_hull is at a level of theory."""
    known = level_error_ev_per_atom(level)
    size = (
        "is not measured in these systems"
        if known is None
        else f"is some {known * MEV_PER_EV:.0f} meV/atom (standard deviation) in these systems"
    )
    return (
        f"E_hull: level {level}. Its error {size}: E_hull may be negative for that "
        "reason alone, so let DFT decide close cases."
    )
