"""The report file: one page that holds everything, and only that."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from html.parser import HTMLParser

import pytest
import sample_candidates

from haloflow.dashboard.collect import collect_report
from haloflow.dashboard.panels import candidate_facts
from haloflow.dashboard.report import Report, render_report, write_report
from haloflow.dashboard.wording import energy_text, hull_error_note
from haloflow.errors import InputError, UnknownNameError
from haloflow.quantity import Quantity, Status
from haloflow.stores.connection import open_store


class Outline(HTMLParser):
    """Collects tags with their attributes, and the text of scripts."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.scripts = [], []
        self._in_script = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self._in_script = dict(attrs)
            self.scripts.append([self._in_script, ""])

    def handle_endtag(self, tag):
        if tag == "script":
            self._in_script = None

    def handle_data(self, data):
        if self._in_script is not None:
            self.scripts[-1][1] += data


@pytest.fixture(scope="module")
def outline(report_html):
    return Outline(report_html)


def embedded(outline):
    return next(json.loads(text) for attrs, text in outline.scripts if attrs.get("id"))


def text_of(html):
    body = html[html.index("<body>") : html.index('<script type="application/json"')]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_nothing_points_outside_of_the_file(outline):
    for tag, attrs in outline.tags:
        assert tag not in {"iframe", "object", "embed", "img", "base", "form"}
        assert "src" not in attrs
        assert attrs.get("href", "#").startswith(("#", "data:"))
        assert not [name for name in attrs if name.startswith("on")]


def test_the_policy_allows_only_the_scripts_of_the_file(outline):
    policy = next(a["content"] for t, a in outline.tags if t == "meta" and "http-equiv" in a)
    rules = dict(rule.split(None, 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in rules["script-src"]
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for attrs, text in outline.scripts
        if "type" not in attrs
    ]
    assert rules["script-src"].split() == hashes


def test_plotly_is_there_once_and_the_file_stays_small(report_html):
    assert report_html.count("plotly.js v") == 1
    assert len(report_html.encode()) < 10e6


def test_every_candidate_number_status_and_reason_stands_there(report_html, views):
    text = text_of(report_html)
    for view in views:
        s = view.summary
        assert f"{s.phase}" in text
        for step in s.steps:
            assert step.identity[:16] in text
    for words in (
        "29 ok",
        "3.0 [1.9, 4.9] ok",
        "≤ 7.0 unconverged",
        "through Tg",
        "Not converged or incomplete",
        "searched model, not a measured structure",
        hull_error_note("chgnet-r2scan"),
        "4.0e14 K/s",
        "milled powder",
        "weights sha256 9f2c",
        "E_hull ≤ 100 meV/atom",
        "no Bragg peak above its own S(q)",
    ):
        assert words in text


def test_ranked_candidates_come_before_the_line(report_html, views):
    text = text_of(report_html)
    line = text.index("Not converged or incomplete")
    assert text.index("NaTaOCl₄ glass") < line < text.index("TaCl₅-0.5Na₂S glass")
    assert [view.rank for view in views] == [1, None, None, None]


def test_every_figure_and_scene_of_the_page_has_its_data(outline):
    data = embedded(outline)
    figures = [attrs["data-figure"] for _, attrs in outline.tags if "data-figure" in attrs]
    scenes = [attrs["data-scene"] for _, attrs in outline.tags if "data-scene" in attrs]
    assert sorted(figures) == sorted(data["figures"])
    assert sorted(scenes) == sorted(data["scenes"])
    assert len(set(figures + scenes)) == len(figures + scenes)


def test_texts_are_escaped_everywhere():
    html = render_report(Report(sample_candidates.HOSTILE, sample_candidates.hostile_views()))
    outline = Outline(html)
    assert "<img" not in html.replace(outline.scripts[1][1], "")
    assert len(outline.scripts) == 4
    labels = json.dumps(embedded(outline))
    assert "alert(1)" in labels
    assert "<img" not in labels
    assert not any("onerror" in attrs for _, attrs in outline.tags)


def test_numbers_that_are_not_finite_become_gaps(views):
    broken = Quantity(math.nan, math.inf, status=Status.DIVERGED, note="blew up")
    view = sample_candidates.view_with(views[0], energy_above_hull_ev_per_atom=broken)
    outline = Outline(render_report(Report("Broken", [view])))
    assert "NaN" not in json.dumps(embedded(outline))


def test_an_empty_report_is_a_page():
    html = render_report(Report("Nothing yet", []))
    assert "0</b> candidates" in html


def test_a_candidate_without_any_result_is_shown(views):
    bare = sample_candidates.views([(sample_candidates.candidates()[0][0], {})])
    text = text_of(render_report(Report("Planned", bare)))
    assert "NaTaOCl₄ glass" in text
    assert "not computed yet" in text
    assert "waiting" in text


def test_facts_hold_what_the_glass_was_made_like(views):
    facts = {fact.name: fact.text for fact in candidate_facts(views[0])}
    assert facts["Quenched at"] == "4.0e14 K/s, 1 sample"
    assert facts["Melted, melt_quench-seed1"].startswith("yes: MSD beyond")
    assert "ratio 0.940" in facts["Density, melt_quench-seed1"]


def test_a_report_is_collected_from_a_store(tmp_path):
    with open_store(tmp_path / "store") as store:
        sample_candidates.fill(store)
        report = collect_report(store, "quick")
    assert report.title == "Sweep quick"
    assert report.screen == sample_candidates.SCREEN
    assert [view.rank for view in report.views] == [1, None, None, None]
    assert len(report.views[0].documents) == 4
    assert report.views[0].documents == sample_candidates.views()[0].documents


def test_a_report_of_nothing_says_what_to_do(tmp_path):
    with open_store(tmp_path / "store") as store:
        with pytest.raises(InputError, match=r"holds no candidates to report on.*haloflow run"):
            collect_report(store)
        sample_candidates.fill(store)
        with pytest.raises(UnknownNameError, match=r"unknown sweep.*quik.*did you mean quick"):
            collect_report(store, "quik")


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"report cannot be written.*folder that exists"):
        write_report(Report("Empty", []), tmp_path / "missing" / "report.html")


def test_a_written_report_leaves_nothing_else(tmp_path):
    write_report(Report("Empty", []), tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_facts_read_the_same_in_rows_as_in_the_report(views):
    rows = {row["name"]: row for row in (fact.row() for fact in candidate_facts(views[-1]))}
    sigma = views[-1].summary.sigma_300k_ms_cm
    assert sigma.status is not Status.OK
    assert rows["σ(300 K)"]["status"] is sigma.status
    assert rows["σ(300 K)"]["reason"] == sigma.note
    assert rows["σ(300 K)"]["unit"] == "mS/cm"
    assert rows["E_hull"]["text"] == energy_text(views[-1].summary.energy_above_hull_ev_per_atom)
    assert rows["Composition"]["status"] is None
    assert rows["Composition"]["has_formulas"]
