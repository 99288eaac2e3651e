"""What goes into a VASP calculation: INCAR, KPOINTS, POSCAR and the names of the POTCARs.

Built on the sets of pymatgen (MP24) and atomate2 (molecular dynamics); no POTCAR and no VASP is
needed to make them.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from ..errors import InputError
from .durable import write_durably
from .vasp_levels import POTCAR_FUNCTIONAL, UNREAD, potcar_symbols, vasp_level
from .vasp_potcars import potcar_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pymatgen.core import Structure
    from pymatgen.io.vasp import Incar, Kpoints

    from .vasp_levels import VaspLevel

Ensemble = Literal["nvt", "npt", "nve", "rescale"]
MachineLearning = Literal["train", "refit", "run"]
_XC: Final[Mapping[str, Mapping[str, Any]]] = {
    "r2SCAN": {"METAGGA": "R2SCAN", "GGA": None},
    "PBE": {"METAGGA": None, "GGA": "PE"},
}
_RESCALE: Final = {"MDALGO": 0, "SMASS": -1, "ISIF": 2, "ANDERSEN_PROB": None}
"""Velocities are scaled to the temperature of the ramp at every step."""
_RELAXED_CELL: Final = {True: 3, False: 2}
_TETRAHEDRA: Final = -5
_FEWEST_FOR_TETRAHEDRA: Final = 4
_KBAR_PER_GPA: Final = 10.0


@dataclass(frozen=True)
class VaspInputs:
    """One calculation before it runs.

    Attributes
    ----------
    incar
        Tags and values.
    kpoints
        Mesh; ``None`` where the INCAR gives a spacing.
    structure
        With the sites of a species together, as a POSCAR wants them, and their velocities if
        there are any.
    order
        Index in the structure that was given, of each site here.
    potcars
        Symbols such as ``Na_pv``, in the order of the POSCAR.
    """

    incar: Incar
    kpoints: Kpoints | None
    structure: Structure
    order: tuple[int, ...]
    potcars: tuple[str, ...]

    @property
    def n_steps(self) -> int:
        """Ionic steps at most."""
        return int(self.incar.get("NSW", 0))

    def write(self, directory: Path, *, with_potcars: bool = True) -> None:
        """Write the files.

        Parameters
        ----------
        directory
            There already.
        with_potcars
            Else their names alone go into a POTCAR.spec, with which VASP cannot run.

        Raises
        ------
        MissingDependencyError
            pymatgen has not been told where the POTCARs are.
        PotentialError
            One of them is not there.
        """
        from pymatgen.io.vasp import Poscar  # noqa: PLC0415  (a second to import)

        files = {"INCAR": str(self.incar)}
        if self.kpoints is not None:
            files["KPOINTS"] = str(self.kpoints)
        files["POSCAR"] = Poscar(self.structure, sort_structure=False).get_str(
            significant_figures=16
        )
        if with_potcars:
            files["POTCAR"] = potcar_text(self.potcars)
        else:
            files["POTCAR.spec"] = "\n".join(self.potcars)
        for name, text in files.items():
            write_durably(directory / name, text.encode())


@dataclass(frozen=True)
class MDSegment:
    """A stretch of molecular dynamics.

    Attributes
    ----------
    name
        Within its run, e.g. ``"quench"``.
    n_steps, timestep_fs
        Its length.
    start_k, end_k
        Temperatures between which the thermostat's target moves linearly.
    ensemble
        ``nvt`` (Nose-Hoover), ``npt`` (Langevin, Parrinello-Rahman), ``nve``, or ``rescale``:
        velocities scaled to the target at every step.
    pressure_gpa
        Of ``npt``.
    learning
        ``train`` a force field on the fly, ``refit`` what was learnt for speed, ``run`` with
        it; ``None`` for DFT at every step.
    """

    name: str
    n_steps: int
    start_k: float
    end_k: float
    timestep_fs: float
    ensemble: Ensemble = "nvt"
    pressure_gpa: float = 0.0
    learning: MachineLearning | None = None

    def target_k(self, step: int) -> float:
        """Return the target temperature at `step`."""
        share = step / self.n_steps if self.n_steps else 1.0
        return self.start_k + (self.end_k - self.start_k) * share


def relaxation(
    level: str,
    structure: Structure,
    *,
    first: bool = False,
    fmax_ev_a: float | None = None,
    max_steps: int = 99,
    cell: bool = True,
) -> VaspInputs:
    """Return the input of a relaxation.

    Parameters
    ----------
    level
        Of `VASP_LEVELS`.
    structure
        Start.
    first
        Take the cheaper functional with which the level relaxes first (PBEsol before r2SCAN).
    fmax_ev_a
        Largest force on an atom at convergence, eV/A; default: the level's.
    max_steps
        Ionic steps at most.
    cell
        Relax the cell too.

    Raises
    ------
    UnknownNameError
        VASP evaluates no such level.
    InputError
        It relaxes with one functional alone, or there is no POTCAR for an element.
    """
    known = vasp_level(level)
    if first and known.first_xc is None:
        raise InputError(
            "this level relaxes with one functional only",
            given=level,
            remedy="ask for its main relaxation",
        )
    criterion = known.fmax_ev_a if fmax_ev_a is None else fmax_ev_a
    tags = {
        **UNREAD,
        **known.incar,
        "NSW": max_steps,
        "EDIFFG": -criterion,
        "ISIF": _RELAXED_CELL[cell],
        "LWAVE": True,  # the next calculation starts from it
    }
    xc = known.first_xc if first else known.xc
    return _mp24_inputs("MP24RelaxSet", known, str(xc), structure, tags)


def static(level: str, structure: Structure, *, labels: bool = False) -> VaspInputs:
    """Return the input of an energy, with forces and stress.

    Parameters
    ----------
    level, structure
        As `relaxation`.
    labels
        Gaussian smearing whatever the mesh, so that labels of many frames go together.

    Raises
    ------
    UnknownNameError, InputError
        As `relaxation`.
    """
    known = vasp_level(level)
    ismear = 0 if labels else known.static_ismear
    if ismear == _TETRAHEDRA and math.prod(mesh_of(level, structure)) < _FEWEST_FOR_TETRAHEDRA:
        ismear = 0
    tags = {
        **UNREAD,
        **known.incar,
        "ISMEAR": ismear,
        "IBRION": -1,
        "EDIFFG": None,
        "ISIF": _RELAXED_CELL[False],  # stress is computed, nothing moves
        "LCHARG": False,
    }
    return _mp24_inputs("MP24StaticSet", known, known.xc, structure, tags)


def dynamics(level: str, structure: Structure, segment: MDSegment, *, seed: int) -> VaspInputs:
    """Return the input of a stretch of molecular dynamics at the Gamma point.

    Parameters
    ----------
    level
        Of `VASP_LEVELS`.
    structure
        Start, with the site property ``velocities`` in A/fs if it goes on from another.
    segment
        What to do.
    seed
        Of velocities and Langevin noise that VASP draws.

    Raises
    ------
    UnknownNameError, InputError
        As `relaxation`.
    """
    from atomate2.vasp.sets.core import MDSetGenerator  # noqa: PLC0415  (a second to import)
    from pymatgen.io.vasp import Kpoints  # noqa: PLC0415  (idem)

    known = vasp_level(level)
    ordered, order = _by_species(structure)
    tags = {
        **UNREAD,
        "GGA": None,
        "LMIXTAU": None,
        "LORBIT": None,
        "LASPH": True,
        "SIGMA": 0.05,
        **_XC[known.xc],
        **known.incar,
        **known.md_incar,
        "EDIFFG": None,
        "KPAR": None,
        "RANDOM_SEED": f"{seed} 0 0",
    }
    if segment.ensemble == "rescale":
        tags |= _RESCALE
    if segment.ensemble == "npt":
        tags["PSTRESS"] = segment.pressure_gpa * _KBAR_PER_GPA
    if segment.learning is not None:
        tags |= {"ML_LMLFF": True, "ML_MODE": segment.learning}
    generator = partial(
        MDSetGenerator,
        ensemble="nve" if segment.ensemble == "rescale" else segment.ensemble,
        start_temp=segment.start_k,
        end_temp=segment.end_k,
        nsteps=segment.n_steps,
        time_step=segment.timestep_fs,
        auto_ispin=False,
        user_incar_settings=tags,
        user_kpoints_settings=Kpoints.gamma_automatic((1, 1, 1)),
        user_potcar_functional=POTCAR_FUNCTIONAL,
        user_potcar_settings=potcar_symbols(),
    )
    return _inputs(generator, ordered, order)


def heat_and_quench(
    final_k: float,
    *,
    melt_k: float = 1200.0,
    melt_ps: float = 5.0,
    rate_k_fs: float = 0.1,
    hold_ps: float = 10.0,
    timestep_fs: float = 2.0,
) -> list[MDSegment]:
    """Return the heat-and-quench of Lin et al. (x Na2O2-MCl_y) as stretches of MD.

    The paper states NVE throughout; a run at constant energy cannot follow a ramp. This is our
    reading: velocities are scaled along melt and ramp (SMASS = -1), the hold is NVE.

    Parameters
    ----------
    final_k
        End of the ramp; published are 500, 600 and 1000 K.
    melt_k, melt_ps, rate_k_fs, hold_ps, timestep_fs
        As published: 1200 K for 5 ps, 0.1 K/fs, 10 ps, 2 fs.

    Raises
    ------
    InputError
        If the ramp does not cool.
    """
    if not 0 < final_k < melt_k:
        raise InputError(
            "a quench ends below the melt",
            given=f"{final_k:g} K after {melt_k:g} K",
            allowed=f"between 0 and {melt_k:g} K",
            remedy="lower the final temperature",
        )
    steps = [round(1000 * ps / timestep_fs) for ps in (melt_ps, hold_ps)]
    ramp = round((melt_k - final_k) / rate_k_fs / timestep_fs)
    return [
        MDSegment("melt", steps[0], melt_k, melt_k, timestep_fs, "rescale"),
        MDSegment("quench", ramp, melt_k, final_k, timestep_fs, "rescale"),
        MDSegment("hold", steps[1], final_k, final_k, timestep_fs, "nve"),
    ]


def _mp24_inputs(
    name: str, level: VaspLevel, xc: str, structure: Structure, tags: dict[str, Any]
) -> VaspInputs:
    from pymatgen.io.vasp import sets  # noqa: PLC0415  (a second to import)

    ordered, order = _by_species(structure)
    mesh = None
    if level.mesh_length_a is not None:
        tags["KSPACING"] = None
        mesh = _gamma_mesh(level.mesh_length_a, ordered)
    generator = partial(
        getattr(sets, name),
        xc_functional=xc,
        user_incar_settings=tags,
        user_kpoints_settings=mesh,
        auto_kspacing=level.mesh_length_a is None,
        sort_structure=False,
    )
    return _inputs(generator, ordered, order)


def _inputs(
    generator: Callable[[], Any], structure: Structure, order: tuple[int, ...]
) -> VaspInputs:
    symbols = [e.symbol for e in structure.composition.elements]
    if missing := sorted(set(symbols) - potcar_symbols().keys()):
        raise InputError(
            f"there is no POTCAR for {', '.join(missing)} in the settings of VASP",
            given=structure.composition.reduced_formula,
            remedy="take a potential that covers it",
        )
    with warnings.catch_warnings():
        # the POTCARs are one release for all levels, on purpose
        warnings.filterwarnings("ignore", message="Overriding (the POTCAR functional|POTCARs)")
        # said of every set with Gaussian smearing; custodian looks at the gap after the run
        warnings.filterwarnings("ignore", message="Relaxation of likely metal")
        made = generator().get_input_set(structure, potcar_spec=True)
    kpoints = made.get("KPOINTS")
    potcars = tuple(str(made["POTCAR.spec"]).split())
    return VaspInputs(made["INCAR"], kpoints, structure, order, potcars)


def _by_species(structure: Structure) -> tuple[Structure, tuple[int, ...]]:
    """Return the structure with equal species together, and where each site comes from."""
    order = sorted(range(len(structure)), key=lambda i: (structure[i].specie.X, structure[i].label))
    ordered = structure.from_sites([structure[i] for i in order])
    return ordered.remove_oxidation_states(), tuple(order)


def _gamma_mesh(length_a: float, structure: Structure) -> Kpoints:
    from pymatgen.io.vasp import Kpoints  # noqa: PLC0415  (a second to import)

    return Kpoints.gamma_automatic(
        tuple(max(1, int(length_a / abc)) for abc in structure.lattice.abc)
    )


def mesh_of(level: str, structure: Structure) -> tuple[int, int, int]:
    """Return the k-mesh of energies at `level` before symmetry, as VASP takes it."""
    known = vasp_level(level)
    if known.mesh_length_a is not None:
        a, b, c = _gamma_mesh(known.mesh_length_a, structure).kpts[0]
        return int(a), int(b), int(c)
    a, b, c = (
        max(1, math.ceil(length / known.kspacing))
        for length in structure.lattice.reciprocal_lattice.abc
    )
    return a, b, c
