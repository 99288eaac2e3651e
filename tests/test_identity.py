"""Identities: equal for equal physics, different for any other, the same in every process."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pymatgen.core import Lattice, Structure

from haloflow.errors import InputError
from haloflow.identity import (
    canonical,
    content_hash,
    file_sha256,
    step_identity,
    step_uuid,
    structure_hash,
)
from haloflow.quantity import Status

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
PARAMETERS = {"temperature_k": 600, "level": "chgnet-r2scan", "cell": None, "flags": [True, 0.5]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


@dataclass
class Plain:
    temperature_k: float
    names: tuple[str, ...] = ("Na",)


class Model(BaseModel):
    temperature_k: float
    names: tuple[str, ...] = ("Na",)


def test_whole_floats_and_integers_are_one():
    assert content_hash({"t": 300}) == content_hash({"t": 300.0})
    assert content_hash([0.0]) == content_hash([-0.0]) == content_hash([0])
    assert content_hash({"t": 300}) != content_hash({"t": 300.1})
    assert content_hash({"t": 1}) != content_hash({"t": True})
    assert content_hash({"t": 1}) != content_hash({"t": "1"})


def test_the_order_of_keys_does_not_count_and_that_of_items_does():
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert content_hash([1, 2]) != content_hash([2, 1])
    assert content_hash((1, 2)) == content_hash([1, 2])


def test_dataclasses_models_enums_and_paths_become_plain():
    assert canonical(Plain(300.0)) == {"temperature_k": 300, "names": ["Na"]}
    assert canonical(Model(temperature_k=300)) == canonical(Plain(300))
    assert canonical({"status": Status.OK, "at": Path("a/b")}) == {"status": "ok", "at": "a/b"}


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_a_canonical_value_is_its_own_canonical_value(value):
    once = canonical(value)
    assert canonical(once) == once
    assert content_hash(value) == content_hash(once)


@pytest.mark.parametrize("value", [{1, 2}, object(), Plain, 1j, b"bytes"])
def test_other_values_are_refused(value):
    with pytest.raises(InputError) as caught:
        content_hash({"setting": value})
    assert str(caught.value).startswith(
        f"a value cannot be part of a step's identity. Given: {type(value).__name__} "
    )
    assert str(caught.value).endswith("What to do: pass its defining parameters instead.")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(InputError, match="a value cannot be part of a step's identity"):
        content_hash({"setting": value})


def test_a_step_is_known_by_kind_code_and_parameters():
    known = step_identity("md", 1, PARAMETERS)
    assert step_identity("md", 1, dict(reversed(PARAMETERS.items()))) == known
    others = {
        step_identity("relax", 1, PARAMETERS),
        step_identity("md", 2, PARAMETERS),
        step_identity("md", 1, PARAMETERS | {"temperature_k": 601}),
        step_identity("md", 1, PARAMETERS | {"cell": "full"}),
    }
    assert known not in others
    assert len(others) == 4


def test_identities_are_the_same_in_another_process():
    code = (
        "from haloflow.identity import step_identity, step_uuid\n"
        f"identity = step_identity('md', 1, {PARAMETERS!r})\n"
        "print(identity, step_uuid(identity))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": "123"},
    )  # fmt: skip
    identity = step_identity("md", 1, PARAMETERS)
    assert out.stdout.split() == [identity, step_uuid(identity)]


def test_equal_identities_have_equal_valid_uuids():
    assert step_uuid("a") == step_uuid("a") != step_uuid("b")
    assert uuid.UUID(step_uuid("a")).version == 5


def test_a_file_hash_is_sha256(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"halide" * 100_000)
    assert file_sha256(path) == hashlib.sha256(b"halide" * 100_000).hexdigest()


def moved(structure: Structure, shift: float) -> Structure:
    copy = structure.copy()
    copy.translate_sites([0], [shift, 0, 0], frac_coords=True, to_unit_cell=False)
    return copy


def test_a_structure_hash_ignores_what_is_not_physics():
    known = structure_hash(SALT)
    decorated = SALT.copy(site_properties={"momenta": [[0.0] * 3] * len(SALT)})
    assert structure_hash(decorated) == known
    assert structure_hash(Structure.from_dict(SALT.as_dict())) == known
    assert structure_hash(moved(SALT, 1.0)) == known
    assert structure_hash(moved(SALT, -2.0)) == known
    assert structure_hash(moved(SALT, 1e-8)) == known
    assert structure_hash(moved(SALT, -1e-8)) == known


def test_a_structure_hash_sees_all_that_is():
    swapped = Structure(SALT.lattice, ["Cl", *SALT.species[1:]], SALT.frac_coords)
    reordered = Structure.from_sites([*SALT[1:], SALT[0]])
    strained = SALT.copy()
    strained.apply_strain(1e-4)
    others = [structure_hash(s) for s in (moved(SALT, 1e-4), swapped, reordered, strained)]
    assert len({structure_hash(SALT), *others}) == 5
