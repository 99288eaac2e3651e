"""Patterns that are plain text are searched by SQLite, and find what the patterns do."""

from __future__ import annotations

import re
import string
import sys
import time

import pytest

from haloflow.stores.columns import Columns
from haloflow.stores.connection import open_store
from haloflow.stores.embedded import SqliteStore
from haloflow.stores.matching import text_search
from haloflow.stores.pushdown import ALIKE, Translator

TEXTS = [
    *("NaTaCl6 glass", "natacl6", "a%b", "a_b", "a!b", "a\\b", "a.b", "axb", "", "%", "K", "5"),
    *("\u212aelvin", "gla\u017f\u017f", "\u0130on", "\u0131on", "ION", "\u00c9", "\u00e9", "a\nb"),
    *(5, 5.5, True, None, ["5"], "long" * 200, "nul\0a%b"),
]
SEARCHES = ["tacl", "CL6", "a%b", "a_b", "a!b", "a\\b", "a.b", "", "%", "k", "s", "is", "io", "5"]
SEARCHES += ["\u00e9", "a\nb", "l\0a", "x" * 500, "long" * 20]


def test_letters_are_alike_as_in_patterns():
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    for letter in string.ascii_lowercase:
        like_python = set(re.findall(letter, everything, re.IGNORECASE))
        found = {one for one in like_python if text_search(letter, "i")(one)}
        assert found == {letter, letter.upper(), *ALIKE.get(letter, "")}


@pytest.mark.parametrize("options", ["", "i"])
def test_plain_text_is_found_where_the_pattern_is(tmp_path, options):
    documents = [{"key": f"{n:02}", "a": text} for n, text in enumerate(TEXTS)]
    with SqliteStore(tmp_path, "quick", key="key") as store:
        store._collection.create_columns({"a": "scalar"})
        store.update(documents)
        for text in SEARCHES:
            test = {"$regex": re.escape(text), "$options": options}
            values = [(one["key"], one["a"]) for one in documents]
            wanted = {
                key
                for key, value in values
                for item in (value if isinstance(value, list) else [value])
                if isinstance(item, str) and text_search(re.escape(text), options)(item)
            }
            assert {row["key"] for row in store.query({"a": test})} == wanted, text
            assert store.count({"a": test}) == len(wanted)
            assert store.count({"a": {"$not": test}}) == len(TEXTS) - len(wanted)


@pytest.mark.parametrize("pattern", ["a.b", "^a", r"\d", "a|b", r"a\Z", r"\bx", "\u00e9", "(?i)a"])
def test_other_patterns_are_left_to_python(tmp_path, pattern):
    with SqliteStore(tmp_path, "quick", key="key") as store:
        store._collection.create_columns({"a": "scalar"})
        columns = store._collection.columns(store._collection.sqlite.connection())
        assert isinstance(columns, Columns)
        for test, portable in ((pattern, False), (re.escape("a.b (c)"), True)):
            with Translator(columns) as translator:
                found = translator.translate({"a": {"$regex": test, "$options": "i"}})
                assert found.is_exact
                assert translator.is_portable == portable


def test_letters_are_alike_as_on_a_server(tmp_path, mongod_uri):
    letters = "iI\u0130\u0131kK\u212asS\u017f\u00df\u1e9e\u00e9\u00c9\u03c3\u03c2\u03a3\ufb01"
    rows = [{"candidate_id": f"c{n}", "label": one} for n, one in enumerate(letters)]
    server, uri = tmp_path / "server", f"{mongod_uri}/letters{time.time_ns()}"
    with open_store(tmp_path / "file") as file, open_store(uri, files_dir=server) as other:
        for store in (file, other):
            store.summaries.update(rows)
        for letter in letters:
            test = {"label": {"$regex": letter, "$options": "i"}}
            found = [
                {row["label"] for row in store.summaries.query(test)} for store in (file, other)
            ]
            assert letter in found[0]
            assert found[0] == found[1], letter
