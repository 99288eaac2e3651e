"""Steps whose files were damaged after they had ended: run again when the sweep is."""

from __future__ import annotations

import shutil

import pytest
from damage import flip
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.makers.step import step_directory
from haloflow.stores.connection import open_store
from haloflow.workflows.mending import make_again, mend
from haloflow.workflows.status import candidate_states

MD = "md-seed1-400K"


@pytest.fixture
def damaged(undisturbed, tmp_path):
    """Give a sweep that ran, with a byte of an MD's last chunk changed before its analyses."""
    place = type(undisturbed)(tmp_path)
    shutil.copytree(undisturbed.store, place.store)
    with open_store(place.store) as store:
        analyses = [place.steps[name].identity for name in place.after(MD)]
        store.outputs.remove_docs({"output.identity": {"$in": analyses}})
        flip(chunk_of(store, place))
    return place


def chunk_of(store, place):
    folder = step_directory(store.files_dir, place.steps[MD].identity)
    return max(folder.glob("production/trajectory/*.h5"))


def invoke(*words):
    return CliRunner().invoke(app, list(words))


def states(place):
    with open_store(place.store) as store:
        return {
            step.name: step for candidate in candidate_states(store) for step in candidate.steps
        }


def test_the_run_after_the_one_that_found_it_makes_all_anew(damaged, undisturbed):
    before = damaged.completed_at()
    report = damaged.run(workers=1)
    assert report.n_failed
    failed = [state for state in states(damaged).values() if state.state == "failed"]
    assert failed
    for state in failed:
        assert "checksum of a trajectory file does not match" in state.note
        assert "chunk-000000.h5" in state.note
    kept = damaged.completed_at()
    assert before.items() <= kept.items()
    again = damaged.run(workers=1)
    assert (again.n_done, again.n_failed) == (1 + len(failed), 0)
    ours, theirs = damaged.outputs(), undisturbed.outputs()
    assert ours.keys() == theirs.keys()
    for identity, output in ours.items():
        for one in (output, theirs[identity]):
            del one["provenance"]
        assert output == theirs[identity]
    anew = {uuid for uuid, at in damaged.completed_at().items() if kept.get(uuid, at) != at}
    assert len(anew) == 1  # the MD; what had ended besides stays as it was


def test_what_is_whole_or_claimed_is_left_alone(damaged):
    md = damaged.steps[MD].identity
    with open_store(damaged.store) as store:
        chunk = chunk_of(store, damaged)
        error = f"the checksum of a trajectory file does not match. Given: {chunk}."
        store.failures.update({"identity": "x", "step": "diffusion", "error": error})
        assert mend(store, {"y"}) == set()
        flip(chunk)  # back to what it was
        assert mend(store, {"x"}) == set()
        flip(chunk)
        assert mend(store, {"x"}) == {md}
        assert not chunk.exists()
        assert store.outputs.count({"output.identity": md}) == 0


def test_a_check_lets_steps_run_again_when_asked(damaged, undisturbed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    damaged.run(workers=1)  # the analyses fail
    found = invoke("db", "check", "--store", damaged.store)
    assert "file of other content" in found.stdout
    assert "To make damaged files anew: haloflow db check --mend" in found.stdout
    found = invoke("db", "check", "--mend", "--store", damaged.store)
    assert found.exit_code == 1
    assert "1 step is taken back, the damaged files removed" in found.stdout
    assert damaged.run(workers=1).n_failed == 0
    found = invoke("db", "check", "--mend", "--store", damaged.store)
    assert (found.exit_code, "Nothing is wrong" in found.stdout) == (0, True)


def test_files_that_lie_on_another_machine_are_not_judged(damaged):
    with open_store(damaged.store) as store:
        text = str(chunk_of(store, damaged))
        shutil.rmtree(step_directory(store.files_dir, damaged.steps[MD].identity))
        assert make_again(store, [text]) == set()
