"""Bands between two sites: the barrier, its error, what counts, and going on after a stop."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixSymmetry
from ase.optimize import FIRE

from haloflow.engines.neb import NebSettings, find_barrier
from haloflow.engines.neb_images import (
    barrier_of,
    continuous,
    fell_back,
    interpolated,
    rattled,
)
from haloflow.engines.potentials import load_potential
from haloflow.errors import InputError, InterruptedRunError
from haloflow.quantity import Status

QUICK = NebSettings(n_images=3, fmax_ev_a=0.02, max_steps=200)


def vacancy_hop(atoms, element):
    """Return a hop into the vacancy next to an ion, the ion's index and its displacement."""
    of_kind = [i for i, symbol in enumerate(atoms.get_chemical_symbols()) if symbol == element]
    ion, others = of_kind[0], of_kind[1:]
    near = others[int(np.argmin(atoms.get_distances(ion, others, mic=True)))]
    move = atoms.get_distance(ion, near, mic=True, vector=True)
    start = atoms.copy()
    del start[near]
    end = start.copy()
    end.positions[ion] += move
    return (start, end), ion, move


def copper():
    return bulk("Cu", "fcc", a=3.6, cubic=True) * (2, 2, 2)


def find(folder, hop=None, **keywords):
    ends, ion, _ = hop or vacancy_hop(copper(), "Cu")
    keywords = {"settings": QUICK, "signature": "cu", "calculator": EMT()} | keywords
    return find_barrier(ends, ion, directory=folder, **keywords)


@pytest.fixture(scope="module")
def band(tmp_path_factory):
    return find(tmp_path_factory.mktemp("band"))


def test_the_barrier_is_that_of_the_saddle_that_symmetry_fixes(band):
    (start, _), ion, move = vacancy_hop(copper(), "Cu")
    rest, saddle = start.copy(), start.copy()
    saddle.positions[ion] += move / 2
    for atoms in (rest, saddle):
        atoms.calc = EMT()
        FIRE(atoms, logfile=None).run(fmax=0.001, steps=500)
    expected = saddle.get_potential_energy() - rest.get_potential_energy()
    assert band.status is Status.OK
    assert band.forward_ev.value == pytest.approx(expected, abs=0.005)
    assert band.forward_ev.lower - 0.005 <= expected <= band.forward_ev.upper + 0.005
    assert band.top == 2
    assert band.max_force_ev_a <= QUICK.fmax_ev_a
    assert band.difference_ev == pytest.approx(0.0, abs=0.002)
    assert band.path_a == sorted(band.path_a)


def test_a_band_that_was_stopped_ends_with_the_same_bits(band, tmp_path):
    n_stops = 0
    evaluations = iter(range(10_000))

    def left():
        return 1e-9 if next(evaluations) < 3 else None

    while True:
        try:
            again = find(tmp_path, walltime_s=left)
        except InterruptedRunError:
            n_stops += 1
        else:
            break
    assert n_stops == 3
    assert again.n_resumes
    assert again.energies_ev == band.energies_ev
    finished = find(tmp_path)
    assert finished.forward_ev == again.forward_ev


def test_too_few_steps_are_shown_and_not_hidden(tmp_path):
    few = NebSettings(n_images=3, fmax_ev_a=0.001, max_steps=3)
    found = find(tmp_path, settings=few)
    assert found.status is Status.UNCONVERGED
    assert "left at step 3" in found.note
    assert found.forward_ev.status is Status.UNCONVERGED


def test_an_ion_that_falls_back_has_no_barrier(tmp_path):
    (start, end), ion, move = vacancy_hop(copper(), "Cu")
    end.positions[ion] -= 0.8 * move
    found = find(tmp_path, ((start, end), ion, move))
    assert found.status is Status.UNCONVERGED
    assert found.forward_ev.value is None
    assert "the ion falls back" in found.note


def displaced(atoms, index, by):
    """Return wrapped atoms as a relaxation leaves them, one of them displaced."""
    moved = atoms.copy()
    moved.positions[index] += by
    moved.wrap()
    moved.calc = SinglePointCalculator(moved, energy=0.0)
    return moved


@pytest.mark.parametrize("off", [-0.03, 0.03])
def test_a_hop_of_half_a_cell_goes_the_way_it_was_asked_to(off):
    start = bulk("Cu", "fcc", a=3.6, cubic=True) * (2, 2, 2)
    end, half = start.copy(), np.array([3.6, 0.0, 0.0])
    end.positions[0] += half
    shift = np.array([off, 0.0, 0.0])
    first, last = continuous((start, end), (displaced(start, 0, -shift), displaced(end, 0, shift)))
    assert last.positions[0] - first.positions[0] == pytest.approx(half + 2 * shift)
    assert np.abs((last.positions - first.positions)[1:]).max() < 1e-9


def test_ends_that_are_those_of_another_hop_are_told():
    start = copper()
    end, hop = start.copy(), np.array([1.8, 1.8, 0.0])
    end.positions[0] += hop

    def told(index=0, first=(0, 0, 0), last=(0, 0, 0)):
        made = displaced(start, index, first), displaced(end, index, last)
        return fell_back((start, end), continuous((start, end), made), 0)

    assert told() == ""
    assert told(first=(0.5, 0, 0), last=(0, 0.5, 0)) == ""
    assert told(last=(0, 0, 0.9)) == "end: the ion comes to rest 0.90 A from the asked site"
    assert told(first=(0, 0, 0.9)).startswith("start: the ion comes to rest 0.90 A")
    # both ends have gone on together: as far apart as was asked, but elsewhere
    assert told(first=(0, 0, 1.7), last=(0, 0, 1.7)).startswith("start: the ion comes to rest")
    assert told(index=5, last=(0.9, 0, 0)) == ""
    assert told(index=5, last=(1.1, 0, 0)) == "Cu5 hops too: 1.10 A between the relaxed ends"


def test_a_band_without_a_top_between_its_ends_has_no_barrier(band):
    downhill = [image.copy() for image in band.images[band.top :]]
    for image, known in zip(downhill, band.images[band.top :], strict=True):
        image.calc = known.calc
    forward, backward, _, _ = barrier_of(downhill, Status.OK, "")
    assert forward.value is None
    assert forward.status is Status.UNCONVERGED
    assert forward.note == backward.note == "no saddle between the ends"
    order = (1, 2, 0, 1)
    sunken = barrier_of([band.images[i] for i in order], Status.OK, "")[0]
    assert sunken.status is Status.UNCONVERGED
    assert "eV below the lower end" in sunken.note
    assert sunken.value is not None


def test_a_route_bends_the_start_of_the_band():
    (start, end), ion, move = vacancy_hop(copper(), "Cu")
    aside = np.cross(move, [0.0, 0.0, 1.0])
    aside /= np.linalg.norm(aside)
    shares = np.linspace(0, 1, 5)
    route = start.positions[ion] + shares[:, None] * move + np.sin(np.pi * shares)[:, None] * aside
    straight = interpolated(start, end, 3, ion)
    bent = interpolated(start, end, 3, ion, route)
    for before, after, share in zip(straight, bent, shares, strict=True):
        moved = (after.positions[ion] - before.positions[ion]) @ aside
        assert moved >= 0.8 * np.sin(np.pi * share) - 1e-9
        assert not after.constraints
    assert np.allclose(bent[0].positions, start.positions)
    assert np.allclose(bent[-1].positions, end.positions)


def test_a_band_without_images_is_refused():
    with pytest.raises(InputError, match="a band needs images between its ends"):
        NebSettings(n_images=0)


def test_sodium_in_rock_salt_with_chgnet(tmp_path):
    """The saddle is where symmetry puts it: half-way, between two chlorides."""
    salt = bulk("NaCl", "rocksalt", a=5.5937, cubic=True) * (2, 2, 2)
    calculator = load_potential("chgnet-r2scan").calculator
    settings = NebSettings(n_images=1, fmax_ev_a=0.02)
    (start, end), ion, move = vacancy_hop(salt, "Na")
    found = find(
        tmp_path, ((start, end), ion, move), settings=settings, calculator=calculator,
        signature="salt",
    )  # fmt: skip
    rest, saddle = rattled(start), start.copy()  # without, it rests on a symmetric hill
    saddle.positions[ion] += move / 2
    saddle.set_constraint(FixSymmetry(saddle))  # rounding would grow until the ion rolls down
    for atoms in (rest, saddle):
        atoms.calc = calculator
        FIRE(atoms, logfile=None).run(fmax=0.02, steps=200)
    expected = saddle.get_potential_energy() - rest.get_potential_energy()
    assert found.status is Status.OK
    assert found.forward_ev.value == pytest.approx(expected, abs=0.02)
