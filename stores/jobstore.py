"""The JobStore of steps, which does not make plain again what is plain already."""

from __future__ import annotations

from typing import Any

from jobflow import JobStore
from jobflow.core.schemas import JobStoreDocument
from monty.json import jsanitize

from .records import current


class StepJobStore(JobStore):
    """jobflow's JobStore, with less work for each document.

    A jobflow job turns its output into plain types before it hands it over; jobflow's own
    JobStore then goes through all of it once more, which for a structure takes as long as
    storing it. What a job starts from is read as this version writes it.
    """

    def query_one(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """Return one document; the arguments are jobflow's.

        Raises
        ------
        DocumentError
            It is of a newer schema.
        """
        found: dict[str, Any] | None = super().query_one(*args, **kwargs)
        output = (found or {}).get("output")
        if found is not None and isinstance(output, dict) and "schema_version" in output:
            found["output"] = current(output, f"{output.get('kind')} step")
        return found

    def update(
        self,
        docs: list[dict[str, Any]] | dict[str, Any] | JobStoreDocument | list[JobStoreDocument],
        key: list[str] | str | None = None,
        save: Any = None,
    ) -> None:
        """Insert or replace the documents of jobs; the arguments are jobflow's."""
        if save or self.save or not isinstance(docs, JobStoreDocument):
            super().update(docs, key=key, save=save)
            return
        around = jsanitize(docs.model_copy(update={"output": None}), strict=True, allow_bson=True)
        self.docs_store.update([around | {"output": docs.output}], key=key or ["uuid", "index"])
