"""Chemical formulae as papers on halide electrolytes write them."""

from __future__ import annotations

from pymatgen.core import Composition, Element
from pymatgen.util.string import formula_double_format


def formula_of(composition: Composition) -> str:
    """Return the reduced formula, halogens last: NaTaOCl4, not NaTaCl4O.

    Parameters
    ----------
    composition
        Any amounts; whole numbers are divided by their greatest common divisor.
    """
    reduced = Composition(composition.reduced_formula)
    amounts = reduced.get_el_amt_dict()
    return "".join(
        f"{symbol}{formula_double_format(amounts[symbol])}"
        for symbol in sorted(amounts, key=place_in_formula)
    )


def place_in_formula(symbol: str) -> tuple[bool, float]:
    """Return a key that sorts elements as formulae name them: cations, O, S, halogens."""
    element = Element(symbol)
    return element.is_halogen, element.X
