"""Campaigns as datasets: complete, explained, the same bytes, verified, never half."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml
from kept_elsewhere import KINDS, STEP, Elsewhere, fill_with_a_run
from tiny_sweeps import tiny_data
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.engines.trajectory import TrajectoryReader
from haloflow.errors import InputError, NotFoundError, StoreError, TrajectoryError
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.copying import copy_store
from haloflow.stores.documents import CandidateSummary
from haloflow.stores.manifest import MANIFEST, verify_manifest
from haloflow.stores.records import step_of
from haloflow.workflows.export_texts import _MEANINGS, LICENSES
from haloflow.workflows.exporting import ExportWishes, export

pytestmark = pytest.mark.usefixtures("quick_settings")
DEADLINE_S = 60.0
EXPORT = """
import sys
from pathlib import Path
from haloflow.stores.connection import open_store
from haloflow.workflows.exporting import ExportWishes, export
with open_store(sys.argv[1], read_only=True) as store:
    pipe = Path(sys.argv[3]).open("w")
    def tell(what, done, total):
        if what == "fetching files" and done >= total / 2:
            print("half", file=pipe, flush=True)
            sys.stdin.read()
    export(store, Path(sys.argv[2]), ExportWishes(trajectories=True), tell)
"""


@pytest.fixture
def filled(tmp_path):
    with open_store(tmp_path / "store") as store:
        yield store, *fill_with_a_run(store)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


def test_a_dataset_holds_what_the_store_knows(filled, tmp_path):
    store, candidate, run, _ = filled
    target, told = tmp_path / "data", []
    done = export(
        store,
        target,
        ExportWishes(trajectories=True, licence="CC-BY-4.0", title="A test"),
        lambda *row: told.append(row),
    )
    assert (done.n_candidates, done.n_steps, sum(done.kinds.values())) == (1, 4, 4)
    assert {row[0] for row in told} == {"writing documents", "fetching files", "checksums"}
    (summary,) = lines(target / "summaries.jsonl")
    assert CandidateSummary.model_validate(summary).candidate_id == candidate.candidate_id
    (row,) = table(target / "summaries.csv")
    columns = {one["column"]: one for one in table(target / "columns.csv")}
    assert set(columns) == set(row)
    assert float(row["e_hull"]) == summary["energy_above_hull_ev_per_atom"]["value"]
    assert columns["e_hull"]["unit"] == "eV/atom"
    (document,) = lines(target / "documents" / "md.jsonl")
    assert step_of(document) == run
    (origin,) = (o for o in lines(target / "provenance.jsonl") if o["kind"] == "md")
    assert origin["steps"] == [f"{candidate.candidate_id}/{STEP}"]
    assert origin["files"][0]["sha256"] == run.files[0].sha256
    cif = target / "structures" / candidate.candidate_id / f"{STEP}.cif"
    assert "_cell_length_a" in cif.read_text()
    trajectory = target / "files" / run.identity[:2] / run.identity / "production"
    TrajectoryReader(trajectory).verify()
    environment = json.loads((target / "environment.json").read_text())
    assert environment["packages"]["ase"] == ["3.29.0"]
    assert environment["potentials"][0]["weights_sha256"] == "9f2c" * 16
    readme = (target / "README.md").read_text()
    for words in ("# A test", "eV/atom", "chgnet-r2scan-d3", "doi:10.1088/1361-648X/aa680e",
                  "B. Deng et al.", "CC-BY-4.0", "sha256sum -c", "4 of 4 steps"):  # fmt: skip
        assert words in readme, words
    assert "creativecommons.org/licenses/by/4.0" in (target / "LICENSE.txt").read_text()
    check = ["sha256sum", "--check", "--quiet", MANIFEST]
    assert subprocess.run(check, cwd=target, check=False).returncode == 0
    assert set(_MEANINGS) == set(Status)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_store_gives_the_same_bytes_wherever_its_files_are(kind, request, tmp_path):
    elsewhere = Elsewhere(kind, tmp_path, request)
    elsewhere.use()
    with elsewhere.opened("a") as store:
        fill_with_a_run(store)
        export(store, tmp_path / "one", ExportWishes(trajectories=True))
        with open_store(tmp_path / "copy") as copy:
            copy_store(store, copy)
            export(copy, tmp_path / "of-copy", ExportWishes(trajectories=True))
    shutil.rmtree(tmp_path / "a")
    with elsewhere.opened("b", read_only=True) as store:
        export(store, tmp_path / "two", ExportWishes(trajectories=True))
        for name in ("x", "y"):
            (tmp_path / name).mkdir()
            export(store, tmp_path / name / "data.tar.gz", ExportWishes(trajectories=True))
    assert (
        contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "of-copy")
    )
    packed = [(tmp_path / name / "data.tar.gz").read_bytes() for name in ("x", "y")]
    assert packed[0] == packed[1]
    assert verify_manifest(tmp_path / "x" / "data.tar.gz") == []


def test_what_changed_is_found(filled, tmp_path):
    store, *_ = filled
    target = tmp_path / "data"
    export(store, target, ExportWishes())
    assert verify_manifest(target) == []
    (target / "summaries.csv").write_text("other numbers")
    (target / "LICENSE.txt").unlink()
    (target / "notes.txt").write_text("mine")
    wrong = verify_manifest(target)
    assert wrong[0] == "notes.txt: not in the manifest"
    assert {line.partition(":")[0] for line in wrong[1:]} == {"summaries.csv", "LICENSE.txt"}
    (target / MANIFEST).write_text("no sums\n")
    with pytest.raises(InputError, match="manifest of an export cannot be read"):
        verify_manifest(target)
    (target / MANIFEST).unlink()
    with pytest.raises(InputError, match="there is no export here"):
        verify_manifest(target)
    (tmp_path / "cut.tar").write_bytes(b"no archive")
    with pytest.raises(InputError, match="an export cannot be read"):
        verify_manifest(tmp_path / "cut.tar")


def test_killed_in_the_middle_nothing_has_its_name(filled, tmp_path):
    store, *_ = filled
    target, pipe = tmp_path / "data", tmp_path / "pipe"
    os.mkfifo(pipe)
    words = [sys.executable, "-c", EXPORT, store.uri, str(target), str(pipe)]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        with pipe.open() as heard:
            deadline = time.monotonic() + DEADLINE_S
            while heard.readline() != "half\n":
                assert time.monotonic() < deadline, "half of the files: too slow"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not target.exists()
    assert (tmp_path / ".data.partial").exists()
    export(store, target, ExportWishes(trajectories=True))
    assert verify_manifest(target) == []
    assert not (tmp_path / ".data.partial").exists()


@pytest.mark.parametrize("name", ["data", "data.tar"])
def test_two_exports_to_one_place_do_not_mix(filled, tmp_path, name):
    store, *_ = filled
    target, refused = tmp_path / name, []

    def meanwhile(what, *_):
        if what == "fetching files" and not refused:
            with pytest.raises(InputError, match="another export to the same place") as caught:
                export(store, target, ExportWishes())
            refused.append(caught.value)

    export(store, target, ExportWishes(trajectories=True), meanwhile)
    assert refused
    assert verify_manifest(target) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "store"])


def throw(error):
    raise error


@pytest.mark.parametrize("name", ["data", "data.tar"])
@pytest.mark.parametrize("has_links", [True, False])
def test_what_came_meanwhile_is_not_replaced(filled, tmp_path, name, has_links, monkeypatch):
    store, *_ = filled
    target = tmp_path / name
    if not has_links:
        none = OSError(errno.EOPNOTSUPP, "Operation not supported")
        monkeypatch.setattr(os, "link", lambda *_: throw(none))

    def meanwhile(what, *_):
        if what == "fetching files":
            target.write_text("precious")

    with pytest.raises(InputError, match="would replace what is there"):
        export(store, target, ExportWishes(trajectories=True), meanwhile)
    assert target.read_text() == "precious"
    target.unlink()
    export(store, target, ExportWishes())
    assert verify_manifest(target) == []


def test_a_missing_file_stops_an_export_and_leaves_nothing(filled, tmp_path):
    store, _, run, _ = filled
    (store.files_dir / run.files[0].path).unlink()
    with pytest.raises(TrajectoryError, match="a trajectory file is missing"):
        export(store, tmp_path / "data", ExportWishes(trajectories=True))
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    export(store, tmp_path / "data", ExportWishes())


def test_what_cannot_be_exported_is_said(filled, tmp_path):
    store, *_ = filled
    with pytest.raises(NotFoundError, match="no candidate fits"):
        export(store, tmp_path / "data", ExportWishes(sweep="other"))
    with pytest.raises(InputError, match=r"this licence is not known.*CC0-1\.0"):
        export(store, tmp_path / "data", ExportWishes(licence="mine"))
    with pytest.raises(InputError, match="would replace what is there"):
        export(store, tmp_path, ExportWishes())
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="the export cannot be written"):
        export(store, tmp_path / "file" / "data", ExportWishes())
    assert all(text for text in LICENSES.values())


def test_the_command_exports_a_sweep_with_its_file(filled, tmp_path, monkeypatch):
    store, *_ = filled
    monkeypatch.setenv("COLUMNS", "200")
    data = tiny_data(name="quick")
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(data))

    def haloflow(*words):
        return CliRunner().invoke(app, ["export", *words, "--store", store.uri])

    target = tmp_path / "data.tar"
    said = haloflow(str(tmp_path / "quick.yaml"), "--to", str(target), "-w", "phase=crystal")
    assert said.exit_code == 0, said.output
    assert "1 candidates, 4 documents" in said.stdout
    assert "No licence was chosen" in said.stdout
    said = haloflow("--verify", str(target))
    assert (said.exit_code, said.stdout) == (0, "All files are as they were written.\n")
    shutil.unpack_archive(target, tmp_path / "out")
    assert yaml.safe_load((tmp_path / "out/data/sweeps/quick.yaml").read_text()) == data
    (tmp_path / "out/data/README.md").write_text("changed")
    said = haloflow("--verify", str(tmp_path / "out/data"))
    assert said.exit_code == 1
    assert "README.md: sha256" in said.stdout
    assert haloflow("quick").exit_code == 2
