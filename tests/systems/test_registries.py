from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from haloflow.errors import InputError
from haloflow.systems.phases import get_phase
from haloflow.systems.registries import chain_registries, find_chains


def crystal(phase_id, *, primitive=True):
    structure = get_phase(phase_id).structure()
    return structure.get_primitive_structure() if primitive else structure


@pytest.mark.parametrize(
    ("phase_id", "former", "period", "n_chains"),
    [
        ("NaTaOCl4_Cmc21", "Ta", [1, 0, 0], 4),
        ("NaTaOCl4_Cm", "Ta", [0, 1, 0], 4),
        ("NaNbOCl4_polar", "Nb", [1, 0, 0], 2),
    ],
)
def test_chains_of_the_library(phase_id, former, period, n_chains):
    structure = crystal(phase_id, primitive=False)
    chains = find_chains(structure, former)
    assert len(chains) == n_chains
    assert all(chain.period.tolist() == period for chain in chains)
    sites = [site for chain in chains for site in chain.sites]
    assert sorted(sites) == [i for i, s in enumerate(structure) if s.specie.symbol != "Na"]
    assert all(len(c.centres) == len(c.bridges) == 1 and len(c.others) == 4 for c in chains)


def test_chains_with_bridging_sulfur():
    chains = find_chains(get_phase("NaTaSCl4_model").structure(), "Ta", "S")
    assert [len(chain.sites) for chain in chains] == [6, 6]


def test_shifts_alone_of_two_and_four_chains():
    two = chain_registries(crystal("NaTaOCl4_Cmc21"), "Ta", off_centre_a=None)
    assert [(r.label, r.multiplicity) for r in two] == [("0 0", 1), ("0 1/2", 1)]
    four = chain_registries(crystal("NaTaOCl4_Cmc21", primitive=False), "Ta", off_centre_a=None)
    assert sum(r.multiplicity for r in four) == 2**3
    assert sorted(r.multiplicity for r in four) == [1, 1, 1, 1, 4]  # 4: one chain unlike the rest


def test_polar_directions_multiply_and_symmetry_divides():
    found = chain_registries(crystal("NaTaOCl4_Cmc21"), "Ta")
    assert sum(r.multiplicity for r in found) == 2 * 2**2
    assert {r.label for r in found} == {"0+ 0+", "0+ 0-", "0+ 1/2+", "0+ 1/2-"}
    without_symmetry = chain_registries(crystal("NaNbOCl4_polar"), "Nb")
    assert len(without_symmetry) == 8
    matcher = StructureMatcher(primitive_cell=False, scale=False, ltol=0.01, stol=0.01)
    for a, b in combinations(found, 2):
        assert not matcher.fit(a.structure, b.structure)


def test_a_crystal_is_its_own_first_registry_up_to_its_polar_direction():
    structure = crystal("NaNbOCl4_polar")
    found = chain_registries(structure, "Nb", off_centre_a=None)[0]
    assert StructureMatcher(primitive_cell=False).get_rms_dist(structure, found.structure)[0] < 1e-6
    again = chain_registries(structure, "Nb", off_centre_a=0.222)[0].structure
    near = StructureMatcher(primitive_cell=False, stol=0.02)
    signs = {
        r.polarities: near.fit(structure, r.structure)
        for r in chain_registries(structure, "Nb", shifts=(0.0,), off_centre_a=0.222)
    }
    assert sum(signs.values()) == 1
    assert len(again) == len(structure)


@pytest.mark.parametrize("repeats", [1, 2])
def test_geometry_of_a_shifted_polar_chain(repeats):
    structure = crystal("NaTaOCl4_Cmc21")
    structure.make_supercell((repeats, 1, 1))
    registries = chain_registries(structure, "Ta", shifts=(0.0, 0.5), off_centre_a=0.15)
    moved = next(r for r in registries if r.shifts == (0.0, 0.5) and r.polarities == (1, -1))
    new = moved.structure
    assert new.composition == structure.composition
    assert new.lattice == structure.lattice
    direction = structure.lattice.matrix[0] / structure.lattice.a
    step = structure.lattice.a / repeats
    first, second = find_chains(structure, "Ta")
    for chain, shift, sign in ((first, 0.0, 1), (second, 0.5, -1)):
        for site in chain.bridges + chain.others:
            way = new[site].frac_coords - structure[site].frac_coords
            away = (way - np.rint(way)) @ structure.lattice.matrix @ direction
            assert abs(away) == pytest.approx(shift * step, abs=1e-6)
        for centre in chain.centres:
            bonds = [
                (n.nn_distance, (n.coords - new[centre].coords) @ direction)
                for n in new.get_neighbors(new[centre], 2.5)
                if n.specie.symbol == "O"
            ]
            assert len(bonds) == 2
            longer = max(bonds)[1]
            assert np.sign(longer) == -sign
            assert sum(along for _, along in bonds) == pytest.approx(-2 * sign * 0.15, abs=1e-6)


def test_other_ions_find_room():
    for registry in chain_registries(crystal("NaTaOCl4_Cmc21"), "Ta"):
        distances = registry.structure.distance_matrix
        np.fill_diagonal(distances, np.inf)
        assert distances.min() > 1.7
        sodium = [i for i, s in enumerate(registry.structure) if s.specie.symbol == "Na"]
        assert distances[sodium].min() > 2.1


def test_crystals_without_chains_are_refused():
    with pytest.raises(InputError, match=r"no chains of Ta and O\. Given: NaCl"):
        find_chains(crystal("NaCl_B1"), "Ta")
    with pytest.raises(InputError, match=r"do not form chains .* along 3 directions"):
        find_chains(crystal("NaTaO3_Pnma"), "Ta")
    with pytest.raises(InputError, match=r"do not form chains .* along 0 directions"):
        find_chains(crystal("NaTaCl6_P21c"), "Ta")


def test_too_many_or_no_arrangements_are_refused():
    structure = crystal("NaTaOCl4_Cmc21", primitive=False)
    with pytest.raises(InputError, match=r"Given: 2000 arrangements of 4 chains.*1 to 1024"):
        chain_registries(structure, "Ta", shifts=[0.0, 0.2, 0.4, 0.6, 0.8])
    with pytest.raises(InputError, match=r"Given: 0 arrangements of 4 chains"):
        chain_registries(structure, "Ta", shifts=[])
