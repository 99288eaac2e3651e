"""ASE's integrators with their state laid open: built, steered along a ramp, saved, restored.

The extended-system integrators of ASE keep their state in private attributes. They are listed
here, attribute by attribute, and a version of ASE that has others is refused.

The heat must be shared among the degrees of freedom that move. ASE counts 3N for the particles,
though the centre of mass stays at rest (a box of 40 atoms comes out 2.5 % too hot), and 9 for the
cell, though its momenta stay symmetric and only 6 move (volume fluctuations come out too large).
Both counts are corrected here.

References
----------
Martyna, Tobias, Klein, J. Chem. Phys. 101, 4177 (1994), https://doi.org/10.1063/1.467468
(chain and barostats, with the number of degrees of freedom N_f);
Vanden-Eijnden, Ciccotti, Chem. Phys. Lett. 429, 310 (2006) (Langevin integrator).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import ase
import numpy as np
from ase import units
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.nose_hoover_chain import MTKNPT, IsotropicMTKNPT, NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet

from ..errors import CheckpointError, EngineError
from ..units import EV_PER_A3_IN_GPA, FS_PER_PS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ase import Atoms
    from numpy.typing import NDArray

    from .md_settings import MDSettings

_CHAIN: Final = frozenset(
    {"_Q", "_eta", "_kT", "_masses", "_num_atoms_global", "_p_eta", "_tchain", "_tdamp", "_tloop"}
)
_ISOTROPIC_BAROSTAT: Final = frozenset(
    {"_R", "_W", "_kT", "_num_atoms_global", "_p_xi", "_pchain", "_pdamp", "_ploop", "_xi"}
)
_NPT: Final = frozenset(
    {"_barostat", "_kT", "_num_atoms_global", "_p", "_pressure_au", "_q", "_temperature_K"}
) | {"_thermostat"}
_LANGEVIN: Final = frozenset({"c1", "c2", "c3", "c4", "c5", "fix_com", "fr", "rng", "temp"})

# Attributes of each integrator and its parts right after construction.
LAYOUT: Final[dict[str, dict[str, frozenset[str]]]] = {
    "nve": {"": frozenset()},
    "nvt-langevin": {"": _LANGEVIN},
    "nvt-nose-hoover": {"": frozenset({"_p", "_q", "_thermostat"}), "_thermostat": _CHAIN},
    "npt-isotropic": {
        "": _NPT | {"_cell0", "_eps", "_p_eps", "_volume0"},
        "_thermostat": _CHAIN,
        "_barostat": _ISOTROPIC_BAROSTAT,
    },
    "npt-full": {
        "": _NPT | {"_h", "_p_g"},
        "_thermostat": _CHAIN,
        "_barostat": _ISOTROPIC_BAROSTAT | {"_cell_dof"},
    },
}
# Proportional to kT at fixed frequencies of chain and barostat. Along a ramp the masses follow
# the target and the velocities of the extra variables stay, so their momenta follow too.
_CHAIN_HEAT: Final = ("_thermostat._kT", "_thermostat._Q", "_thermostat._p_eta")
_BAROSTAT_HEAT: Final = (
    *("_kT", "_temperature_K", "_barostat._kT", "_barostat._W", "_barostat._R"),
    "_barostat._p_xi",
)
HEAT: Final[dict[str, tuple[str, ...]]] = {
    "nve": (),
    "nvt-langevin": (),
    "nvt-nose-hoover": _CHAIN_HEAT,
    "npt-isotropic": (*_CHAIN_HEAT, *_BAROSTAT_HEAT, "_p_eps"),
    "npt-full": (*_CHAIN_HEAT, *_BAROSTAT_HEAT, "_p_g"),
}
# What changes from step to step beside positions, momenta and cell.
STATE: Final[dict[str, tuple[str, ...]]] = {
    "nve": (),
    "nvt-langevin": ("temp",),
    "nvt-nose-hoover": (*HEAT["nvt-nose-hoover"], "_thermostat._eta"),
    "npt-isotropic": (
        *HEAT["npt-isotropic"],
        *("_thermostat._eta", "_barostat._xi", "_eps", "_cell0", "_volume0"),
    ),
    "npt-full": (*HEAT["npt-full"], "_thermostat._eta", "_barostat._xi"),
}
_CELL_DEGREES: Final = 6


class Integrator:
    """One of ASE's integrators, on atoms that already have momenta and a calculator.

    Parameters
    ----------
    atoms
        Moved in place.
    settings
        Ensemble, targets and times.

    Raises
    ------
    EngineError
        If the installed ASE keeps its state in another way than listed here.
    """

    def __init__(self, atoms: Atoms, settings: MDSettings) -> None:
        self._ensemble = settings.ensemble
        self._rng = np.random.default_rng((settings.seed, 1))
        degrees = settings.degrees_of_freedom(len(atoms))
        if settings.ensemble == "nvt-langevin" and settings.tether is None:
            atoms.set_constraint(FixCom())
        self._dynamics = _build(atoms, settings, self._rng)
        require_layout(self._dynamics, settings.ensemble)
        _count_degrees(self._dynamics, degrees)
        self.step = self._dynamics.step

    def set_target(self, temperature_k: float) -> None:
        """Move the thermostat (and the heat of the barostat) to `temperature_k`."""
        if self._ensemble == "nvt-langevin":
            self._dynamics.set_temperature(temperature_K=temperature_k)
            return
        heat = HEAT[self._ensemble]
        ratio = units.kB * temperature_k / _get(self._dynamics, heat[0])
        if ratio != 1.0:
            for path in heat:
                _set(self._dynamics, path, _get(self._dynamics, path) * ratio)

    def conserved_energy_ev(self) -> float:
        """Return the energy that the exact dynamics conserves; NaN for Langevin."""
        if self._ensemble == "nve":
            return float(self._dynamics.atoms.get_total_energy())
        if self._ensemble == "nvt-langevin":
            return math.nan
        return float(self._dynamics.get_conserved_energy())

    def state(self) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
        """Return the integrator's own variables and the state of its random numbers."""
        arrays = {
            path: np.array(_get(self._dynamics, path), dtype=np.float64)
            for path in STATE[self._ensemble]
        }
        return arrays, dict(self._rng.bit_generator.state)

    def restore(self, arrays: Mapping[str, NDArray[np.float64]], random: dict[str, Any]) -> None:
        """Take over what :meth:`state` returned.

        Raises
        ------
        CheckpointError
            If a variable is missing or has another shape.
        """
        for path in STATE[self._ensemble]:
            own = np.asarray(_get(self._dynamics, path))
            if path not in arrays or arrays[path].shape != own.shape:
                raise CheckpointError(
                    f"a checkpoint does not fit the {self._ensemble} integrator",
                    given=f"no {path} of shape {own.shape}",
                    remedy="delete the run's directory to start over",
                )
            value = arrays[path].copy() if own.shape else float(arrays[path])
            _set(self._dynamics, path, value)
        self._rng.bit_generator.state = random
        if self._ensemble == "nvt-langevin":
            self._dynamics.updatevars()


def require_layout(dynamics: MolecularDynamics, ensemble: str) -> None:
    """Refuse an integrator whose attributes are not the ones that checkpoints hold.

    Raises
    ------
    EngineError
        Naming the attributes that are new or gone.
    """
    common = set(vars(MolecularDynamics(dynamics.atoms, dynamics.dt)))
    for part, expected in LAYOUT[ensemble].items():
        found = set(vars(_get(dynamics, part) if part else dynamics))
        if not part:
            found -= common
        if found != expected:
            raise EngineError(
                f"ASE {ase.__version__} keeps the state of {type(dynamics).__name__} in another "
                "way than checkpoints know",
                given=f"{part or 'integrator'} with new {sorted(found - expected)} "
                f"and without {sorted(expected - found)}",
                allowed="ASE 3.29",
                remedy="pip install 'ase==3.29.*'",
            )


def _build(atoms: Atoms, settings: MDSettings, rng: np.random.Generator) -> MolecularDynamics:
    timestep = settings.timestep_fs * units.fs
    target = settings.target_temperature_k(0)
    thermostat = settings.thermostat_time_fs * units.fs
    barostat = settings.barostat_time_fs * units.fs
    pressure = settings.pressure_gpa / EV_PER_A3_IN_GPA
    match settings.ensemble:
        case "nve":
            return VelocityVerlet(atoms, timestep)
        case "nvt-langevin":
            friction = settings.friction_per_ps / (FS_PER_PS * units.fs)
            return Langevin(
                atoms, timestep, temperature_K=target, friction=friction, fixcm=False, rng=rng
            )
        case "nvt-nose-hoover":
            return NoseHooverChainNVT(atoms, timestep, temperature_K=target, tdamp=thermostat)
    kind = IsotropicMTKNPT if settings.ensemble == "npt-isotropic" else MTKNPT
    return kind(
        atoms,
        timestep,
        temperature_K=target,
        pressure_au=pressure,
        tdamp=thermostat,
        pdamp=barostat,
    )


def _count_degrees(dynamics: MolecularDynamics, degrees: int) -> None:
    """Let chain and barostat share the heat among the degrees of freedom that move."""
    if not hasattr(dynamics, "_thermostat"):
        return
    thermostat = dynamics._thermostat
    thermostat._Q[0] *= degrees / (3 * thermostat._num_atoms_global)
    thermostat._num_atoms_global = degrees / 3
    if not hasattr(dynamics, "_barostat"):
        return
    dynamics._num_atoms_global = degrees / 3
    barostat = dynamics._barostat
    if hasattr(barostat, "_cell_dof"):
        barostat._R[0] *= _CELL_DEGREES / barostat._cell_dof
        barostat._cell_dof = _CELL_DEGREES


def _get(owner: object, path: str) -> Any:  # noqa: ANN401  (numbers and arrays alike)
    for name in path.split("."):
        owner = getattr(owner, name)
    return owner


def _set(owner: object, path: str, value: object) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, name, value)
