"""The families of electrolytes, each a declaration in ``data/families.yaml``."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from ..errors import CompositionError, InputError, UnknownNameError
from .data import Row, read_yaml
from .declarations import ComponentRule, Crystal, LiteratureRow, Variable
from .expressions import check, evaluate
from .mixture import Mixture
from .phases import get_phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .components import Component
    from .declarations import PhaseKind

_ROUNDING = 1e-12


class Family(BaseModel):
    """A declared family of electrolytes.

    Attributes
    ----------
    formers
        Choices of the network former: the element M, or its compound where M comes in
        several; empty when the family has a single, fixed set of formers.
    variables
        Sweep variables; none for a family of fixed composition.
    components
        Components with amounts as functions of the variables.
    crystals
        Known crystals, modelled in the phase library.
    glass
        Whether the family is made as a glass.
    literature
        Published values.
    notes
        What a reader should know, e.g. which phases precipitate where.
    """

    model_config = Row.model_config

    id: str
    title: str
    formers: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    components: tuple[ComponentRule, ...] = Field(min_length=1)
    mobile: str = "Na"
    anions: tuple[str, ...] = ()
    crystals: tuple[Crystal, ...] = ()
    glass: bool = True
    literature: tuple[LiteratureRow, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = {variable.name for variable in self.variables}
        for rule in self.components:
            check(rule.amount, known, of=str(rule.formula))
            if isinstance(rule.formula, dict) and set(rule.formula) != set(self.formers):
                raise ValueError(f"component {rule.formula} needs a formula for every former")
        for scope in (*self.crystals, *self.literature):
            if scope.former not in (None, *self.formers) or not set(scope.at) <= known:
                raise ValueError(f"{scope!r} names an unknown former or variable")
        for crystal in self.crystals:
            get_phase(crystal.phase_id)
        return self

    @property
    def variable(self) -> Variable | None:
        """The first variable, the only one of every family of the package."""
        return self.variables[0] if self.variables else None

    def mixture(
        self, values: float | Mapping[str, float] | None = None, *, former: str | None = None
    ) -> Mixture:
        """Return the mixture at one point of the sweep.

        Parameters
        ----------
        values
            The value of the variable, or values by name; None where there is no variable.
        former
            One of `formers`; may be left out where there is no choice.

        Raises
        ------
        CompositionError
            For a missing, unknown or out-of-range value, or a former that is no choice.
        """
        chosen = self.resolve_former(former)
        point = self.resolve_values(values)
        amounts: dict[Component, float] = {}
        for rule in self.components:
            part = rule.component(chosen)
            amount = evaluate(rule.amount, point, of=part.formula)
            amounts[part] = amounts.get(part, 0.0) + _without_rounding(amount)
        return Mixture(amounts)

    def resolve_former(self, former: str | None) -> str | None:
        """Return the former meant, the only one if none is named."""
        if former is None and len(self.formers) <= 1:
            return self.formers[0] if self.formers else None
        if former not in self.formers:
            raise CompositionError(
                f"family {self.id} needs a network former of its list"
                if self.formers
                else f"family {self.id} has no choice of network former",
                given=former or "no former",
                allowed=self.formers,
                remedy="give former" if self.formers else "leave former out",
            )
        return former

    def resolve_values(self, values: float | Mapping[str, float] | None) -> dict[str, float]:
        """Return the values by variable name, checked against the allowed ranges."""
        if values is None:
            values = {}
        elif isinstance(values, (int, float)):
            values = {self.variables[0].name if self.variables else "x": values}
        wanted = [variable.name for variable in self.variables]
        if set(values) != set(wanted):
            raise CompositionError(
                f"the variables of family {self.id} do not match",
                given=dict(values) or "no value",
                allowed=f"a value for each of: {', '.join(wanted) or 'none'}",
                remedy="give exactly these",
            )
        for variable in self.variables:
            if not variable.lower <= values[variable.name] <= variable.upper:
                raise CompositionError(
                    f"{variable.name} is out of the range of family {self.id}",
                    given=values[variable.name],
                    allowed=f"{variable.lower:g} to {variable.upper:g}",
                    remedy=f"published: {', '.join(map(str, variable.published)) or 'none'}",
                )
        return {name: float(values[name]) for name in wanted}

    def crystals_for(
        self, values: float | Mapping[str, float] | None = None, *, former: str | None = None
    ) -> list[Crystal]:
        """Return the crystal models that belong to a point of the sweep, the best first."""
        point, chosen = self.resolve_values(values), self.resolve_former(former)
        return [crystal for crystal in self.crystals if crystal.covers(chosen, point)]

    def literature_for(
        self,
        values: float | Mapping[str, float] | None = None,
        *,
        former: str | None = None,
        phase: PhaseKind | None = None,
    ) -> list[LiteratureRow]:
        """Return published values of a point of the sweep, and of a phase if one is given.

        Rows that belong to neither the crystal nor the glass column always come along;
        their `phases_present` says what they are.
        """
        point, chosen = self.resolve_values(values), self.resolve_former(former)
        return [
            row
            for row in self.literature
            if row.covers(chosen, point) and (phase is None or row.phase in (None, phase))
        ]


def _without_rounding(amount: float) -> float:
    """Return 0 for the rounding remainder of a difference such as 0.3 - (0.1 + 0.2)."""
    return 0.0 if abs(amount) < _ROUNDING else amount


@cache
def _families() -> dict[str, Family]:
    families = [Family.model_validate(row) for row in read_yaml("families.yaml")]
    return {family.id: family for family in families}


def list_families() -> list[Family]:
    """Return the families of the package."""
    return list(_families().values())


def get_family(family_id: str) -> Family:
    """Return the family with this id; an unknown one raises UnknownNameError."""
    families = _families()
    if family_id not in families:
        raise UnknownNameError.of("family", family_id, families)
    return families[family_id]


def crystal_literature(phase_id: str) -> list[LiteratureRow]:
    """Return the published values of a crystal over all families that list it."""
    formula = get_phase(phase_id).composition.reduced_formula
    return [
        row
        for family in list_families()
        for crystal in family.crystals
        if crystal.phase_id == phase_id
        for row in family.literature
        if row.phase != "glass"
        and row.former in (None, crystal.former)
        and row.at == crystal.at
        and row.compound in (None, formula)
    ]


def custom_family(
    components: Mapping[str, float | str] | list[dict[str, Any]],
    *,
    id: str = "custom",  # noqa: A002  (the field's name everywhere else)
    variables: Mapping[str, tuple[float, float]] | None = None,
    **fields: Any,  # noqa: ANN401  (the other fields of Family)
) -> Family:
    """Make a family of the user's own components: pseudo-binary, ternary or fixed.

    Parameters
    ----------
    components
        Amounts by formula, e.g. ``{"Na2S": "x", "NbCl5": 1}``, or a list of mappings with
        ``formula``, ``amount`` and, for compounds that haloflow does not know,
        ``oxidation_states``, ``volume_a3`` (A3 per formula unit) or ``phase_id``.
    variables
        Lower and upper end by name.
    **fields
        Any other field of `Family`.

    Raises
    ------
    InputError
        If the declaration is not consistent; amounts that cannot be read, and unbalanced or
        unknown components, raise CompositionError.
    """
    if not isinstance(components, list):
        components = [{"formula": f, "amount": amount} for f, amount in components.items()]
    ranges = (variables or {}).items()
    row = {
        "id": id,
        "title": " - ".join(str(rule.get("formula")) for rule in components),
        "components": components,
        "variables": [{"name": n, "lower": low, "upper": high} for n, (low, high) in ranges],
        **fields,
    }
    try:
        family = Family.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"family {id} is not consistent"
            + (f" at {'.'.join(map(str, first['loc']))}" if first["loc"] else ""),
            given=f"{first['input'] if first['loc'] else row['title']!r:.200}",
            allowed=first["msg"],
            remedy="correct this field" if first["loc"] else "correct what is named",
        ) from error
    for rule in family.components:
        for former in family.formers or (None,):
            rule.component(former)
    return family
