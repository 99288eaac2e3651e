"""Phases of the Materials Project: fetched by its own client, kept for ever, and competing."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml
from jobflow import run_locally
from mp_api.client.core.client import _Rester
from phase_server import KEY, VERSION, PhaseServer, entry, thermo_document
from sample_documents import relaxed
from tiny_sweeps import CRYSTAL, GLASS, tiny_data
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.errors import InputError, MissingDependencyError, SweepError
from haloflow.makers.hull import HullMaker
from haloflow.makers.step import release_claims
from haloflow.stores.connection import open_store
from haloflow.stores.records import step_of
from haloflow.systems.phases import get_phase
from haloflow.workflows.fetched_phases import (
    MIXING,
    fetch,
    subsystems,
    write_snapshot,
)
from haloflow.workflows.phase_snapshots import content_sha256, read_snapshot
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.references import missing_phases
from haloflow.workflows.sweep import load_sweep, parse_sweep

R2SCAN = [
    entry(1, "Na", -1.30),
    entry(2, "Na", -1.25),  # a polymorph above it
    entry(3, "Cl", -1.80),
    entry(4, "NaCl", -3.40),
    entry(5, "NaCl3", -2.40),
]


@pytest.fixture
def server():
    with PhaseServer([thermo_document(one) for one in R2SCAN]) as running:
        yield running


@pytest.fixture
def snapshot(server, tmp_path):
    content = fetch("Cl-Na", api_key=KEY, endpoint=server.endpoint)
    return write_snapshot(content, tmp_path / "snapshots")


def test_what_is_fetched_is_kept_with_all_that_it_rests_on(server, tmp_path):
    content = fetch("Na-Cl", api_key=KEY, endpoint=server.endpoint)
    (asked,) = server.asked
    assert set(asked["chemsys"].split(",")) == {"Na", "Cl", "Cl-Na"}
    assert asked["key"] == KEY
    assert content["database_version"] == VERSION
    assert content["mixing_scheme"] == {"name": "", "version": "", "said": []}
    assert content["scale"] == "r2SCAN"
    assert [one["id"] for one in content["entries"]][:1] == ["mp-3-r2SCAN"]
    salt = next(one for one in content["entries"] if one["formula"] == "NaCl")
    assert salt["energy_ev_per_atom"] == -3.4
    assert salt["oxidation_states"] == {"Na": 1.0, "Cl": -1.0}
    assert salt["potcars"] == ["PAW_PBE Cl 06Sep2000", "PAW_PBE Na_pv 19Sep2006"]
    assert len(salt["structure"]["sites"]) == 2
    path = write_snapshot(content, tmp_path)
    assert content["sha256"][:12] in path.name
    again = fetch("Cl-Na", api_key=KEY, endpoint=server.endpoint)
    again["mp_api_version"] = "another"
    again["endpoint"] = "https://a.mirror/"
    assert content_sha256(again) == content["sha256"]  # what it came through is not what it is
    assert write_snapshot(again, tmp_path) == path  # the same content, the same file
    known = read_snapshot(path)
    assert known.sha256 == content["sha256"]
    assert {p.formula: p.phase_id for p in known.phases} == {
        "Cl2": "mp-3-r2SCAN", "Na": "mp-1-r2SCAN", "NaCl": "mp-4-r2SCAN", "NaCl3": "mp-5-r2SCAN",
    }  # fmt: skip


def test_mixed_entries_come_on_one_scale_by_a_named_scheme():
    pbe = [entry(10 + i, f, e, "GGA_GGA+U") for i, (f, e) in enumerate(
        [("Na", -1.0), ("Cl", -1.5), ("NaCl", -2.9), ("NaCl3", -1.7),
         ("Na2Cl2", -2.8)])]  # fmt: skip
    del pbe[-1].data["oxidation_states"]
    documents = [thermo_document(one) for one in R2SCAN[:4]]
    documents += [thermo_document(one, "GGA_GGA+U") for one in pbe]
    with PhaseServer(documents) as running:
        content = fetch("Na-Cl", scheme="mixed", api_key=KEY, endpoint=running.endpoint)
    assert content["mixing_scheme"]["name"] == MIXING
    assert content["mixing_scheme"]["version"]
    assert any("oxidation states" in words for words in content["mixing_scheme"]["said"])
    guessed = {one["formula"]: one["oxidation_states_from"] for one in content["entries"]
               if one["run_type"] == "GGA"}  # fmt: skip
    assert guessed == {
        "NaCl3": "not stated", "NaCl": "guessed by MaterialsProject2020Compatibility"
    }  # fmt: skip
    assert all(one["correction_ev"] == 0 for one in content["entries"]
               if one["run_type"] == "r2SCAN")  # fmt: skip
    assert {one["run_type"] for one in content["entries"]} == {"GGA", "r2SCAN"}
    corrected = [one for one in content["entries"] if one["correction_ev"]]
    assert corrected
    for one in corrected:
        assert one["energy_ev"] + one["correction_ev"] == pytest.approx(
            one["energy_ev_per_atom"] * sum(one["composition"].values())
        )
        assert sum(c["value_ev"] for c in one["corrections"]) == pytest.approx(one["correction_ev"])


def test_a_scheme_that_would_leave_the_scale_of_r2scan_is_refused():
    pbe = [entry(10 + i, f, e, "GGA_GGA+U") for i, (f, e) in enumerate(
        [("Na", -1.0), ("Cl", -1.5), ("NaCl", -2.9), ("NaCl3", -2.9)])]  # fmt: skip
    documents = [thermo_document(one) for one in R2SCAN[:4]]
    documents += [thermo_document(one, "GGA_GGA+U") for one in pbe]
    for found in (documents, documents[4:]):
        with (
            PhaseServer(found) as running,
            pytest.raises(InputError, match="phases of the hull of PBE lack r2SCAN") as refused,
        ):
            fetch("Na-Cl", scheme="mixed", api_key=KEY, endpoint=running.endpoint)
        assert "NaCl3" in str(refused.value)


def test_a_snapshot_of_no_stated_scale_is_refused(snapshot, tmp_path):
    content = json.loads(snapshot.read_text())
    del content["scale"]
    content["sha256"] = content_sha256(content)
    other = tmp_path / "other.json"
    other.write_text(json.dumps(content))
    with pytest.raises(SweepError, match="its energies are on another scale"):
        read_snapshot(other)


def test_foreign_potcars_and_missing_elements_are_told_before_anything_runs(server, tmp_path):
    server.documents[3]["entries"]["r2SCAN"]["parameters"]["potcar_spec"][0]["titel"] = (
        "PAW_PBE Na 08Apr2002"
    )
    foreign = write_snapshot(fetch("Cl-Na", api_key=KEY, endpoint=server.endpoint), tmp_path)
    data = tiny_data(systems=[CRYSTAL], hull={"phases": str(foreign)})
    del data["level"]
    data["stages"] = {"relax": "vasp-r2scan", "hull": "vasp-r2scan"}
    plan = plan_sweep(parse_sweep(data))
    (maker,) = (step.maker for step in plan.steps.values() if step.name == "hull")
    assert maker.library_gap == ("other POTCARs than the candidate's: NaCl (PAW_PBE Na 08Apr2002)")
    server.documents[:] = server.documents[2:]
    bare = write_snapshot(fetch("Cl-Na", api_key=KEY, endpoint=server.endpoint), tmp_path)
    with pytest.raises(SweepError, match="the snapshot has no phase of Na itself"):
        plan_sweep(parse_sweep(data | {"hull": {"phases": str(bare)}}))


@pytest.mark.parametrize(
    ("code", "message", "remedy"),
    [
        (401, "No API key found in request", "set MP_API_KEY"),
        (403, "Forbidden", "look whether the key is valid"),
        (429, "Too many requests", "look whether the key is valid"),
        (400, "bad query", "newer mp-api"),
    ],
)
def test_errors_of_the_server_are_passed_on(server, code, message, remedy):
    server.fails = (code, message)
    with pytest.raises(InputError, match="the Materials Project gave no phases") as refused:
        fetch("Na-Cl", api_key=KEY, endpoint=server.endpoint)
    assert remedy in str(refused.value)


def test_no_key_no_network_no_entries_and_no_client_are_said(server, monkeypatch):
    monkeypatch.delenv("MP_API_KEY", raising=False)
    with pytest.raises(InputError, match="gave no phases") as refused:
        fetch("Na-Cl", endpoint=server.endpoint)
    assert "set MP_API_KEY to your key" in str(refused.value)
    gone = server.endpoint
    server.__exit__()
    _Rester._get_heartbeat_info.cache_clear()
    with pytest.raises(InputError, match="gave no phases") as refused:
        fetch("Na-Cl", api_key=KEY, endpoint="http://127.0.0.1:42917/")  # 429, and nobody there
    assert "fetch where there is a network" in str(refused.value)
    with PhaseServer([]) as empty, pytest.raises(InputError, match="has no entries of this kind"):
        fetch("Na-Cl", api_key=KEY, endpoint=empty.endpoint)
    monkeypatch.setitem(__import__("sys").modules, "mp_api.client", None)
    with pytest.raises(MissingDependencyError, match="needs the client of the Materials Project"):
        fetch("Na-Cl", api_key=KEY, endpoint=gone)


def test_systems_are_elements():
    assert subsystems("O-Na") == ["Na", "O", "Na-O"]
    with pytest.raises(InputError, match="a chemical system is elements"):
        subsystems("Na-Xx")


def test_a_hull_is_made_of_the_snapshot_alone(snapshot, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    data = tiny_data(systems=[CRYSTAL], hull={"phases": "../snapshots/" + snapshot.name})
    del data["level"]
    data["stages"] = {"relax": "vasp-r2scan", "hull": "vasp-r2scan"}
    (folder / "one.yaml").write_text(yaml.safe_dump(data))
    plan = plan_sweep(load_sweep(folder / "one.yaml"))
    steps = {step.name: step for step in plan.steps.values()}
    assert not any(name.startswith("phase-") for name in steps)
    maker = steps["hull"].maker
    assert isinstance(maker, HullMaker)
    assert maker.fetched["mp-4-r2SCAN"] == ("NaCl", -3.4)
    assert "Materials Project 2026.10.1" in maker.fetched_from
    elsewhere = tmp_path / "elsewhere.json"
    shutil.copyfile(snapshot, elsewhere)
    data["hull"] = {"phases": str(elsewhere)}
    moved = plan_sweep(parse_sweep(data))
    assert moved.steps.keys() == plan.steps.keys()  # where the file lies is nothing of the physics
    assert moved.candidates[0].document.candidate_id == plan.candidates[0].document.candidate_id
    del data["hull"]
    own = plan_sweep(parse_sweep(data))
    assert own.candidates[0].document.candidate_id != plan.candidates[0].document.candidate_id


def test_a_candidate_is_placed_among_fetched_phases(snapshot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = read_snapshot(snapshot)
    phase = get_phase("NaCl_B1").structure()
    candidate = relaxed(phase, "c" * 64, "vasp-r2scan", -3.30)
    maker = HullMaker(
        level="vasp-r2scan",
        fetched=known.within(phase.composition.elements),
        fetched_from=known.said,
        oxidation_states={"Na": [1.0], "Cl": [-1.0]},
    )
    job = maker.make(candidate)
    with open_store(tmp_path / "store") as store:
        run_locally(job, log=False, raise_immediately=True, store=store.jobstore)
        release_claims()
        document = step_of(store.outputs.query_one({"uuid": job.uuid})["output"])
    assert document.formation_energy_ev_per_atom == pytest.approx(-3.30 - (-1.30 - 1.80) / 2)
    others = (4 * -2.40 / 3 + 2 * -1.30 / 3) / 2  # NaCl = NaCl3 / 3 + 2 Na / 3; not its own
    assert document.energy_above_hull_ev_per_atom.value == pytest.approx(-3.30 - others)
    assert {p.phase_id for p in document.decomposition} == {"mp-1-r2SCAN", "mp-5-r2SCAN"}
    assert "Materials Project 2026.10.1" in document.note


def test_frames_compete_with_the_same_phases_as_the_hull_and_elsewhere_with_the_librarys(
    snapshot,
):
    for level in (None, "chgnet-r2scan"):
        data = tiny_data(systems=[GLASS], hull={"phases": str(snapshot)})
        data["ensemble"] = {"n_frames": 2} | ({"level": level} if level else {})
        md = data.pop("level")
        data["stages"] = {"relax": md, "hull": "vasp-r2scan", "melt_quench": md, "md": md}
        plan = plan_sweep(parse_sweep(data))
        makers = {step.name: step.maker for step in plan.steps.values()}
        hull, ensemble = makers["hull-seed1"], makers["ensemble-seed1"]
        assert hull.fetched
        assert ensemble.level == (level or "vasp-r2scan")
        if level is None:
            assert ensemble.fetched == hull.fetched
            assert ensemble.fetched_from == hull.fetched_from
            assert ensemble.shipped_energies == {}
        else:
            assert ensemble.fetched == {}
            assert ensemble.fetched_from == ""
            assert ensemble.shipped_energies
            assert ensemble.library_gap == missing_phases({"Na", "Cl"})


def test_snapshots_that_do_not_fit_are_refused(snapshot, tmp_path):
    def plan(path, level="vasp-r2scan", system=CRYSTAL):
        size = {"crystal_max_atoms": 32}
        data = tiny_data(systems=[system], size=size, hull={"phases": str(path)})
        del data["level"]
        return plan_sweep(parse_sweep(data | {"stages": {"relax": level, "hull": level}}))

    with pytest.raises(SweepError, match="go on no hull of another level"):
        plan(snapshot, level="chgnet-r2scan")
    with pytest.raises(SweepError, match="the snapshot holds no Ta") as refused:
        plan(snapshot, system={"crystal": "NaTaCl6_P21c"})
    assert "--chemsys Cl-Na-Ta" in str(refused.value)
    with pytest.raises(SweepError, match="the snapshot cannot be read"):
        plan(tmp_path / "nowhere.json")
    content = json.loads(snapshot.read_text())
    content["entries"][0]["energy_ev_per_atom"] -= 1
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(content))
    with pytest.raises(SweepError, match="was changed since it was fetched"):
        plan(changed)


def test_the_command_writes_a_file_and_says_how_to_use_it(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "300")
    arguments = ["phases", "fetch", "--chemsys", "Na-Cl", "--to", str(tmp_path)]
    done = CliRunner().invoke(app, [*arguments, "--endpoint", server.endpoint])
    assert done.exit_code == 0, done.output
    assert "5 entries of 4 formulas" in done.output
    (path,) = tmp_path.glob("phases-Cl-Na-*.json")
    assert f"hull: {{phases: {path}}}" in done.output
