"""T1 of 23Na from hot runs: a law of known energy, carried to a colder temperature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sample_runs import run_of
from sample_trajectories import FRAME_PS, Frames

from haloflow.analysis.nmr import relaxation
from haloflow.errors import InputError
from haloflow.makers.nmr import NO_COUPLING, NmrProtocol, jump_law, nmr_protocol
from haloflow.makers.trajectory_makers import LandscapeMaker
from haloflow.quantity import Quantity, Status
from haloflow.units import BOLTZMANN_EV_PER_K

ENERGY_EV = 0.3
HOP = 0.04
HOT_K = (600.0, 700.0, 800.0, 900.0)
PROTOCOL = NmrProtocol(quadrupole_coupling_mhz=1.2, asymmetry=0.4, temperatures_k=(300, 750))


def lattice_gas(hop, n_frames=1500, n_mobile=24, spacing_a=3.5):
    """Na that hop to neighbours on a cubic lattice, a share `hop` of them in each frame."""
    rng = np.random.default_rng(7)
    sites = spacing_a * np.indices((4, 4, 4)).reshape(3, -1).T
    axes = rng.integers(0, 3, (n_frames, n_mobile))
    steps = np.eye(3)[axes] * rng.choice([-1.0, 1.0], (n_frames, n_mobile, 1))
    steps *= rng.random((n_frames, n_mobile, 1)) < hop
    mobile = sites[rng.permutation(64)[:n_mobile]] + spacing_a * np.cumsum(steps, axis=0)
    host = np.broadcast_to(sites[:n_mobile] + spacing_a / 2, mobile.shape)
    positions = np.concatenate([mobile, host], axis=1)
    positions = positions + rng.normal(0.0, 0.1, positions.shape)
    cells = np.broadcast_to(4 * spacing_a * np.eye(3), (n_frames, 3, 3)).copy()
    return Frames(positions, cells, np.repeat(["Na", "Cl"], n_mobile))


def time_ps(temperature_k):
    return math.exp(ENERGY_EV / BOLTZMANN_EV_PER_K * (1 / temperature_k - 1 / 900.0))


def known(temperature_k, relative_sd=0.03):
    value = time_ps(temperature_k)
    width = 2 * relative_sd * value
    return Quantity(value, relative_sd * value, value - width, value + width)


def test_the_law_is_carried_to_room_temperature_and_t1_follows_it():
    law = jump_law({t: known(t) for t in HOT_K}, PROTOCOL)
    energy = law.activation_energy_ev
    assert energy.lower < ENERGY_EV < energy.upper
    assert law.temperatures_used_k == list(HOT_K)
    cold, inside = law.points
    assert (cold.temperature_k, cold.extrapolated) == (300, True)
    assert (inside.temperature_k, inside.extrapolated) == (750, False)
    for point in law.points:
        time = point.correlation_time_ps
        assert time.lower < time_ps(point.temperature_k) < time.upper
        assert set(point.t1_ms) == {"132.294", "73.39"}
        expected = relaxation(
            Quantity(time.value), coupling_mhz=1.2, asymmetry=0.4, larmor_mhz=[132.294]
        )
        assert point.t1_ms["132.294"].value == pytest.approx(expected[0].t1_ms.value)
        t1 = point.t1_ms["132.294"]
        assert t1.lower < t1.value < t1.upper
        assert t1.note.endswith("conditional on C_Q = 1.2 MHz, eta = 0.4")
    assert cold.correlation_time_ps.note == "extrapolated from runs at 600 to 900 K"
    assert (law.quadrupole_coupling_mhz, law.asymmetry, law.note) == (1.2, 0.4, "")


def test_without_a_coupling_there_is_no_t1_and_that_is_said():
    law = jump_law({t: known(t) for t in HOT_K}, None)
    (point,) = law.points
    assert point.temperature_k == 298.15
    assert point.correlation_time_ps.value == pytest.approx(time_ps(298.15), rel=0.3)
    assert point.t1_ms == {}
    assert law.note == NO_COUPLING


def test_a_glass_transition_between_is_flagged_and_too_few_runs_give_a_bound():
    through = jump_law({t: known(t) for t in HOT_K}, PROTOCOL, tg_k=466.0).points[0]
    assert through.t1_ms["73.39"].status is Status.EXTRAPOLATED_THROUGH_TG
    assert "through the glass transition at 466 K" in through.t1_ms["73.39"].note
    alone = jump_law({800.0: known(800.0)}, PROTOCOL).points[0]
    assert not alone.extrapolated
    assert alone.correlation_time_ps.value is None
    assert alone.correlation_time_ps.status is Status.UNCONVERGED
    assert alone.correlation_time_ps.lower > 0
    assert "activated motion slows on cooling" in alone.correlation_time_ps.note


def test_a_maker_carries_the_jumps_of_its_runs(workshop):
    runs = [run_of(workshop, t, lattice_gas(HOP / time_ps(t))) for t in (700.0, 800.0, 900.0)]
    found = workshop.run(LandscapeMaker(nmr=PROTOCOL), runs)
    times = {p.landscape.temperature_k: p.hops.correlation_time_ps.value for p in found.points}
    assert times[700.0] > times[800.0] > times[900.0] > 0
    for point in found.points:
        assert point.hops.t1_ms["132.294"].value > 0
        assert point.hops.t1_note == ""
    law = found.jump_law
    assert law.activation_energy_ev.lower < ENERGY_EV < law.activation_energy_ev.upper
    room = law.points[0]
    assert room.extrapolated
    expected = FRAME_PS / HOP * time_ps(300.0)
    assert room.correlation_time_ps.lower < expected < room.correlation_time_ps.upper
    assert LandscapeMaker(nmr=PROTOCOL).identity({}) != LandscapeMaker().identity({})


def test_options_out_of_range_are_refused():
    assert nmr_protocol(None) is None
    assert nmr_protocol(1.2, 0.4, [100.0]) == NmrProtocol(
        quadrupole_coupling_mhz=1.2, asymmetry=0.4, larmor_mhz=(100.0,)
    )
    with pytest.raises(InputError, match=r"T1 needs the quadrupole coupling.*Given: asymmetry"):
        nmr_protocol(None, 0.4)
    with pytest.raises(InputError, match=r"coupling_mhz is out of range.*greater than 0"):
        nmr_protocol(-1.0)
    with pytest.raises(InputError, match="asymmetry is out of range"):
        nmr_protocol(1.0, 2.0)


def test_a_lost_coldest_run_leaves_no_upper_end():
    times = {t: known(t) for t in HOT_K}
    whole, lost = (jump_law(times, PROTOCOL, n_lost_cold=n).points for n in (0, 1))
    assert whole[0].correlation_time_ps.status is Status.OK
    assert lost[0].correlation_time_ps.status is Status.UNCONVERGED
    assert lost[0].correlation_time_ps.upper is None
    assert lost[0].correlation_time_ps.note.startswith(
        "extrapolated from runs at 600 to 900 K; the"
    )
    assert lost[1].correlation_time_ps == whole[1].correlation_time_ps
