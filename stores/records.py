"""Documents as a store keeps them, and back: plain BSON types, checked when read."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError

from ..errors import DocumentError
from .analyses import LandscapeDocument, StructureDocument, TransportDocument
from .barrier_documents import BarriersDocument
from .documents import (
    CandidateDocument,
    CandidateSummary,
    DiffusionDocument,
    HullDocument,
    MDDocument,
    MeltQuenchDocument,
    Model,
    RelaxDocument,
    StaticDocument,
    StepDocument,
)
from .ensemble_documents import EnsembleDocument
from .migrations import MIGRATIONS, version_of
from .models import TrainedModelDocument
from .registry_documents import RegistryDocument
from .student_checks import StudentCheckDocument
from .training import FrameLabelDocument, FrameSampleDocument, TrainingSetDocument

if TYPE_CHECKING:
    from collections.abc import Mapping

ModelT = TypeVar("ModelT", bound=Model)

STEP_KEYS: Final = "_step_keys"
"""Of a candidate's record: what an index finds it by when one of its steps has changed."""

STEP_DOCUMENTS: dict[str, type[StepDocument]] = {
    cls.model_fields["kind"].default: cls
    for cls in (
        RelaxDocument,
        StaticDocument,
        RegistryDocument,
        HullDocument,
        MeltQuenchDocument,
        MDDocument,
        DiffusionDocument,
        TransportDocument,
        StructureDocument,
        LandscapeDocument,
        BarriersDocument,
        EnsembleDocument,
        FrameSampleDocument,
        FrameLabelDocument,
        TrainingSetDocument,
        TrainedModelDocument,
        StudentCheckDocument,
    )
}
_COLLECTION_OF: dict[type[Model], str] = {
    CandidateDocument: "candidates",
    CandidateSummary: "summaries",
}


def candidate_record(candidate: CandidateDocument, now: datetime | None = None) -> dict[str, Any]:
    """Return what the ``candidates`` collection keeps, with the time of this change."""
    return {
        **candidate.model_dump(mode="json"),
        STEP_KEYS: step_keys(candidate.steps),
        "last_updated": _naive(now or datetime.now(UTC)),
    }


def step_key(identity: str) -> int:
    """Return what stands for a step in :data:`STEP_KEYS`: a number, which an index keeps small."""
    hashed = hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(hashed, "big", signed=True)


def step_keys(steps: object) -> list[int]:
    """Return the keys of a candidate's steps, name to identity; none where it has no such."""
    identities = steps.values() if isinstance(steps, dict) else ()
    return sorted({step_key(one) for one in identities if isinstance(one, str)})


def candidate_of(record: Mapping[str, Any]) -> CandidateDocument:
    """Read a record of the ``candidates`` collection; DocumentError where it is not valid."""
    body = {key: value for key, value in record.items() if key != "last_updated"}
    return _read(CandidateDocument, body, str(record.get("label", "candidate")))


def summary_record(summary: CandidateSummary) -> dict[str, Any]:
    """Return what the ``summaries`` collection keeps."""
    return {
        **summary.model_dump(mode="json"),
        "last_updated": _naive(summary.last_updated),
    }


def summary_of(record: Mapping[str, Any]) -> CandidateSummary:
    """Read a record of the ``summaries`` collection; DocumentError where it is not valid."""
    changed = record.get("last_updated")
    body = dict(record)
    if isinstance(changed, datetime):
        body["last_updated"] = changed.replace(tzinfo=UTC)
    return _read(CandidateSummary, body, str(record.get("label", "summary")))


def step_of(output: StepDocument | Mapping[str, Any]) -> StepDocument:
    """Read the output of a job as the document of its kind.

    Raises
    ------
    DocumentError
        The kind is unknown, the schema newer, or a field missing or wrong.
    """
    if isinstance(output, StepDocument):
        return output
    kind = output.get("kind")
    if kind not in STEP_DOCUMENTS:
        raise DocumentError(
            "a step's document is of an unknown kind", given=kind, allowed=sorted(STEP_DOCUMENTS)
        )
    return _read(STEP_DOCUMENTS[kind], output, f"{kind} step")


def current(record: Mapping[str, Any], label: str, collection: str = "outputs") -> dict[str, Any]:
    """Return a document as this version writes it.

    Raises
    ------
    DocumentError
        It was written by a newer one.
    """
    version, newest = version_of(record), MIGRATIONS.version
    if version > newest:
        raise DocumentError(
            f"the document of {label} was written by a newer haloflow",
            given=f"schema {version}",
            allowed=f"up to schema {newest}",
            remedy="upgrade haloflow: pip install -U haloflow",
        )
    return MIGRATIONS.upgraded(collection, record) if version < newest else dict(record)


def _read(model: type[ModelT], record: Mapping[str, Any], label: str) -> ModelT:
    body = {key: value for key, value in record.items() if key[0] not in "@_"}
    body = current(body, label, _COLLECTION_OF.get(model, "outputs"))
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DocumentError(
            f"the document of {label} is not valid: {first['msg']}",
            given=".".join(map(str, first["loc"])),
            allowed=f"a {model.__name__} of schema {MIGRATIONS.version}",
        ) from error


def _naive(moment: datetime) -> datetime:
    """Return UTC without saying so, in milliseconds, as stores give dates back."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)
