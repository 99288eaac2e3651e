"""The error tree: what messages say, and that they survive process boundaries."""

from __future__ import annotations

import inspect
import pickle

import pytest

from haloflow import errors
from haloflow.errors import HaloflowError, MissingDependencyError, UnknownNameError

TREE = {
    "InputError": "HaloflowError",
    "SweepError": "InputError",
    "CompositionError": "InputError",
    "UnknownNameError": "InputError",
    "CoverageError": "InputError",
    "NotFoundError": "InputError",
    "MissingDependencyError": "HaloflowError",
    "PotentialError": "HaloflowError",
    "EngineError": "HaloflowError",
    "CheckpointError": "EngineError",
    "TrajectoryError": "EngineError",
    "InterruptedRunError": "EngineError",
    "AnalysisError": "HaloflowError",
    "StoreError": "HaloflowError",
    "DocumentError": "StoreError",
    "StoreTimeoutError": "StoreError",
    "ClaimError": "StoreError",
}
CLASSES = [
    member
    for _, member in inspect.getmembers(errors, inspect.isclass)
    if issubclass(member, HaloflowError)
]


def test_the_tree_is_the_documented_one():
    found = {c.__name__: c.__mro__[1].__name__ for c in CLASSES if c is not HaloflowError}
    assert found == TREE
    assert all(name in (errors.__doc__ or "") for name in TREE)


def test_a_message_says_what_was_given_what_is_allowed_what_to_do():
    error = HaloflowError("too hot", given=9000, allowed="up to 6000 K", remedy="cool down")
    assert str(error) == "too hot. Given: 9000. Allowed: up to 6000 K. What to do: cool down."


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "no."),
        ({"given": ["Na", "Cl"]}, "no. Given: Na, Cl."),
        ({"given": []}, "no. Given: nothing."),
        ({"given": {"x": 1}}, "no. Given: {'x': 1}."),
        ({"given": 0}, "no. Given: 0."),
        ({"given": "text"}, "no. Given: text."),
        ({"allowed": (1, 2)}, "no. Allowed: 1, 2."),
        ({"remedy": "stop"}, "no. What to do: stop."),
    ],
)
def test_parts_that_are_missing_are_left_out(parts, text):
    assert str(HaloflowError("no", **parts)) == text


@pytest.mark.parametrize("cls", CLASSES)
def test_errors_survive_pickling_with_all_parts(cls):
    error = cls("no", given=[1], allowed="two", remedy="stop")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  (our own bytes)
    assert type(copy) is cls
    assert str(copy) == str(error)
    assert (copy.problem, copy.given, copy.allowed, copy.remedy) == ("no", [1], "two", "stop")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("chgnet-r2scn", "did you mean chgnet-r2scan?"),
        ("zzz", "choose one potential of the list"),
    ],
)
def test_unknown_names_come_with_near_matches(name, remedy):
    error = UnknownNameError.of("potential", name, ["sevennet-0", "chgnet-r2scan"])
    assert str(error).startswith(
        f"unknown potential. Given: {name}. Allowed: chgnet-r2scan, sevennet-0. What to do: "
    )
    assert remedy in str(error)


def test_a_missing_package_names_the_pip_line():
    error = MissingDependencyError.of("chgnet", "chgnet", "this potential")
    assert str(error) == (
        "the package chgnet is needed for this potential and is not installed. "
        "What to do: pip install -c constraints.txt 'haloflow[chgnet]'."
    )
