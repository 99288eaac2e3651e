"""The filter language of ``haloflow query``: text to a MongoDB filter.

::

    e_hull <= 0.1 and phase == glass
    not (sigma_status == failed) or label ~ "NaTa.*"
    chemsys in (Cl-Na-O-Ta, Cl-Na-Ta) and sigma != none

Comparisons: ``==`` (or ``=``), ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``~`` (regular
expression), ``in (...)``. Values: numbers, words, quoted text, ``true``, ``false``, ``none``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..errors import InputError, UnknownNameError
from .fields import Field, get_field

if TYPE_CHECKING:
    from collections.abc import Iterable

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"[^"]*"|'[^']*')
    | (?P<operator><=|>=|==|!=|[=<>~(),])
    | (?P<word>[^\s"'=<>!~(),]+)
    )""",
    re.VERBOSE,
)
_COMPARISONS = {
    "==": "$eq",
    "=": "$eq",
    "!=": "$ne",
    "<": "$lt",
    "<=": "$lte",
    ">": "$gt",
    ">=": "$gte",
    "~": "$regex",
    "in": "$in",
}
_ORDERED = {"<", "<=", ">", ">="}
_CONSTANTS = {"true": True, "false": False, "none": None}
_LANGUAGE = "e.g. e_hull <= 0.1 and phase == glass; operators == != < <= > >= ~ in, and or not ( )"


def parse_filter(text: str) -> dict[str, Any]:
    """Return the MongoDB filter that `text` says.

    Raises
    ------
    InputError
        The text is not of the language, or a value does not fit its field.
    UnknownNameError
        A field or a value of it does not exist; near names are suggested.
    """
    return _Parser(text).parse()


def parse_filters(texts: Iterable[str]) -> dict[str, Any]:
    """Return the filter for which all of `texts` must hold; ``{}`` for none."""
    parts = [parse_filter(text) for text in texts]
    return parts[0] if len(parts) == 1 else {"$and": parts} if parts else {}


class _Parser:
    """Recursive descent; every rule returns a filter."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._tokenize(text)
        self._at = 0

    def _tokenize(self, text: str) -> list[str]:
        tokens, position = [], 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._error(f"cannot be read at {text[position:].strip()[:20]!r}")
            tokens.append(match.group().strip())
            position = match.end()
        return tokens

    def parse(self) -> dict[str, Any]:
        """Parse all of the text."""
        result = self._either()
        if self._peek():
            raise self._error(f"has {self._peek()!r} where it should end")
        return result

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, *expected: str) -> bool:
        found = self._peek().lower() in expected
        self._at += found
        return found

    def _next(self, what: str) -> str:
        token = self._peek()
        if token in {"", "(", ")", ","}:
            raise self._error(f"needs {what} where {repr(token) if token else 'it ends'}")
        self._at += 1
        return token

    def _either(self) -> dict[str, Any]:
        parts = [self._both()]
        while self._take("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else {"$or": parts}

    def _both(self) -> dict[str, Any]:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else {"$and": parts}

    def _one(self) -> dict[str, Any]:
        if self._take("not"):
            return {"$nor": [self._one()]}
        if self._take("("):
            inner = self._either()
            if not self._take(")"):
                raise self._error("lacks a closing parenthesis")
            return inner
        return self._comparison()

    def _comparison(self) -> dict[str, Any]:
        field = get_field(self._next("a field"))
        sign = self._next(f"a comparison after {field.name}").lower()
        if sign not in _COMPARISONS:
            raise self._error(f"has {sign!r} after {field.name}, which compares nothing")
        if sign == "in":
            return {field.path: {"$in": self._list(field)}}
        value = self._value(field, sign)
        return {field.path: {_COMPARISONS[sign]: value}}

    def _list(self, field: Field) -> list[Any]:
        if not self._take("("):
            raise self._error("needs a list in parentheses after 'in'")
        values = [self._value(field, "in")]
        while self._take(","):
            values.append(self._value(field, "in"))
        if not self._take(")"):
            raise self._error("lacks a closing parenthesis")
        return values

    def _value(self, field: Field, sign: str) -> Any:
        token = self._next(f"a value for {field.name}")
        if token[0] in "\"'":
            return _text_value(field, sign, token[1:-1])
        if token.lower() in _CONSTANTS:
            return _constant(field, sign, token)
        if field.type == "number":
            return _number(field, sign, token)
        return _text_value(field, sign, token)

    def _error(self, problem: str) -> InputError:
        return InputError(f"the filter {problem}", given=self._text, allowed=_LANGUAGE)


def _constant(field: Field, sign: str, token: str) -> bool | None:
    value = _CONSTANTS[token.lower()]
    wrong = sign in _ORDERED or sign == "~" or (value is not None and field.type != "flag")
    if wrong:
        raise _mismatch(field, sign, token)
    return value


def _number(field: Field, sign: str, token: str) -> float:
    if sign == "~":
        raise _mismatch(field, sign, token)
    try:
        return float(token)
    except ValueError:
        raise _mismatch(field, sign, token) from None


def _text_value(field: Field, sign: str, text: str) -> str:
    if field.type in {"number", "flag"} or sign in _ORDERED:
        raise _mismatch(field, sign, text)
    if sign == "~":
        try:
            re.compile(text)
        except re.error as error:
            raise InputError(
                f"not a regular expression for {field.name}: {error}", given=text
            ) from error
    elif field.allowed and text not in field.allowed:
        raise UnknownNameError.of(f"value of {field.name}", text, field.allowed)
    return text


def _mismatch(field: Field, sign: str, token: str) -> InputError:
    allowed = {
        "number": "== != < <= > >= in, with numbers or none",
        "flag": "== and !=, with true, false or none",
        "text": "== != ~ in, with text or none",
        "list": "== != ~ in, with text or none",
    }[field.type]
    return InputError(
        f"the field {field.name} cannot be compared so", given=f"{sign} {token}", allowed=allowed
    )
