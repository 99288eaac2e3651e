"""``haloflow models``: the list, a card, a wrong name, an empty store."""

from __future__ import annotations

import pytest
from trained_models import own_machine, put_model  # noqa: F401  (a fixture)

from haloflow.stores.connection import open_store

pytestmark = pytest.mark.usefixtures("own_machine")


def test_the_command_lists_them_and_shows_their_cards(haloflow, tmp_path):
    uri = str(tmp_path / "store")
    with open_store(uri) as store:
        document = put_model(store, 1)
    listed = haloflow("models", "--store", uri)
    assert listed.exit_code == 0
    for word in (document.weights_sha256[:12], "NaCl", "76 meV/A", "25 us", "chgnet-r2scan-d3"):
        assert word in listed.stdout
    card = haloflow("models", document.weights_sha256[:8], "--store", uri)
    assert f"as a potential: nep:{document.weights_sha256[:12]}" in card.stdout
    assert "errors, test: 20 frames, energy 2.0 meV/atom, forces 76 meV/A" in card.stdout
    missing = haloflow("models", "ffff0000", "--store", uri)
    assert missing.exit_code == 2
    assert "unknown trained model" in missing.stderr


def test_a_store_without_models(tmp_path, haloflow):
    open_store(tmp_path / "empty").close()
    shown = haloflow("models", "--store", str(tmp_path / "empty"))
    assert "No model was trained in this store" in shown.stdout
