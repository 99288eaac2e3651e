"""The extrapolation grade: one at most on training frames, high outside, and it ends runs."""

from __future__ import annotations

import numpy as np
import pytest
from pair_potential import Pair
from random_nep import random_nep
from tiny_frames import rattled_salt

from haloflow.engines.active_set import ElementDomain, ElementNetwork, maxvol
from haloflow.engines.domain import NepDomain, domain_guard, domain_path, share_above
from haloflow.engines.md import MDSettings, run_md
from haloflow.errors import InputError, PotentialError
from haloflow.quantity import Status


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return random_nep(tmp_path_factory.mktemp("nep") / "tiny.nep.txt", scale=0.5)


@pytest.fixture(scope="module")
def domain(model):
    return NepDomain.of_frames(model, rattled_salt(30, seed=1, spread_a=0.1))


def test_maxvol_spans_the_largest_volume():
    """Against all subsets, of which there are few enough to look at."""
    from itertools import combinations

    rows = np.random.default_rng(1).normal(size=(14, 4))
    active = maxvol(rows)
    volume = abs(np.linalg.det(rows[active]))
    best = max(abs(np.linalg.det(rows[list(some)])) for some in combinations(range(14), 4))
    assert volume > 0.8 * best
    assert np.abs(rows @ np.linalg.inv(rows[active])).max() <= 1.01 + 1e-9


def test_training_frames_are_inside(domain):
    grades = [domain.grade(frame) for frame in rattled_salt(30, seed=1, spread_a=0.1)]
    assert max(grades) <= 1.02


def test_grade_rises_with_the_distance_from_the_training_frames(domain):
    means = [
        np.mean([domain.grade(f) for f in rattled_salt(10, seed=9, spread_a=spread)])
        for spread in (0.1, 0.2, 0.35)
    ]
    assert means[0] < 3
    assert means[0] < means[1] < means[2]
    assert share_above(domain, rattled_salt(10, seed=9, spread_a=0.35)) == 1.0
    assert share_above(domain, rattled_salt(10, seed=1, spread_a=0.1)) == 0.0
    assert share_above(domain, []) == 0.0


def network(n_descriptors, neurons=4, seed=1):
    rng = np.random.default_rng(seed)
    w0 = rng.normal(size=(neurons, n_descriptors))
    return ElementNetwork(w0, rng.normal(size=neurons), rng.normal(size=neurons))


def test_gradients_are_those_of_the_network():
    own, q, h = network(3), np.array([0.3, -0.2, 0.5]), 1e-6

    def energy(w0, b0, w1):
        return w1 @ np.tanh(w0 @ q - b0)

    (found,) = own.gradients(q[None])
    found = found.reshape(4, 5)
    for neuron in range(4):
        for column in range(5):
            ends = []
            for sign in (1, -1):
                w0, b0, w1 = own.w0.copy(), own.b0.copy(), own.w1.copy()
                part = (w0[neuron], b0, w1)[max(0, column - 2)]
                part[column if column < 3 else neuron] += sign * h
                ends.append(energy(w0, b0, w1))
            assert found[neuron, column] == pytest.approx((ends[0] - ends[1]) / (2 * h), abs=1e-8)


def test_direction_that_no_training_atom_had():
    """Descriptors that never varied are not lost: an atom that has them is far outside."""
    rng = np.random.default_rng(4)
    train = np.column_stack([0.1 * rng.normal(size=(200, 3)), np.full(200, 0.7)])
    domain = ElementDomain.of(network(4), train)
    assert domain.grades(train).max() <= 1.02
    assert domain.grades(np.array([[0.01, 0.0, -0.01, 0.7]]))[0] < 1.5
    assert domain.grades(np.array([[0.01, 0.0, -0.01, 1.2]]))[0] > 20


def test_few_atoms_make_a_domain_too():
    rows = np.random.default_rng(5).normal(size=(3, 10))
    assert ElementDomain.of(network(10), rows).grades(rows).max() <= 1.02


def test_element_without_a_frame_is_outside(domain):
    frame = rattled_salt(1, seed=1)[0]
    frame.symbols[0] = "O"
    assert np.isinf(domain.grade(frame))


def test_saved_and_loaded(domain, model):
    path = domain.save()
    assert path == domain_path(model) == model.with_name("tiny.nep.domain.npz")
    frame = rattled_salt(1, seed=7, spread_a=0.3)[0]
    assert np.array_equal(NepDomain.load(model).grades(frame), domain.grades(frame))
    content = path.read_bytes()
    path.write_bytes(content[:200])
    with pytest.raises(PotentialError, match="the domain of a model cannot be read"):
        NepDomain.load(model)
    path.write_bytes(content)


def test_domain_of_another_student(domain, tmp_path):
    other = random_nep(tmp_path / "other.nep.txt", seed=2)
    domain_path(other).write_bytes(domain.save().read_bytes())
    with pytest.raises(PotentialError, match="a domain is of another model"):
        NepDomain.load(other)
    domain_path(other).unlink()
    with pytest.raises(PotentialError, match="cannot be read"):
        NepDomain.load(other)


def test_domain_without_frames(model):
    with pytest.raises(InputError, match="needs the frames that it was trained on"):
        NepDomain.of_frames(model, [])


def test_run_that_leaves_the_domain_is_ended(domain, tmp_path):
    """The same start stays inside when it is cold."""
    start = rattled_salt(1, seed=1, spread_a=0.05)[0]
    calculator = Pair()
    ends = {}
    for kelvin in (5.0, 3000.0):
        settings = MDSettings("nvt-langevin", kelvin, 400, timestep_fs=1.0)
        ends[kelvin] = run_md(
            start, calculator, settings, tmp_path / str(kelvin), signature="domain",
            guards=[domain_guard(domain, every_steps=10)],
        )  # fmt: skip
    assert ends[5.0].status is Status.OK
    assert ends[3000.0].status is Status.OUT_OF_DOMAIN
    assert ends[3000.0].n_steps % 10 == 0
    assert "has an extrapolation grade of" in ends[3000.0].note
    assert f"at step {ends[3000.0].n_steps}, above 10" in ends[3000.0].note


@pytest.mark.parametrize("wrong", [{"stop_grade": 1.0}, {"every_steps": 0}])
def test_guard_out_of_range(domain, wrong):
    with pytest.raises(InputError, match="a domain guard is out of range"):
        domain_guard(domain, **wrong)


def test_doubts_begin_below_the_grade_that_ends_a_run(domain):
    frames = rattled_salt(20, seed=9, spread_a=0.35)
    grades = sorted(domain.grade(frame) for frame in frames)
    low, high = grades[5], grades[15]
    guard = domain_guard(domain, stop_grade=high, doubt_grade=low, every_steps=10)
    for frame in frames:
        verdict, grade = guard(frame, 10), domain.grade(frame)
        assert guard(frame, 15) is None
        expected = (None, False, True)[(grade > low) + (grade > high)]
        assert (None if verdict is None else verdict.ends) is expected
        assert domain_guard(domain, stop_grade=high)(frame, 100) is None or grade > high
