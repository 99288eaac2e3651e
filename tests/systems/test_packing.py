"""Packed boxes: what is in them, what keeps its distance, and what cannot be packed."""

import numpy as np
import packmol.cli
import pytest

from haloflow.errors import CompositionError, HaloflowError, InputError, MissingDependencyError
from haloflow.systems import packing
from haloflow.systems.components import component
from haloflow.systems.families import get_family, list_families
from haloflow.systems.mixture import Mixture
from haloflow.systems.packing import PEROXIDE_BOND_A, SIZE_FACTORS, pack

CASES = [(family.id, former) for family in list_families() for former in family.formers or (None,)]


def box_of(family_id, former, **options):
    family = get_family(family_id)
    mixture = family.mixture(1.0 if family.variable else None, former=former)
    return pack(mixture, mixture.integer_units(), **{"seed": 1, **options})


@pytest.mark.parametrize(("family", "former"), CASES)
def test_boxes_hold_whole_units_at_the_asked_density_and_distance(family, former):
    box = box_of(family, former, density_scale=0.85)
    assert box.structure.composition == box.units.composition
    assert box.density_g_cm3 == pytest.approx(box.structure.density, rel=1e-4)
    assert box.density_g_cm3 == pytest.approx(0.85 * box.density_components_g_cm3)
    symbols = [site.species_string for site in box.structure]
    distances = box.structure.distance_matrix
    for i, j in zip(*np.triu_indices(len(symbols), k=1), strict=True):
        bonded = symbols[i] == symbols[j] == "O" and distances[i, j] < 1.6
        factor = (SIZE_FACTORS.get(symbols[i], 1) + SIZE_FACTORS.get(symbols[j], 1)) / 2
        assert bonded or distances[i, j] > 0.999 * factor * box.tolerance_a
    assert box.packer.startswith("packmol ")


def test_peroxide_units_stay_whole():
    box = box_of("na2o2-mcly", "Hf")
    oxygen = [i for i, site in enumerate(box.structure) if site.species_string == "O"]
    distances = box.structure.distance_matrix[np.ix_(oxygen, oxygen)]
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_allclose(distances.min(axis=1), PEROXIDE_BOND_A, atol=1e-4)
    assert [row.argmin() for row in distances] == [i ^ 1 for i in range(len(oxygen))]
    assert len(oxygen) == 2 * box.units.counts["Na2O2"]


def test_oxide_and_peroxide_oxygen_are_packed_as_what_they_are():
    mixture = Mixture({"Na2O2": 1, "Na2O": 1, "ZrCl4": 1})
    box = pack(mixture, mixture.integer_units(target_n_mobile=12), seed=3)
    oxygen = [i for i, site in enumerate(box.structure) if site.species_string == "O"]
    distances = box.structure.distance_matrix[np.ix_(oxygen, oxygen)]
    assert np.count_nonzero(np.isclose(distances, PEROXIDE_BOND_A, atol=1e-3)) == 2 * 3


def test_a_seed_gives_one_box_and_another_seed_another():
    one, same, other = (box_of("tacl5-na2s", None, seed=seed) for seed in (7, 7, 8))
    assert np.array_equal(one.structure.cart_coords, same.structure.cart_coords)
    assert not np.allclose(one.structure.cart_coords, other.structure.cart_coords)
    assert (one.seed, other.seed) == (7, 8)


def test_a_tight_box_is_packed_with_smaller_distances_which_are_recorded():
    mixture = Mixture({"NaCl": 1, "TaOCl3": 1})
    units = mixture.integer_units(target_n_atoms=42)
    box = pack(mixture, units, seed=1, tolerance_a=3.1, density_scale=1.0)
    assert box.tolerance_a < 3.1
    assert box.min_distance_a > 0.999 * SIZE_FACTORS["O"] * box.tolerance_a


def test_a_box_without_room_is_an_error():
    mixture = Mixture({component("NaCl", volume_a3=6.0): 1})
    units = mixture.integer_units(target_n_atoms=16)
    with pytest.raises(CompositionError) as caught:
        pack(mixture, units, seed=1)
    assert str(caught.value) == (
        "NaCl cannot be packed. Given: 16 atoms in a box of 3.76 A at density_scale 0.9, "
        "tolerance_a 2.4. Allowed: boxes with room for 1.68 A between atoms. "
        "What to do: lower density_scale or tolerance_a."
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed of a packing is out of range. Given: -1. Allowed: 0 to 2.14748e+09."),
        ({"density_scale": 3.0}, "density_scale of a packing is out of range. Given: 3.0."),
        ({"tolerance_a": 0.2}, "tolerance_a of a packing is out of range. Given: 0.2."),
    ],
)
def test_options_out_of_range_are_errors(options, message):
    with pytest.raises(InputError) as caught:
        box_of("tacl5-na2s", None, **options)
    assert message in str(caught.value)


def test_units_of_another_mixture_are_refused():
    mixture = Mixture({"NaCl": 1})
    units = Mixture({"Na2S": 1}).integer_units()
    with pytest.raises(CompositionError, match=r"belong to another mixture\. Given: Na2S\. All"):
        pack(mixture, units, seed=1)


def test_a_missing_packmol_is_named(monkeypatch):
    def absent():
        raise FileNotFoundError("packmol")

    monkeypatch.setattr(packmol.cli, "get_binary_path", absent)
    with pytest.raises(MissingDependencyError, match=r"packmol is needed.*pip install -c const"):
        box_of("tacl5-na2s", None)


@pytest.fixture
def fake_packmol(monkeypatch, tmp_path):
    def install(script):
        program = tmp_path / "packmol"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(packmol.cli, "get_binary_path", lambda: program)

    return install


def test_a_crashing_packmol_is_no_packing_problem(fake_packmol):
    fake_packmol("echo Illegal seek >&2; exit 2")
    with pytest.raises(HaloflowError, match=r"packmol failed\. Given: exit status 2: Illegal seek"):
        box_of("tacl5-na2s", None)


def test_a_packmol_that_hangs_counts_as_no_packing(fake_packmol, monkeypatch):
    fake_packmol("exec sleep 30")
    monkeypatch.setattr(packing, "_TIMEOUT_S", 0.05)
    with pytest.raises(CompositionError, match="cannot be packed"):
        box_of("tacl5-na2s", None)
