"""Fetch the JavaScript libraries that the dashboard and its tests bring along.

Usage: ``python docs/vendor.py`` (needs npm and the network). Files land unchanged, with their
licences, in ``dashboard/static/vendor`` and ``tests/assets``; ``manifest.json`` beside them
names version, licence, source, size and sha256 of each; ``js/common/vendor_urls.js`` hands the
pages addresses that change with the content. To renew a library, change its version below and
run this.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "dashboard" / "static" / "vendor"
URLS = VENDOR.parent / "js" / "common" / "vendor_urls.js"
TEST_ASSETS = ROOT / "tests" / "assets"


@dataclass(frozen=True)
class Library:
    """A package of npm, and the files of it that are used."""

    name: str
    package: str
    version: str
    license: str
    homepage: str
    files: tuple[str, ...]
    defines: str = ""
    licenses: tuple[str, ...] = ("LICENSE",)


PAGES = (
    Library(
        "plotly",  # the partial bundle with heatmap and scatterternary; of the figures' version
        "plotly.js-cartesian-dist-min",
        "4.1.1",
        "MIT",
        "https://plotly.com/javascript/",
        ("plotly-cartesian.min.js",),
        "Plotly",
    ),
    Library(
        "tabulator",
        "tabulator-tables",
        "6.5.3",
        "MIT",
        "https://tabulator.info",
        ("dist/js/tabulator.min.js", "dist/css/tabulator.min.css"),
        "Tabulator",
    ),
    Library(
        "3dmol",
        "3dmol",
        "2.5.5",
        "BSD-3-Clause",
        "https://3dmol.org",
        ("build/3Dmol-min.js",),
        "$3Dmol",
        ("LICENSE", "build/3Dmol-min.js.LICENSE.txt"),
    ),
    Library(
        "swagger-ui",
        "swagger-ui-dist",
        "5.35.0",
        "Apache-2.0",
        "https://swagger.io/tools/swagger-ui/",
        ("swagger-ui-bundle.js", "swagger-ui.css"),
        "SwaggerUIBundle",
        ("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"),
    ),
)
TESTS = (
    Library(
        "axe-core",
        "axe-core",
        "4.14.1",
        "MPL-2.0",
        "https://github.com/dequelabs/axe-core",
        ("axe.min.js",),
        "axe",
        ("LICENSE", "LICENSE-3RD-PARTY.txt"),
    ),
)


def fetch(library: Library, folder: Path) -> dict[str, Any]:
    """Put the files of `library` into `folder` and return its entry of the manifest."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ("npm", "pack", "--json", f"{library.package}@{library.version}")
        answer = subprocess.run(command, cwd=scratch, check=True, capture_output=True, text=True)
        (packed,) = json.loads(answer.stdout)
        with tarfile.open(Path(scratch) / packed["filename"]) as archive:
            archive.extractall(scratch, filter="data")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in (*library.files, *library.licenses):
            shutil.copyfile(Path(scratch, "package", name), folder / Path(name).name)
    return {
        "name": library.name,
        "package": library.package,
        "version": library.version,
        "license": library.license,
        "license_files": [f"{library.name}/{Path(name).name}" for name in library.licenses],
        "homepage": library.homepage,
        "source": f"pkg:npm/{library.package}@{library.version}",
        "integrity": packed["integrity"],
    }


def file_entry(library: Library, folder: Path, name: str) -> dict[str, Any]:
    """Return the entry of a file in the manifest; a script names what it defines."""
    content = (folder / library.name / Path(name).name).read_bytes()
    return {
        "name": library.name,
        "file": f"{library.name}/{Path(name).name}",
        **({"global": library.defines} if name.endswith(".js") and library.defines else {}),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def write_manifest(folder: Path, libraries: tuple[Library, ...]) -> None:
    """Fetch `libraries` into `folder` and write its ``manifest.json``."""
    manifest = {
        "libraries": [fetch(library, folder / library.name) for library in libraries],
        "files": [
            file_entry(library, folder, name)
            for library in libraries
            for name in (*library.files, *library.licenses)
        ],
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def urls_module(manifest: dict[str, Any]) -> str:
    """Return the module that hands the pages the address of each script and style sheet."""
    listed = "".join(
        f'  "{entry["file"]}": "/static/vendor/{entry["file"]}?v={entry["sha256"][:16]}",\n'
        for entry in manifest["files"]
        if entry["file"].endswith((".js", ".css"))
    )
    return (
        "// Written by docs/vendor.py: addresses that change with the content of the files.\n"
        f"export const VENDOR = {{\n{listed}}};\n"
    )


def main() -> None:
    """Renew everything."""
    write_manifest(VENDOR, PAGES)
    manifest = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))
    URLS.write_text(urls_module(manifest), encoding="utf-8")
    write_manifest(TEST_ASSETS, TESTS)


if __name__ == "__main__":
    main()
