"""Entries for OPTIMADE, kept beside a store that is only read.

OPTIMADE filters speak of fields that our documents do not have in that shape. So the entries
lie in an embedded store of their own, in a passing folder, and follow the store.
"""

from __future__ import annotations

import re
import threading
import time
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from ...stores.documents import MeltQuenchDocument, RelaxDocument
from ...stores.embedded import SqliteStore
from ...stores.fields import get_field
from ...stores.paging import find_values
from ...stores.records import step_of, summary_of
from ...stores.results import stored_outputs
from .entries import entries_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pymatgen.core import Structure

    from ...stores.connection import HaloflowStore

REFRESH_S: Final = 30.0
_BATCH: Final = 100
_REST: Final = 0.5
"""Between two batches others have this part of the time that the last one took."""
_STRUCTURE_STEP: Final = re.compile(r"(relax|melt_quench)(-seed\d+)?")
_INDEXED: Final = ("id", "candidate_id", "elements", "nelements", "chemical_formula_reduced")


class EntryMirror:
    """Follows a store; entries are made in the background, from the first use on.

    Parameters
    ----------
    store
        Open store; it is only read.

    Attributes
    ----------
    entries
        The store of the entries.
    """

    def __init__(self, store: HaloflowStore) -> None:
        self._store = store
        self._folder = TemporaryDirectory(prefix="haloflow-optimade-")
        self.entries = SqliteStore(self._folder.name, "structures", key="id", durable=False)
        self.entries.connect()
        for field in _INDEXED:
            self.entries.ensure_index(field)
        self._seen: dict[str, object] = {}
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._refreshed_at = 0.0
        self._is_complete = False
        self._looked = threading.Event()
        self._trouble: Exception | None = None

    def close(self) -> None:
        """Drop the entries."""
        with self._lock:
            self.entries.close()
            self._folder.cleanup()

    def wait(self, timeout_s: float) -> bool:
        """Start to follow, and tell whether all entries are there within `timeout_s`.

        Later calls look for changes of the store at most every `REFRESH_S` seconds. What went
        wrong in the last look is raised.
        """
        due = time.monotonic() - self._refreshed_at > REFRESH_S
        if (due or self._trouble) and (self._worker is None or not self._worker.is_alive()):
            self._trouble = None
            self._looked.clear()
            self._worker = threading.Thread(target=self._follow, daemon=True)
            self._worker.start()
        if not self._is_complete:
            self._looked.wait(timeout_s)
        if self._trouble is not None:
            raise self._trouble
        return self._is_complete

    def _follow(self) -> None:
        try:
            self.refresh()
        except Exception as error:  # noqa: BLE001  (whoever waits gets it)
            self._trouble = error
        finally:
            self._looked.set()

    def refresh(self) -> None:
        """Bring the entries up to date with the store."""
        with self._lock:
            known = dict(find_values(self._store.summaries, {}, [get_field("updated")]))
            changed = [name for name, at in known.items() if self._seen.get(name) != at]
            for some in _batches(changed):
                started = time.monotonic()
                self._renew(some)
                self._seen.update({name: known[name] for name in some})
                time.sleep(_REST * (time.monotonic() - started))
            for some in _batches(list(self._seen.keys() - known.keys())):
                self.entries.remove_docs({"candidate_id": {"$in": some}})
                for name in some:
                    del self._seen[name]
            self._refreshed_at = time.monotonic()
            self._is_complete = True

    def _renew(self, ids: list[str]) -> None:
        one_of = {"candidate_id": {"$in": ids}}
        structures = self._structures(ids)
        relaxed = {"candidate_id": {"$in": list(structures)}}
        summaries = list(map(summary_of, self._store.summaries.query(relaxed)))
        made = [
            entry
            for summary in summaries
            for entry in entries_of(summary, structures[summary.candidate_id])
        ]
        kept = [entry["id"] for entry in made]
        self.entries.remove_docs({**one_of, "id": {"$nin": kept}})
        if made:
            self.entries.update(made, key="id")

    def _structures(self, ids: list[str]) -> dict[str, dict[str, Structure]]:
        """Return the relaxed structures by candidate and step; of a glass else the quenched.

        Of a candidate without any there is nothing.
        """
        records = self._store.candidates.query({"candidate_id": {"$in": ids}})
        wanted = {row["candidate_id"]: _structure_steps(row["steps"]) for row in records}
        identities = {i for steps in wanted.values() for i in steps.values()}
        outputs = stored_outputs(self._store, identities)
        known = {
            name: {step: outputs[i] for step, i in steps.items() if i in outputs}
            for name, steps in wanted.items()
        }
        return {name: _relaxed(steps) for name, steps in known.items() if steps}


def _batches(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _BATCH):
        yield names[start : start + _BATCH]


def _structure_steps(steps: dict[str, str]) -> dict[str, str]:
    return {name: identity for name, identity in steps.items() if _STRUCTURE_STEP.fullmatch(name)}


def _relaxed(outputs: dict[str, dict[str, Any]]) -> dict[str, Structure]:
    found: dict[str, Structure] = {}
    for step, output in sorted(outputs.items()):  # melt_quench before relax, which replaces it
        document = step_of(output)
        if isinstance(document, RelaxDocument | MeltQuenchDocument):
            found[step.replace("melt_quench", "relax", 1)] = document.structure
    return found
