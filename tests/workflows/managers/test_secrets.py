"""A store that asks for a password: jobs run, and the password stands nowhere but in its file."""

from __future__ import annotations

import re
from pathlib import Path

from cluster import FireWorksSite
from guarded_store import assert_nowhere, let_in
from pair_potential import DELAY_S
from queued_sweeps import assert_as_undisturbed, lay_out
from tiny_sweeps import CRYSTAL


def test_fireworks_carries_no_password(tmp_path, guarded, undisturbed):
    site = FireWorksSite(tmp_path, guarded)
    let_in(site, guarded)
    own = site.folder / "own"
    said = site.haloflow(
        "setup", "--to", "fireworks", "--folder", str(own), "--scheduler", "shell",
        "--files-dir", str(site.folder / "files"),
    )  # fmt: skip
    assert "Ready to take sweeps." in said
    stated = dict(re.findall(r"export (\w+)=(\S+)", said.replace("\n", " ")))
    assert stated == {
        "FW_CONFIG_FILE": str(own / "FW_config.yaml"),
        "HALOFLOW_STORE_FILE": str(own / "store.uri"),
    }
    site.environment["FW_CONFIG_FILE"] = stated["FW_CONFIG_FILE"]
    lay_out(site, systems=[CRYSTAL], resources={"md": {"walltime_h": 0.0006}})
    said += site.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    site.config = own
    said += site.rlaunch()  # it knows no password
    shown = site.haloflow("status")
    assert "this machine does not know the password of the store" in shown
    assert "HALOFLOW_STORE_FILE" in shown
    site.environment["HALOFLOW_STORE_FILE"] = stated["HALOFLOW_STORE_FILE"]
    said += shown + site.haloflow("retry", "--cause", "password")
    said += site.rlaunch(**{DELAY_S: "0.004"})  # past its walltime, a step goes on in a detour
    with site.open() as store:
        assert_as_undisturbed(store, undisturbed)
    files = assert_nowhere(site, guarded, said + site.haloflow("status"))
    assert not [path for path in files if path.name == "FW.json"]


def test_a_file_that_others_can_read_is_refused(site):
    place = Path(site.folder, "store.uri")
    place.write_text("mongodb://worker:secret@127.0.0.1/there")
    place.chmod(0o640)
    call = ("python", "-c", "from haloflow.cli.main import run; run()", "status")
    code, said = site.run(*call, HALOFLOW_STORE_FILE=str(place))
    assert code == 2
    assert "others can read the file with the password of the store" in said
    assert f"chmod 600 {place}" in " ".join(said.split())
    place.unlink()
    code, said = site.run(*call, HALOFLOW_STORE_FILE=str(place))
    assert code == 2
    assert "the file with the URI of the store cannot be read" in said
