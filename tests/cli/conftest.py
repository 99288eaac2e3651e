"""The commands, run in this process, and a store that a screening filled."""

from __future__ import annotations

import pytest
import sample_candidates
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.connection import open_store


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filled") / "store"
    with open_store(folder) as store:
        sample_candidates.fill(store)
        SummaryBuilder.of(store).run()
    return folder


@pytest.fixture
def haloflow(monkeypatch):
    """Run a command; returns the result with ``stdout``, ``stderr`` and ``exit_code``."""

    def run(*arguments, columns=120):
        monkeypatch.setenv("COLUMNS", str(columns))
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run
