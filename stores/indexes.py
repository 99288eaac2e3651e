"""What is indexed in a store, for what is asked for; made when it is opened for writing."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from pymongo.errors import DuplicateKeyError

from .changes import WATCHED
from .collection import SqliteCollection
from .embedded_changes import EmbeddedChanges
from .fields import SORTED, SUMMARY_COLUMNS
from .mongodb import SEEN
from .records import STEP_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maggma.core import Store

_INDEXES: Final = {
    "outputs": ("uuid", "index", "completed_at", "output.kind"),
    "candidates": ("candidate_id", "family", "sweeps", STEP_KEYS),
    "failures": ("identity",),
    "saved": ("identity",),
    "summaries": (
        "candidate_id",
        "family",
        "phase",
        "chemsys",
        "elements",
        "sweeps",
        "sigma_300k_ms_cm.lower",
    ),
}
_FILTERED: Final = (
    ("phase", "sigma_300k_ms_cm.status"),
    ("sigma_300k_ms_cm.status",),
    ("energy_above_hull_ev_per_atom.status",),
    ("activation_energy_ev.status",),
    ("passes_screen",),
    ("formula",),
    ("variables.$**",),
    ("levels.$**",),
    ("chemsys", "energy_above_hull_ev_per_atom.value"),
    ("chemsys", "sigma_300k_ms_cm.value"),
)
"""What summaries are filtered by on a server, beside what they are sorted by."""

_ONE_OUTPUT: Final = ("uuid", "index")
"""Two that store one step at once replace each other's document; they never make two."""


def prepare_indexes(stores: Mapping[str, Store]) -> None:
    """Make the indexes, columns and tables that are missing in connected stores."""
    for name, field in _single(stores):
        stores[name].ensure_index(field)
    summaries = stores["summaries"]._collection
    if (embedded := _embedded(stores)) is not None:
        embedded.prepare()
        summaries.create_columns(SUMMARY_COLUMNS)
        return
    outputs, keys = stores["outputs"]._collection, [(path, 1) for path in _ONE_OUTPUT]
    try:
        outputs.create_index(keys, unique=True)
    except DuplicateKeyError:  # doubles of before: `haloflow db check` names them
        outputs.create_index(keys)
    for path, direction in product(SORTED, (1, -1)):
        summaries.create_index([(path, direction), ("candidate_id", 1)])
    for paths in _FILTERED:
        summaries.create_index([(path, 1) for path in paths])


def missing_indexes(stores: Mapping[str, Store]) -> list[str]:
    """Return what :func:`prepare_indexes` would make, as ``collection.field``."""
    wanted: list[tuple[str, tuple[str, ...]]]
    wanted = [(name, (field,)) for name, field in _single(stores)]
    lacking = []
    if (embedded := _embedded(stores)) is not None:
        collection = stores["summaries"]._collection
        with collection.sqlite.reading() as connection:
            columns = collection.columns(connection)
        lacking += [] if columns and columns.has(SUMMARY_COLUMNS) else ["summaries (columns)"]
        lacking += [] if embedded.is_prepared() else ["candidates (changes)"]
    else:
        wanted += [("outputs", _ONE_OUTPUT)]
        wanted += [("summaries", (path, "candidate_id")) for path in SORTED]
        wanted += [("summaries", paths) for paths in _FILTERED]
    known = {
        (name, tuple(field for field, _ in index["key"]))
        for name, store in stores.items()
        for index in store._collection.index_information().values()
    }
    missing = dict.fromkeys(pair for pair in wanted if pair not in known)
    return [f"{name}.{'+'.join(fields)}" for name, fields in missing] + lacking


def _embedded(stores: Mapping[str, Store]) -> EmbeddedChanges | None:
    """Return the changes of an embedded store, for which it has a table."""
    collection = stores["candidates"]._collection
    return EmbeddedChanges(collection) if isinstance(collection, SqliteCollection) else None


def _single(stores: Mapping[str, Store]) -> Iterator[tuple[str, str]]:
    """Yield the indexes of one field."""
    embedded = _embedded(stores) is not None
    for name, fields in _INDEXES.items():
        beside = embedded and name == "summaries"
        for field in fields[:1] if beside else fields:  # columns stand for the others
            if embedded or (name, field) != ("outputs", _ONE_OUTPUT[0]):
                yield name, field
    if not embedded:
        yield from ((name, SEEN) for name in WATCHED)
