"""Analyses of MD runs as steps: documents in the store, grids in files, lost runs left out."""

from __future__ import annotations

import numpy as np
import pytest
import sample_trajectories
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from sample_runs import run_of

from haloflow.errors import InputError
from haloflow.identity import file_sha256
from haloflow.makers.trajectory_makers import LandscapeMaker, StructureMaker, TransportMaker
from haloflow.quantity import Status
from haloflow.stores.limits import encode
from haloflow.stores.records import step_of
from haloflow.systems.phases import get_phase

TEMPERATURES_K = (500.0, 600.0, 700.0, 800.0)


def faster(frames, factor):
    """Return the frames with the mobile ions moving faster."""
    positions = frames.positions.copy()
    mobile = frames.species == "Na"
    start = positions[:1, mobile]
    positions[:, mobile] = start + factor * (positions[:, mobile] - start)
    return sample_trajectories.Frames(positions, frames.cells, frames.species)


def test_transport_lands_in_the_store_with_its_laws(workshop):
    base = sample_trajectories.walk(2500)
    factors = [np.exp(-0.15 / (2 * 8.617e-5) * (1 / t - 1 / 800.0)) for t in TEMPERATURES_K]
    runs = [
        run_of(workshop, t, faster(base, f)) for t, f in zip(TEMPERATURES_K, factors, strict=True)
    ]
    found = workshop.run(TransportMaker(), runs)
    assert found.status is Status.OK
    assert [point.temperature_k for point in found.points] == list(TEMPERATURES_K)
    for point, factor in zip(found.points, factors, strict=True):
        d = point.diffusivity_cm2_s
        assert d.lower < sample_trajectories.D_A2_PS * 1e-4 * factor**2 < d.upper
        assert len(point.lags_frames) <= 120
        assert point.lags_frames[0] == 1
    law = found.laws["sigma_ne_ms_cm"]
    (energy,) = [regime.activation_energy_ev for regime in law.regimes]
    assert energy.lower < 0.15 < energy.upper
    assert law.sigma_300k_ms_cm.value > 0
    assert set(found.laws) == {"sigma_ne_ms_cm", "sigma_ms_cm"}
    assert len(encode(found.model_dump(mode="json"))) < 2e6


def test_structure_of_chains_is_that_of_the_crystal(workshop):
    runs = [run_of(workshop, t, sample_trajectories.chains()) for t in TEMPERATURES_K[:2]]
    found = workshop.run(StructureMaker(crystal=True), runs)
    for point in found.points:
        assert point.structure.coordination["Ta-O"].n == pytest.approx(2.0)
        assert point.speciation.populations["TaO2Cl4"].value == pytest.approx(1.0)
        assert point.octahedra.correlation["bridge_inter_chain"].value > 0.98
        assert point.environment.octahedral.value is not None
        assert point.structure.scattering is not None
    assert found.order_transition_k is None
    assert len(encode(found.model_dump(mode="json"))) < 2e6


def test_a_glass_has_the_pattern_of_its_crystal_beside_its_own(workshop):
    run = run_of(workshop, 600.0, sample_trajectories.chains(60, 4))
    maker = StructureMaker(crystal_phase_id="NaTaOCl4_Cmc21")
    (point,) = workshop.run(maker, [run]).points
    (name, pattern) = next(iter(point.structure.scattering.crystals.items()))
    assert name == "NaTaOCl4_Cmc21"
    angle = pattern.two_theta_deg[int(np.argmax(pattern.intensity_e2_per_atom))]
    structure = get_phase(name).structure()
    expected = XRDCalculator(wavelength="CuKa").get_pattern(structure, two_theta_range=(8, 60))
    assert abs(expected.x - angle).min() < 0.25
    near = abs(expected.x - angle) < 0.4
    assert expected.y[near].max() > 60
    identity = {"run": run.identity}
    assert maker.identity(identity) != StructureMaker().identity(identity)


def test_landscape_keeps_its_grid_in_a_file(workshop):
    frames = sample_trajectories.chains()
    n_octahedra = int((frames.species == "Ta").sum())
    run = run_of(workshop, 600.0, frames)
    maker = LandscapeMaker(repeats=(1, 1, 1), n_octahedra=n_octahedra)
    found = workshop.run(maker, [run])
    (point,) = found.points
    (path,) = workshop.files(found, "density")
    assert file_sha256(path) == found.files[0].sha256
    with np.load(path) as grid:
        counts = grid["block_counts"].sum(axis=0)
        assert list(counts.shape) == point.landscape.shape
        assert counts.sum() == len(frames.positions) * int((frames.species == "Na").sum())
        np.testing.assert_allclose(grid["cell_a"], frames.cells[0], atol=1e-6)
    assert point.landscape.sites_per_octahedron is not None
    assert point.hops.n_hops > 0
    assert {b.atoms for b in point.topology.barcodes} == {"mobile", "framework"}
    assert len(encode(found.model_dump(mode="json"))) < 2e6


@pytest.mark.parametrize("maker", [TransportMaker(), StructureMaker(), LandscapeMaker()])
def test_a_lost_run_is_left_out_and_the_document_can_be_read_again(workshop, maker):
    frames = sample_trajectories.chains(60, 4)
    runs = [run_of(workshop, 700.0, frames), None, run_of(workshop, 500.0, frames)]
    runs[0] = runs[0].model_copy(update={"files": []})
    found = workshop.run(maker, runs)
    assert found.left_out == {"700 K": "no production"}
    assert found.note == "1 of 3 MD runs failed; 700 K: no production"
    assert len(found.points) == 1
    stored = workshop.store.outputs.query_one({"output.kind": maker.kind})["output"]
    assert step_of(stored) == found


def test_a_run_that_broke_down_lowers_the_status(workshop):
    frames = sample_trajectories.chains(60, 4)
    run = run_of(workshop, 700.0, frames, status=Status.DECOMPOSED)
    assert workshop.run(StructureMaker(), [run]).status is Status.DECOMPOSED


@pytest.mark.parametrize("maker", [TransportMaker(), StructureMaker(), LandscapeMaker()])
def test_runs_of_several_levels_or_none_are_refused(workshop, maker):
    frames = sample_trajectories.chains(60, 4)
    runs = [
        run_of(workshop, 500.0, frames),
        run_of(workshop, 600.0, frames, level="chgnet-0.3.0"),
    ]
    with pytest.raises(InputError, match=f"{maker.kind} needs MD runs of one level") as error:
        workshop.run(maker, runs)
    assert "500 K at chgnet-r2scan-d3, 600 K at chgnet-0.3.0" in str(error.value)
    with pytest.raises(InputError, match="needs MD runs of one level"):
        workshop.run(maker, [None])


def test_ions_that_cross_the_box_between_sampled_frames_are_analysed(workshop):
    hot = faster(sample_trajectories.walk(1000), 4.0)
    found = workshop.run(TransportMaker(), [run_of(workshop, 900.0, hot)])
    assert found.left_out == {}
    (point,) = found.points
    curve = point.msd_by_species_a2["Na"]
    slope = curve.y[1] / curve.x[1]
    assert slope == pytest.approx(6 * 16 * sample_trajectories.D_A2_PS, rel=0.2)


def test_every_number_of_a_run_that_broke_down_says_so(workshop):
    run = run_of(workshop, 800.0, sample_trajectories.walk(1000), status=Status.DIVERGED)
    (point,) = workshop.run(TransportMaker(), [run]).points
    assert point.onsager_per_j_m_s
    numbers = [*point.onsager_per_j_m_s.values(), *point.principal_diffusivities_cm2_s]
    assert {number.status for number in numbers} == {Status.DIVERGED}
