"""23Na relaxation of a candidate: from the jumps of its hot runs to a measurement's temperature."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..analysis.nmr import LARMOR_MHZ, extrapolate_correlation_time, relaxation
from ..errors import InputError
from ..quantity import Quantity, Status, worst
from ..stores.analyses import JumpLawAnalysis, RelaxationPoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..stores.analyses import HopsAnalysis

ROOM_TEMPERATURE_K = 298.15
NO_COUPLING = "no quadrupole coupling C_Q was given: no T1"


class NmrProtocol(BaseModel):
    """T1 of 23Na by hopping (BPP), conditional on a quadrupole coupling that is yours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quadrupole_coupling_mhz: float = Field(
        gt=0, le=50, description="C_Q that hopping averages away, MHz. No potential gives it."
    )
    asymmetry: float = Field(0.0, ge=0, le=1, description="Of the field gradient, eta.")
    larmor_mhz: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        LARMOR_MHZ, min_length=1, description="Larmor frequencies of 23Na, MHz."
    )
    temperatures_k: tuple[Annotated[float, Field(gt=0, le=5000)], ...] = Field(
        (ROOM_TEMPERATURE_K,), min_length=1, description="Where T1 is wanted, K."
    )


def nmr_protocol(
    coupling_mhz: float | None, asymmetry: float | None = None, larmor_mhz: Sequence[float] = ()
) -> NmrProtocol | None:
    """Return the protocol of these options, or nothing without a coupling.

    Raises
    ------
    InputError
        For a value out of range, or others without a coupling.
    """
    given: dict[str, Any] = {
        "quadrupole_coupling_mhz": coupling_mhz,
        "asymmetry": asymmetry,
        "larmor_mhz": tuple(larmor_mhz) or None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if given and coupling_mhz is None:
        raise InputError(
            "T1 needs the quadrupole coupling of 23Na",
            given=", ".join(given),
            remedy="pass --quadrupole-coupling-mhz",
        )
    try:
        return NmrProtocol(**given) if given else None
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InputError(
            f"{wrong['loc'][0]} is out of range",
            given=wrong["input"],
            allowed=wrong["msg"].removeprefix("Input should be "),
        ) from None


def relaxation_times(time_ps: Quantity, protocol: NmrProtocol | None) -> dict[str, Quantity]:
    """Return T1 in ms by Larmor frequency in MHz; nothing without a coupling."""
    if protocol is None:
        return {}
    found = relaxation(
        time_ps,
        coupling_mhz=protocol.quadrupole_coupling_mhz,
        asymmetry=protocol.asymmetry,
        larmor_mhz=protocol.larmor_mhz,
    )
    return {f"{one.larmor_mhz:g}": one.t1_ms for one in found}


def with_relaxation(hops: HopsAnalysis, protocol: NmrProtocol | None) -> HopsAnalysis:
    """Return the hops of a run with its T1, or with the reason why there is none."""
    times = relaxation_times(hops.correlation_time_ps, protocol)
    note = "" if times else NO_COUPLING
    return hops.model_copy(update={"t1_ms": times, "t1_note": note})


def jump_law(
    times_ps: Mapping[float, Quantity],
    protocol: NmrProtocol | None,
    *,
    tg_k: float | None = None,
    n_lost_cold: int = 0,
) -> JumpLawAnalysis:
    """Return the Arrhenius law of the jump correlation time, and what it says of T1.

    Parameters
    ----------
    times_ps
        Correlation time of each run by its temperature in K.
    protocol
        Where T1 is wanted and on which coupling it rests; without one the correlation time
        alone is carried to room temperature.
    tg_k
        Glass transition, K, if one is known.
    n_lost_cold
        Runs that were asked for, colder than all, and failed.
    """
    temperatures = sorted(times_ps)
    asked = (ROOM_TEMPERATURE_K,) if protocol is None else protocol.temperatures_k
    values = [times_ps[at] for at in temperatures]
    laws = [
        extrapolate_correlation_time(temperatures, values, to_k=at, tg_k=tg_k)
        for at in sorted(set(asked))
    ]
    points = []
    for law in laws:
        used = law.temperatures_used_k
        outside = bool(used) and not min(used) <= law.temperature_k <= max(used)
        time = law.correlation_time_ps
        if n_lost_cold and law.temperature_k < temperatures[0]:
            time = _without_coldest(time, n_lost_cold)
        if outside:
            carried = f"extrapolated from runs at {min(used):g} to {max(used):g} K"
            time = replace(time, note="; ".join(filter(None, [carried, time.note])))
        points.append(
            RelaxationPoint(
                temperature_k=law.temperature_k,
                extrapolated=outside,
                correlation_time_ps=time,
                t1_ms=relaxation_times(time, protocol),
            )
        )
    return JumpLawAnalysis(
        activation_energy_ev=laws[0].activation_energy_ev,
        temperatures_used_k=list(laws[0].temperatures_used_k),
        points=points,
        quadrupole_coupling_mhz=protocol.quadrupole_coupling_mhz if protocol else None,
        asymmetry=protocol.asymmetry if protocol else None,
        note="" if protocol else NO_COUPLING,
    )


def _without_coldest(time_ps: Quantity, n_lost: int) -> Quantity:
    """Return a time as it stands when the coldest runs asked for gave nothing."""
    note = f"the {n_lost} coldest MD runs failed" if n_lost > 1 else "the coldest MD run failed"
    return replace(
        time_ps,
        upper=None,
        status=worst(time_ps.status, Status.UNCONVERGED),
        note="; ".join(filter(None, [note, time_ps.note])),
    )
