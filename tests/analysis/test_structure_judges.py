"""Structure functions against other libraries that compute the same."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure

from haloflow.analysis.powder import crystal_pattern
from haloflow.analysis.rdf import pair_distributions
from haloflow.analysis.scattering import wave_vectors
from haloflow.analysis.speciation import speciation
from haloflow.analysis.xray import scattering_direct
from haloflow.systems.phases import get_phase


@pytest.fixture(scope="module")
def sample(triclinic):
    """Return a random mixture in a skewed cell: frames, cell, species."""
    cell = 1.6 * triclinic
    frames = np.random.default_rng(0).uniform(size=(8, 90, 3)) @ cell
    return frames, cell, ["Nb"] * 20 + ["Cl"] * 70


@pytest.fixture(scope="module")
def ours(sample):
    return pair_distributions(*sample, r_max_a=5.5, n_bins=55).around("Nb", "Cl")


def test_mdtraj_finds_the_same_pairs(sample, ours):
    import mdtraj

    frames, cell, species = sample
    topology = mdtraj.Topology()
    residue = topology.add_residue("GLS", topology.add_chain())
    for name in species:
        topology.add_atom(name, mdtraj.element.get_by_symbol(name), residue)
    trajectory = mdtraj.Trajectory(frames / 10.0, topology)
    trajectory.unitcell_vectors = np.broadcast_to(cell / 10.0, (len(frames), 3, 3))
    pairs = topology.select_pairs(np.arange(20), np.arange(20, 90))
    _, g = mdtraj.compute_rdf(trajectory, pairs, r_range=(0, 0.55), n_bins=55)
    np.testing.assert_allclose(ours.g, g, atol=2e-5 * g.max())


def test_freud_finds_the_same_pairs(sample, ours):
    import freud

    frames, cell, _ = sample
    box = freud.box.Box.from_matrix(cell.T)
    judge = freud.density.RDF(bins=55, r_max=5.5)
    for number, frame in enumerate(frames):
        points = box.make_absolute(frame @ np.linalg.inv(cell))
        judge.compute((box, points[20:]), query_points=points[:20], reset=number == 0)
    assert np.abs(judge.rdf - ours.g).sum() < 0.002 * ours.g.sum()
    np.testing.assert_allclose(judge.n_r, ours.running_coordination, atol=0.01)


def test_dynasor_scatters_the_same_at_every_wave_vector(sample, tmp_path):
    """The table of form factors of dynasor 2.5 has wrong digits, not for Nb and Cl."""
    from ase import Atoms
    from ase.io import write
    from dynasor import Trajectory, compute_static_structure_factors
    from dynasor.post_processing import XRayFormFactors, get_weighted_sample

    frames, cell, species = sample
    atoms = [Atoms(species, positions=frame, cell=cell, pbc=True) for frame in frames]
    write(tmp_path / "sample.xyz", atoms, format="extxyz")
    vectors = wave_vectors([cell], 3.0)
    q = vectors.hkl @ (2.0 * np.pi * np.linalg.inv(cell).T)
    indices = {"Nb": list(range(20)), "Cl": list(range(20, 90))}
    trajectory = Trajectory(
        str(tmp_path / "sample.xyz"),
        trajectory_format="extxyz",
        atomic_indices=indices,
        length_unit="Angstrom",
        time_unit="fs",
    )
    counted = compute_static_structure_factors(trajectory, q)
    weighted = get_weighted_sample(counted, XRayFormFactors(["Nb", "Cl"]))
    theirs = weighted.Sq.ravel()
    found = scattering_direct(frames, cell, species, width_inv_a=1e-6)
    bins = np.unique((vectors.q_inv_a / 1e-6).astype(np.int64), return_inverse=True)[1]
    np.testing.assert_allclose(
        found.intensity_e2_per_atom, np.bincount(bins, theirs) / np.bincount(bins), rtol=2e-4
    )


@pytest.mark.parametrize("phase_id", ["NaCl_B1", "Na2HfCl6_P21n", "NaTaOCl4_Cmc21"])
def test_pymatgen_finds_the_same_reflections(phase_id):
    """Strong lines agree within the difference of the two tables of form factors."""
    structure = get_phase(phase_id).structure()
    species = [site.specie.symbol for site in structure]
    angles = np.arange(8.0, 62.0, 0.002)
    found = crystal_pattern(
        structure.cart_coords,
        structure.lattice.matrix,
        species,
        two_theta_deg=angles,
        wavelength_a=1.54184,
        width_inv_a=0.004,
    )
    judge = XRDCalculator(wavelength=1.54184).get_pattern(
        structure, scaled=False, two_theta_range=(8.5, 61.5)
    )
    whole = np.concatenate([[0.0], np.cumsum(found.intensity_e2_per_atom)])
    ends = np.searchsorted(angles, judge.x[:, None] + np.array([-0.2, 0.2]))
    area = whole[ends[:, 1]] - whole[ends[:, 0]]
    apart = np.minimum(np.diff(judge.x, prepend=0.0), np.diff(judge.x, append=61.5)) > 0.4
    strong = apart & (judge.y > 0.02 * judge.y.max())
    assert strong.sum() >= 4
    ratio = area[strong] / judge.y[strong]
    np.testing.assert_allclose(ratio / np.median(ratio), 1.0, atol=0.06)
    for position in judge.x[strong]:
        near = np.abs(angles - position) < 0.1
        top = angles[near][found.intensity_e2_per_atom[near].argmax()]
        assert top == pytest.approx(position, abs=0.01)


@pytest.mark.parametrize("seed", [0, 1])
def test_polyhedral_analysis_finds_the_same_shared_corners_and_edges(seed):
    from polyhedral_analysis.configuration import Configuration
    from polyhedral_analysis.polyhedra_recipe import PolyhedraRecipe

    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(6)] * 3), -1).reshape(-1, 3) * 2.4
    positions = grid[rng.permutation(216)] + rng.uniform(-0.5, 0.5, grid.shape)
    cell, species = np.eye(3) * 14.4, ["Ta"] * 30 + ["Nb"] * 20 + ["O"] * 46 + ["Cl"] * 120
    found = speciation(positions, cell, species, centres=["Ta", "Nb"], cutoffs_a=2.9)
    structure = Structure(Lattice(cell), species, positions, coords_are_cartesian=True)
    recipe = PolyhedraRecipe(
        method="distance cutoff",
        central_atoms=["Ta", "Nb"],
        vertex_atoms=["O", "Cl"],
        coordination_cutoff=2.9,
    )
    judge = Configuration(structure, [recipe]).polyhedra
    shared = {
        "corner": [len(p.corner_sharing_neighbour_list()) for p in judge],
        "edge": [len(p.edge_sharing_neighbour_list()) for p in judge],
        "face": [len(p.face_sharing_neighbour_list()) for p in judge],
    }
    for mode, numbers in shared.items():
        assert found.sharing[mode].value.value == pytest.approx(sum(numbers) / 50)
    bonds = sum(
        row.value.value * (30 if "Ta" in x else 20) for x, row in found.coordination.items()
    )
    assert bonds == pytest.approx(sum(p.coordination_number for p in judge))
    assert sum(map(sum, shared.values())) > 50
