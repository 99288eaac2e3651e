"""Counter electrodes that windows are measured against, on the scale of the metal."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from ..errors import UnknownNameError
from ..quantity import TWO_SIDED_95, Quantity
from .data import Row, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping


class Electrode(Row):
    """A counter electrode and its potential against the metal of its ion.

    Attributes
    ----------
    potential_v, sd_v
        Best estimate and its standard deviation.
    lower_v, upper_v
        Between which voltages the electrode can stand.
    temperature_k
        Of the measurement.
    source, source_checked, note
        Where the voltages come from; `source_checked` is False for what was typed from memory.
    """

    id: str
    mobile: str
    potential_v: float
    sd_v: float = Field(ge=0)
    lower_v: float
    upper_v: float
    temperature_k: float
    source: str
    source_checked: bool
    note: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.lower_v <= self.potential_v <= self.upper_v:
            raise ValueError("the potential must lie between lower_v and upper_v")
        return self

    @property
    def caution(self) -> str:
        """What a reader must know of the potential."""
        checked = "" if self.source_checked else "unverified: typed from memory; "
        return f"{checked}{self.potential_v:.2f} ± {self.sd_v:.2f} V against {self.mobile}"

    def against(self, voltage_v: Quantity) -> Quantity:
        """Return a voltage against the metal as a voltage against this electrode.

        The error of the electrode is added in quadrature; a voltage without an error gets
        the electrode's alone. What is not known stays so.
        """
        if voltage_v.value is None:
            return voltage_v
        value = voltage_v.value - self.potential_v
        sd = math.hypot(voltage_v.sd or 0.0, self.sd_v)
        ends = (value - TWO_SIDED_95 * sd, value + TWO_SIDED_95 * sd)
        return Quantity(value, sd, *ends, voltage_v.status, voltage_v.note)


@cache
def _electrodes() -> Mapping[str, Electrode]:
    rows = [Electrode.model_validate(row) for row in read_yaml("electrodes.yaml")]
    return {electrode.id: electrode for electrode in rows}


def list_electrodes(mobile: str = "Na") -> list[Electrode]:
    """Return the electrodes of the package for a mobile ion."""
    return [electrode for electrode in _electrodes().values() if electrode.mobile == mobile]


def get_electrode(electrode_id: str) -> Electrode:
    """Return the electrode with this id; an unknown one raises UnknownNameError."""
    electrodes = _electrodes()
    if electrode_id not in electrodes:
        raise UnknownNameError.of("electrode", electrode_id, electrodes)
    return electrodes[electrode_id]
