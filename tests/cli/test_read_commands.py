"""Commands that only read: systems, status, query, show, report."""

from __future__ import annotations

import csv
import io
import json

import pytest
import sample_candidates
import sample_sweeps

from haloflow.dashboard.wording import hull_error_note, quantity_text
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.fields import FIELDS
from haloflow.systems.electrodes import get_electrode
from haloflow.systems.families import list_families


def words(text):
    return " ".join(text.split())


def test_systems_lists_every_family_with_its_range(haloflow):
    out = haloflow("systems", columns=160).stdout
    for family in list_families():
        assert family.id in out
    assert "x = 0.05 to 2.5, published 0.25 to 1" in words(out)


def test_a_family_shows_crystals_with_cautions_and_published_numbers_with_phases(haloflow):
    out = words(haloflow("systems", "na2o-natacl6", columns=200).stdout)
    assert "NaTaCl6_P21c" in out
    assert "searched model, not a measured structure" in out
    assert "phases present" in out
    assert "4.41" in out


@pytest.mark.parametrize("family", [family.id for family in list_families()])
def test_every_family_can_be_shown(haloflow, family):
    assert haloflow("systems", family).exit_code == 0


def test_status_counts_the_steps_of_every_candidate(haloflow, store_folder):
    out = haloflow("status", "--store", store_folder).stdout
    rows = {line.split()[0]: line.split() for line in out.splitlines() if "NaTaCl-crystal" in line}
    assert rows["NaTaCl6"][2:] == ["NaTaCl-crystal-77aa88bb", "2", "–", "2", "–", "–"]


def test_status_of_an_unknown_sweep_suggests_the_known(haloflow, store_folder):
    result = haloflow("status", "--sweep", "quik", "--store", store_folder)
    assert result.exit_code == 2
    assert "did you mean quick" in words(result.stderr)


def test_status_says_why_a_step_failed_or_is_not_ok(haloflow, tmp_path):
    candidate, documents = sample_candidates.candidates()[2]
    with open_store(tmp_path / "store") as store:
        kept = {name: document for name, document in documents.items() if name != "diffusion"}
        kept["relax"] = kept["relax"].model_copy(
            update={"status": Status.UNCONVERGED, "note": "500 steps were not enough"}
        )
        sample_candidates.fill(store, [(candidate, kept)])
        failed = {"identity": candidate.steps["diffusion"], "step": "diffusion"}
        store.failures.update([failed | {"error": "no point at all"}], key="identity")
    out = words(haloflow("status", "--store", tmp_path / "store").stdout)
    assert "failed NaTaOCl4 crystal, diffusion: no point at all" in out
    assert "unconverged NaTaOCl4 crystal, relax: 500 steps were not enough" in out


def test_status_of_an_empty_store_says_what_to_do(haloflow, tmp_path):
    with open_store(tmp_path / "store"):
        pass
    assert "haloflow run" in haloflow("status", "--store", tmp_path / "store").stdout


def test_query_ranks_ok_rows_first_and_shows_the_rest_below_the_line(haloflow, store_folder):
    out = haloflow("query", "--store", store_folder).stdout
    line = out.index("below the line")
    assert out.index("NaTaOCl4 glass") < line
    for title in ("TaCl5-0.5Na2S glass", "NaTaOCl4 crystal", "NaTaCl6 crystal"):
        assert out.index(title) > line
    text = words(out)
    assert "29 3.0 [1.9, 4.9] 0.216 ± 0.009 0.94" in text
    assert "≤ 7.0" in text
    assert hull_error_note("chgnet-r2scan") in text
    assert "4.0e14 K/s" in text


@pytest.mark.parametrize("columns", [60, 80, 100, 120])
def test_the_ranking_fits_the_terminal_and_loses_nothing(haloflow, store_folder, columns):
    out = haloflow("query", "--store", store_folder, columns=columns).stdout
    assert max(len(line) for line in out.splitlines()) <= columns
    assert out.count("unconverged") >= 3
    assert "haloflow show ID" in words(out)
    if columns >= 80:
        assert "left out: 450 K" in words(out)


def test_query_filters_sorts_and_limits(haloflow, store_folder):
    options = ("--columns", "label,e_hull", "--format", "json", "--store", store_folder)
    rows = json.loads(haloflow("query", "-w", "phase == crystal", *options).stdout)
    assert {row["label"] for row in rows} == {"NaTaOCl4 crystal", "NaTaCl6 crystal"}
    rows = json.loads(haloflow("query", "--sort", "-e_hull", "--limit", 2, *options).stdout)
    assert [row["label"] for row in rows] == ["NaTaOCl4 glass", "TaCl5-0.5Na2S glass"]
    rows = json.loads(
        haloflow("query", "-w", "e_hull < 0", "-w", "sigma_upper < 10", *options).stdout
    )
    assert [row["label"] for row in rows] == ["NaTaOCl4 crystal"]


def test_json_without_columns_is_the_whole_summary(haloflow, store_folder):
    result = haloflow("query", "-w", "phase == glass", "--format", "json", "--store", store_folder)
    rows = json.loads(result.stdout)
    assert rows[0]["sigma_300k_ms_cm"]["lower"] == pytest.approx(1.878, abs=1e-3)
    assert rows[0]["literature"]


def test_csv_has_a_header_and_one_row_each(haloflow, store_folder):
    options = ("--columns", "label,e_hull,sweep,d_600K", "--format", "csv", "--store", store_folder)
    rows = list(csv.DictReader(io.StringIO(haloflow("query", *options).stdout)))
    assert len(rows) == 4
    assert set(rows[0]) == {"label", "e_hull", "sweep", "d_600K"}
    glass = next(row for row in rows if row["label"] == "NaTaOCl4 glass")
    assert glass["sweep"] == "quick"
    assert float(glass["d_600K"]) > 1e-6


def test_a_table_with_e_hull_says_the_error_of_its_level(haloflow, store_folder):
    options = ("--store", store_folder, "--columns")
    out = words(haloflow("query", *options, "label,e_hull").stdout)
    assert hull_error_note("chgnet-r2scan") in out
    assert "Its error" not in words(haloflow("query", *options, "label,sigma").stdout)


def test_show_marks_products_that_are_models_or_unverified(haloflow, store_folder):
    out = words(haloflow("show", "TaCl5-0.5Na2S glass", "--store", store_folder).stdout)
    assert "†" in out.partition("Decomposes to")[2].partition("Steps")[0]
    assert "† " in out.partition("Files lie under")[2]


def test_a_table_of_columns_shows_units_and_unknowns(haloflow, store_folder):
    options = (
        "--columns",
        "label,sigma,melted,n_atoms",
        "--sort",
        "sigma",
        "--store",
        store_folder,
    )
    out = haloflow("query", *options).stdout
    assert "σ(300 K) (mS/cm)" in out
    assert "yes" in out
    assert "–" in out


def test_query_of_nothing_says_so(haloflow, store_folder):
    out = haloflow("query", "-w", "e_hull > 5", "--store", store_folder).stdout
    assert out == "No candidate fits.\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sort", "sigmma"), "unknown field. Given: sigmma."),
        (("--columns", "label,nope"), "unknown field. Given: nope."),
        (("-w", "e_hull <"), "needs a value for e_hull"),
        (("-w", "sigmma > 1"), "did you mean sigma"),
    ],
)
def test_wrong_queries_say_what_is_allowed(haloflow, store_folder, options, message):
    result = haloflow("query", *options, "--store", store_folder)
    assert result.exit_code == 2
    assert message in words(result.stderr)


def test_fields_are_listed_without_a_store(haloflow):
    out = haloflow("query", "--fields").stdout
    for name in FIELDS:
        assert name in out
    assert "d_600K" in out
    assert "var.x" in out


def test_show_says_everything_about_a_candidate(haloflow, store_folder):
    result = haloflow("show", "NaTaOCl4 glass", "--store", store_folder)
    assert result.exit_code == 0
    out = words(result.stdout)
    for text in (
        "NaTaClO-glass-11aa22bb",
        "29 meV/atom ok",
        "3.0 [1.9, 4.9] mS/cm ok",
        "4.0e14 K/s, 1 sample",
        "yes: MSD beyond",
        "no Bragg peak",
        "0 Cl-Cl",
        "relax chgnet-r2scan",
        "weights sha256 9f2c",
        "thermo: ab/thermo.h5, 12.3 kB",
        "milled powder",
        "haloflow 0.1.0, step code 1",
        "identity",
    ):
        assert text in out
    published = next(line for line in result.stdout.splitlines() if "milled powder" in line)
    assert "1.50" in published
    assert "3.0 [1.9, 4.9]" in published


def test_show_compares_windows_on_the_scale_of_the_published_electrode(haloflow, tmp_path):
    candidate, documents = sample_sweeps.glass("nayzrcl", 1.625, -0.03)
    with open_store(tmp_path / "store") as store:
        sample_candidates.fill(store, [(candidate, documents)])
    args = ("show", candidate.candidate_id, "--store", tmp_path / "store")
    out = words(haloflow(*args, columns=220).stdout)
    limit = documents["hull-seed1"].window.oxidation_limit_v
    assert f"Oxidation limit {quantity_text(limit)} V" in out
    row = next(line for line in out.split("oxidation limit (V)")[1:] if "Ridley" in line)
    assert quantity_text(get_electrode("Na9Sn4").against(limit)) in row
    assert "NaCl that leaves" in out


def test_show_says_what_evaluated_a_potential(haloflow, tmp_path):
    candidate, documents = sample_sweeps.glass("nayzrcl", 1.625, -0.03)
    for name, document in documents.items():
        provenance = document.provenance.model_copy(update={"runner": "torch-sim"})
        documents[name] = document.model_copy(update={"provenance": provenance})
    with open_store(tmp_path / "store") as store:
        sample_candidates.fill(store, [(candidate, documents)])
    result = haloflow("show", candidate.candidate_id, "--store", tmp_path / "store", columns=220)
    assert "chgnet 0.4.2, evaluated by torch-sim" in words(result.stdout)


def test_show_gives_reasons_and_cautions(haloflow, store_folder):
    out = words(haloflow("show", "NaTaCl-crystal", "--store", store_folder).stdout)
    assert "! searched model, not a measured structure" in out
    assert "unconverged: the relaxation stopped after 40 steps" in out
    assert "diffusion waiting" in out


def test_show_of_an_unknown_candidate_lists_the_known(haloflow, store_folder):
    result = haloflow("show", "NaTaClO", "--store", store_folder)
    assert result.exit_code == 2
    assert "NaTaClO-glass-11aa22bb" in words(result.stderr)


def test_report_writes_one_file_and_says_where(haloflow, store_folder, tmp_path):
    path = tmp_path / "out.html"
    result = haloflow("report", "-o", path, "--sweep", "quick", "--store", store_folder)
    assert result.exit_code == 0
    assert "Report of 4 candidates" in result.stdout
    assert str(path) in result.stdout.replace("\n", "")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_report_to_a_place_that_is_not_there(haloflow, store_folder, tmp_path):
    result = haloflow("report", "-o", tmp_path / "no" / "out.html", "--store", store_folder)
    assert result.exit_code == 2
    assert "the report cannot be written" in result.stderr
