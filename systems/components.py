"""Components: the compounds that glasses and reactions are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from math import isclose
from typing import TYPE_CHECKING

from pymatgen.core import Composition

from ..errors import CompositionError
from .data import read_yaml
from .phases import get_phase, reference_polymorph

if TYPE_CHECKING:
    from collections.abc import Mapping

PEROXIDE_STATE = -1.0


@dataclass(frozen=True)
class Component:
    """A neutral compound with explicit oxidation states and a volume.

    Attributes
    ----------
    formula
        One formula unit, as the user wrote it; amounts count this unit.
    oxidation_states
        One state per element of the formula.
    phase_id
        Phase of the library that lends its volume and, on a hull, its energy. Empty when
        the library has none; then `given_volume_a3` is needed for a density.
    given_volume_a3
        Volume per formula unit in cubic angstrom that overrides the phase's.

    Raises
    ------
    CompositionError
        If an element has no state, a state no element, or the states do not balance.
    """

    formula: str
    oxidation_states: Mapping[str, float] = field(hash=False)
    phase_id: str = ""
    given_volume_a3: float | None = None

    def __post_init__(self) -> None:
        amounts = self.composition.get_el_amt_dict()
        if set(self.oxidation_states) != set(amounts):
            raise CompositionError(
                f"the oxidation states of {self.formula} do not fit its elements",
                given=sorted(self.oxidation_states),
                allowed=f"one state for each of {', '.join(sorted(amounts))}",
                remedy="give one oxidation state per element",
            )
        charge = sum(n * self.oxidation_states[symbol] for symbol, n in amounts.items())
        if not isclose(charge, 0.0, abs_tol=1e-6):
            raise CompositionError(
                f"the oxidation states of {self.formula} leave a charge of {charge:+g}",
                given=dict(self.oxidation_states),
                allowed="states that sum to zero over the formula unit",
                remedy="correct the formula or the states (O is -1 in a peroxide)",
            )

    @property
    def composition(self) -> Composition:
        """Composition of one formula unit."""
        return parse_formula(self.formula)

    @property
    def volume_a3_per_formula(self) -> float:
        """Volume of one formula unit in cubic angstrom.

        Raises
        ------
        CompositionError
            If neither a phase of the library nor the user gives one.
        """
        if self.given_volume_a3 is not None:
            return self.given_volume_a3
        if not self.phase_id:
            raise CompositionError(
                f"the volume of {self.formula} is not known",
                given=self.formula,
                allowed="components with a reference phase in the library",
                remedy="give volume_a3 (A3 per formula unit) with the component",
            )
        return get_phase(self.phase_id).volume_a3_per_atom * float(self.composition.num_atoms)

    @property
    def is_peroxide(self) -> bool:
        """Whether its oxygen comes in O2 units of charge -2."""
        return self.oxidation_states.get("O") == PEROXIDE_STATE


def component(
    formula: str,
    oxidation_states: Mapping[str, float] | None = None,
    *,
    phase_id: str | None = None,
    volume_a3: float | None = None,
) -> Component:
    """Make a component; the states of common ones are known.

    Parameters
    ----------
    formula
        E.g. ``"Na2O2"``; as written, since one formula unit is what amounts count.
    oxidation_states
        Needed for a formula that `known_oxidation_states` does not hold.
    phase_id
        Default: the reference phase of this composition with the lowest energy.
    volume_a3
        Volume per formula unit in cubic angstrom, for compounds without a phase.

    Raises
    ------
    CompositionError
        For an unreadable formula, missing or unbalanced oxidation states, a volume that is
        not positive, or a phase of another composition.
    """
    states = tuple(oxidation_states.items()) if oxidation_states else None
    return _component(formula, states, phase_id, volume_a3)


@lru_cache(maxsize=4096)
def _component(
    formula: str,
    given_states: tuple[tuple[str, float], ...] | None,
    phase_id: str | None,
    volume_a3: float | None,
) -> Component:
    composition = parse_formula(formula)
    states = dict(given_states) if given_states else _lookup_states(formula, composition)
    if volume_a3 is not None and not volume_a3 > 0:
        raise CompositionError(
            f"the volume of {formula} is not positive",
            given=volume_a3,
            allowed="A3 per formula unit, above 0",
            remedy="correct it, or leave it out to use the phase library",
        )
    if phase_id is None:
        phase = reference_polymorph(composition)
        phase_id = phase.id if phase else ""
    elif not _same(get_phase(phase_id).composition, composition):
        raise CompositionError(
            f"the phase {phase_id} has another composition than {formula}",
            given=get_phase(phase_id).formula,
            allowed=formula,
            remedy="leave phase_id out to use the lowest reference phase",
        )
    return Component(formula, {k: float(v) for k, v in states.items()}, phase_id, volume_a3)


@cache
def known_oxidation_states() -> Mapping[str, Mapping[str, float]]:
    """Return the table of components whose oxidation states need not be given."""
    table: Mapping[str, Mapping[str, float]] = read_yaml("components.yaml")
    return table


@lru_cache(maxsize=4096)
def parse_formula(formula: str) -> Composition:
    """Read a formula; an unreadable one raises CompositionError."""
    try:
        composition = Composition(formula, strict=True)
    except ValueError:
        composition = Composition()
    if not composition:
        raise CompositionError(
            "a formula cannot be read",
            given=repr(formula),
            allowed="element symbols with amounts, e.g. Na2O2",
            remedy="check symbols and capitals",
        )
    return composition


def _lookup_states(formula: str, composition: Composition) -> Mapping[str, float]:
    for known, states in known_oxidation_states().items():
        if _same(parse_formula(known), composition):
            return states
    raise CompositionError(
        f"the oxidation states of {formula} are not known and are never guessed",
        given=formula,
        allowed=list(known_oxidation_states()),
        remedy=f"give oxidation_states for {', '.join(sorted(composition.as_dict()))}",
    )


def _same(one: Composition, other: Composition) -> bool:
    return bool(one.fractional_composition.almost_equals(other.fractional_composition))
