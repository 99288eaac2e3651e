"""Physical constants and the few conversions between the units that names carry."""

from __future__ import annotations

from typing import Final

from scipy import constants

BOLTZMANN_EV_PER_K: Final = constants.value("Boltzmann constant in eV/K")
BOLTZMANN_J_PER_K: Final = constants.k
ELEMENTARY_CHARGE_C: Final = constants.e
AVOGADRO_PER_MOL: Final = constants.N_A

EV_PER_A3_IN_GPA: Final = constants.e * 1e30 / 1e9
A2_PER_PS_IN_CM2_PER_S: Final = 1e-4
DALTON_PER_A3_IN_G_PER_CM3: Final = constants.value("atomic mass constant") * 1e3 / 1e-24
SECONDS_PER_HOUR: Final = 3600.0
FS_PER_PS: Final = 1000.0


def density_g_cm3(mass_da: float, volume_a3: float) -> float:
    """Return the mass density of `mass_da` (dalton) in `volume_a3` (cubic angstrom)."""
    return mass_da / volume_a3 * DALTON_PER_A3_IN_G_PER_CM3


def cooling_rate_k_s(start_k: float, end_k: float, duration_fs: float) -> float:
    """Return the magnitude of a linear ramp's rate in K/s."""
    return abs(start_k - end_k) / (duration_fs * 1e-15)
