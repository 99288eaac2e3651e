"""Disks that are full, files that are damaged, documents from the future: said, and overcome."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest
from cluster import wait_for
from damage import flip, small_disk
from made_once import made_once
from pair_potential import DELAY_S
from queued_sweeps import acknowledged, assert_equal, assert_survived, lay_out, n_evaluations
from tiny_sweeps import CRYSTAL, tiny_sweep

from haloflow.engines.checkpoint import CheckpointFolder
from haloflow.engines.trajectory import TrajectoryReader
from haloflow.stores.documents import SCHEMA_VERSION
from haloflow.workflows.run import run_sweep

pytest.importorskip("fireworks")
MANY_CHUNKS = {"md": {"production_steps": 1200, "trajectory_interval": 2}}
"""The production of the crystal ends at step 800, with two chunks."""
ANALYSES = "^(diffusion|structure|landscape|transport)"
NEWER = SCHEMA_VERSION + 5


def flat(shown):
    """Leave spaces out, and what folded lines."""
    return re.sub(r"[\s|]+", "", shown)


def submit(site, **changes):
    lay_out(site, systems=[CRYSTAL], **changes)
    site.haloflow("submit", "tiny.yaml", "--to", "fireworks")


def assert_partial_data_is_whole(folder):
    """Ask every run of whatever it stored: that it can be read, and gone on from."""
    indexes = list(folder.rglob("index.json"))
    assert indexes
    for index in indexes:
        if json.loads(index.read_text())["chunks"]:
            TrajectoryReader(index.parent).verify()
    for checkpoints in folder.rglob("checkpoints"):
        CheckpointFolder(checkpoints).newest()
    assert not list(folder.rglob("*.tmp"))


def test_no_space_left_on_the_disk(site, undisturbed):
    with small_disk(site.folder / "files", 92) as resize:
        submit(site)
        site.rlaunch()
        shown = site.haloflow("status")
        assert "1 failed: NaCl crystal (NaCl_B1): md-300K" in shown
        assert "there is no room for a file: no space left on device" in shown
        assert_partial_data_is_whole(site.folder / "files")
        before = acknowledged(site)
        resize(100_000)
        assert "1 step failed and run again" in site.haloflow("resume")
        site.rlaunch()
        assert_survived(site, undisturbed, before, cause="no space left on device")
        assert "Nothing is wrong" in site.haloflow("db", "check")


def test_a_file_that_may_not_grow(site, undisturbed):
    site.write("FW_config.yaml", site.read("FW_config.yaml") | {"PRINT_FW_JSON": False})
    submit(site)
    limited = "ulimit -f 15; exec rlaunch -c config rapidfire"  # KB: less than the last chunk
    code, out = site.run("bash", "-c", limited)
    assert code == 0, out
    shown = site.haloflow("status")
    assert "1 failed: NaCl crystal (NaCl_B1): md-300K" in shown
    assert re.search(r"noroomforafile:filetoolarge\.Given:/\S+/chunk-000000\.h5with", flat(shown))
    assert_partial_data_is_whole(site.folder / "files")
    before = acknowledged(site)
    site.haloflow("resume")
    site.rlaunch()
    assert_survived(site, undisturbed, before, cause="file too large")


@pytest.fixture(scope="session")
def in_chunks(tmp_path_factory, undisturbed):
    """Give the place of a sweep with several chunks, which nothing happened to."""

    def placed(folder):
        place = type(undisturbed)(folder)
        place.sweep = tiny_sweep(**MANY_CHUNKS, systems=[CRYSTAL])
        return place

    def make(folder):
        place = placed(folder)
        assert run_sweep(place.sweep, place.store, workers=1).n_failed == 0

    return placed(made_once(tmp_path_factory, "in-chunks", make))


def first_chunk(site):
    (found,) = site.folder.glob("files/*/*/production/trajectory/chunk-000000.h5")
    return found


def test_a_damaged_chunk_of_a_run_that_was_killed(site, in_chunks):
    submit(site, **MANY_CHUNKS)
    process = site.start("rlaunch", "-c", "config", "rapidfire", **{DELAY_S: "0.005"})
    wait_for(lambda: list(site.folder.rglob("step-*500.ckpt")), "a checkpoint")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    flip(first_chunk(site))
    before = acknowledged(site)
    assert "1 step lost and run again" in site.haloflow("resume")
    site.rlaunch()
    shown = site.haloflow("status")
    assert "the checksum of a trajectory file does not match its content" in shown
    assert f"{first_chunk(site)}withsha256" in flat(shown)
    site.haloflow("resume")
    site.rlaunch()
    assert_survived(site, in_chunks, before, cause="the checksum of a trajectory file")


def test_a_damaged_chunk_of_a_run_that_had_ended(site, in_chunks):
    submit(site, **MANY_CHUNKS)
    first = {"query": json.dumps({"name": {"$not": {"$regex": ANALYSES}}})}
    worker = {"name": "here", "category": "", "query": "{}"}
    site.write("my_fworker.yaml", worker | first)
    site.rlaunch()
    site.write("my_fworker.yaml", worker)
    chunk = first_chunk(site)
    flip(chunk)
    checked = " ".join(site.haloflow("db", "check", code=1).split())
    assert "file of other content" in checked
    assert chunk.name in checked
    site.rlaunch()
    before = acknowledged(site)
    shown = site.haloflow("status")
    assert re.search(r"\d failed: ", shown)
    assert "the checksum of a trajectory file does not match its content" in shown
    done = n_evaluations(site)
    assert "1 step with damaged files run again" in site.haloflow("resume")
    site.rlaunch()
    assert n_evaluations(site) > done
    now = acknowledged(site)
    (anew,) = {uuid for uuid in before if before[uuid] != now.get(uuid)}  # the MD, and no other
    assert_survived(site, in_chunks, {uuid: at for uuid, at in before.items() if uuid != anew})
    assert "Nothing is wrong" in site.haloflow("db", "check")


def outputs(site):
    """Return the rows of all steps, without marks of who summarises them."""
    with site.open() as store:
        return {
            row["uuid"]: {key: value for key, value in row.items() if key[0] != "_"}
            for row in store.outputs.query({})
        }


def test_a_document_of_a_newer_schema_is_left_alone(site, undisturbed):
    submit(site)
    first = {"query": json.dumps({"name": {"$not": {"$regex": ANALYSES}}})}
    worker = {"name": "here", "category": "", "query": "{}"}
    site.write("my_fworker.yaml", worker | first)
    site.rlaunch()
    site.write("my_fworker.yaml", worker)
    (md,) = [row for row in outputs(site).values() if row["output"]["kind"] == "md"]
    newer = {**md, "output": {**md["output"], "schema_version": NEWER, "of_the_future": True}}
    with site.open() as store:
        store.outputs.update(newer, key="uuid")
    before = outputs(site)
    site.rlaunch()
    refused = f"was written by a newer haloflow. Given: schema {NEWER}. Allowed: up to schema"
    for said in (
        site.haloflow("status", code=1),
        site.haloflow("run", "tiny.yaml", code=1),
        site.haloflow("db", "check", code=1),
    ):
        assert f"{refused} {SCHEMA_VERSION}" in " ".join(said.split()), said
    assert_equal(outputs(site), before)
    with site.open() as store:
        store.outputs.update(md, key="uuid")  # as the haloflow that can read it sees it
    seen = acknowledged(site)
    site.haloflow("resume")
    site.rlaunch()
    assert_survived(site, undisturbed, seen, cause="was written by a newer haloflow")


def test_a_store_of_a_newer_schema_is_left_alone(site, undisturbed):
    submit(site)
    with site.open() as store:
        store.meta.update({"_id": "schema", "version": NEWER}, key="_id")
    site.rlaunch()
    refused = f"the store was written by a newer haloflow. Given: schema {NEWER}"
    for command in (("status",), ("run", "tiny.yaml"), ("query",), ("resume",)):
        assert refused in " ".join(site.haloflow(*command, code=1).split())
    database = site.client[site.database]
    assert database.outputs.count_documents({}) == 0
    database.meta.update_one({"_id": "schema"}, {"$set": {"version": SCHEMA_VERSION}})
    site.haloflow("resume")
    site.rlaunch()
    assert_survived(site, undisturbed, acknowledged(site), cause="written by a newer haloflow")
