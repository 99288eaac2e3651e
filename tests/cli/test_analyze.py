"""``haloflow analyze``: a file in, JSON and a page out, clear words when it cannot be."""

from __future__ import annotations

import json

import pytest
import sample_trajectories
from ase.io import write


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory):
    path = tmp_path_factory.mktemp("md") / "chains.extxyz"
    write(path, sample_trajectories.chains(80).images())
    return path


def words(text):
    return " ".join(text.split())


def test_the_whole_line_writes_json_and_a_page(haloflow, trajectory, tmp_path):
    data, page = tmp_path / "out.json", tmp_path / "out.html"
    result = haloflow(
        *("analyze", trajectory, "--mobile", "Na", "--temperature", 500, "--frame-ps", 0.1),
        *(
            "--charges",
            "Na=1,Ta=5,O=-2,Cl=-1",
            "--lags",
            "1,10,50",
            "--quadrupole-coupling-mhz",
            1.2,
            "-o",
            data,
            "--html",
            page,
        ),
    )
    assert result.exit_code == 0, result.output
    found = json.loads(data.read_text())
    assert found["transport"]["lags_frames"] == [1, 10, 50]
    assert len(found["transport"]["msd_self_a2"]) == 3
    assert found["transport"]["charge_model"] == "charges of all species"
    assert found["trajectory"]["temperature_k"] == 500
    assert set(found["hops"]["t1_ms"]) == {"132.294", "73.39"}
    text = words(result.stdout)
    assert "80 frames of 112 atoms (Na16 Ta16 Cl64 O16)" in text
    assert "Haven ratio" in text
    assert "TaO2Cl4 100.0%" in text
    assert f"Written: {data}" in result.stdout.replace("\n", "")
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    for title in ("Mean cross-displacements", "Chain lengths", "Free energy landscape", "Barcodes"):
        assert title in html


def test_sections_can_be_chosen(haloflow, trajectory, tmp_path):
    data = tmp_path / "out.json"
    result = haloflow("analyze", trajectory, "--only", "structure, speciation", "-o", data)
    assert result.exit_code == 0
    found = json.loads(data.read_text())
    assert {"structure", "speciation"} <= set(found)
    assert "transport" not in found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--frame-ps", 0.1, "--mobile", "Li"), "there are no mobile ions. Given: Li."),
        (("--only", "transport"), "this analysis needs the frame ps"),
        (("--only", "motion"), "unknown section. Given: motion."),
        (("--lags", "1,two"), "a list of lags cannot be read. Given: 1,two."),
        (("--charges", "Na=nan"), "a charge cannot be read. Given: Na=nan."),
        (("--charges", "Na=1,Na=2"), "a charge cannot be read. Given: Na=2."),
        (("--larmor-mhz", "fast"), "a list of numbers cannot be read. Given: fast."),
        (("--larmor-mhz", "100"), "T1 needs the quadrupole coupling of 23Na"),
        (("--charges", "Na"), "a charge cannot be read. Given: Na. Allowed: element=charge"),
        (("--frame-ps", -1), "frame_ps must be positive"),
        (("--frame-ps", 0.1, "--charges", "Na=1,Ta=5"), "charges do not fit the species"),
        (
            ("--frame-ps", 0.1, "--charges", "Na=1,Ta=4,O=-2,Cl=-1"),
            "the charges are not neutral",
        ),
    ],
)
def test_wrong_options_say_what_is_allowed(haloflow, trajectory, options, message):
    result = haloflow("analyze", trajectory, *options)
    assert result.exit_code != 0
    assert message in words(result.stderr)
    assert "Traceback" not in result.stderr


def test_a_place_that_cannot_be_written_is_an_input_error(haloflow, trajectory, tmp_path):
    for option in ("-o", "--html"):
        result = haloflow(
            "analyze", trajectory, "--only", "structure", option, tmp_path / "no" / "out"
        )
        assert result.exit_code == 2
        assert "cannot be written" in result.stderr


def test_a_missing_file_is_an_input_error(haloflow, tmp_path):
    result = haloflow("analyze", tmp_path / "XDATCAR", "--frame-ps", 0.1)
    assert result.exit_code == 2
    assert "there is no trajectory here" in result.stderr
