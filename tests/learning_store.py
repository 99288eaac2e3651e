"""A store that holds a student, with random weights, and its training set."""

from __future__ import annotations

from sample_documents import provenance
from trained_models import put_model

from haloflow.identity import step_uuid
from haloflow.stores.training import TrainingSetDocument


def put_set(store, student, digit, **fields):
    """Store the training set of a student as its step does, and return its identity."""
    identity = str(digit) * 64
    document = TrainingSetDocument(
        identity=identity, provenance=provenance(), level=student.teacher,
        level_sha256=student.teacher_sha256, content_hash=student.data_hash,
        n_frames={"train": 8, "validation": 2, "test": 2}, n_duplicates=0, n_strained=0,
        max_force_ev_a=25.0, rms_force_ev_a=1.0, groups=[], domain=student.domain, **fields,
    )  # fmt: skip
    put(store, document)
    return identity


def put(store, document):
    row = {"uuid": step_uuid(document.identity), "index": 1}
    store.outputs.update([row | {"output": document.model_dump(mode="json")}], key="uuid")


def put_student(store, seed=1, **settings):
    """Store a student and its training set; return the student and its name as a level."""
    student = put_model(store, seed, **settings)
    put_set(store, student, 7)
    return student, f"nep:{student.weights_sha256[:12]}"
