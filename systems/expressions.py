"""Amounts written as arithmetic of sweep variables, e.g. ``"2.25 - x"``."""

from __future__ import annotations

import ast
import operator
from math import nan
from typing import TYPE_CHECKING

from ..errors import CompositionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_UNARY: dict[type[ast.unaryop], Callable[[float], float]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}


def evaluate(expression: float | str, variables: Mapping[str, float], *, of: str = "") -> float:
    """Evaluate an amount at given values of the variables.

    Parameters
    ----------
    expression
        A number, or a text of numbers, variable names, ``+ - * /`` and parentheses.
    variables
        Values by name.
    of
        What it is the amount of, for messages.

    Raises
    ------
    CompositionError
        If the text is anything else, names an unknown variable or divides by zero.
    """
    try:
        return _value(ast.parse(str(expression), mode="eval").body, variables)
    except (SyntaxError, ZeroDivisionError, KeyError, TypeError) as error:
        raise CompositionError(
            f"the amount of {of} cannot be read" if of else "an amount cannot be read",
            given=repr(expression),
            allowed="numbers, + - * /, parentheses and "
            + (f"the variable {', '.join(sorted(variables))}" if variables else "no variable"),
            remedy="write it like 2.25 - x",
        ) from error


def check(expression: float | str, variables: Iterable[str], *, of: str) -> None:
    """Refuse an amount of `of` that `evaluate` could not read, whatever the variables' values."""
    evaluate(expression, dict.fromkeys(variables, nan), of=of)


def names(expression: float | str) -> frozenset[str]:
    """Return the variable names that occur in a readable expression."""
    tree = ast.parse(str(expression), mode="eval")
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _value(node: ast.expr, variables: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return float(variables[name])
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_value(operand, variables))
        case ast.BinOp(left=left, op=binary, right=right):
            return _BINARY[type(binary)](_value(left, variables), _value(right, variables))
        case _:
            raise TypeError(ast.dump(node))
