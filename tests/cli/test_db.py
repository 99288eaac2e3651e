"""``haloflow db``: what it prints and its exit codes; the work is tested with the stores."""

from __future__ import annotations

import shlex
import shutil
from io import StringIO

import pytest
from rich.console import Console

from haloflow.settings import get_settings
from haloflow.stores.connection import open_store
from haloflow.stores.documents import SCHEMA_VERSION
from haloflow.stores.migrations import MIGRATIONS


@pytest.fixture
def settings(monkeypatch):
    """Let a test set the environment; undone with it."""
    get_settings.cache_clear()

    def setting(**values):
        for name, value in values.items():
            monkeypatch.setenv(f"HALOFLOW_{name}", value)
        get_settings.cache_clear()

    yield setting
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def filled(store_folder, tmp_path):
    folder = tmp_path / "filled"
    shutil.copytree(store_folder, folder)
    return folder


def test_a_store_moves_to_a_server_of_ones_own(haloflow, filled, tmp_path, settings, mongod_uri):
    folder = ("--folder", tmp_path / "server")
    down = haloflow("db", "status", *folder)
    assert (down.exit_code, down.stdout) == (1, f"down: 0 B of data in {tmp_path}/server\n")
    started = haloflow("db", "start", *folder)
    try:
        assert started.exit_code == 0
        assert "The server is up: MongoDB " in started.stdout
        lines = [shlex.split(line) for line in started.stdout.splitlines() if "export" in line]
        settings(**{
            name.removeprefix("HALOFLOW_"): value
            for _, word in lines
            for name, _, value in [word.partition("=")]
        })  # fmt: skip
        status = haloflow("db", "status", *folder)
        assert status.exit_code == 0
        assert status.stdout.startswith("up: MongoDB ")
        uri = get_settings().store

        dry = haloflow("db", "copy", filled, uri, "--dry-run")
        assert dry.exit_code == 0
        assert "Verified" not in dry.stdout
        copied = haloflow("db", "copy", filled, uri)
        assert copied.exit_code == 0
        assert [" ".join(line.split()[:3]) for line in copied.stdout.splitlines()[3:5]] == [
            "outputs 13 13",
            "candidates 4 4",
        ]
        assert "1 files that documents name are not in the source: ab/thermo.h5" in copied.stdout
        assert "Verified: count and checksum of every collection are the same." in copied.stdout
        assert haloflow("query").stdout == haloflow("query", "--store", filled).stdout
        refused = haloflow("db", "copy", filled, uri)
        assert refused.exit_code == 1
        assert "the target is not empty" in refused.stderr
        assert uri.split("@")[0] not in refused.stderr, "no password in a message"
        assert haloflow("db", "copy", filled, uri, "--merge").exit_code == 0
    finally:
        stopped = haloflow("db", "stop", *folder)
    assert stopped.stdout == f"The server has stopped: {tmp_path}/server\n"
    assert haloflow("db", "stop", *folder).stdout == f"No server runs: {tmp_path}/server\n"


def test_files_of_a_folder_are_its_own_whatever_the_settings_say(
    haloflow, filled, tmp_path, settings
):
    settings(FILES_DIR=str(tmp_path / "of-a-server"))
    (filled / "files" / "one").write_text("1")
    assert (
        "1 files (1 B) to copy"
        in haloflow("db", "copy", filled, tmp_path / "new", "--dry-run").stdout
    )
    assert not (tmp_path / "new").exists()
    assert haloflow("db", "copy", filled, tmp_path / "new").exit_code == 0
    assert (tmp_path / "new" / "files" / "one").read_text() == "1"
    places = ("--from-files", filled / "files", "--to-files", tmp_path / "elsewhere")
    assert haloflow("db", "copy", filled, tmp_path / "newer", *places).exit_code == 0
    assert (tmp_path / "elsewhere" / "one").read_text() == "1"


def test_damaged_files_and_differences_are_told(haloflow, filled, tmp_path):
    (filled / "files" / "ab").mkdir()
    (filled / "files" / "ab" / "thermo.h5").write_bytes(b"x" * 12345)
    damaged = haloflow("db", "copy", filled, tmp_path / "new")
    assert damaged.exit_code == 1
    assert "1 files are damaged in the source and were not copied: ab/thermo.h5" in damaged.stdout
    with open_store(filled) as store:
        store.failures.update({"identity": "f", "error": "theirs"})
    with open_store(tmp_path / "new") as store:
        store.failures.update({"identity": "f", "error": "ours"})
    dry = haloflow("db", "copy", filled, tmp_path / "new", "--merge", "--dry-run")
    assert "1 documents or files differ: they would not be copied" in dry.stdout


def test_a_check_is_a_table_and_an_exit_code(haloflow, filled):
    found = haloflow("db", "check", "--store", filled, "--fast")
    assert found.exit_code == 1
    assert "file missing" in found.stdout
    assert "file ab/thermo.h5: not in " in " ".join(found.stdout.split())
    assert "Looked at 21 documents and the size of 1 files (12.3 kB)." in found.stdout
    assert "1 finding." in found.stdout
    (filled / "files" / "ab").mkdir()
    (filled / "files" / "ab" / "thermo.h5").write_bytes(b"x" * 12345)
    sound = haloflow("db", "check", "--store", filled, "--fast")
    assert (sound.exit_code, sound.stdout.splitlines()[-1]) == (0, "Nothing is wrong.")
    assert "file of other content" in haloflow("db", "check", "--store", filled).stdout


def test_a_migration_is_tried_unless_applied(haloflow, filled, monkeypatch):
    now = haloflow("db", "migrate", "--store", filled)
    assert now.stdout == f"All 21 documents are of schema {SCHEMA_VERSION}: nothing to do.\n"
    monkeypatch.setattr(MIGRATIONS, "version", SCHEMA_VERSION + 1)
    monkeypatch.setattr(MIGRATIONS, "_known", [])
    MIGRATIONS.migration(SCHEMA_VERSION, SCHEMA_VERSION + 1, kind="hull")(
        lambda document: document | {"note": "upgraded"}
    )
    tried = haloflow("db", "migrate", "--store", filled)
    assert tried.exit_code == 0
    assert '+ "note": "upgraded",' in tried.stdout
    assert "Nothing was changed. To write it: haloflow db migrate --apply" in tried.stdout
    old = haloflow("db", "check", "--store", filled, "--fast").stdout
    assert "21 are of an older schema: haloflow db migrate upgrades them." in old
    applied = haloflow("db", "migrate", "--store", filled, "--apply")
    assert f"Upgraded 21 documents to schema {SCHEMA_VERSION + 1}." in applied.stdout
    with open_store(filled) as store:
        assert store.outputs.count({"output.kind": "hull", "output.note": "upgraded"}) == 4
        row = store.outputs.query_one({"output.kind": "relax"})
        row["output"]["schema_version"] = SCHEMA_VERSION + 2
        store.outputs.update(row, key="uuid")
    newer = haloflow("db", "migrate", "--store", filled)
    assert newer.exit_code == 1
    assert "1 documents were written by a newer haloflow: relax step" in newer.stdout


def test_progress_shows_on_a_terminal_alone(monkeypatch):
    from haloflow.cli import bars

    for terminal in (False, True):
        made = Console(file=StringIO(), force_terminal=terminal, width=90, _environ={"TERM": "vt"})
        monkeypatch.setattr(bars, "console", lambda made=made, **_: made)
        with bars.progress_bars() as tell:
            tell("copying files", 50, 100)
            tell("copying files", 100, 100)
        assert ("copying files" in made.file.getvalue()) is terminal


def test_the_group_explains_itself(haloflow):
    shown = haloflow("db", "--help").stdout
    for command in ("start", "stop", "status", "copy", "migrate", "check"):
        assert f" {command} " in shown
        assert "Usage: " in haloflow("db", command, "-h").stdout
