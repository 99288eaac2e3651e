"""The extrapolation grade: one at most on training frames, high outside, and it ends runs."""

from __future__ import annotations

import numpy as np
import pytest
from pair_potential import Pair
from random_nep import random_nep
from tiny_frames import rattled_salt

from haloflow.engines.domain import (
    ElementDomain,
    NepDomain,
    domain_guard,
    domain_path,
    maxvol,
    share_above,
)
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


def test_grade_does_not_depend_on_scale_or_units_of_descriptors():
    rng = np.random.default_rng(3)
    train, others = rng.normal(size=(200, 6)), 3 * rng.normal(size=(20, 6))
    scales = 10.0 ** rng.uniform(-3, 3, 6)
    plain = ElementDomain.of(train).grades(others)
    assert ElementDomain.of(train * scales).grades(others * scales) == pytest.approx(plain, rel=0.5)


def test_direction_that_no_training_atom_had():
    """Descriptors that never varied are not lost: an atom that has them is far outside."""
    rng = np.random.default_rng(4)
    train = np.column_stack([rng.normal(size=(100, 3)), np.full(100, 0.7)])
    domain = ElementDomain.of(train)
    inside = np.array([[0.1, 0.0, -0.1, 0.7]])
    assert domain.grades(inside)[0] < 1
    assert domain.grades(np.add(inside, [0, 0, 0, 0.1]))[0] > 100


def test_few_atoms_make_a_domain_too():
    rows = np.random.default_rng(5).normal(size=(3, 10))
    assert ElementDomain.of(rows).grades(rows).max() <= 1.02


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
    with pytest.raises(PotentialError, match="the domain of a student cannot be read"):
        NepDomain.load(model)
    path.write_bytes(content)


def test_domain_of_another_student(domain, tmp_path):
    other = random_nep(tmp_path / "other.nep.txt", seed=2)
    domain_path(other).write_bytes(domain.save().read_bytes())
    with pytest.raises(PotentialError, match="a domain is of another student"):
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
