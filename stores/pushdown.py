"""MongoDB filters as SQL over the columns of a collection, as far as they can be said so.

What cannot be said holds for every row: a condition is never true for fewer documents than the
filter, and `Condition.is_exact` tells whether for no more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from bson import Regex

from .columns import IRREGULAR, SEPARATOR, column_value, is_element
from .matching import is_operators, text_search
from .ordering import order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .columns import Column, Columns

_MOST_VALUES = 5000
_LONGEST_PART = 200
ALIKE = {"k": "\u212a", "s": "\u017f"}
"""Letters beyond ASCII that patterns without regard to case take for one of ASCII."""
_WORDS = re.compile(r"\(\^\|-\)\(([0-9A-Za-z]+(?:\|[0-9A-Za-z]+){0,199})\)\(-\|\$\)")
_RANGES = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition in SQL with its placeholders' values.

    Attributes
    ----------
    is_exact
        Whether it holds for the documents of the filter only.
    """

    sql: str
    values: tuple[Any, ...] = ()
    is_exact: bool = True


ALL, NONE, UNKNOWN = Condition("1"), Condition("0"), Condition("1", is_exact=False)


_patterns: dict[int, Callable[[str], object]] = {}
_numbers = count()


def matches(number: int, value: Any) -> bool:
    """Tell whether a pattern of a translation is found in a value; SQL's ``matches``."""
    return type(value) is str and _patterns[number](value) is not None


class Translator:
    """Translates filters, inside a ``with`` that its conditions must not outlive.

    Parameters
    ----------
    columns
        Of the collection.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._mine: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for number in self._mine:
            del _patterns[number]

    @property
    def is_portable(self) -> bool:
        """Whether conditions may outlive the ``with``: none refers to a pattern."""
        return not self._mine

    def translate(self, condition: Mapping[str, Any]) -> Condition:
        """Translate a normalized filter that compiles."""
        return _all(self._clause(key, test) for key, test in condition.items() if key != "$comment")

    def _clause(self, key: str, test: Any) -> Condition:
        if key == "$and":
            return _all(self.translate(part) for part in test)
        if key == "$or":
            return _any([self.translate(part) for part in test])
        if key == "$nor":
            return _all(_not(self.translate(part)) for part in test)
        column = self.columns.get(key)
        return UNKNOWN if column is None else self._test(column, test)

    def _test(self, column: Column, test: Any) -> Condition:
        if not is_operators(test):
            return self._equals(column, test)
        return _all(
            self._operator(column, operator, argument, test) for operator, argument in test.items()
        )

    def _operator(self, column: Column, operator: str, argument: Any, test: Any) -> Condition:
        if operator in _RANGES:
            return UNKNOWN if column.is_list else _range(column, operator, argument)
        if operator in {"$eq", "$ne"}:
            found = UNKNOWN if isinstance(argument, Regex) else self._equals(column, argument)
        elif operator in {"$in", "$nin"}:
            found = self._one_of(column, argument)
        elif operator == "$all":
            found = _all(self._equals(column, item) for item in argument) if argument else NONE
        elif operator == "$not":
            found = self._test(column, argument)
        elif operator == "$regex":
            found = self._pattern(
                column, {key: test[key] for key in ("$regex", "$options") if key in test}
            )
        else:
            return ALL if operator == "$options" else UNKNOWN
        return _not(found) if operator in {"$ne", "$nin", "$not"} else found

    def _equals(self, column: Column, value: Any) -> Condition:
        if isinstance(value, Regex):
            return self._pattern(column, value)
        if value is None:
            return Condition(f"{column.sql} IS NULL")
        if column.is_list:
            if is_operators(value) or isinstance(value, (list, dict)):
                return UNKNOWN
            if not is_element(value):
                return NONE
            return Condition(f"instr({column.sql}, ?) > 0", (SEPARATOR + value + SEPARATOR,))
        if is_operators(value):
            return UNKNOWN
        stored = column_value(value)
        return _absent(value) if stored is IRREGULAR else Condition(f"{column.sql} = ?", (stored,))

    def _one_of(self, column: Column, values: list[Any]) -> Condition:
        if len(values) > _MOST_VALUES:
            return UNKNOWN
        if column.is_list:
            return _any([self._equals(column, value) for value in values])
        singly, known = [], []
        for value in values:
            stored = column_value(value)
            if stored is None or stored is IRREGULAR:
                singly.append(self._equals(column, value))
            else:
                known.append(stored)
        among = Condition(f"{column.sql} IN ({', '.join('?' * len(known))})", tuple(known))
        return _any([*singly, among if known else NONE])

    def _pattern(self, column: Column, test: Any) -> Condition:
        if column.is_list:
            return UNKNOWN
        options = {"pattern": test} if isinstance(test, Regex) else _pattern_of(test)
        for plain in (_part_of_text, _word_of_text):
            if found := plain(column.sql, options):
                return found
        self._mine.append(next(_numbers))
        _patterns[self._mine[-1]] = text_search(**options)
        return Condition(f"matches({self._mine[-1]}, {column.sql})")


def _range(column: Column, operator: str, bound: Any) -> Condition:
    """Compare with what is of the same type; numbers come before text, text before bytes."""
    name, sign = column.sql, _RANGES[operator]
    if bound is None:
        return Condition(f"{name} IS NULL") if "=" in sign else NONE
    stored = column_value(bound)
    if stored is IRREGULAR:
        return _absent(bound)
    compared = f"{name} {sign} ?"
    if isinstance(stored, (int, float)):
        return Condition(compared if "<" in sign else f"({compared} AND {name} < '')", (stored,))
    if isinstance(stored, str):
        limit = f"{name} >= ''" if "<" in sign else f"{name} < x''"
        return Condition(f"({compared} AND {limit})", (stored,))
    rank = order(bound)[0]
    between = (bytes((rank,)), bytes((rank + 1,)))
    return Condition(f"({compared} AND {name} >= ? AND {name} < ?)", (stored, *between))


def _pattern_of(test: Mapping[str, Any]) -> dict[str, Any]:
    return {"pattern": test["$regex"], "options": test.get("$options", "")}


def _part_of_text(name: str, options: Mapping[str, Any]) -> Condition | None:
    """Return the condition for a pattern that is plain text; ``None`` for another one."""
    pattern = options["pattern"]
    if not isinstance(pattern, str) or options.get("options", "") not in {"", "i"}:
        return None
    text = re.sub(r"\\([^0-9A-Za-z])", r"\1", pattern)
    if re.escape(text) != pattern or not text.isascii() or not 0 < len(text) <= _LONGEST_PART:
        return None
    if not options.get("options"):
        return Condition(f"(typeof({name}) = 'text' AND instr({name}, ?) > 0)", (text,))
    searched = name
    for letter, others in ALIKE.items():
        for other in others if letter in text.lower() else "":
            searched = f"replace({searched}, char({ord(other)}), '{letter}')"
    escaped = re.sub(r"([%_!])", r"!\1", text)
    like = f"{searched} LIKE ? ESCAPE '!'"
    return Condition(f"(typeof({name}) = 'text' AND {like})", (f"%{escaped}%",))


def _word_of_text(name: str, options: Mapping[str, Any]) -> Condition | None:
    """Return the condition for a pattern that is one of some words between hyphens."""
    pattern = options["pattern"]
    found = _WORDS.fullmatch(pattern) if isinstance(pattern, str) else None
    if found is None or options.get("options"):
        return None
    words = found[1].split("|")
    conditions = []
    for word in words:  # the end is also before a line feed that comes last
        at_end = f"substr('-' || {name}, -{len(word) + 2}) = ?"
        conditions.append(f"instr('-' || {name} || '-', ?) > 0 OR {at_end}")
    values = tuple(text for word in words for text in (f"-{word}-", f"-{word}\n"))
    return Condition(f"(typeof({name}) = 'text' AND ({' OR '.join(conditions)}))", values)


def _absent(value: Any) -> Condition:
    """Return the condition of a value that no column holds, but to which some may compare."""
    return NONE if isinstance(value, (float, list, dict)) else UNKNOWN


def _all(parts: Iterable[Condition]) -> Condition:
    return _joined([part for part in parts if part != ALL], " AND ", ALL)


def _any(parts: list[Condition]) -> Condition:
    if any(part.sql == "1" for part in parts):
        return ALL if ALL in parts else UNKNOWN
    return _joined([part for part in parts if part != NONE], " OR ", NONE)


def _joined(parts: list[Condition], word: str, empty: Condition) -> Condition:
    is_exact = all(part.is_exact for part in parts)
    said = [part for part in parts if part != UNKNOWN]
    if not said:
        return empty if is_exact else UNKNOWN
    sql = said[0].sql if len(said) == 1 else f"({word.join(part.sql for part in said)})"
    return Condition(sql, tuple(value for part in said for value in part.values), is_exact)


def _not(part: Condition) -> Condition:
    return Condition(f"NOT coalesce({part.sql}, 0)", part.values) if part.is_exact else UNKNOWN
