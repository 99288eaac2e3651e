"""What the doctor says of VASP: commands, POTCARs, packages, and stores that take stand-ins."""

from __future__ import annotations

import gzip

import pytest
from pymatgen.core import SETTINGS

from haloflow.engines.availability import State
from haloflow.engines.vasp_check import check_vasp
from haloflow.engines.vasp_host import vasp_host
from haloflow.stores.connection import open_store
from haloflow.stores.purpose import mark_for_tests
from haloflow.workflows.doctor import check_vasp_here

NA, CL = "PAW_PBE Na_pv 19Sep2006", "PAW_PBE Cl 06Sep2000"


@pytest.fixture
def psp(tmp_path, monkeypatch):
    """Return a folder of POTCARs that pymatgen knows, plain and gzipped."""
    folder = tmp_path / "psp"
    release = folder / "POT_PAW_PBE_64"
    (release / "Cl").mkdir(parents=True)
    (release / "POTCAR.Na_pv.gz").write_bytes(gzip.compress(f"  {NA}\n 7.0\n".encode()))
    (release / "Cl" / "POTCAR").write_text(f"  {CL}\n 7.0\n")
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
    return release


def found(elements=("Na", "Cl")):
    vasp_host.cache_clear()
    findings = {one.subject: one for one in check_vasp(elements)}
    vasp_host.cache_clear()
    return findings


def test_all_that_is_there_is_said(stand_in, psp):
    findings = found()
    assert {one.state for one in findings.values()} == {State.OK}
    assert "custodian" in findings["VASP"].message
    assert str(stand_in.folder / "vasp_gam") in findings["VASP, vasp_gam"].message
    assert findings["VASP, POTCARs of PBE_64"].message.endswith("Cl, Na")


@pytest.mark.parametrize("before", ["", "sh "])
def test_a_vasp_in_a_container_is_not_looked_for(stand_in, psp, monkeypatch, before):
    program = stand_in.folder / "apptainer"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("ATOMATE2_VASP_CMD", f"{before}{program} exec x.sif vasp_std")
    finding = found()["VASP, vasp_std"]
    assert finding.state is State.OK
    assert finding.message.endswith("in a container, where it was not looked for")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-vasp", "no-such-vasp not found here"),
        ("no-such-srun -n 4 sh", "no-such-srun not found here"),
        ("sh -c no-such-vasp", "no-such-vasp not found here"),
        ("'sh", "is no command line"),
        ("''", "nothing not found here"),
        ("no-such-apptainer exec x.sif vasp_std", "no-such-apptainer and vasp_std not found"),
    ],
)
def test_a_launcher_or_a_vasp_that_is_not_there_is_named(stand_in, psp, monkeypatch, command, said):
    monkeypatch.setenv("ATOMATE2_VASP_CMD", command)
    finding = found()["VASP, vasp_std"]
    assert finding.state is State.MISSING
    assert not finding.blocks
    assert said in finding.message
    assert "ATOMATE2_VASP_GAMMA_CMD" in finding.remedy


def test_potcars_that_are_missing_or_of_another_release_are_named(stand_in, psp, monkeypatch):
    (psp / "Cl" / "POTCAR").write_text("  PAW_PBE Cl 17Jan2003\n")
    finding = found(("Na", "Cl", "Ta"))["VASP, POTCARs of PBE_64"]
    assert finding.state is State.MISSING
    assert "not found: Ta_pv" in finding.message
    assert "of another release: Cl is `PAW_PBE Cl 17Jan2003`" in finding.message
    (psp / "Cl" / "POTCAR").write_bytes(b"\xff\xfe\x00")
    assert "Cl is `unreadable`" in found()["VASP, POTCARs of PBE_64"].message
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR")
    finding = found()["VASP, POTCARs of PBE_64"]
    assert finding.message == "pymatgen has no PMG_VASP_PSP_DIR"
    assert "POT_PAW_PBE_64" in finding.remedy


def test_the_doctor_tells_stores_that_take_stand_ins(stand_in, psp, tmp_path):
    uri = str(tmp_path / "store")
    assert "VASP, stand-ins" not in {check.subject for check in check_vasp_here(uri)}
    with open_store(uri) as store:
        checks = {check.subject: check for check in check_vasp_here(uri)}
        assert checks["VASP, stand-ins"].verdict == "ok"
        assert checks["VASP, POTCARs of PBE_64"].verdict == "note"  # of Ta, O... none is there
        mark_for_tests(store)
    checks = {check.subject: check for check in check_vasp_here(uri)}
    assert checks["VASP, stand-ins"].verdict == "note"
    assert "no VASP computed" in checks["VASP, stand-ins"].message
