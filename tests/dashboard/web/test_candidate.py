"""The page of a candidate: numbers of the API, a structure that is really drawn, provenance."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from pymatgen.core import Structure
from web_pages import assert_accessible, assert_fits_the_width, is_settled

from haloflow.dashboard.wording import quantity_text
from haloflow.quantity import Quantity

GLASS, UNCONVERGED, INCOMPLETE = 0, 1, 3
NARROW = {"width": 360, "height": 740}
FRAME_AND_SCENE = """async (base) => {
  const { frameScene } = await import("/static/js/candidate/frames.js");
  const scene = (await (await fetch(`/api/v1${base}/scene`)).json()).data;
  const own = scene.atoms.slice(0, scene.n_cell);
  const species = own.map(([kind]) => scene.elements[kind]);
  const far = own.map(([, ...at], i) => at.map((x, d) => x + scene.cell[i % 3][d] * (i % 5 - 2)));
  return [scene, frameScene(scene, species, { cell: scene.cell, positions: far })];
}"""

FAINT = """async () => {
  const { contrast } = await import("/static/js/common/plot_contrast.js");
  const rgb = (text) => {
    document.body.style.accentColor = text;
    return getComputedStyle(document.body).accentColor.match(/[\\d.]+/g).slice(0, 3).map(Number);
  };
  const paper = rgb("var(--paper)");
  return [...document.querySelectorAll(".plot")].flatMap((plot) => plot.data ?? [])
    .flatMap((trace) => [trace.line?.color, trace.marker?.color])
    .filter((text) => typeof text === "string" && contrast(rgb(text), paper) < 2.95);
}"""
SAMPLES = """async () => {
  const { FigureSections } = await import("/static/js/candidate/sections.js");
  const { UrlState } = await import("/static/js/common/url_state.js");
  const figures = ["arrhenius", "polyhedra-seed1", "polyhedra-seed2", "chain-lengths-seed2"];
  const rows = figures.map((id) => ({ id, title: id, caption: "", section: "", height: 300 }));
  const summary = { phase: "glass", steps: [] };
  const sections = new FigureSections("/candidates/none", summary, rows, new UrlState());
  const box = document.createElement("div");
  box.hidden = true;
  box.append(...sections.elements.filter(Boolean));
  document.body.append(box);
  const shown = () => [...box.querySelectorAll("figure")].map((figure) => figure.id);
  const all = [shown()];
  box.querySelector("[data-sample=seed2]").click();
  all.push(shown(), [location.search], [sections.reveal("polyhedra-seed1")], shown());
  return all;
}"""


@pytest.fixture
def ask(page):
    def get(path):
        answer = page.request.get(f"/api/v1/candidates/{path}")
        assert answer.ok, answer.text()
        return answer.json()["data"]

    return get


@pytest.fixture
def open_candidate(open_page):
    def open_it(candidate_id, more="", **options):
        page = open_page(f"/candidate?id={candidate_id}{more}", **options)
        expect(page.locator("#structure-stage")).to_have_attribute("data-atoms", re.compile(r"\d"))
        return page

    return open_it


def pixels(page):
    """Return the picture on the stage, (height, width, 3)."""
    picture = page.locator("#structure-stage").screenshot()
    return np.array(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def share_like(picture, colour):
    """Return the share of pixels with the hue of `colour`, lit or shaded."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], float)
    shown = picture - picture.mean(axis=2, keepdims=True)
    wanted -= wanted.mean()
    strength = np.linalg.norm(shown, axis=2)
    alike = (shown @ wanted) / np.maximum(strength * np.linalg.norm(wanted), 1e-9)
    return float(((alike > 0.97) & (strength > 30)).mean())


def lengths(scene):
    positions = np.array([atom[1:] for atom in scene["atoms"]])
    own = np.array([bond for bond in scene["bonds"] if bond[0] < scene["n_cell"]])
    return np.sort(np.linalg.norm(positions[own[:, 0]] - positions[own[:, 1]], axis=1))


def test_numbers_badges_and_warnings_are_the_apis(open_candidate, ask, full_ids, shot):
    page = open_candidate(full_ids[UNCONVERGED])
    found = ask(full_ids[UNCONVERGED])
    expect(page.locator("h1")).to_have_text(found["label"])
    sigma = Quantity(**found["sigma_300k_ms_cm"])
    tile = page.locator(".tile", has_text="σ(300 K)")
    said = " ".join(tile.locator(".value").inner_text().split()).replace("−", "-")
    assert said.replace(" mS/cm", "") == quantity_text(sigma)
    expect(tile.locator(".badge")).to_have_text("unconverged")
    expect(tile.locator(".why")).to_have_text(re.compile(re.escape(sigma.note), re.IGNORECASE))
    expect(tile.locator(".level")).to_have_text(found["levels"]["md"])
    for caution in found["cautions"]:
        expect(page.locator(".warnings")).to_contain_text(caution)
    for fact in found["facts"]:
        if fact["name"] == "Reaction energy":
            expect(page.locator(".results .facts")).to_contain_text(fact["text"])
    for row in found["literature"]:
        expect(page.locator("#literature")).to_contain_text(row["source"])
    assert_accessible(page)
    assert_fits_the_width(page)
    shot("candidate-light", full=False)


def test_a_glass_is_drawn_in_the_colours_of_its_elements(open_candidate, ask, full_ids):
    page = open_candidate(full_ids[GLASS])
    scene = ask(f"{full_ids[GLASS]}/scene")
    assert len(scene["atoms"]) > 200
    stage = page.locator("#structure-stage")
    expect(stage).to_have_attribute("data-atoms", str(len(scene["atoms"])))
    balls = pixels(page)
    for symbol, colour in zip(scene["elements"], scene["colours"], strict=True):
        assert share_like(balls, colour) > 0.002, symbol
    assert 0.3 < (balls.min(axis=2) > 240).mean() < 0.9
    drawn = np.argwhere(balls.min(axis=2) < 200)
    assert np.ptp(drawn[:, 0]) > 0.7 * balls.shape[0]
    stage.press("ArrowLeft")
    turned = pixels(page)
    assert (np.abs(turned - balls).max(axis=2) > 40).mean() > 0.05
    page.get_by_label("Image atoms").uncheck()
    expect(stage).to_have_attribute("data-atoms", str(scene["n_cell"]))
    page.get_by_label("Image atoms").check()
    page.get_by_role("button", name="Polyhedra").click()
    expect(page).to_have_url(re.compile("style=polyhedra"))
    former = scene["colours"][scene["roles"].index("former")]
    assert share_like(pixels(page), former) > share_like(turned, former)
    page.get_by_label("Supercell").select_option("2,1,1")
    expect(page.locator("#structure-words")).to_contain_text(re.compile("2 . 1 . 1 supercell"))
    expect(page.locator("#structure-words")).to_contain_text(f"{2 * scene['n_cell']} atoms")


def test_frames_bond_as_the_server_does(open_candidate, full_ids):
    page = open_candidate(full_ids[GLASS])
    scene, frame = page.evaluate(FRAME_AND_SCENE, f"/candidates/{full_ids[GLASS]}")
    assert lengths(frame) == pytest.approx(lengths(scene), abs=2e-3)
    sizes = [
        sorted(len(row["faces"]) for row in one["polyhedra"] if row["centre"] < one["n_cell"])
        for one in (scene, frame)
    ]
    assert sizes[0] == sizes[1]
    positions = np.array([atom[1:] for atom in frame["atoms"]])
    for row in frame["polyhedra"]:
        corners = positions[np.array(row["faces"])]
        middle = corners.reshape(-1, 3).mean(axis=0)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert (np.einsum("ij,ij->i", normals, corners[:, 0] - middle) > 0).all()


def test_a_trajectory_plays_pauses_and_is_closed(open_candidate, ask, full_ids):
    page = open_candidate(full_ids[UNCONVERGED])
    run = ask(f"{full_ids[UNCONVERGED]}/trajectory")[0]
    page.get_by_role("button", name="Open trajectory").click()
    clock = page.locator(".player output")
    expect(clock).to_have_text(re.compile("frame [3-9]"))
    page.get_by_role("button", name="Pause").click()
    slider = page.get_by_role("slider", name="Frame")
    slider.press("End")
    expect(clock).to_contain_text(f"frame {run['n_frames']}")
    assert f"{run['frame_ps'] * (run['n_frames'] - 1):.3f}" in clock.inner_text()
    last = pixels(page)
    slider.press("Home")
    assert (np.abs(pixels(page) - last).max(axis=2) > 40).mean() > 0.01
    page.get_by_role("button", name="Close", exact=True).click()
    expect(clock).to_be_hidden()


def test_deep_links_lead_to_figures_and_the_back_button_back(open_candidate, ask, full_ids):
    page = open_candidate(full_ids[GLASS], "#arrhenius")
    arrhenius = page.locator("figure#arrhenius")
    expect(arrhenius).to_have_attribute("data-state", "drawn")
    expect(arrhenius).to_be_in_viewport()
    expect(arrhenius.locator(".scatterlayer .point").first).to_be_visible()
    bar = page.get_by_role("navigation", name="Sections of this candidate")
    expect(bar.locator("[aria-current]")).to_have_text("Conductivity")
    bar.get_by_role("link", name="Polyhedra").click()
    expect(page.locator("#speciation-heading")).to_be_focused()
    expect(page.locator("#speciation-heading")).to_be_in_viewport()
    page.go_back()
    expect(page).to_have_url(re.compile("#arrhenius$"))
    expect(arrhenius).to_be_in_viewport()
    figures = [row["id"] for row in ask(f"{full_ids[GLASS]}/figures")]
    shown = page.locator("figure.figure").evaluate_all("all => all.map((one) => one.id)")
    assert sorted(shown) == sorted(figures)
    assert page.locator("#more").count() == 0


def test_a_section_without_data_says_what_is_missing(open_candidate, ask, full_ids):
    page = open_candidate(full_ids[INCOMPLETE])
    steps = {step["name"]: step for step in ask(full_ids[INCOMPLETE])["steps"]}
    missing = page.locator("#landscape .missing-part")
    expect(missing).to_contain_text("Not computed")
    expect(missing).to_contain_text("production_steps")
    name = next(n for n, s in steps.items() if s["kind"] == "landscape")
    expect(missing).to_contain_text(f"{name} is waiting")
    failed = next(s for s in steps.values() if s["state"] == "failed")
    expect(missing).to_contain_text(f"{failed['name']} failed {failed['note']}")
    expect(page.locator("nav a.is-empty", has_text="Ion density")).to_have_count(1)
    expect(page.locator(".tile", has_text="Activation energy")).to_contain_text("not computed")


def test_one_sample_is_shown_at_a_time(open_page):
    first, second, search, revealed, again = open_page("/candidate").evaluate(SAMPLES)
    assert first == again == ["arrhenius", "polyhedra-seed1"]
    assert second == ["arrhenius", "polyhedra-seed2", "chain-lengths-seed2"]
    assert search == ["?sample=seed2"]
    assert revealed == ["polyhedra-seed1"]


def test_provenance_goes_down_to_weights_and_job(open_candidate, ask, full_ids, context):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    steps = {step["name"]: step for step in ask(f"{full_ids[GLASS]}/provenance")}
    page = open_candidate(full_ids[GLASS], "#provenance")
    hull = page.locator("[id='step-hull-seed1']")
    hull.locator("summary").first.click()
    weights = steps["hull-seed1"]["provenance"]["potential"]["weights_sha256"]
    expect(hull.locator("dl").first).to_contain_text(weights)
    expect(hull.locator("dl").first).to_contain_text(steps["hull-seed1"]["job_uuid"])
    hull.get_by_role("button", name="Copy sha256 of the weights of hull-seed1").click()
    expect(page.locator("#live-region")).to_contain_text("copied")
    assert page.evaluate("navigator.clipboard.readText()") == weights
    expect(hull.locator("[id='step-relax-seed1'] [id='step-melt_quench-seed1']")).to_be_visible()


def test_downloads_are_the_structure_shown(open_candidate, ask, full_ids):
    page = open_candidate(full_ids[GLASS])
    known = ask(f"{full_ids[GLASS]}/structures")[0]
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CIF of Relaxed, seed 1").click()
    text = waiting.value.path().read_text()
    assert len(Structure.from_str(text, fmt="cif")) == known["n_atoms"]
    links = page.locator("#downloads a").evaluate_all("all => all.map((a) => a.href)")
    other = [link for link in links if "/figures/" not in link and "step=md" not in link]
    assert len(other) > 10
    for link in [*other, links[-1]]:
        assert page.request.head(link).ok, link


@pytest.mark.parametrize("index", [0, 1, 2])
def test_text_of_the_store_stays_text(open_page, hostile_candidates, index):
    row = hostile_candidates[index]
    page = open_page(f"/candidate?id={row['candidate_id']}")
    page.set_viewport_size(NARROW)
    shown = page.locator("h1").text_content()
    assert shown == row["label"]
    assert page.locator("main img").count() == 0
    expect(page.locator("#structure")).to_contain_text("No structure yet")
    assert_fits_the_width(page)


def test_a_phone_in_the_dark(open_candidate, full_ids, shot):
    page = open_candidate(full_ids[GLASS], scheme="dark", phone=True)
    page.set_viewport_size(NARROW)
    assert_fits_the_width(page)
    assert_accessible(page)
    picture = pixels(page)
    assert np.median(picture) < 60
    assert (picture.max(axis=2) > 120).mean() > 0.02
    shot("candidate-phone-dark", full=False)
    for figure in ("arrhenius", "msd-1"):
        card = page.locator(f"figure[id='{figure}']")
        card.scroll_into_view_if_needed()
        expect(card).to_have_attribute("data-state", "drawn")
    assert page.evaluate(FAINT) == []


def test_an_unknown_candidate_is_explained(open_page, page, watch):
    watch.allow("404")
    asked = []
    page.on("request", lambda one: asked.append(one.url) if "/api/" in one.url else None)
    open_page("/candidate?id=nothing-here")
    assert [url.split("/api/v1/")[1] for url in asked] == ["candidates/nothing-here"]
    expect(page.get_by_role("alert")).to_contain_text("no candidate of this id", ignore_case=True)
    expect(page.get_by_role("alert")).to_contain_text("nothing-here")
    page.get_by_role("link", name="Back to the explorer").click()
    expect(page).to_have_url(re.compile(r"/$"))
    page.go_back()
    is_settled(page)
