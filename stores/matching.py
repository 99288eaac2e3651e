"""MongoDB's query language, compiled to a Python predicate over decoded documents.

Held equal to a real MongoDB server by the differential test. What is not here
(``$expr``, ``$where``, ``$text``, geometry, bits) is refused, never ignored.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import bson
from bson import Binary, Int64, ObjectId, Regex

from ..errors import StoreError
from .ordering import MISSING, NUMBER, order, values_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Predicate = Callable[[dict[str, Any]], bool]
    Values = Callable[[bool], Iterable[Any]]
    """Gives the values of a field; the flag asks for the elements of an array as well."""
    FieldTest = Callable[[Values], bool]

import datetime as dt

_NOT_A_NUMBER = order(float("nan"))
_REGEX_OPTIONS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}
_INT32 = range(-(2**31), 2**31)
_TYPES: dict[str, Callable[[Any], bool]] = {
    "double": lambda value: type(value) is float,
    "string": lambda value: type(value) is str,
    "object": lambda value: type(value) is dict,
    "array": lambda value: type(value) is list,
    "binData": lambda value: type(value) in {bytes, Binary},
    "objectId": lambda value: type(value) is ObjectId,
    "bool": lambda value: type(value) is bool,
    "date": lambda value: type(value) is dt.datetime,
    "null": lambda value: value is None,
    "int": lambda value: type(value) is int and value in _INT32,
    "long": lambda value: type(value) is Int64,
    "number": lambda value: value is not MISSING and order(value)[0] == NUMBER,
}


def normalized(criteria: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return `criteria` as a server would see it: dates in ms, tuples as lists...

    Raises
    ------
    StoreError
        A value has no BSON form.
    """
    try:
        return bson.decode(bson.encode(dict(criteria or {})))
    except (bson.errors.BSONError, OverflowError) as error:
        raise StoreError(
            "a filter holds a value that documents cannot hold",
            given=str(error),
            allowed="numbers, text, booleans, None, dates, ObjectId, bytes, lists, mappings",
        ) from error


def compile_filter(criteria: Mapping[str, Any]) -> Predicate:
    """Return the predicate of normalized `criteria`; all its clauses must hold.

    Raises
    ------
    StoreError
        An operator is unknown, or its argument has the wrong type.
    """
    clauses = [_clause(key, condition) for key, condition in criteria.items() if key != "$comment"]
    if len(clauses) == 1:
        return clauses[0]
    return lambda document: all(clause(document) for clause in clauses)


def _clause(key: str, condition: Any) -> Predicate:
    if not key.startswith("$"):
        test, parts = _field_test(condition), tuple(key.split("."))
        return lambda document: test(lambda expand: values_at(document, parts, expand=expand))
    if key not in {"$and", "$or", "$nor"}:
        raise _unknown_operator(key)
    if not isinstance(condition, list) or not condition:
        raise _bad_argument(key, condition, "a list of at least one filter")
    parts_ = [compile_filter(_mapping(key, part)) for part in condition]
    if key == "$and":
        return lambda document: all(part(document) for part in parts_)
    if key == "$or":
        return lambda document: any(part(document) for part in parts_)
    return lambda document: not any(part(document) for part in parts_)


def is_operators(condition: object) -> bool:
    """Tell ``{"$gt": 1}`` from a document to compare with."""
    return isinstance(condition, dict) and next(iter(condition), "").startswith("$")


def _field_test(condition: Any) -> FieldTest:
    if not is_operators(condition):
        return _regex(condition) if isinstance(condition, Regex) else _equals(condition)
    tests = []
    for operator, argument in condition.items():
        if operator == "$options":
            if "$regex" not in condition:
                raise _bad_argument("$options", argument, "a $regex beside it")
        elif operator == "$regex":
            tests.append(_regex(argument, condition.get("$options", "")))
        elif operator in _OPERATORS:
            tests.append(_OPERATORS[operator](argument))
        else:
            raise _unknown_operator(operator)
    return tests[0] if len(tests) == 1 else lambda values: all(test(values) for test in tests)


def _any(single: Callable[[Any], bool]) -> FieldTest:
    return lambda values: any(single(value) for value in values(True))  # noqa: FBT003  (Values is called so)


def _not(test: FieldTest) -> FieldTest:
    return lambda values: not test(values)


def _equals(wanted: Any) -> FieldTest:
    key = order(wanted)
    return _any(lambda value: order(value) == key)


def _compares(holds: Callable[[Any, Any], bool], *, or_equal: bool) -> Callable[[Any], FieldTest]:
    """Build a range operator: only values of the same type compare, NaN only with itself."""

    def build(bound: Any) -> FieldTest:
        limit = order(bound)
        if isinstance(bound, Regex):
            raise _bad_argument("a range operator", bound, "anything but a regular expression")

        def single(value: Any) -> bool:
            key = order(value)
            if key[0] != limit[0]:
                return False
            if _NOT_A_NUMBER in {key, limit}:
                return or_equal and key == limit
            return holds(key, limit)

        return _any(single)

    return build


def _in(wanted: Any) -> FieldTest:
    if not isinstance(wanted, list):
        raise _bad_argument("$in and $nin", wanted, "a list")
    patterns = [_regex(item) for item in wanted if isinstance(item, Regex)]
    keys = {order(item) for item in wanted if not isinstance(item, Regex)}
    plain = _any(lambda value: order(value) in keys)
    return lambda values: plain(values) or any(pattern(values) for pattern in patterns)


def _all(wanted: Any) -> FieldTest:
    if not isinstance(wanted, list):
        raise _bad_argument("$all", wanted, "a list")
    tests = [_field_test(item) for item in wanted]
    return lambda values: bool(tests) and all(test(values) for test in tests)


def _exists(wanted: Any) -> FieldTest:
    exists = _any(lambda value: value is not MISSING)
    return exists if wanted else _not(exists)


def _arrays(values: Values) -> Iterable[list[Any]]:
    return (value for value in values(False) if type(value) is list)  # noqa: FBT003  (Values is called so)


def _size(wanted: Any) -> FieldTest:
    if not isinstance(wanted, (int, float)) or wanted < 0 or wanted != int(wanted):
        raise _bad_argument("$size", wanted, "a whole number from 0 on")
    return lambda values: any(len(array) == wanted for array in _arrays(values))


def _elem_match(condition: Any) -> FieldTest:
    condition = _mapping("$elemMatch", condition)
    if is_operators(condition) and next(iter(condition)) not in {"$and", "$or", "$nor"}:
        test = _field_test(condition)
        return lambda values: any(
            test(partial(_single, item)) for array in _arrays(values) for item in array
        )
    predicate = compile_filter(condition)
    return lambda values: any(
        predicate(_as_object(item))
        for array in _arrays(values)
        for item in array
        if type(item) in {dict, list}
    )


def _single(item: Any, _expand: bool) -> tuple[Any]:  # noqa: FBT001  (Values is called so)
    return (item,)


def _as_object(item: Any) -> dict[str, Any]:
    """View an array inside an array as the object with its positions as keys."""
    return item if type(item) is dict else {str(at): value for at, value in enumerate(item)}


def _type(wanted: Any) -> FieldTest:
    names = wanted if isinstance(wanted, list) else [wanted]
    if unknown := [name for name in names if name not in _TYPES]:
        raise _bad_argument("$type", unknown, sorted(_TYPES))
    tests = [_TYPES[name] for name in names]
    return _any(lambda value: any(test(value) for test in tests))


def _negated(condition: Any) -> FieldTest:
    if not is_operators(condition) and not isinstance(condition, Regex):
        raise _bad_argument("$not", condition, "operators or a regular expression")
    return _not(_field_test(condition))


def _regex(pattern: Any, options: str = "") -> FieldTest:
    search = text_search(pattern, options)
    return _any(lambda value: type(value) is str and search(value) is not None)


_ALONE = str.maketrans("\u0130\u0131", "\uf8fe\uf8ff")
"""Turkish letters that Python, but no server, takes for an i; to letters that are like none."""


def text_search(pattern: Any, options: str = "") -> Callable[[str], re.Match[str] | None]:
    """Return the search of a ``$regex`` in a text.

    Raises
    ------
    StoreError
        The pattern is not valid.
    """
    flags = 0
    if isinstance(pattern, Regex):
        pattern, flags = pattern.pattern, pattern.flags
    if not isinstance(pattern, str):
        raise _bad_argument("$regex", pattern, "a pattern")
    try:
        for option in options:
            flags |= _REGEX_OPTIONS[option]
        if flags & re.IGNORECASE:
            alone = re.compile(pattern.translate(_ALONE), flags & ~re.UNICODE).search
            return lambda text: alone(text if text.isascii() else text.translate(_ALONE))
        return re.compile(pattern, flags & ~re.UNICODE).search
    except (re.error, KeyError) as error:
        raise _bad_argument("$regex", pattern, "a valid pattern, options imsx") from error


_OPERATORS: dict[str, Callable[[Any], FieldTest]] = {
    "$eq": _equals,
    "$ne": lambda value: _not(_equals(value)),
    "$gt": _compares(lambda key, limit: key > limit, or_equal=False),
    "$gte": _compares(lambda key, limit: key >= limit, or_equal=True),
    "$lt": _compares(lambda key, limit: key < limit, or_equal=False),
    "$lte": _compares(lambda key, limit: key <= limit, or_equal=True),
    "$in": _in,
    "$nin": lambda wanted: _not(_in(wanted)),
    "$all": _all,
    "$exists": _exists,
    "$size": _size,
    "$elemMatch": _elem_match,
    "$type": _type,
    "$not": _negated,
}


def _mapping(operator: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad_argument(operator, value, "a filter")
    return value


def _unknown_operator(name: str) -> StoreError:
    return StoreError(
        "the embedded store does not know an operator of the filter",
        given=name,
        allowed=["$and", "$or", "$nor", "$regex", "$options", *sorted(_OPERATORS)],
        remedy="write the filter with these, or use a mongodb:// store",
    )


def _bad_argument(operator: str, given: object, allowed: object) -> StoreError:
    return StoreError(f"{operator} of a filter has a wrong argument", given=given, allowed=allowed)
