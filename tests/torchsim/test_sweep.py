"""A sweep whose melts and MD one worker runs side by side with torch-sim."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from tiny_mace import write_tiny_mace
from tiny_sweeps import CRYSTAL, tiny_sweep

from haloflow.settings import get_settings
from haloflow.stores.connection import open_store
from haloflow.stores.results import stored_outputs
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.run import run_sweep

if find_spec("torch_sim") is None:
    pytest.skip(
        "torch-sim is not installed: pip install 'haloflow[torchsim]' on Python >= 3.12",
        allow_module_level=True,
    )


@pytest.fixture
def with_torch_sim(monkeypatch):
    monkeypatch.setenv("HALOFLOW_RUNNER", "torch-sim")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


class Together:
    """Observer that counts what is under way."""

    def __init__(self):
        self.running, self.most = set(), 0

    def started(self, label):
        self.running.add(label.identity)
        self.most = max(self.most, len(self.running))

    def finished(self, label, _wall_s):
        self.running.discard(label.identity)

    def planned(self, plan): ...

    def progressed(self, label, progress): ...

    def failed(self, label, message):
        pytest.fail(f"{label}: {message}")

    def skipped(self, label, message): ...


@pytest.mark.usefixtures("with_torch_sim")
def test_each_run_of_a_batch_has_a_document_of_its_own(tmp_path):
    level = f"mace:{write_tiny_mace(tmp_path / 'tiny.model')}"
    sweep = tiny_sweep(
        level=level, systems=[CRYSTAL], md={"crystal_temperatures_k": [200, 300, 400]}
    )
    store_uri, observer = str(tmp_path / "store"), Together()
    report = run_sweep(sweep, store_uri, workers=1, observer=observer)
    assert report.failures == []
    assert observer.most == 3
    runs = {i: s for i, s in plan_sweep(sweep).steps.items() if s.kind == "md"}
    with open_store(store_uri) as store:
        documents = stored_outputs(store, runs)
    assert documents.keys() == runs.keys()
    assert sorted(d["temperature_k"] for d in documents.values()) == [200, 300, 400]
    for identity, document in documents.items():
        provenance = document["provenance"]
        assert document["identity"] == identity
        assert provenance["runner"] == "torch-sim"
        assert "torch-sim-atomistic" in provenance["packages"]
        assert all(identity in file["path"] for file in document["files"])
