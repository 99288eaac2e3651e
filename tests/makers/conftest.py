"""An embedded store, and Makers run in it as jobflow jobs."""

from __future__ import annotations

import warnings

import pytest
from jobflow import run_locally
from monty.json import MontyDecoder

from haloflow.makers.step import release_claims
from haloflow.stores.connection import open_store


class Workshop:
    """Runs Makers through jobflow and returns the documents that were stored."""

    def __init__(self, store):
        self.store = store

    def run(self, maker, *inputs, **keywords):
        """Run one step as a job of its own; raise what it raises."""
        job = maker.make(*inputs, **keywords)
        return self.run_job(job)

    def run_job(self, job):
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "cd is deprecated", FutureWarning)  # jobflow's
                run_locally(job, log=False, store=self.store.jobstore, raise_immediately=True)
        finally:
            release_claims()
        return MontyDecoder().process_decoded(
            self.store.outputs.query_one({"uuid": job.uuid})["output"]
        )

    def files(self, document, role):
        return [self.store.files_dir / f.path for f in document.files if f.role == role]


@pytest.fixture(scope="session")
def make_workshop():
    return Workshop


@pytest.fixture
def workshop(tmp_path):
    with open_store(tmp_path / "store") as store:
        yield Workshop(store)
