"""Mixtures of components in formula units, and their whole-number realisations."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, fsum, isfinite, lcm
from typing import TYPE_CHECKING, Any

from pymatgen.core import Composition

from ..errors import CompositionError
from ..units import density_g_cm3
from .components import Component, component
from .formulae import formula_of

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_N_MOBILE = 24
"""Fewer mobile ions than this are too few to call a transport number converged."""

_SIZE_WINDOW = 0.12
_LARGEST_DENOMINATOR = 1_000_000
_LABEL_DENOMINATOR = 1000
_EXACT = Fraction(1, 1_000_000)


@dataclass(frozen=True)
class IntegerUnits:
    """A whole number of formula units of each component of a mixture.

    Attributes
    ----------
    counts
        Formula units by component formula.
    composition
        All atoms together.
    n_mobile
        Mobile ions among them.
    max_deviation
        Largest difference of a component's fraction of formula units from the asked one.
    statement
        The counts and their deviation in words.
    """

    counts: dict[str, int]
    composition: Composition
    n_mobile: int
    max_deviation: float
    statement: str

    @property
    def n_atoms(self) -> int:
        """All atoms."""
        return int(self.composition.num_atoms)


class Mixture:
    """Formula units of components, e.g. ``Mixture({"Na2O2": 1.2, "HfCl4": 1})``.

    Every component is neutral, so every mixture is. Components with amount zero are left
    out.

    Parameters
    ----------
    amounts
        Formula units by component, or by the formula of a known one.

    Raises
    ------
    CompositionError
        If an amount is negative or not finite, none is positive, or two components share
        a formula.
    """

    __slots__ = ("_composition", "_fractions", "amounts")

    amounts: dict[Component, float]
    _composition: Composition | None
    _fractions: dict[str, Fraction] | None

    def __init__(
        self,
        amounts: Mapping[Component, float] | Mapping[str, float] | Mapping[Component | str, float],
    ) -> None:
        for key, amount in amounts.items():
            if not (isfinite(amount) and amount >= 0):
                raise CompositionError(
                    f"the amount of {getattr(key, 'formula', key)} is not possible",
                    given=amount,
                    allowed="finite numbers of formula units, 0 or more",
                    remedy="check the amounts and the range of the sweep variable",
                )
        present = {
            (component(key) if isinstance(key, str) else key): float(amount)
            for key, amount in amounts.items()
            if amount > 0
        }
        formulas = [part.formula for part in present]
        if not present or len(set(formulas)) < len(formulas):
            raise CompositionError(
                "a mixture needs components, each formula once",
                given=formulas,
                allowed="one positive amount per component",
                remedy="give at least one positive amount and merge equal formulas",
            )
        self.amounts = dict(sorted(present.items(), key=lambda item: item[0].formula))
        self._composition = self._fractions = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mixture) and self.canonical() == other.canonical()

    def __hash__(self) -> int:
        return hash(tuple(self.fractions().items()))

    def __repr__(self) -> str:
        return f"Mixture({self.label})"

    @property
    def label(self) -> str:
        """Amounts and formulas, e.g. ``HfCl4 + 1.2 Na2O2``."""
        return " + ".join(
            part.formula if n == 1 else f"{n:g} {part.formula}" for part, n in self.amounts.items()
        )

    @property
    def composition(self) -> Composition:
        """Atoms in the amounts as they were given."""
        if self._composition is None:
            parts = (part.composition * n for part, n in self.amounts.items())
            self._composition = sum(parts, Composition())
        return self._composition

    @property
    def formula(self) -> str:
        """Reduced formula, amounts taken as fractions with denominators up to 1000."""
        ratios = [Fraction(n).limit_denominator(_LABEL_DENOMINATOR) for n in self.amounts.values()]
        scale = lcm(*(ratio.denominator for ratio in ratios))
        parts = zip(self.amounts, ratios, strict=True)
        whole = sum((part.composition * int(r * scale) for part, r in parts), Composition())
        return formula_of(whole) if whole else self.label

    def element_oxidation_states(self) -> dict[str, list[float]]:
        """Return the oxidation states of each element over all components, sorted."""
        states: dict[str, set[float]] = {}
        for part in self.amounts:
            for symbol, state in part.oxidation_states.items():
                states.setdefault(symbol, set()).add(state)
        return {symbol: sorted(states[symbol]) for symbol in sorted(states)}

    def net_charge(self) -> float:
        """Return the charge from the explicit oxidation states; zero up to rounding."""
        return fsum(
            n * amount * part.oxidation_states[symbol]
            for part, n in self.amounts.items()
            for symbol, amount in part.composition.get_el_amt_dict().items()
        )

    def anions(self) -> list[str]:
        """Return the elements with a negative state, sorted."""
        return [s for s, states in self.element_oxidation_states().items() if states[0] < 0]

    def formers(self, mobile: str = "Na") -> list[str]:
        """Return the cations other than the mobile one, sorted."""
        return [
            symbol
            for symbol, states in self.element_oxidation_states().items()
            if states[0] > 0 and symbol != mobile
        ]

    def fractions(self) -> dict[str, Fraction]:
        """Return each component's exact fraction of formula units, denominators up to 1e6."""
        if self._fractions is None:
            total = sum(self.amounts.values())
            self._fractions = {
                part.formula: Fraction(n / total).limit_denominator(_LARGEST_DENOMINATOR)
                for part, n in self.amounts.items()
            }
        return dict(self._fractions)

    def canonical(self) -> dict[str, Any]:
        """Return what defines the mixture, equal whatever the order and scale of amounts."""
        fractions = self.fractions()
        return {
            part.formula: {
                "fraction": str(fractions[part.formula]),
                "oxidation_states": dict(part.oxidation_states),
                "phase_id": part.phase_id,
                "volume_a3": part.given_volume_a3,
            }
            for part in self.amounts
        }

    def volume_a3(self, counts: Mapping[str, float] | None = None) -> float:
        """Return the sum of component volumes, of the amounts or of other `counts`."""
        return sum(
            part.volume_a3_per_formula * (n if counts is None else counts[part.formula])
            for part, n in self.amounts.items()
        )

    def density_g_cm3(self) -> float:
        """Return the density of the unmixed components."""
        return density_g_cm3(float(self.composition.weight), self.volume_a3())

    def integer_units(
        self,
        *,
        target_n_mobile: int | None = None,
        target_n_atoms: int | None = None,
        mobile: str = "Na",
    ) -> IntegerUnits:
        """Realise the mixture in whole formula units.

        Units are shared out by largest remainder. Among sizes from the target on to 12 %
        above it (around it, for `target_n_atoms`) the one with the smallest deviation from
        the asked fractions is taken, the one nearest the target among equals. Where no
        whole number of units comes that near to `target_n_atoms`, the nearest is taken.

        Parameters
        ----------
        target_n_mobile
            Least number of mobile ions; default `DEFAULT_N_MOBILE`.
        target_n_atoms
            Number of atoms to come near to instead.

        Raises
        ------
        CompositionError
            If both targets are given, there is no mobile ion, or the target is too small
            to hold every component.
        """
        if target_n_atoms is not None and target_n_mobile is not None:
            raise CompositionError(
                "two targets for the size are given",
                given=f"{target_n_mobile} mobile ions and {target_n_atoms} atoms",
                allowed="one of target_n_mobile, target_n_atoms",
                remedy="drop one",
            )
        by_atoms = target_n_atoms is not None
        target = (target_n_atoms if by_atoms else target_n_mobile) or DEFAULT_N_MOBILE
        per_formula = self._per_average_unit(None if by_atoms else mobile)
        sizes = [
            one for one in self._sizes(per_formula, target, mobile) if all(one.counts.values())
        ]
        if not by_atoms:
            sizes = [one for one in sizes if one.n_mobile >= target]
        if not sizes:
            raise CompositionError(
                f"{self.label} cannot be made of whole formula units at this size",
                given=f"{target} {'atoms' if by_atoms else f'{mobile} ions'}",
                allowed="sizes that hold at least one formula unit of every component",
                remedy=f"ask for {ceil(per_formula / min(self.fractions().values()))} or more",
            )

        def cost(one: _Shares) -> tuple[float, float]:
            miss = abs(one.n_atoms - target) if by_atoms else one.n_atoms
            near = not by_atoms or miss <= _SIZE_WINDOW * target
            return (round(float(one.deviation), 12), miss) if near else (1 + miss, miss)

        return self._made_of(min(sizes, key=cost))

    def _per_average_unit(self, mobile: str | None) -> float:
        """Return atoms (or mobile ions) per average formula unit."""
        total = sum(self.amounts.values())
        count = self.composition[mobile] if mobile else self.composition.num_atoms
        if count == 0:
            raise CompositionError(
                f"{self.label} holds no {mobile}, the mobile ion",
                given=self.label,
                allowed=f"mixtures with {mobile}",
                remedy="change the amounts, or give target_n_atoms",
            )
        return float(count / total)

    def _sizes(self, per_formula: float, target: int, mobile: str) -> list[_Shares]:
        first = max(1, floor(target * (1 - _SIZE_WINDOW) / per_formula) - 1)
        last = ceil(target * (1 + _SIZE_WINDOW) / per_formula) + len(self.amounts)
        asked = self.fractions()
        denominator = lcm(*(fraction.denominator for fraction in asked.values()))
        wanted = {f: int(fraction * denominator) for f, fraction in asked.items()}
        atoms = {part.formula: part.composition.num_atoms for part in self.amounts}
        ions = {part.formula: part.composition[mobile] for part in self.amounts}
        sizes = []
        for n_units in range(first, last + 1):
            counts, deviation = _apportion(wanted, denominator, n_units)
            n_atoms = int(sum(atoms[formula] * n for formula, n in counts.items()))
            n_mobile = round(sum(ions[formula] * n for formula, n in counts.items()))
            sizes.append(_Shares(counts, deviation, n_atoms, n_mobile))
        return sizes

    def _made_of(self, shares: _Shares) -> IntegerUnits:
        counts, deviation = shares.counts, shares.deviation
        composition = sum((p.composition * counts[p.formula] for p in self.amounts), Composition())
        made = ", ".join(f"{n} {formula}" for formula, n in counts.items())
        exact = "exactly the asked composition"
        off = f"each component within {float(deviation):.2%} of all formula units of the asked one"
        return IntegerUnits(
            counts=counts,
            composition=composition,
            n_mobile=shares.n_mobile,
            max_deviation=float(deviation),
            statement=f"{made}: {exact if deviation < _EXACT else off}",
        )


@dataclass(frozen=True, slots=True)
class _Shares:
    """Whole formula units of each component, and what they come to."""

    counts: dict[str, int]
    deviation: Fraction
    n_atoms: int
    n_mobile: int


def _apportion(
    wanted: dict[str, int], denominator: int, n_units: int
) -> tuple[dict[str, int], Fraction]:
    """Share `n_units` formula units out by largest remainder; return the largest deviation too.

    The share of a formula is that in `wanted` over the denominator.
    """
    quotas = {formula: share * n_units for formula, share in wanted.items()}
    counts = {formula: quota // denominator for formula, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda f: (-(quotas[f] % denominator), f))
    for formula in by_remainder[: n_units - sum(counts.values())]:
        counts[formula] += 1
    off = max(abs(counts[f] * denominator - quotas[f]) for f in wanted)
    return counts, Fraction(off, n_units * denominator)
