"""``haloflow show`` says where files lie, and which were released."""

from __future__ import annotations

import pytest
from kept_elsewhere import fill_with_a_run

from haloflow.stores.connection import open_store
from haloflow.stores.retention import Retention
from haloflow.stores.trajectory_places import use_place
from haloflow.workflows.pruning import prune

pytestmark = pytest.mark.usefixtures("quick_settings")


def test_a_released_file_is_shown_with_its_rule(haloflow, tmp_path):
    with open_store(tmp_path / "store") as store:
        use_place(store, str(tmp_path / "shared"))
    with open_store(tmp_path / "store") as store:
        candidate, _, _ = fill_with_a_run(store)
        prune(store, Retention(preparation="release"))
    shown = haloflow("show", candidate.candidate_id, "--store", tmp_path / "store", columns=400)
    assert shown.exit_code == 0, shown.output
    lines = [line for line in shown.stdout.splitlines() if "chunk-" in line]
    assert len(lines) == 6
    assert sum(": preparation: release" in line for line in lines) == 3
    assert f"Files lie under {tmp_path}/store/files, and in {tmp_path}/shared" in shown.stdout
