"""What the package imports it declares, and what it installs is pinned."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from page_blocks import ROOT

ROOMS = ("systems", "analysis", "stores", "engines", "makers", "workflows", "cli", "dashboard")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = {
    canonicalize_name(line.partition("==")[0]): line.partition("==")[2]
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if "==" in line
}
EVERY_REQUIREMENT = [
    *PROJECT["dependencies"],
    *(line for lines in PROJECT["optional-dependencies"].values() for line in lines),
    *tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"],
    "wheel",
]


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


def test_everything_that_is_imported_is_declared():
    files = [*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
    modules = {name for path in files for name in imports_of(path)}
    by_module = metadata.packages_distributions()
    declared = {canonicalize_name(Requirement(line).name) for line in EVERY_REQUIREMENT}
    parts_of = {"pydantic_core": "pydantic", "_gpaw": "gpaw", "torch_sim": "torch-sim-atomistic"}
    modules = {parts_of.get(name, name) for name in modules}
    undeclared = {
        name
        for name in modules - sys.stdlib_module_names - {"haloflow", "__future__"}
        if not {canonicalize_name(d) for d in by_module.get(name, (name,))} & declared
    }
    assert undeclared == set()


@pytest.mark.parametrize("line", EVERY_REQUIREMENT)
def test_every_requirement_is_pinned_to_a_version_that_fulfils_it(line):
    requirement = Requirement(line)
    version = PINNED[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version, prereleases=True)


def test_builds_in_isolation_are_pinned_too():
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^export PIP_CONSTRAINT\b.*constraints\.txt", makefile, re.MULTILINE)
