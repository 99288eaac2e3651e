"""Counter electrodes: their potentials are bounded by plateaus, and errors add up."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from haloflow.errors import UnknownNameError
from haloflow.quantity import Quantity, Status
from haloflow.systems.electrodes import Electrode, get_electrode, list_electrodes
from haloflow.systems.families import list_families


def test_the_tin_alloys_share_a_plateau():
    """Na9Sn4 and Na15Sn4 coexist at one voltage: the end of one is the start of the other."""
    rich, poor = get_electrode("Na15Sn4"), get_electrode("Na9Sn4")
    assert rich.lower_v == 0.0
    assert rich.upper_v == poor.lower_v
    for electrode in (rich, poor):
        assert electrode.potential_v == pytest.approx((electrode.lower_v + electrode.upper_v) / 2)
        uniform = (electrode.upper_v - electrode.lower_v) / math.sqrt(12)
        assert electrode.sd_v == pytest.approx(math.hypot(uniform, 0.02), abs=0.002)
        assert electrode.source
        assert electrode.source_checked


def test_errors_add_in_quadrature():
    found = get_electrode("Na9Sn4").against(Quantity(4.12, 0.04, status=Status.UNCONVERGED))
    assert found.value == pytest.approx(4.0)
    assert found.sd == pytest.approx(0.05)
    assert found.upper == pytest.approx(4.0 + 1.96 * 0.05)
    assert found.status is Status.UNCONVERGED
    assert get_electrode("Na15Sn4").against(Quantity(1.0)).sd == pytest.approx(0.03)
    nothing = Quantity(status=Status.FAILED)
    assert get_electrode("Na15Sn4").against(nothing) is nothing


def test_electrodes_of_other_ions_are_not_listed():
    assert [electrode.id for electrode in list_electrodes("Na")] == ["Na15Sn4", "Na9Sn4"]
    assert list_electrodes("Li") == []


def test_every_published_voltage_names_a_known_electrode():
    rows = [
        row
        for family in list_families()
        for row in family.literature
        if row.quantity in {"oxidation_limit_v", "reduction_limit_v"}
    ]
    assert len(rows) == 10
    for row in rows:
        assert row.electrode in row.conditions
        assert get_electrode(row.electrode).mobile == "Na"


def test_memory_is_marked():
    row = get_electrode("Na9Sn4").model_dump() | {"source_checked": False}
    assert Electrode(**row).caution.startswith("unverified: typed from memory; 0.12 ± 0.03 V")


def test_bad_electrodes_are_refused():
    row = get_electrode("Na9Sn4").model_dump()
    with pytest.raises(ValidationError, match="must lie between lower_v and upper_v"):
        Electrode(**(row | {"potential_v": 0.5}))
    with pytest.raises(UnknownNameError, match=r"unknown electrode. Given: Na9Sn5.*Na9Sn4"):
        get_electrode("Na9Sn5")
