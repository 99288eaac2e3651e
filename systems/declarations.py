"""The parts that families of electrolytes are declared with."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from .components import Component, component
from .data import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

PhaseKind = Literal["crystal", "glass"]


class Variable(Row):
    """What a family is swept over; both ends are included."""

    name: str = Field("x", pattern=r"^[A-Za-z]\w*$")
    description: str = ""
    lower: float = Field(allow_inf_nan=False)
    upper: float = Field(allow_inf_nan=False)
    published: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.lower <= self.upper:
            raise ValueError("upper must not be below lower")
        if not all(self.lower <= value <= self.upper for value in self.published):
            raise ValueError("published values must lie between lower and upper")
        return self

    @property
    def published_range(self) -> tuple[float, float] | None:
        """Smallest and largest published value, if any is."""
        return (min(self.published), max(self.published)) if self.published else None


class ComponentRule(Row):
    """A component of a family and its amount as a function of the variables."""

    formula: str | dict[str, str] = Field(description="One formula, or one per former.")
    amount: float | str = 1.0
    oxidation_states: dict[str, float] | None = None
    volume_a3: float | None = None
    phase_id: str | None = None

    def component(self, former: str | None) -> Component:
        """Return the component for a choice of the former."""
        formula = self.formula if isinstance(self.formula, str) else self.formula[former or ""]
        return component(
            formula, self.oxidation_states, phase_id=self.phase_id, volume_a3=self.volume_a3
        )


class _Scope(Row):
    """Which candidates of a family something belongs to; nothing given means all."""

    former: str | None = None
    at: dict[str, float] = Field(default_factory=dict, description="Values of the variables.")

    def covers(self, former: str | None, values: Mapping[str, float]) -> bool:
        """Whether a candidate with this former at these values is meant."""
        return self.former in (None, former) and all(
            name in values and isclose(values[name], value, abs_tol=1e-6)
            for name, value in self.at.items()
        )


class Crystal(_Scope):
    """A crystal model of the phase library that belongs to a family; the best one first."""

    phase_id: str


class PublishedValue(BaseModel):
    """A published number, what it was measured or computed on, and where it stands."""

    quantity: str
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    kind: Literal["experiment", "computed"]
    phases_present: str
    source: str
    conditions: str = ""
    electrode: str | None = Field(None, description="That voltages refer to; none: the metal.")


class LiteratureRow(PublishedValue, _Scope):
    """A published value and the candidates of a family that it belongs to."""

    phase: PhaseKind | None = Field(
        None, description="Column it belongs to; none when it is of neither a crystal nor a glass."
    )
    compound: str | None = Field(None, description="Formula of the crystal that is meant.")

    def as_document(self) -> dict[str, Any]:
        """Return the fields that a stored literature value has."""
        return self.model_dump(include=set(PublishedValue.model_fields))
