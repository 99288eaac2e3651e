"""Constants and conversions against CODATA values and hand-made numbers."""

from __future__ import annotations

import pytest

from haloflow import units


def test_constants_are_codata():
    assert pytest.approx(8.617333262e-5, rel=1e-9) == units.BOLTZMANN_EV_PER_K
    assert pytest.approx(1.380649e-23, rel=1e-12) == units.BOLTZMANN_J_PER_K
    assert pytest.approx(1.602176634e-19, rel=1e-12) == units.ELEMENTARY_CHARGE_C
    assert pytest.approx(6.02214076e23, rel=1e-12) == units.AVOGADRO_PER_MOL
    assert pytest.approx(160.21766208, rel=1e-8) == units.EV_PER_A3_IN_GPA


def test_constants_agree_with_each_other():
    per_ev = units.BOLTZMANN_J_PER_K / units.ELEMENTARY_CHARGE_C
    assert per_ev == pytest.approx(units.BOLTZMANN_EV_PER_K, rel=1e-9)
    assert (
        pytest.approx(1e24 / units.AVOGADRO_PER_MOL, rel=1e-8) == units.DALTON_PER_A3_IN_G_PER_CM3
    )
    # (1e-8 cm)^2 / 1e-12 s
    assert pytest.approx(1e-4) == units.A2_PER_PS_IN_CM2_PER_S


def test_density_of_rock_salt():
    four_formula_units = 4 * (22.98977 + 35.453)
    assert units.density_g_cm3(four_formula_units, 5.6402**3) == pytest.approx(2.163, abs=0.001)


def test_cooling_rate_has_no_sign():
    # 1200 K in 3 ps
    assert units.cooling_rate_k_s(1500, 300, 3000) == pytest.approx(4e14)
    assert units.cooling_rate_k_s(300, 1500, 3000) == pytest.approx(4e14)
