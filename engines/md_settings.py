"""What an MD run is asked to do, checked before the first step."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from ..errors import InputError

ENSEMBLES: Final = ("nve", "nvt-langevin", "nvt-nose-hoover", "npt-isotropic", "npt-full")
CONSTANT_PRESSURE: Final = ("npt-isotropic", "npt-full")
_EXTENDED_SYSTEM: Final = ("nvt-nose-hoover", *CONSTANT_PRESSURE)
_MAX_TEMPERATURE_K: Final = 50_000.0
_MAX_TIMESTEP_FS: Final = 20.0
_MAX_PRESSURE_GPA: Final = 1000.0
_MIN_STEPS_PER_PERIOD: Final = 10
_NOT_PHYSICS: Final = ("n_steps", "checkpoint_interval")


def require_number(
    name: str,
    value: object,
    *,
    lower: float = -math.inf,
    upper: float = math.inf,
    exclusive: bool = False,
    integer: bool = False,
) -> None:
    """Refuse a setting that is no finite number in its range.

    Raises
    ------
    InputError
        Naming the setting, its value and the range.
    """
    kinds = (int,) if integer else (int, float)
    if (
        isinstance(value, kinds)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and lower <= value <= upper
        and not (exclusive and value == lower)
    ):
        return
    kind = "a whole number" if integer else "a number"
    ends = [f"{'above' if exclusive else 'from'} {lower:g}"] if math.isfinite(lower) else []
    ends += [f"up to {upper:g}"] if math.isfinite(upper) else []
    raise InputError(
        f"{name} of an MD run is out of range",
        given=f"{value!r} ({type(value).__name__})",
        allowed=" ".join([kind, *ends]),
        remedy=f"correct {name}",
    )


@dataclass(frozen=True)
class Tether:
    """Harmonic springs that hold all atoms of some species at their start positions.

    Each tethered atom feels F = -alpha (r - r0) on its unwrapped position and adds
    alpha |r - r0|^2 / 2 to the energy.

    Attributes
    ----------
    species
        Chemical symbols.
    alpha_ev_a2
        Spring constant in eV/A^2.
    """

    species: tuple[str, ...]
    alpha_ev_a2: float

    def __post_init__(self) -> None:
        species = self.species
        species = (species,) if isinstance(species, str) else tuple(species)
        object.__setattr__(self, "species", species)
        if not species or not all(isinstance(symbol, str) for symbol in species):
            raise InputError(
                "a tether names no species",
                given=repr(self.species),
                allowed="one or more chemical symbols",
                remedy="write for example Tether(('Ta',), alpha_ev_a2=5.0)",
            )
        require_number("tether alpha_ev_a2", self.alpha_ev_a2, lower=0, exclusive=True)


@dataclass(frozen=True)
class MDSettings:
    """Settings of one MD run.

    Attributes
    ----------
    ensemble
        ``nve``, ``nvt-langevin``, ``nvt-nose-hoover``, ``npt-isotropic`` (volume moves,
        for glasses) or ``npt-full`` (the whole cell moves, for crystals).
    temperature_k
        Target, and temperature of the velocities drawn at the start, in K.
    n_steps
        Total number of steps of the run; calling again never adds to it.
    temperature_end_k
        Target at the last step of a linear ramp from `temperature_k`, in K.
    timestep_fs
        In fs.
    pressure_gpa
        Target of the barostat, in GPa.
    thermostat_time_fs, barostat_time_fs
        Characteristic times of the Nose-Hoover chain and the Martyna-Tobias-Klein barostat, in fs.
    friction_per_ps
        Friction of the Langevin thermostat, in 1/ps.
    seed
        Decides the start velocities and the Langevin noise.
    tether
        Springs on some species; constant volume only.
    trajectory_interval
        Steps between stored frames; frame 0 is the start.
    checkpoint_interval
        At most about so many steps are lost when the process is killed; rounded up to the
        next multiple of `sync_interval`.
    guard_interval
        Steps between looks at the guards.
    sync_interval
        Steps after which calculators are made to forget neighbour lists and other history.
        Runs stop, checkpoint and resume only there, which makes a resumed run equal to an
        uninterrupted one bit for bit.
    chunk_frames
        Frames in one trajectory file.
    """

    ensemble: str
    temperature_k: float
    n_steps: int
    temperature_end_k: float | None = None
    timestep_fs: float = 2.0
    pressure_gpa: float = 0.0
    thermostat_time_fs: float = 100.0
    barostat_time_fs: float = 1000.0
    friction_per_ps: float = 10.0
    seed: int = 0
    tether: Tether | None = None
    trajectory_interval: int = 10
    checkpoint_interval: int = 500
    guard_interval: int = 10
    sync_interval: int = 50
    chunk_frames: int = 200

    def __post_init__(self) -> None:
        if self.ensemble not in ENSEMBLES:
            raise InputError(
                "unknown ensemble of an MD run",
                given=repr(self.ensemble),
                allowed=ENSEMBLES,
                remedy="choose one of them",
            )
        self._check_ranges()
        self._check_combinations()

    def _check_ranges(self) -> None:
        for name in ("temperature_k", "temperature_end_k"):
            value = getattr(self, name)
            if name == "temperature_k" or value is not None:
                require_number(name, value, lower=0, upper=_MAX_TEMPERATURE_K, exclusive=True)
        timestep = self.timestep_fs
        require_number("timestep_fs", timestep, lower=0, upper=_MAX_TIMESTEP_FS, exclusive=True)
        require_number(
            "pressure_gpa", self.pressure_gpa, lower=-_MAX_PRESSURE_GPA, upper=_MAX_PRESSURE_GPA
        )
        require_number("friction_per_ps", self.friction_per_ps, lower=0, exclusive=True)
        shortest = _MIN_STEPS_PER_PERIOD * timestep
        if self.ensemble in _EXTENDED_SYSTEM:
            require_number("thermostat_time_fs", self.thermostat_time_fs, lower=shortest)
        if self.ensemble in CONSTANT_PRESSURE:
            require_number("barostat_time_fs", self.barostat_time_fs, lower=shortest)
        require_number("seed", self.seed, lower=0, integer=True)
        counts = (
            "n_steps",
            "chunk_frames",
            *(f.name for f in fields(self) if "_interval" in f.name),
        )
        for name in counts:
            require_number(name, getattr(self, name), lower=1, integer=True)

    def _check_combinations(self) -> None:
        if self.tether is not None and self.ensemble in CONSTANT_PRESSURE:
            raise InputError(
                "a tether needs constant volume",
                given=f"{self.tether} with ensemble {self.ensemble}",
                allowed=[name for name in ENSEMBLES if name not in CONSTANT_PRESSURE],
                remedy="equilibrate the cell first, then tether in NVT or NVE",
            )
        if self.pressure_gpa != 0 and self.ensemble not in CONSTANT_PRESSURE:
            raise InputError(
                "a target pressure has no effect at constant volume",
                given=f"pressure_gpa={self.pressure_gpa} with ensemble {self.ensemble}",
                allowed=CONSTANT_PRESSURE,
                remedy="leave out pressure_gpa or choose a constant-pressure ensemble",
            )
        if self.temperature_end_k is not None and self.ensemble == "nve":
            raise InputError(
                "a temperature ramp needs a thermostat",
                given=f"temperature_end_k={self.temperature_end_k} with ensemble nve",
                allowed=ENSEMBLES[1:],
                remedy="leave out temperature_end_k or choose another ensemble",
            )

    @property
    def is_ramp(self) -> bool:
        """Whether the target temperature changes during the run."""
        return self.temperature_end_k is not None and self.temperature_end_k != self.temperature_k

    def target_temperature_k(self, step: int) -> float:
        """Return the target after `step` steps, in K; after the last one the end of the ramp."""
        if self.temperature_end_k is None or not self.is_ramp:
            return float(self.temperature_k)
        fraction = step / self.n_steps
        return (1.0 - fraction) * self.temperature_k + fraction * self.temperature_end_k

    def degrees_of_freedom(self, n_atoms: int) -> int:
        """Return the number of thermal momenta: without a tether the centre of mass is at rest."""
        return 3 * n_atoms if self.tether is not None else 3 * n_atoms - 3

    def physics(self) -> dict[str, Any]:
        """Return what decides the trajectory (for a ramp this includes its length)."""
        kept = asdict(self)
        for name in _NOT_PHYSICS:
            if name != "n_steps" or not self.is_ramp:
                del kept[name]
        return kept
