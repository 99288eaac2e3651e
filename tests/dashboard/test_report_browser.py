"""The report in a real browser: everything drawn, nothing asked for, nothing wrong."""

from __future__ import annotations

import pytest
import sample_candidates

from haloflow.dashboard.report import Report, render_report

DRAW_ALL = "window.dispatchEvent(new Event('beforeprint'))"
ALL_DRAWN = (
    "[...document.querySelectorAll('[data-figure]')].every(e => e.querySelector('svg.main-svg'))"
    " && [...document.querySelectorAll('[data-scene]')].every(e => e.dataset.atoms)"
)


@pytest.fixture(scope="session")
def report_url(report_html, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_html, encoding="utf-8")
    return path.as_uri()


def labels_of_rows(page, body=0):
    return page.ask(
        f"[...document.querySelector('table.ranking').tBodies[{body}].rows]"
        ".map(row => row.cells[1].querySelector('a').textContent)"
    )


def test_every_figure_and_structure_is_drawn_without_a_request_or_an_error(page, report_url):
    page.open(report_url)
    n_figures = page.ask("document.querySelectorAll('[data-figure]').length")
    n_scenes = page.ask("document.querySelectorAll('[data-scene]').length")
    assert n_figures > 12
    assert n_scenes == 4
    page.ask(DRAW_ALL)
    page.wait(ALL_DRAWN)
    points = page.ask(
        "[...document.querySelectorAll('[data-figure]')]"
        ".filter(e => !e.querySelector('.points path, .js-line')).map(e => e.dataset.figure)"
    )
    assert points == []
    assert page.problems() == []
    assert [url for url in page.requests() if not url.startswith(("file:", "data:", "blob:"))] == []


def test_the_browser_would_notice_a_request_and_an_error(page, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<meta http-equiv=Content-Security-Policy content=\"img-src 'none'\">"
        "<img src=http://127.0.0.1:9/x.png><script src=http://127.0.0.1:9/y.js></script>"
        "<script>undefined.x</script>"
    )
    page.open(bad.as_uri())
    assert "http://127.0.0.1:9/y.js" in page.requests()
    assert len(page.problems()) >= 3


SHOW_FIGURES = "document.querySelector('[data-figure]').scrollIntoView({behavior: 'instant'})"


def test_figures_are_drawn_when_they_come_into_view(page, report_url):
    page.open(report_url)
    page.ask(SHOW_FIGURES)
    page.wait("document.querySelector('[data-figure=overview-stability] svg.main-svg') !== null")
    last = "[...document.querySelectorAll('details[open] [data-figure]')].pop()"
    assert page.ask(f"{last}.querySelector('svg') === null")
    page.ask(f"{last}.scrollIntoView({{behavior: 'instant'}})")
    page.wait(f"{last}.querySelector('svg.main-svg') !== null")


def test_a_structure_is_painted_and_turns(page, report_url):
    page.open(report_url)
    page.ask(DRAW_ALL)
    page.wait(ALL_DRAWN)
    first_pixels = (
        "(() => { const c = document.querySelector('[data-scene]');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "const seen = new Set(); let sum = 0;"
        "for (let i = 0; i < d.length; i += 4) {"
        "  if (d[i + 3]) { seen.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]); sum += i % 9973; } }"
        "return [seen.size, sum]; })()"
    )
    colours, before = page.ask(first_pixels)
    assert colours > 200
    page.ask(
        "document.querySelector('[data-scene]')"
        ".dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}))"
    )
    assert page.ask(first_pixels)[1] != before


def test_the_table_sorts_within_its_parts(page, report_url):
    page.open(report_url)
    below = 2
    ranked = labels_of_rows(page)
    before = labels_of_rows(page, below)
    header = "document.querySelectorAll('table.ranking th button')[3]"
    page.ask(f"{header}.click()")
    up = labels_of_rows(page, below)
    page.ask(f"{header}.click()")
    down = labels_of_rows(page, below)
    assert up == ["NaTaCl₆ crystal", "NaTaOCl₄ crystal", "TaCl₅-0.5Na₂S glass"]
    assert down == up[::-1]
    assert sorted(before) == sorted(up)
    assert labels_of_rows(page) == ranked
    assert page.ask(f"{header}.closest('th').ariaSort") == "descending"


def test_unknown_numbers_sort_last_both_ways(page, report_url):
    page.open(report_url)
    header = "document.querySelectorAll('table.ranking th button')[4]"
    for _ in range(2):
        page.ask(f"{header}.click()")
        assert labels_of_rows(page, 2)[-1] == "NaTaCl₆ crystal"


def test_the_menu_of_pair_distributions_changes_the_temperature(page, report_url):
    page.open(report_url)
    page.ask(DRAW_ALL)
    page.wait(ALL_DRAWN)
    figure = "document.querySelector('[data-figure^=c1-rdf]')"
    shown = f"{figure}.data.filter(t => t.visible === true).length"
    assert page.ask(shown) == 2
    page.ask(f"Plotly.restyle({figure}, ...{figure}.layout.updatemenus[0].buttons[2].args) && null")
    assert page.ask(shown) == 2
    assert page.ask(f"{figure}.data[4].visible && !{figure}.data[0].visible")


def test_nothing_offers_to_send_data_away(page, report_url):
    page.open(report_url)
    page.ask(SHOW_FIGURES)
    page.wait("document.querySelector('.modebar-btn') !== null")
    titles = page.ask("[...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title)")
    assert titles
    assert not [title for title in titles if "share" in title.lower() or "cloud" in title.lower()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_axes_follow_the_scheme(page, report_url, scheme):
    page.media(prefers_color_scheme=scheme)
    page.open(report_url)
    page.ask(SHOW_FIGURES)
    page.wait("document.querySelector('[data-figure] .xtitle') !== null")
    colour = page.ask("getComputedStyle(document.querySelector('[data-figure] .xtitle')).fill")
    channels = [int(part) for part in colour.strip("rgb()").split(",")]
    assert (max(channels) < 100) is (scheme == "light")
    assert (min(channels) > 150) is (scheme == "dark")


def test_text_of_the_store_cannot_run(page, tmp_path):
    hostile = sample_candidates.hostile_views()
    path = tmp_path / "hostile.html"
    path.write_text(render_report(Report(sample_candidates.HOSTILE, hostile)), encoding="utf-8")
    page.open(path.as_uri())
    page.ask("window.attacked = false; window.alert = () => { window.attacked = true; }")
    page.ask(DRAW_ALL)
    page.wait(ALL_DRAWN)
    assert page.ask("document.querySelectorAll('img').length") == 0
    assert page.ask("window.attacked") is False
    assert page.ask("document.querySelector('h1').textContent") == sample_candidates.HOSTILE
    assert page.problems() == []
