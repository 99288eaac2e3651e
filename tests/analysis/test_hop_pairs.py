"""Hops that crystals offer: how many, how long, over which anions, and the same by symmetry."""

from __future__ import annotations

import numpy as np
import pytest
import spglib
from pymatgen.core import Lattice, Structure

from haloflow.analysis.hop_pairs import (
    Surroundings,
    chosen_hops,
    distinct_hops,
    empty_site_hops,
    empty_sites,
    vacancy_hops,
    window,
)
from haloflow.errors import AnalysisError


def around(structure, mobile="Na", anions=("Cl", "O")):
    symbols = tuple(site.specie.symbol for site in structure)
    return Surroundings(
        symbols, structure.frac_coords % 1, structure.lattice.matrix, mobile, anions
    )


def rock_salt(anion="Cl", a=5.6):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), ["Na", anion], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ) * (2, 2, 2)


def symmetry(one):
    numbers = [sorted(set(one.symbols)).index(s) for s in one.symbols]
    found = spglib.get_symmetry((one.cell, one.fractional, numbers), symprec=0.01)
    return list(zip(found["rotations"], found["translations"], strict=True))


def test_rock_salt_has_one_hop_over_a_shared_edge():
    one = around(rock_salt())
    hops = vacancy_hops(one, 4.5)
    assert len(hops) == 32 * 12 / 2
    assert {round(hop.distance_a, 6) for hop in hops} == {round(5.6 / np.sqrt(2), 6)}
    assert {hop.kind for hop in hops} == {"Cl edge"}  # edge-sharing octahedra
    (distinct,) = distinct_hops(hops, one, symmetry(one))
    assert distinct.n_alike == len(hops)
    assert vacancy_hops(one, 3.5) == []


def test_a_small_cell_has_the_hops_to_all_images_of_a_neighbour():
    small = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    one = around(small)
    hops = vacancy_hops(one, 4.5)
    assert len(hops) == 4 * 12 / 2
    assert {hop.kind for hop in hops} == {"Cl edge"}
    (distinct,) = distinct_hops(hops, one, symmetry(one))
    assert distinct.n_alike == 24
    # Na2O: the octahedral site lies between eight Na, and six O of which three pairs are images
    oxide = around(Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), ["Na", "O"], [[0.25, 0.25, 0.25], [0, 0, 0]]
    ).get_primitive_structure())  # fmt: skip
    (site,) = empty_sites(oxide)
    assert len(empty_site_hops(oxide, np.array([site]), 2.5)) == 8


def test_antifluorite_shares_edges_then_corners_of_oxygen():
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), ["Na", "O"], [[0.25, 0.25, 0.25], [0, 0, 0]]
    ) * (2, 2, 2)
    one = around(cell)
    by_length = {round(h.distance_a, 2): h.kind for h in vacancy_hops(one, 4.0)}
    # tetrahedra: across an edge at a/2, across a corner at a/sqrt(2)
    assert by_length == {2.8: "O edge", 3.96: "O corner"}
    # octahedral sites in the middle of the cell are empty in Na2O: four faces to tetrahedra
    sites = empty_sites(one)
    assert len(sites) == 4 * 8
    halves = np.rint(sites * 4)
    assert np.allclose(sites * 4, halves)
    assert (halves.sum(axis=1) % 2 == 1).all()
    hops = empty_site_hops(one, sites, 2.5)
    assert {hop.kind for hop in hops} == {"O face"}
    assert len(hops) == 8 * len(sites)
    assert all(hop.vacated is None for hop in hops)


def test_mixed_anions_are_named_and_hops_spread_over_their_lengths():
    mixed = rock_salt()
    mixed.replace(next(i for i, s in enumerate(mixed) if s.specie.symbol == "Cl"), "O")
    one = around(mixed)
    hops = vacancy_hops(one, 4.5)
    kinds = {hop.kind for hop in hops}
    assert "Cl edge" in kinds
    assert any("O" in kind for kind in kinds)
    chosen = chosen_hops(hops, 2)
    assert all(sum(h.kind == kind for h in chosen) <= 2 for kind in kinds)
    assert {hop.kind for hop in chosen} == kinds


def test_skewed_cells_have_the_same_hops():
    straight = rock_salt()
    skewed = Structure(
        Lattice(np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1]]) @ straight.lattice.matrix),
        [s.specie for s in straight],
        straight.cart_coords,
        coords_are_cartesian=True,
    )
    lengths = [
        sorted(h.distance_a for h in vacancy_hops(around(s), 4.5)) for s in (straight, skewed)
    ]
    assert np.allclose(*lengths)


def test_the_window_names_the_nearest_anions():
    one = around(rock_salt())
    found = window(one, np.array([0.125, 0.125, 0.0]))  # half way between two Na
    assert [symbol for symbol, _ in found] == ["Cl"] * 3
    assert found[0][1] == pytest.approx(found[1][1])
    assert found[0][1] < found[2][1]


def test_an_ion_without_a_radius_is_refused():
    one = around(rock_salt("Cl"), anions=("Cl",), mobile="Na")
    strange = Surroundings(
        tuple("Xe" if s == "Cl" else s for s in one.symbols),
        one.fractional,
        one.cell,
        "Na",
        ("Xe",),
    )
    with pytest.raises(AnalysisError, match="need the radii of the ions"):
        vacancy_hops(strange)
