"""The libraries of others that the dashboard brings along: whole, licensed, in the wheel."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import plotly.offline
import pytest

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "dashboard" / "static"
FOLDERS = (STATIC / "vendor", ROOT / "tests" / "assets")
LICENSE_SENTENCES = {
    "MIT": "Permission is hereby granted, free of charge",
    "BSD-3-Clause": "Redistribution and use in source and binary forms",
    "Apache-2.0": "Apache License",
    "MPL-2.0": "Mozilla Public License",
}


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def libraries():
    return [(folder, library) for folder in FOLDERS for library in manifest_of(folder)["libraries"]]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_manifest_names_every_file_with_its_digest(folder):
    listed = {
        entry["file"]: (entry["bytes"], entry["sha256"]) for entry in manifest_of(folder)["files"]
    }
    found = {
        path.relative_to(folder).as_posix(): (
            path.stat().st_size,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert listed == found


@pytest.mark.parametrize(("folder", "library"), libraries(), ids=lambda item: str(item)[:9])
def test_each_library_stands_with_its_licence(folder, library):
    texts = [(folder / name).read_text(encoding="utf-8") for name in library["license_files"]]
    assert LICENSE_SENTENCES[library["license"]] in " ".join(" ".join(texts).split())
    assert library["source"] == f"pkg:npm/{library['package']}@{library['version']}"


def test_the_pages_draw_with_the_version_that_the_figures_are_made_for():
    ours = (STATIC / "vendor" / "plotly" / "plotly-cartesian.min.js").read_text(encoding="utf-8")
    version = re.compile(r"\* plotly\.js[^*]* v([\d.]+)")
    assert version.search(ours)[1] == version.search(plotly.offline.get_plotlyjs()[:300])[1]


def test_the_addresses_for_the_pages_carry_the_digests_of_the_files():
    spec = importlib.util.spec_from_file_location("vendor", ROOT / "docs" / "vendor.py")
    vendor = importlib.util.module_from_spec(spec)
    sys.modules["vendor"] = vendor
    spec.loader.exec_module(vendor)
    manifest = manifest_of(STATIC / "vendor")
    assert vendor.URLS.read_text(encoding="utf-8") == vendor.urls_module(manifest)


def test_the_wheel_holds_every_file_of_the_dashboard_and_all_students(tmp_path):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "py.typed"):
        shutil.copy(ROOT / name, source)
    for package in settings["tool"]["setuptools"]["packages"]:
        folder = Path(*package.split(".")[1:])
        shutil.copytree(
            *(ROOT / folder, source / folder),
            dirs_exist_ok=True,
            ignore=only_files_here if folder == Path() else shutil.ignore_patterns("__pycache__"),
        )
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"),
            *("--no-cache-dir", "--disable-pip-version-check", "-w", tmp_path, source),
        ],
        check=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("haloflow-*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"haloflow/{path.relative_to(ROOT).as_posix()}"
        for folder in ("static", "assets", "templates")
        for path in (ROOT / "dashboard" / folder).rglob("*")
        if path.is_file()
    }
    assert len(wanted) > 20
    students = [path.name for path in (ROOT / "engines" / "students").iterdir()]
    assert "README.md" in students
    assert wanted | {f"haloflow/engines/students/{name}" for name in students} <= packed


def only_files_here(folder, names):
    return [name for name in names if Path(folder, name).is_dir() or not name.endswith(".py")]
