"""Figures of analysed runs: what they draw is what was found, and a browser draws them all."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sample_documents
import sample_trajectories
from ase.io import write

from haloflow.dashboard.analysis_figures import AnalysedRuns, analysis_figures, runs_of
from haloflow.dashboard.analysis_page import analysis_facts, render_analysis
from haloflow.dashboard.figures_analysis_structure import powder_overview
from haloflow.dashboard.menus import with_menu
from haloflow.dashboard.panels import candidate_facts
from haloflow.makers.nmr import NmrProtocol, jump_law
from haloflow.quantity import Quantity
from haloflow.stores.analyses import PatternAnalysis, StructureDocument, StructurePoint
from haloflow.workflows.analyze import Request, analyze


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("md") / "chains.traj"
    write(path, sample_trajectories.chains(120).images())
    return analyze(
        Request(
            path, temperature_k=600.0, frame_ps=0.1, nmr=NmrProtocol(quadrupole_coupling_mhz=1.0)
        )
    )


@pytest.fixture(scope="module")
def runs(found):
    runs = AnalysedRuns()
    for name, temperature in (("500 K", 500.0), ("600 K", 600.0)):
        parts = dict(found.sections)
        parts["transport"] = parts["transport"].model_copy(update={"temperature_k": temperature})
        runs.add(name, temperature, parts.values())
    return runs


@pytest.fixture(scope="module")
def figures(runs):
    return {title: figure for title, _, figure in analysis_figures(runs) if figure is not None}


def shown(figure):
    return [trace for trace in figure["data"] if trace.get("visible", True) is True]


def test_every_figure_of_the_papers_is_there(figures):
    assert set(figures) == {
        "Motion alone and in concert",
        "Conductivity alone and in concert",
        "By direction",
        "Motion of every species",
        "Mean cross-displacements",
        "Hop lengths",
        "How far ions come",
        "Memory of a site",
        "Relaxation of sodium",
        "Pairs and coordination",
        "Running coordination",
        "X-ray structure factor",
        "Reduced pair distribution function",
        "Powder pattern",
        "Cell lengths",
        "Polyhedra",
        "Bridges and sharing",
        "Chain lengths",
        "Order of the octahedra",
        "Where terminal ligands point",
        "Surroundings of the mobile ions",
        "Free volume",
        "Free energy landscape",
        "Density of the mobile ions",
        "Distribution of the free energy",
        "Barcodes",
        "Features alive at a distance",
    }


def test_traces_have_as_many_values_as_places(figures):
    for figure in figures.values():
        for trace in figure["data"]:
            if trace["type"] == "heatmap":
                assert len(trace["z"]) == len(trace["y"])
                assert all(len(row) == len(trace["x"]) for row in trace["z"])
            else:
                assert len(trace["x"]) == len(trace["y"])


def test_a_menu_shows_one_run_at_a_time(figures):
    figure = figures["Polyhedra"]
    (menu,) = figure["layout"]["updatemenus"]
    assert [button["label"] for button in menu["buttons"]] == ["500 K", "600 K"]
    for button in menu["buttons"]:
        visible = button["args"][0]["visible"]
        assert len(visible) == len(figure["data"])
        assert sum(visible) == len(figure["data"]) // 2
    assert len(shown(figure)) == len(figure["data"]) // 2


def test_nothing_to_draw_makes_no_figure():
    assert with_menu({"500 K": []}, {}) is None
    titles = [title for title, _, figure in analysis_figures(AnalysedRuns()) if figure is not None]
    assert titles == []


def test_curves_are_the_numbers_found(found, figures):
    transport = found.sections["transport"]
    self_curve = figures["Motion alone and in concert"]["data"][0]
    assert self_curve["y"] == [y for y in transport.msd_self_a2 if y > 0]
    mcd = {trace["name"]: trace for trace in shown(figures["Mean cross-displacements"])
           if trace.get("name")}  # fmt: skip
    assert set(mcd) == {"Na-Ta", "Na-O", "Na-Cl", "Ta-O", "Ta-Cl", "O-Cl"}
    assert mcd["Na-Cl"]["y"] == transport.cross_displacement_a2["Na-Cl"].y
    bars = shown(figures["Barcodes"])[0]
    topology = found.sections["topology"].barcodes[0]
    births = bars["x"][::3]
    assert sorted(births) == sorted(birth for birth, _ in topology.bars_a)


def test_planes_lie_in_the_cell(found, figures):
    landscape = found.sections["landscape"]
    trace = shown(figures["Free energy landscape"])[0]
    plane = landscape.slices_ev[0]
    lengths = np.linalg.norm(plane.axes_a, axis=1)
    assert 0 < min(trace["x"]) < max(trace["x"]) < lengths[0]
    assert 0 < min(trace["y"]) < max(trace["y"]) < lengths[1]
    values = [value for row in trace["z"] for value in row if value is not None]
    assert min(values) == 0.0
    layout = figures["Free energy landscape"]["layout"]
    assert layout["xaxis"]["title"]["text"] == "along b (Å)"


def test_cell_lengths_are_relative_to_the_coldest_run(found, figures):
    lengths = found.sections["structure"].cell_lengths_a
    traces = figures["Cell lengths"]["data"]
    assert [trace["y"] for trace in traces] == [[1.0, 1.0]] * 3
    assert traces[0]["name"] == f"a ({lengths[0].value:.2f} Å)"
    assert traces[0]["x"] == [500.0, 600.0]


def test_directions_are_drawn_with_what_was_found_along_them(found, figures):
    transport = found.sections["transport"]
    traces = figures["By direction"]["data"]
    above = [trace for trace in traces if trace["yaxis"] == "y"]
    assert [trace["name"] for trace in above] == ["slowest direction", "middle", "fastest"]
    for trace, along in zip(above, transport.principal_diffusivities_cm2_s, strict=True):
        assert set(trace["y"]) == {along.value}
    below = [trace for trace in traces if trace["yaxis"] == "y2"]
    known = [q.value for q in transport.principal_sigmas_ms_cm if q.value is not None]
    assert [trace["y"][0] for trace in below] == known


def test_surroundings_and_room_are_drawn_against_temperature(found, figures):
    environment = found.sections["environment"]
    traces = {trace["name"]: trace for trace in figures["Surroundings of the mobile ions"]["data"]}
    assert set(traces) == {"octahedral", "prismatic", "other", "by O", "by Cl"}
    assert traces["other"]["x"] == [500.0, 600.0]
    assert traces["other"]["y"] == [environment.other.value] * 2
    assert traces["by Cl"]["yaxis"] == "y2"
    shares = [traces[name]["y"][0] for name in ("octahedral", "prismatic", "other")]
    assert sum(shares) == pytest.approx(1.0)
    (room,) = (t for t in figures["Free volume"]["data"] if t["name"] == "per mobile ion")
    assert room["y"][0] == environment.free_a3_per_mobile.value


def test_relaxation_is_drawn_where_it_was_carried_to(found):
    runs = AnalysedRuns()
    runs.add("600 K", 600.0, found.sections.values())
    time = found.sections["hops"].correlation_time_ps
    protocol = NmrProtocol(quadrupole_coupling_mhz=1.0, larmor_mhz=(132.294,))
    colder = Quantity(100 * time.value, time.value, 90 * time.value, 110 * time.value)
    times = {600.0: Quantity(time.value, 0.1 * time.value), 500.0: colder}
    runs.jump_law = jump_law(times, protocol)
    drawn = {title: figure for title, _, figure in analysis_figures(runs) if figure}
    star = drawn["Memory of a site"]["data"][1]
    assert (star["name"], star["mode"], star["x"]) == ("Arrhenius law", "markers", [298.15])
    names = [trace["name"] for trace in drawn["Relaxation of sodium"]["data"]]
    assert names == ["132.294 MHz, runs", "132.294 MHz, Arrhenius law", "73.39 MHz, runs"]
    (point,) = runs.jump_law.points
    t1 = drawn["Relaxation of sodium"]["data"][1]
    assert t1["y"] == [point.t1_ms["132.294"].value]
    assert t1["marker"]["symbol"] == ["star-open"]


def test_structure_of_several_glasses_is_told_as_their_mean(found, views):
    names = ("structure", "speciation", "environment")
    point = StructurePoint(temperature_k=600.0, **{name: found.sections[name] for name in names})
    pure = {"TaO2Cl4": found.sections["speciation"].populations["TaO2Cl4"]}
    half = {"TaO2Cl4": pure["TaO2Cl4"].model_copy(update={"value": 0.5})}
    documents = {}
    for seed, shares in (("seed1", pure), ("seed2", half)):
        speciation = point.speciation.model_copy(update={"populations": shares})
        own = point.model_copy(update={"speciation": speciation})
        documents[f"structure-{seed}"] = StructureDocument(
            identity=seed,
            provenance=sample_documents.provenance(),
            level="l",
            mobile="Na",
            points=[own],
            left_out={},
        )
    view = dataclasses.replace(
        views[0], documents=documents, summary=views[0].summary.model_copy(update={"n_seeds": 2})
    )
    facts = {fact.name: fact.quantity for fact in candidate_facts(view)}
    share = facts["TaO2Cl4 at 600 K, mean of glasses"]
    assert share.value == pytest.approx(0.75)
    assert (share.lower, share.upper) == (0.0, 1.0)
    assert facts["Ta-O coordination at 600 K, mean of glasses"].value == pytest.approx(2.0)
    assert not [name for name in facts if name.startswith(("O-", "Cl-"))]
    documents.pop("structure-seed2")
    alone = candidate_facts(dataclasses.replace(view, documents=documents))
    assert not [fact for fact in alone if "mean of glasses" in fact.name]


def test_a_crystal_is_drawn_on_the_axis_of_the_glass(found):
    structure = found.sections["structure"]
    pattern = structure.scattering
    crystal = PatternAnalysis(
        two_theta_deg=pattern.two_theta_deg, intensity_e2_per_atom=pattern.intensity_e2_per_atom
    )
    both = pattern.model_copy(update={"crystals": {"NaTaOCl4": crystal}})
    runs = AnalysedRuns(structure={"600 K": structure.model_copy(update={"scattering": both})})
    figures = {title: figure for title, _, figure in analysis_figures(runs)}
    figure = figures["Powder pattern beside the crystal's"]
    assert [trace["name"] for trace in figure["data"]] == [
        "600 K",
        "NaTaOCl₄",
    ]
    assert all(max(trace["y"]) == 1.0 for trace in figure["data"])


def test_powder_patterns_share_an_axis_and_a_height(found):
    pattern = found.sections["structure"].scattering
    assert powder_overview({"crystal": pattern}) is None
    figure = powder_overview({"NaTaOCl4 crystal": pattern, "NaTaOCl4 glass": pattern})
    assert [max(trace["y"]) for trace in figure["data"]] == [1.0, 1.0]
    assert figure["data"][0]["name"] == "NaTaOCl₄ crystal"


def test_documents_give_the_same_runs_as_files(found):
    sections = found.sections
    point = StructurePoint(
        temperature_k=600.0,
        structure=sections["structure"],
        speciation=sections["speciation"],
        octahedra=sections["octahedra"],
        environment=sections["environment"],
    )
    document = StructureDocument.model_construct(points=[point, point.model_copy()])
    runs = runs_of([document])
    assert set(runs.structure) == {"600 K"}
    assert runs.octahedra["600 K"] == sections["octahedra"]
    assert runs.environment["600 K"] == sections["environment"]
    assert runs.temperatures_k == {"600 K": 600.0}


def test_facts_hold_the_main_numbers_with_units(found):
    facts = {fact.name: fact for fact in analysis_facts(found.sections)}
    transport = found.sections["transport"]
    assert facts["Haven ratio"].quantity == transport.haven_ratio
    assert facts["σ, collective"].unit == "mS/cm"
    assert facts["Polyhedra"].text == "TaO2Cl4 100.0%"
    assert "conditional on C_Q" in facts["T1 at 132.294 MHz"].quantity.note


def test_the_page_says_what_was_left_out_and_escapes_it(found):
    told = dataclasses.replace(found, left_out={"octahedra": "<script>alert(1)</script>"})
    html = render_analysis(told)
    assert "<script>alert(1)" not in html
    assert "octahedra: &lt;script&gt;alert(1)" in html


def test_a_browser_draws_the_page_without_asking_anyone(found, page, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(render_analysis(found), encoding="utf-8")
    page.open(path.as_uri())
    assert page.ask("document.querySelectorAll('[data-figure]').length") == 25
    page.ask("window.dispatchEvent(new Event('beforeprint'))")
    page.wait(
        "[...document.querySelectorAll('[data-figure]')]"
        ".every(e => e.querySelector('svg.main-svg'))"
    )
    assert page.problems() == []
    assert [url for url in page.requests() if not url.startswith(("file:", "data:", "blob:"))] == []
