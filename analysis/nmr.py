"""Spin-lattice relaxation of 23Na by hopping between sites (Bloembergen, Purcell, Pound)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from ..quantity import Quantity
from .arrhenius import fit_arrhenius

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from .frames import FloatArray

LARMOR_MHZ = (132.294, 73.39)
"""Larmor frequencies of 23Na in the study of the Na2O-NaTaCl6 glasses."""

SPIN_23NA = 1.5
_SECONDS_PER_PS = 1e-12
_MS_PER_S = 1e3
_STEP = 1e-3
PHASE_OF_MINIMUM = 0.6158
"""w0 tc of the T1 minimum."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """T1 at one Larmor frequency.

    Attributes
    ----------
    t1_ms
        Spin-lattice relaxation time; its note says on which quadrupole coupling it depends.
    larmor_mhz
        Larmor frequency, MHz.
    regime
        ``slow`` on the side of the T1 minimum where T1 falls on heating, ``fast`` on the
        other; ``None`` without a correlation time.
    """

    t1_ms: Quantity
    larmor_mhz: float
    regime: str | None


@dataclass(frozen=True, slots=True)
class CorrelationTimeLaw:
    """tc = t0 exp(Ea / kT), carried from hot runs to another temperature.

    Attributes
    ----------
    activation_energy_ev
        Ea with its 95 % interval.
    correlation_time_ps
        At `temperature_k`, with interval and status.
    temperature_k
        Where it was carried to, K.
    temperatures_used_k
        The points that entered the fit.
    """

    activation_energy_ev: Quantity
    correlation_time_ps: Quantity
    temperature_k: float
    temperatures_used_k: tuple[float, ...]


def relaxation_time_s(
    correlation_time_s: ArrayLike,
    *,
    larmor_mhz: float,
    coupling_mhz: float,
    asymmetry: float = 0.0,
    spin: float = SPIN_23NA,
) -> FloatArray:
    r"""Return the quadrupolar T1 in seconds.

    .. math::

       \frac{1}{T_1} = \frac{3}{200} Q_c^2 \left(1 + \frac{\eta^2}{3}\right)
       \frac{2I+3}{I^2(2I-1)} \left[ \frac{\tau_c}{1+\omega_0^2\tau_c^2}
       + \frac{4\tau_c}{1+4\omega_0^2\tau_c^2} \right]

    with :math:`Q_c = 2\pi C_Q` in rad/s (Abragam, The Principles of Nuclear Magnetism, 1961,
    ch. VIII). Since :math:`1/T_1` is a rate, :math:`Q_c` enters squared.

    Parameters
    ----------
    correlation_time_s
        Correlation time of the field gradient, s, any shape.
    larmor_mhz
        Larmor frequency, MHz.
    coupling_mhz
        Quadrupole coupling constant C_Q = e^2 q Q / h, MHz, that hopping averages away.
    asymmetry
        Of the field gradient, 0 to 1.
    spin
        Of the nucleus; 3/2 for 23Na.

    Raises
    ------
    AnalysisError
        If a frequency, the coupling or a time is not positive, the asymmetry is not within 0
        to 1, or the spin has no quadrupole moment.
    """
    times = np.asarray(correlation_time_s, dtype=np.float64)
    positive = {
        "larmor_mhz": larmor_mhz,
        "coupling_mhz": coupling_mhz,
        "correlation_time_s": float(times.min()),
    }
    for name, value in positive.items():
        if not value > 0:
            raise AnalysisError(f"{name} must be positive", given=value, allowed="a number above 0")
    if not 0.0 <= asymmetry <= 1.0:
        raise AnalysisError(
            "the asymmetry of a field gradient is out of range", given=asymmetry, allowed="0 to 1"
        )
    if spin < 1.0 or (2.0 * spin) % 1.0:
        raise AnalysisError(
            "a nucleus of this spin has no quadrupole moment",
            given=spin,
            allowed="1, 3/2, 2, ...; 23Na has 3/2",
        )
    squared_coupling = (2.0 * math.pi * coupling_mhz * 1e6) ** 2
    phase = np.square(2.0 * math.pi * larmor_mhz * 1e6 * times)
    spectrum = times / (1.0 + phase) + 4.0 * times / (1.0 + 4.0 * phase)
    nucleus = (2.0 * spin + 3.0) / (spin**2 * (2.0 * spin - 1.0))
    rate = 3.0 / 200.0 * squared_coupling * (1.0 + asymmetry**2 / 3.0) * nucleus * spectrum
    relaxation: FloatArray = np.asarray(1.0 / rate)
    return relaxation


def relaxation(
    correlation_time_ps: Quantity,
    *,
    coupling_mhz: float,
    larmor_mhz: Sequence[float] = LARMOR_MHZ,
    asymmetry: float = 0.0,
    spin: float = SPIN_23NA,
) -> tuple[Relaxation, ...]:
    """Return T1 at each Larmor frequency from a correlation time with its error.

    T1 has a minimum over the correlation time, so its interval is the range that it takes
    over the interval of the correlation time. It scales with the inverse square of the
    coupling, which is the user's: the note says so, whatever the status.

    Parameters
    ----------
    correlation_time_ps
        Jump correlation time; its status carries over.
    coupling_mhz, asymmetry, spin
        As in :func:`relaxation_time_s`.
    larmor_mhz
        Larmor frequencies, MHz; by default those of the published measurements.
    """
    condition = f"conditional on C_Q = {coupling_mhz:g} MHz, eta = {asymmetry:g}"
    note = "; ".join(part for part in (correlation_time_ps.note, condition) if part)
    results = []
    for frequency in larmor_mhz:

        def t1_ms(time_ps: float, frequency: float = frequency) -> float:
            found = relaxation_time_s(
                time_ps * _SECONDS_PER_PS,
                larmor_mhz=frequency,
                coupling_mhz=coupling_mhz,
                asymmetry=asymmetry,
                spin=spin,
            )
            return _MS_PER_S * float(found)

        shortest = fastest_relaxation_ps(frequency)
        t1 = _carried(correlation_time_ps, t1_ms, shortest)
        time = correlation_time_ps.value
        regime = None
        if time is not None:
            regime = "slow" if time > shortest else "fast"
        results.append(Relaxation(replace(t1, note=note), frequency, regime))
    return tuple(results)


def fastest_relaxation_ps(larmor_mhz: float) -> float:
    """Return the correlation time of the T1 minimum, w0 tc = 0.6158, in ps."""
    if not larmor_mhz > 0:
        raise AnalysisError(
            "larmor_mhz must be positive", given=larmor_mhz, allowed="a number above 0"
        )
    return PHASE_OF_MINIMUM / (2.0 * math.pi * larmor_mhz * 1e6) / _SECONDS_PER_PS


def _carried(time_ps: Quantity, t1_ms: Callable[[float], float], shortest_ps: float) -> Quantity:
    """Carry a correlation time with its interval through a function with one minimum."""
    low = 0.0 if time_ps.lower is None else time_ps.lower
    high = math.inf if time_ps.upper is None else time_ps.upper
    least = t1_ms(min(max(shortest_ps, low), high))
    most = None
    if low > 0.0 and high < math.inf:
        most = max(t1_ms(low), t1_ms(high))
    if time_ps.value is None:
        return Quantity(lower=least, upper=most, status=time_ps.status)
    value, sd = t1_ms(time_ps.value), None
    if time_ps.sd is not None:
        sides = (t1_ms(time_ps.value * math.exp(side)) for side in (-_STEP, _STEP))
        before, after = sides
        slope = math.log(after / before) / (2.0 * _STEP)
        sd = value * abs(slope) * time_ps.sd / time_ps.value
    return Quantity(value, sd, least, most, time_ps.status)


def extrapolate_correlation_time(
    temperatures_k: Sequence[float],
    correlation_times_ps: Sequence[Quantity],
    *,
    to_k: float,
    tg_k: float | None = None,
) -> CorrelationTimeLaw:
    """Carry the jump correlation time of hot runs to a measurement's temperature.

    The rate 1/tc is fitted by :func:`haloflow.analysis.arrhenius.fit_arrhenius` (there as
    sigma T), with its rules for points that are not converged and for a glass transition.

    Parameters
    ----------
    temperatures_k
        Temperatures, K, shape (n,).
    correlation_times_ps
        One for each temperature.
    to_k
        Target temperature, K.
    tg_k
        Glass transition temperature, K, if one is known.

    Raises
    ------
    AnalysisError
        As :func:`haloflow.analysis.arrhenius.fit_arrhenius`.
    """
    rates = [
        _inverse(time, 1.0 / temperature if temperature > 0 else 1.0)
        for temperature, time in zip(temperatures_k, correlation_times_ps, strict=False)
    ]
    if len(temperatures_k) != len(correlation_times_ps):
        raise AnalysisError(
            "temperatures and correlation times do not pair up",
            given=f"{len(temperatures_k)} temperatures, {len(correlation_times_ps)} times",
        )
    fit = fit_arrhenius(temperatures_k, rates, extrapolate_to_k=to_k, tg_k=tg_k)
    return CorrelationTimeLaw(
        activation_energy_ev=fit.activation_energy_ev,
        correlation_time_ps=_inverse(fit.extrapolated, 1.0 / to_k),
        temperature_k=to_k,
        temperatures_used_k=fit.temperatures_used_k,
    )


def _inverse(quantity: Quantity, factor: float) -> Quantity:
    """Return factor / quantity."""
    value = factor / quantity.value if quantity.value else None
    sd = value * quantity.sd / quantity.value if value and quantity.value and quantity.sd else None
    return replace(
        quantity,
        value=value,
        sd=sd,
        lower=factor / quantity.upper if quantity.upper else None,
        upper=factor / quantity.lower if quantity.lower else None,
    )
