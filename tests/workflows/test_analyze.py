"""Analyses of a bare trajectory: known answers, the keys of the JSON, what may be left out."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import sample_trajectories
from ase.io import write
from sample_trajectories import D_A2_PS, FRAME_PS

from haloflow.errors import AnalysisError, InputError, UnknownNameError
from haloflow.makers.nmr import NmrProtocol
from haloflow.quantity import Status
from haloflow.workflows.analyze import SECTIONS, Request, analyze, as_json

CHARGES = {"Na": 1.0, "Ta": 5.0, "O": -2.0, "Cl": -1.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A shared walk in a breathing cell, stored as our runner does; and rattling chains."""
    folder = tmp_path_factory.mktemp("trajectories")
    sample_trajectories.walk(shared=0.5, drift_a=0.01).store(folder / "walk")
    write(folder / "breathing.traj", sample_trajectories.walk(600, breathing=0.002).images())
    write(folder / "chains.traj", sample_trajectories.chains().images())
    return folder


@pytest.fixture(scope="module")
def walked(folder):
    return analyze(Request(folder / "walk", temperature_k=600.0, only=("transport",)))


@pytest.fixture(scope="module")
def chained(folder):
    found = analyze(Request(folder / "chains.traj", temperature_k=600.0, frame_ps=FRAME_PS))
    return as_json(found)


def within(quantity, truth):
    return quantity.lower <= truth <= quantity.upper


def test_a_walk_has_its_diffusivity_conductivity_and_haven_ratio(walked):
    found = walked.sections["transport"]
    assert found.diffusivity_cm2_s.status is Status.OK
    assert within(found.diffusivity_cm2_s, D_A2_PS * 1e-4)
    assert within(found.haven_ratio, 1 / 1.5)
    elementary, boltzmann = 1.602176634e-19, 1.380649e-23
    sigma = 32 / found.volume_a3 * 1e30 * elementary**2 * D_A2_PS * 1e-8 / (boltzmann * 600) * 10
    assert within(found.sigma_ne_ms_cm, sigma)
    assert within(found.sigma_ms_cm, 1.5 * sigma)
    assert found.sigma_ms_cm.value == pytest.approx(
        found.sigma_ne_ms_cm.value / found.haven_ratio.value
    )


def test_curves_stand_at_the_lags_asked_for_or_at_all(folder, walked):
    every = walked.sections["transport"]
    assert every.lags_frames == list(range(1, 2000))
    some = analyze(
        Request(folder / "walk", temperature_k=600.0, lags=(1, 10, 50), only=("transport",))
    ).sections["transport"]
    assert some.lags_frames == [1, 10, 50]
    for name in ("msd_self_a2", "msd_collective_a2", "lags_ps"):
        whole = getattr(every, name)
        assert getattr(some, name) == [whole[0], whole[9], whole[49]]
    assert some.msd_self_a2[1] == pytest.approx(6 * D_A2_PS * FRAME_PS * 10, rel=0.05)
    assert some.msd_collective_a2[1] == pytest.approx(1.5 * some.msd_self_a2[1], rel=0.35)
    assert some.diffusivity_cm2_s == every.diffusivity_cm2_s
    with pytest.raises(AnalysisError, match="a lag lies outside the trajectory") as error:
        analyze(Request(folder / "walk", lags=(5, 2000), only=("transport",)))
    assert "Given: 2000 frames. Allowed: 1 to 1999 frames" in str(error.value)


def test_a_breathing_cell_and_drift_invent_no_motion(folder):
    frames = sample_trajectories.walk(600, breathing=0.002)
    found = analyze(
        Request(folder / "breathing.traj", frame_ps=FRAME_PS, only=("transport",))
    ).sections["transport"]
    inverse = np.linalg.inv(frames.cells)
    steps = np.diff(frames.positions @ inverse, axis=0) @ frames.cells[1:]
    relative = steps[:, :32] - steps[:, 32:].mean(axis=1, keepdims=True)
    assert found.msd_self_a2[0] == pytest.approx(np.square(relative).sum(axis=2).mean(), rel=1e-6)


def test_charges_of_all_species_make_the_whole_charge_displacement(folder, walked):
    request = {"temperature_k": 600.0, "only": ("transport",)}
    neutral = CHARGES | {"Ta": 5.0}
    found = analyze(Request(folder / "walk", charges=neutral, **request)).sections["transport"]
    alone = walked.sections["transport"]
    assert found.charge_model == "charges of all species"
    assert alone.charge_model == "mobile ions in the frame of the framework"
    assert found.sigma_ne_ms_cm == alone.sigma_ne_ms_cm
    assert found.sigma_ms_cm.value != alone.sigma_ms_cm.value
    twice = analyze(Request(folder / "walk", charges={"Na": 2.0}, **request)).sections["transport"]
    assert twice.sigma_ms_cm.value == pytest.approx(4 * alone.sigma_ms_cm.value)
    with pytest.raises(AnalysisError, match="the charges are not neutral"):
        analyze(Request(folder / "walk", charges=CHARGES | {"Ta": 4.0}, **request))
    with pytest.raises(AnalysisError, match="charges do not fit the species"):
        analyze(Request(folder / "walk", charges={"Na": 1.0, "Cl": -1.0}, **request))


def test_every_section_is_there_and_nothing_is_not_a_number(chained):
    assert set(SECTIONS) <= set(chained)
    assert chained["left_out"] == {}
    text = json.dumps(chained, allow_nan=False)
    assert json.loads(text) == chained


def test_the_json_has_the_keys_and_units_that_scripts_rely_on(chained):
    transport = chained["transport"]
    assert {"value", "sd", "ci95", "status", "window_ps"} <= set(transport["diffusivity_cm2_s"])
    for name in ("sigma_ne_ms_cm", "sigma_ms_cm", "haven_ratio"):
        assert {"value", "sd"} <= set(transport[name])
    lengths = {len(transport[n]) for n in ("lags_frames", "msd_self_a2", "msd_collective_a2")}
    assert lengths == {149}
    rdf = chained["structure"]["rdf"]
    assert {"Na-Cl", "Na-O", "Ta-O", "Ta-Cl", "O-Cl"} <= set(rdf)
    assert len(rdf["Na-Cl"]["r_a"]) == len(rdf["Na-Cl"]["g"])
    assert {"n", "cutoff_a"} <= set(chained["structure"]["coordination"]["Ta-O"])


def test_running_coordination_passes_through_the_first_shell(chained):
    structure = chained["structure"]
    for pair in ("Ta-O", "Ta-Cl", "Na-Cl"):
        curve, shell = structure["rdf"][pair], structure["coordination"][pair]
        at_minimum = np.interp(shell["cutoff_a"], curve["r_a"], curve["running_coordination"])
        assert at_minimum == pytest.approx(shell["n"], abs=0.05)


def test_the_pattern_of_a_crystal_stands_beside_that_of_the_sample(folder, tmp_path):
    frames = sample_trajectories.chains()
    perfect = sample_trajectories.Frames(
        frames.positions.mean(axis=0, keepdims=True), frames.cells[:1], frames.species
    )
    write(tmp_path / "crystal.cif", perfect.images()[0])
    request = {"frame_ps": FRAME_PS, "only": ("structure",), "reference": tmp_path / "crystal.cif"}
    patterns = {
        crystal: analyze(Request(folder / "chains.traj", crystal=crystal, **request))
        .sections["structure"]
        .scattering
        for crystal in (False, True)
    }
    (name, reference) = next(iter(patterns[True].crystals.items()))
    assert name == "crystal.cif"
    angles, expected = np.array(reference.two_theta_deg), np.array(reference.intensity_e2_per_atom)
    likeness = {}
    for crystal, found in patterns.items():
        measured = np.interp(angles, found.two_theta_deg, found.intensity_e2_per_atom)
        likeness[crystal] = np.corrcoef(measured, expected)[0, 1]
    assert likeness[True] > 0.95
    assert likeness[False] < 0.8
    with pytest.raises(InputError, match="there is no trajectory here"):
        analyze(Request(folder / "chains.traj", **request | {"reference": tmp_path / "no.cif"}))


def test_chains_have_their_coordination_polyhedra_and_axes(chained):
    shells = chained["structure"]["coordination"]
    assert shells["Ta-O"]["n"] == pytest.approx(2.0)
    assert shells["O-Ta"]["n"] == pytest.approx(2.0)
    assert shells["Ta-Cl"]["n"] == pytest.approx(4.0)
    speciation = chained["speciation"]
    assert speciation["populations"]["TaO2Cl4"]["value"] == pytest.approx(1.0)
    assert speciation["roles"]["O"]["bridging two"]["value"] == pytest.approx(1.0)
    assert speciation["sharing"]["corner"]["value"] == pytest.approx(2.0)
    assert speciation["chains_by_bridges"]["endless"]["value"] == pytest.approx(1.0)
    assert speciation["retention"]["O"]["value"] == pytest.approx(1.0)
    bonds = speciation["anion_bonds"]
    assert {name: row["value"] for name, row in bonds.items()} == {
        "Cl-Cl": 0.0, "O-O": 0.0, "Cl-O": 0.0
    }  # fmt: skip
    assert bonds["Cl-Cl"]["at_shorter"] == bonds["Cl-Cl"]["at_longer"] == bonds["O-O"]["sd"] == 0.0
    octahedra = chained["octahedra"]
    assert octahedra["n_octahedra"] == chained["trajectory"]["species"]["Ta"]
    for name in ("bridge_intra_chain", "terminal_intra_chain"):
        assert octahedra["correlation"][name]["value"] > 0.98
    assert octahedra["roll_deg"]["value"] < 5.0


def test_hops_and_landscape_see_the_walk_of_the_ions(chained):
    hops = chained["hops"]
    likeliest = hops["length_a"][int(np.argmax(hops["length_per_a"]))]
    assert likeliest == pytest.approx(3.7, abs=0.4)
    width = hops["length_a"][1] - hops["length_a"][0]
    assert sum(hops["length_per_a"]) * width == pytest.approx(1.0, abs=1e-4)
    landscape = chained["landscape"]
    assert set(landscape["barrier_ev"]) == {"a", "b", "c"}
    assert 0 < landscape["visited_fraction"] < 1
    assert len(landscape["slices_ev"]) == len(landscape["density_per_a2"]) == 3
    for plane in landscape["density_per_a2"]:
        values = np.array(plane["values"], dtype=float)
        area = abs(np.linalg.det(np.array(plane["axes_a"]))) / values.size
        assert values.sum() * area == pytest.approx(chained["trajectory"]["species"]["Na"], rel=0.1)
    kinds = {(b["atoms"], b["dimension"]) for b in chained["topology"]["barcodes"]}
    assert kinds == {("mobile", 0), ("mobile", 1), ("framework", 0), ("framework", 1)}


def test_pairs_that_move_together_have_positive_cross_displacements(chained):
    curves = chained["transport"]["cross_displacement_a2"]
    assert {"Na-Ta", "Na-O", "Na-Cl", "Ta-O", "Ta-Cl", "O-Cl"} <= set(curves)
    masses = {"Na": 22.990, "Ta": 180.948, "O": 15.999, "Cl": 35.45}
    for first in masses:  # the frame is the barycentre: sum_b m_b <S_a . S_b> = 0
        total = 0.0
        scale = 0.0
        for second, mass in masses.items():
            pair = curves.get(f"{first}-{second}") or curves[f"{second}-{first}"]
            total += mass * pair["y"][-1]
            scale += abs(mass * pair["y"][-1])
        assert abs(total) < 1e-3 * scale


def test_what_the_data_do_not_allow_is_left_out_with_the_reason(tmp_path):
    frames = sample_trajectories.walk(60, 4)
    keep = np.isin(frames.species, ["Na", "Cl"])
    salt = sample_trajectories.Frames(frames.positions[:, keep], frames.cells, frames.species[keep])
    write(tmp_path / "salt.traj", salt.images())
    found = analyze(Request(tmp_path / "salt.traj", frame_ps=0.1))
    assert {"transport", "structure"} <= set(found.sections)
    assert "there is no network former" in found.left_out["speciation"]
    assert "this analysis needs the temperature" in found.left_out["landscape"]
    with pytest.raises(AnalysisError, match="there is no network former"):
        analyze(Request(tmp_path / "salt.traj", only=("speciation",)))
    with pytest.raises(InputError, match="pass --temperature"):
        analyze(Request(tmp_path / "salt.traj", only=("landscape",)))
    with pytest.raises(InputError, match="pass --frame-ps"):
        analyze(Request(tmp_path / "salt.traj"))


def test_wrong_requests_are_refused(folder):
    path = folder / "chains.traj"
    with pytest.raises(UnknownNameError, match=r"unknown section.*did you mean transport"):
        analyze(Request(path, only=("transprt",)))
    for field, value in (("temperature_k", -1.0), ("frame_ps", 0.0), ("frame_ps", math.inf)):
        with pytest.raises(InputError, match=f"{field} must be positive"):
            analyze(Request(path, **{field: value}))
    with pytest.raises(AnalysisError, match=r"there are no mobile ions.*Given: Li"):
        analyze(Request(path, mobile="Li", frame_ps=0.1))


def test_relaxation_is_conditional_on_the_coupling(folder):
    request = {"temperature_k": 600.0, "frame_ps": FRAME_PS, "only": ("hops",)}
    without = analyze(Request(folder / "chains.traj", **request)).sections["hops"]
    found = analyze(
        Request(folder / "chains.traj", nmr=NmrProtocol(quadrupole_coupling_mhz=1.0), **request)
    )
    times = found.sections["hops"].t1_ms
    assert without.t1_ms == {}
    assert without.t1_note == "no quadrupole coupling C_Q was given: no T1"
    assert set(times) == {"132.294", "73.39"}
    assert all("conditional on C_Q = 1 MHz" in time.note for time in times.values())


def test_progress_counts_frames_then_names_the_sections(folder):
    seen = []
    analyze(
        Request(folder / "walk", only=("transport",)),
        lambda stage, done, total: seen.append((stage, done, total)),
    )
    assert seen[-1] == ("transport", 2000, 2000)
    assert seen[-2] == ("reading", 2000, 2000)


def test_onsager_coefficients_are_no_better_than_the_motion_they_rest_on(folder):
    found = analyze(Request(folder / "chains.traj", temperature_k=600.0, frame_ps=FRAME_PS))
    transport = found.sections["transport"]
    status = transport.collective_diffusivity_cm2_s.status
    assert status is not Status.OK
    assert {q.status for q in transport.onsager_per_j_m_s.values()} <= {status}


def test_the_temperature_of_a_run_is_checked(folder):
    with pytest.raises(InputError, match=r"temperature does not agree.*Given: 900 K.*about 600 K"):
        analyze(Request(folder / "walk", temperature_k=900.0))


def test_positions_that_are_unwrapped_may_move_almost_half_a_box(folder, tmp_path):
    frames = sample_trajectories.walk(200)
    path = tmp_path / "coarse.traj"
    coarse = sample_trajectories.Frames(frames.positions[::10], frames.cells[::10], frames.species)
    write(path, coarse.images(wrapped=False))
    request = {"temperature_k": 600.0, "frame_ps": 10 * FRAME_PS, "only": ("transport",)}
    found = analyze(Request(path, unwrapped=True, **request))
    assert not found.trajectory["unwrapped_by_nearest_image"]
    exact = np.square(coarse.positions[1:, :32] - coarse.positions[:-1, :32]).sum(axis=-1).mean()
    assert found.sections["transport"].msd_self_a2[0] == pytest.approx(exact, rel=0.02)


def test_a_changing_cell_is_told_of_the_landscape(tmp_path):
    path = tmp_path / "breathing.traj"
    write(path, sample_trajectories.walk(200, breathing=0.01).images())
    found = analyze(Request(path, temperature_k=600.0, frame_ps=FRAME_PS, only=("landscape",)))
    assert found.sections["landscape"].note.startswith("in the mean of a changing cell")
