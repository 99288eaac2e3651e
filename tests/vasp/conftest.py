"""The stand-in for VASP as an executable, started by the real custodian."""

from __future__ import annotations

import pytest
from vasp_cells import rock_salt
from vasp_stand_in import installed_stand_in, stand_in_of_a_test

from haloflow.engines.interrupts import StopRequest
from haloflow.engines.vasp_host import vasp_host
from haloflow.engines.vasp_relax import VaspTask

stand_in = pytest.fixture(stand_in_of_a_test)


@pytest.fixture(scope="module")
def stand_in_environment(tmp_path_factory):
    """The stand-in without faults, for what a module makes once."""
    with (
        pytest.MonkeyPatch.context() as patch,
        installed_stand_in(tmp_path_factory.mktemp("stand-in") / "bin", patch),
    ):
        yield


@pytest.fixture
def task(stand_in, tmp_path):
    """Return a task in a folder of its own, taken up again where it was by each call."""

    def make(level="vasp-pbe-d3", **keywords):
        folder = tmp_path / "step"
        folder.mkdir(exist_ok=True)
        keywords.setdefault("for_tests", True)
        return VaspTask(folder, level, vasp_host(), StopRequest(), **keywords)

    return make


@pytest.fixture
def salt():
    return rock_salt()
