from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.speciation import bond_cutoffs, speciation
from haloflow.errors import AnalysisError
from haloflow.systems.phases import get_phase


def atoms_of(phase_id, repeats=(1, 1, 1)):
    structure = get_phase(phase_id).structure()
    structure.make_supercell(repeats)
    return structure.cart_coords, structure.lattice.matrix, [s.specie.symbol for s in structure]


def values(rows):
    return {row.label: row.value.value for row in rows if row.value.value}


@pytest.mark.parametrize("repeats", [(1, 1, 1), (2, 2, 2)])
@pytest.mark.parametrize(
    ("phase_id", "metal"),
    [
        ("NaTaOCl4_Cmc21", "Ta"),
        ("NaTaOCl4_Cm", "Ta"),
        ("NaNbOCl4_Cmc21", "Nb"),
        ("NaNbOCl4_polar", "Nb"),
    ],
)
def test_oxychloride_chains_share_oxygen_corners_without_end(phase_id, metal, repeats):
    found = speciation(*atoms_of(phase_id, repeats), centres=[metal])
    assert values(found.species[metal]) == {f"{metal}O2Cl4": 1.0}
    assert found.coordination[f"{metal}-O"].value.value == 2.0
    assert found.coordination[f"{metal}-Cl"].value.value == 4.0
    assert values(found.roles["O"]) == {"bridging two": 1.0}
    assert values(found.roles["Cl"]) == {"terminal": 1.0}
    assert values(found.links) == {f"{metal}-{metal} corner O": 1.0}
    assert values(found.sharing.values()) == {"corner": 2.0}
    for chains in (found.chains_by_distance, found.chains_by_bridges):
        assert chains.endless.value.value == 1.0
        assert chains.lengths == {}
    assert found.retention["O"].fraction.value.value == 1.0
    assert found.retention["O"].n_beyond.tolist() == [0]


CHLORIDES = {
    "NbCl5_C2m": ("Nb-Nb edge Cl2", {"edge": 1.0}, 2 / 10, 2),
    "ZrCl4_P2c": ("Zr-Zr edge Cl2", {"edge": 2.0}, 2 / 4, None),
    "ZrCl3_P63mcm": ("Zr-Zr face Cl3", {"face": 2.0}, 1.0, None),
    "YCl3_C2m": ("Y-Y edge Cl2", {"edge": 3.0}, 1.0, None),
    "Na2HfCl6_P21n": (None, {}, 0.0, 1),
}


@pytest.mark.parametrize("phase_id", CHLORIDES)
def test_chlorides_join_their_octahedra_as_known(phase_id):
    links, sharing, bridging, length = CHLORIDES[phase_id]
    positions, cell, species = atoms_of(phase_id)
    (metal,) = set(species) - {"Na", "Cl"}
    found = speciation(positions, cell, species, centres=[metal], bridges=["Cl"])
    assert values(found.species[metal]) == {f"{metal}Cl6": 1.0}
    assert values(found.links) == ({links: 1.0} if links else {})
    assert values(found.sharing.values()) == sharing
    assert values(found.roles["Cl"]).get("bridging two", 0.0) == pytest.approx(bridging)
    chains = found.chains_by_bridges
    assert chains.endless.value.value == (1.0 if length is None else 0.0)
    assert list(chains.lengths) == ([] if length is None else [length])


def test_rhenium_trioxide_is_a_net_of_corners():
    positions = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2.0]])
    found = speciation(positions, np.eye(3) * 4, ["Re", "O", "O", "O"], centres=["Re"])
    assert values(found.species["Re"]) == {"ReO6": 1.0}
    assert values(found.sharing.values()) == {"corner": 6.0}
    assert found.chains_by_bridges.endless.value.value == 1.0


def chain(length, start, bond=1.9):
    """Return M-O-M-...-M with a ligand beyond each end, along x."""
    metals = start + np.arange(length)[:, None] * np.array([2 * bond, 0, 0])
    oxygen = start + (np.arange(length + 1)[:, None] - 0.5) * np.array([2 * bond, 0, 0])
    return metals, oxygen


def chains(lengths, seed=0):
    """Return parallel chains of corner-sharing octahedra, their cell and species."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(len(lengths))))
    cell = np.diag([3.8 * (max(lengths) + 3), 9.0 * side, 9.0 * side])
    positions, species = [], []
    for number, length in enumerate(lengths):
        start = np.array([rng.uniform(0, cell[0, 0]), *(9.0 * np.array(divmod(number, side)))])
        metals, oxygen = chain(length, start)
        across = np.array([[0, 2.3, 0], [0, -2.3, 0], [0, 0, 2.3], [0, 0, -2.3]])
        chlorine = (metals[:, None] + across).reshape(-1, 3)
        positions += [metals, oxygen, chlorine]
        species += ["Ta"] * length + ["O"] * (length + 1) + ["Cl"] * (4 * length)
    return np.concatenate(positions), cell, species


def test_chains_have_the_lengths_they_were_built_with():
    lengths = [1, 1, 2, 4, 4, 4, 7]
    found = speciation(*chains(lengths), centres=["Ta"], cutoffs_a=2.6)
    n = len(lengths)
    for rule in (found.chains_by_distance, found.chains_by_bridges):
        shares = {length: row.value.value for length, row in rule.lengths.items()}
        assert shares == {1: 2 / n, 2: 1 / n, 4: 3 / n, 7: 1 / n}
        assert rule.endless.value.value == 0.0
        assert rule.mean_length.value.value == pytest.approx(sum(lengths) / n)
    assert found.chains_by_distance.rule == "closer than 4.5 A"
    assert found.chains_by_bridges.rule == "sharing O"
    bridging = (sum(lengths) - n) / (sum(lengths) + n)
    assert values(found.roles["O"]) == pytest.approx(
        {"bridging two": bridging, "terminal": 1 - bridging}
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_sets_are_those_of_scipy_whatever_the_order_of_links(seed):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    from haloflow.analysis.union import find_sets

    rng = np.random.default_rng(seed)
    cell = rng.integers(-3, 4, (40, 3))
    first, second = rng.integers(0, 40, (2, rng.integers(1, 60)))
    image = cell[first] - cell[second]
    root, endless = find_sets(first, second, image, 40)
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(40, 40))
    number, label = connected_components(graph, directed=False)
    assert len(np.unique(root)) == number
    assert len(np.unique(np.stack([root, label]), axis=1).T) == number
    assert not endless.any()
    image[-1] += [0, 1, 0]
    bridge = np.delete(np.stack([first, second]), -1, axis=1)
    without = coo_array((np.ones(bridge.shape[1]), bridge), shape=(40, 40))
    closes = first[-1] == second[-1] or connected_components(without, directed=False)[0] == number
    root, endless = find_sets(first, second, image, 40)
    assert endless[root[first[-1]]] == closes
    assert endless[root].sum() == (closes * (root == root[first[-1]]).sum())


def test_a_ring_has_an_end_and_a_helix_has_none():
    angle = np.arange(6) * np.pi / 3
    ring = 3.8 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    oxygen = (ring + np.roll(ring, -1, axis=0)) / 2
    species = ["Ta"] * 6 + ["O"] * 6
    positions = np.concatenate([ring, oxygen]) + 0.1
    found = speciation(positions, np.eye(3) * 20, species, centres=["Ta"], cutoffs_a=2.2)
    assert list(found.chains_by_bridges.lengths) == [6]
    assert found.chains_by_bridges.endless.value.value == 0.0
    helix = ring + np.arange(6)[:, None] * np.array([0, 0, 1.0])
    positions = np.concatenate([helix, (helix + np.roll(helix, -1, axis=0)) / 2])
    positions[11] = (helix[5] + helix[0] + [0, 0, 6.0]) / 2
    box = np.diag([20.0, 20.0, 6.0])
    found = speciation(positions, box, species, centres=["Ta"], cutoffs_a=2.2)
    assert found.chains_by_bridges.endless.value.value == 1.0


def glass(seed, n_frames=1):
    """Return a random mixture of two formers and two anions, atoms 1.6 A apart or more."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(6)] * 3), -1).reshape(-1, 3) * 2.4 + 1.0
    species = np.array(["Ta"] * 30 + ["Nb"] * 20 + ["O"] * 46 + ["Cl"] * 120)
    frames = [
        grid[rng.permutation(len(grid))] + rng.uniform(-0.4, 0.4, grid.shape)
        for _ in range(n_frames)
    ]
    return np.array(frames), np.diag([14.4, 14.4, 14.4]), species


def summary(found):
    rows = {label: row for name in found.species for label, row in _named(found.species[name])}
    rows |= {f"link {label}": row for label, row in _named(found.links)}
    rows |= {f"{x} {label}": row for x in found.roles for label, row in _named(found.roles[x])}
    for rule in (found.chains_by_distance, found.chains_by_bridges):
        rows |= {f"{rule.rule} {n}": row for n, row in rule.lengths.items()}
        rows[f"{rule.rule} endless"] = rule.endless
    rows |= {f"retained {x}": kept.fraction for x, kept in found.retention.items()}
    return {
        label: np.array([row.value.value, row.at_shorter, row.at_longer])
        for label, row in rows.items()
    }


def _named(rows):
    return [(row.label, row) for row in rows]


def assert_same(first, second):
    a, b = summary(first), summary(second)
    for label in a.keys() | b.keys():
        nothing = np.zeros(3)
        np.testing.assert_allclose(a.get(label, nothing), b.get(label, nothing), atol=1e-12)


OPTIONS = {"centres": ["Ta", "Nb"], "cutoffs_a": 2.7, "link_cutoff_a": 3.3}


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000))
def test_wrapping_order_turning_and_supercells_change_nothing(seed):
    positions, cell, species = glass(seed)
    reference = speciation(positions, cell, species, **OPTIONS)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(species))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    images = rng.integers(-2, 3, positions.shape) @ cell
    moved = (positions + images + rng.normal(size=3))[:, order] @ turn
    assert_same(reference, speciation(moved, cell @ turn, species[order], **OPTIONS))
    doubled = np.concatenate([positions, positions + cell[0]], axis=1)
    twice = speciation(doubled, cell * [[2.0], [1], [1]], np.tile(species, 2), **OPTIONS)
    single, double = summary(reference), summary(twice)
    for label in single:
        if " A " not in label and "sharing" not in label:  # sets may join with their image
            np.testing.assert_allclose(double[label], single[label], atol=1e-12)


def test_clusters_within_three_angstrom():
    """A sixth neighbour at 2.8 A belongs to the cluster, not to the first shell."""
    ligands = [[1.95, 0, 0], [-1.95, 0, 0], [0, 2.4, 0], [0, -2.4, 0], [0, 0, 2.4], [0, 0, 2.8]]
    positions = np.array([[0.0, 0, 0], *ligands])
    positions[6, 2] *= -1
    species = ["Hf", "O", "O", "Cl", "Cl", "Cl", "Cl"]
    box = np.eye(3) * 14
    shell = speciation(positions, box, species, centres=["Hf"], cutoffs_a=2.6)
    cluster = speciation(positions, box, species, centres=["Hf"], cutoffs_a=3.0)
    assert values(shell.species["Hf"]) == {"HfO2Cl3": 1.0}
    assert values(cluster.species["Hf"]) == {"HfO2Cl4": 1.0}


def test_mixed_formers_and_shares_of_one_whole():
    positions, cell, species = glass(3, n_frames=4)
    found = speciation(positions, cell, species, **OPTIONS)
    for rows in (*found.species.values(), *found.roles.values(), found.links):
        for pick in (lambda r: r.value.value, lambda r: r.at_shorter, lambda r: r.at_longer):
            assert sum(pick(row) for row in rows) == pytest.approx(1.0)
    assert any(row.label.startswith("Ta-Nb corner") for row in found.links)
    assert found.cutoffs_a == {"Ta-O": 2.7, "Ta-Cl": 2.7, "Nb-O": 2.7, "Nb-Cl": 2.7}
    ligands = sum(30 * found.coordination[f"Ta-{x}"].value.value for x in ("O", "Cl"))
    ligands += sum(20 * found.coordination[f"Nb-{x}"].value.value for x in ("O", "Cl"))
    shared = sum(
        n * count * row.value.value
        for x, n in (("O", 46), ("Cl", 120))
        for row, count in zip(found.roles[x][:3], range(3), strict=True)
    )
    more = sum(n * found.roles[x][3].value.value for x, n in (("O", 46), ("Cl", 120)))
    assert ligands >= shared + 3 * more - 1e-9


def test_a_bond_near_its_cutoff_is_sensitive():
    cell = np.eye(3) * 20.0
    positions = np.array([[5, 5, 5], [7.45, 5, 5], [15, 15, 15], [17.55, 15, 15.0]])
    species = ["Ta", "Cl", "Ta", "Cl"]
    found = speciation(positions, cell, species, centres=["Ta"], cutoffs_a=2.5)
    (bonded,) = [row for row in found.species["Ta"] if row.label == "TaCl"]
    assert (bonded.value.value, bonded.at_shorter, bonded.at_longer) == (0.5, 0.0, 1.0)
    assert bonded.sensitivity == 0.5
    still = speciation(positions, cell, species, centres=["Ta"], cutoffs_a=2.5, cutoff_shift_a=0.01)
    assert max(row.sensitivity for row in still.species["Ta"]) == 0.0


def test_block_errors_cover_the_truth():
    """A centre that is bonded in 30 % of independent frames, 60 runs."""
    rng = np.random.default_rng(1)
    covered, sds = 0, []
    for _ in range(60):
        far = rng.random(500) > 0.3
        positions = np.zeros((500, 2, 3))
        positions[:, 1, 0] = np.where(far, 4.0, 2.0)
        found = speciation(positions, np.eye(3) * 12, ["Ta", "Cl"], centres=["Ta"], cutoffs_a=2.5)
        (share,) = [row.value for row in found.species["Ta"] if row.label == "TaCl"]
        covered += share.lower <= 0.3 <= share.upper
        sds.append(share.sd)
    assert covered >= 53
    assert np.mean(sds) == pytest.approx(np.sqrt(0.3 * 0.7 / 500), rel=0.15)


def test_oxygen_that_leaves_is_seen_when_it_leaves():
    positions = np.zeros((10, 3, 3))
    positions[:, 1, 0], positions[:, 2, 1] = 1.9, 2.3
    positions[6:, 1, 0] = 3.2
    found = speciation(positions, np.eye(3) * 15, ["Ta", "O", "Cl"], centres=["Ta"], cutoffs_a=2.6)
    assert found.retention["O"].n_beyond.tolist() == [0] * 6 + [1] * 4
    assert found.retention["O"].fraction.value.value == pytest.approx(0.6)
    assert found.retention["Cl"].fraction.value.value == 1.0
    assert values(found.species["Ta"]) == pytest.approx({"TaOCl": 0.6, "TaCl": 0.4})


def test_long_runs_are_counted_in_blocks(monkeypatch):
    positions, cell, species = glass(4, n_frames=12)
    whole = speciation(positions, cell, species, **OPTIONS)
    monkeypatch.setattr("haloflow.analysis.frames.frame_blocks.__defaults__", (3 * 216 * 5,))
    parts = speciation(positions.astype(np.float32), cell, species, **OPTIONS)
    assert_same(whole, parts)
    assert parts.species["Ta"][0].value.sd == pytest.approx(whole.species["Ta"][0].value.sd)


def test_cutoffs_come_from_the_first_minimum():
    positions, cell, species = chains([4, 4])
    cutoffs = bond_cutoffs(positions, cell, species, centres=["Ta"], ligands=["O", "Cl"])
    assert 2.0 < cutoffs["Ta", "O"] < 4.2
    assert 2.4 < cutoffs["Ta", "Cl"] < 4.4


def test_bad_requests_are_refused():
    positions, cell, species = chains([2])
    with pytest.raises(AnalysisError, match=r"does not occur in the structure\. Given: Nb"):
        speciation(positions, cell, species, centres=["Nb"])
    with pytest.raises(AnalysisError, match=r"other species as ligands.*ligands Ta, O; 1 frames"):
        speciation(positions, cell, species, centres=["Ta"], ligands=["Ta", "O"])
    with pytest.raises(AnalysisError, match=r"centres none; ligands O, Cl"):
        speciation(positions, cell, species, centres=[])
    with pytest.raises(AnalysisError, match=r"a bond has no cut-off\. Given: none for Ta-Cl"):
        speciation(positions, cell, species, centres=["Ta"], cutoffs_a={("Ta", "O"): 2.4})
    with pytest.raises(AnalysisError, match=r"longer than its shift\. Given: 0\.05 A shifted"):
        speciation(positions, cell, species, centres=["Ta"], cutoffs_a=0.05)
    with pytest.raises(AnalysisError, match=r"no first shell.*Given: Ta-O within 5 A"):
        speciation([[0, 0, 0], [9.0, 0, 0]], np.eye(3) * 20, ["Ta", "O"], centres=["Ta"])
