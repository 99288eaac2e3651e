"""What a sweep takes over from others: whole results, and all temperatures of a candidate."""

from __future__ import annotations

import shutil

import pytest

from haloflow.makers.step import step_directory
from haloflow.stores.connection import open_store
from haloflow.stores.records import step_of


@pytest.fixture
def copy(undisturbed, tmp_path):
    place = type(undisturbed)(tmp_path)
    shutil.copytree(undisturbed.store, place.store)
    return place


def test_a_partial_result_is_made_again_once_another_sweep_has_made_the_rest(copy, undisturbed):
    steps, analyses = copy.steps, copy.after("md-seed1-400K")
    lost = steps["md-seed1-400K"].identity
    with open_store(copy.store) as store:
        kept = store.outputs.query_one({"output.identity": lost})
        gone = [lost, *(steps[name].identity for name in analyses)]
        store.outputs.remove_docs({"output.identity": {"$in": gone}})
        directory = step_directory(store.files_dir, lost)
    aside = directory.rename(copy.folder / "aside")
    damaged = directory / "production" / "checkpoints"
    shutil.copytree(aside / "production" / "checkpoints", damaged)
    for checkpoint in damaged.iterdir():
        checkpoint.write_bytes(b"damaged")
    assert copy.run(workers=1).n_failed == 1
    partial = step_of(copy.outputs()[steps["diffusion-seed1"].identity])
    assert partial.provenance.parents == [steps["md-seed1-300K"].identity]

    with open_store(copy.store) as store:
        store.outputs.update(kept)
    shutil.rmtree(directory)
    aside.rename(directory)
    report = copy.run(workers=1)
    assert (report.n_done, report.n_failed) == (len(analyses), 0)
    theirs = undisturbed.outputs()
    for name in analyses:
        ours = step_of(copy.outputs()[steps[name].identity])
        expected = step_of(theirs[steps[name].identity])
        assert ours.provenance.parents == expected.provenance.parents
        assert (ours.status, ours.note) == (expected.status, expected.note)
    assert copy.run(workers=1).n_done == 0
