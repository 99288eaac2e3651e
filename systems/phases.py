"""The phase library: crystals that compete with, or are, the electrolytes."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import spglib
from pymatgen.core import Composition, Lattice, Structure

from ..errors import InputError, UnknownNameError
from .data import Row, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Role = Literal["reference", "hypothetical", "target"]

REFERENCE_LEVEL = "chgnet-0.4.2-r2scan"
"""Level of theory of all geometries of the library, and of the energies in it."""

SPECIAL_POSITION_TOLERANCE_A = 0.05
"""Images of a site closer than this are one atom: stored coordinates are rounded to 1e-5."""


class SpaceGroup(Row):
    """Space group and, through the Hall number of spglib's table, its setting."""

    number: int
    symbol: str
    hall_number: int


class CellParameters(Row):
    """Conventional cell in angstrom and degrees."""

    a: float
    b: float
    c: float
    alpha: float
    beta: float
    gamma: float


class Site(Row):
    """One site of the asymmetric unit, fractional coordinates."""

    element: str
    wyckoff: str
    xyz: tuple[float, float, float]

    @property
    def multiplicity(self) -> int:
        """Atoms per conventional cell."""
        return int(self.wyckoff.rstrip("abcdefghijklmnopqrstuvwxyzA"))


class Phase(Row):
    """A crystal of the library.

    Attributes
    ----------
    role
        ``reference``: the compound is known; ``hypothetical``: no experimental report is
        known; ``target``: an electrolyte crystal of a study.
    origin, reference
        Where the starting structure came from, before relaxation at `REFERENCE_LEVEL`.
    reference_checked
        False when the starting structure was typed from memory.
    energy_per_atom_ev
        Energy of the stored geometry, keyed by level of theory.
    """

    id: str
    formula: str
    name: str
    role: Role
    chemsys: tuple[str, ...]
    space_group: SpaceGroup
    lattice: CellParameters
    sites: tuple[Site, ...]
    origin: str
    reference: str
    reference_checked: bool
    energy_per_atom_ev: dict[str, float]
    note: str = ""

    @property
    def composition(self) -> Composition:
        """Composition of one formula unit."""
        return Composition(self.formula)

    @property
    def elements(self) -> frozenset[str]:
        """Symbols of the elements."""
        return frozenset(site.element for site in self.sites)

    @property
    def n_atoms(self) -> int:
        """Atoms in the conventional cell."""
        return sum(site.multiplicity for site in self.sites)

    @property
    def volume_a3_per_atom(self) -> float:
        """Cell volume over the number of atoms, in cubic angstrom."""
        return float(_lattice(self.lattice).volume) / self.n_atoms

    @property
    def searched(self) -> bool:
        """Whether the structure, or a part of it, comes from a random search."""
        return bool(re.search(r"random[- ](packing )?search", f"{self.name} {self.reference}"))

    @property
    def caution(self) -> str:
        """What a reader must know wherever the phase is shown; empty when nothing."""
        parts = []
        if self.searched:
            part = ", framework of an isotype" if "isotype" in self.origin else ""
            parts.append(f"searched model{part}, not a measured structure")
        elif self.origin.startswith("model"):
            parts.append("model structure, not a measured one")
        elif self.origin.startswith("isotype"):
            parts.append(f"modelled as {self.origin}")
        if self.role == "hypothetical":
            parts.append("hypothetical: no experimental report known")
        if not self.reference_checked:
            parts.append("unverified: starting structure typed from memory")
        if self.note:
            parts.append(self.note)
        return "; ".join(parts)

    def structure(self) -> Structure:
        """Build the conventional cell from the asymmetric unit in the stored setting.

        Images of a special position that coincide within
        `SPECIAL_POSITION_TOLERANCE_A` are merged into their mean.

        Raises
        ------
        InputError
            If a site does not lie on its Wyckoff position.
        """
        lattice = _lattice(self.lattice)
        symmetry = spglib.get_symmetry_from_database(self.space_group.hall_number)
        species: list[str] = []
        coordinates: list[NDArray[np.float64]] = []
        for site in self.sites:
            images = symmetry["rotations"] @ np.array(site.xyz) + symmetry["translations"]
            orbit = _merge(images, lattice)
            if len(orbit) != site.multiplicity:
                raise InputError(
                    f"the {site.element} site of phase {self.id} is off its Wyckoff position",
                    given=f"{site.wyckoff} at {site.xyz}, which has {len(orbit)} images",
                    allowed=f"{site.multiplicity} images",
                    remedy="correct the coordinates, the Wyckoff letter or the Hall number",
                )
            species += [site.element] * len(orbit)
            coordinates += orbit
        return Structure(lattice, species, coordinates, to_unit_cell=True)


def _lattice(cell: CellParameters) -> Lattice:
    return Lattice.from_parameters(**cell.model_dump())


def _merge(images: NDArray[np.float64], lattice: Lattice) -> list[NDArray[np.float64]]:
    """Merge fractional `images` (n, 3) that coincide modulo the lattice into their means."""
    delta = images[:, None] - images[None, :]
    delta -= np.round(delta)
    close = np.linalg.norm(delta @ lattice.matrix, axis=-1) < SPECIAL_POSITION_TOLERANCE_A
    firsts = [i for i in range(len(images)) if not close[i, :i].any()]
    return [images[i] - delta[i, close[i]].mean(axis=0) for i in firsts]


def read_phases(path: Path) -> dict[str, Phase]:
    """Read a phase file of the user, in the format of the package's own ``phases.yaml``."""
    return _by_id(read_yaml(path))


@cache
def load_phases() -> Mapping[str, Phase]:
    """Return all phases of the package, by id, in the order of the file."""
    return _by_id(read_yaml("phases.yaml"))


def _by_id(rows: list[dict[str, object]]) -> dict[str, Phase]:
    phases = [Phase.model_validate(row) for row in rows]
    by_id = {phase.id: phase for phase in phases}
    if len(by_id) < len(phases):
        raise InputError(
            "two phases have the same id",
            given=sorted({p.id for p in phases if [q.id for q in phases].count(p.id) > 1}),
            remedy="rename one of them",
        )
    return by_id


def get_phase(phase_id: str) -> Phase:
    """Return the phase with this id; an unknown one raises UnknownNameError."""
    phases = load_phases()
    if phase_id not in phases:
        raise UnknownNameError.of("phase", phase_id, phases)
    return phases[phase_id]


def phases_within(elements: Iterable[str], roles: Iterable[Role] = ("reference",)) -> list[Phase]:
    """Return the phases of these `roles` that hold no element but `elements`."""
    return list(_phases_within(frozenset(elements), frozenset(roles)))


@lru_cache(maxsize=1024)
def _phases_within(allowed: frozenset[str], roles: frozenset[Role]) -> tuple[Phase, ...]:
    return tuple(p for p in load_phases().values() if p.role in roles and p.elements <= allowed)


def reference_polymorph(composition: Composition) -> Phase | None:
    """Return the reference phase of this composition with the lowest stored energy, if any."""
    return _lowest_reference(tuple(sorted(composition.get_el_amt_dict().items())))


@lru_cache(maxsize=4096)
def _lowest_reference(amounts: tuple[tuple[str, float], ...]) -> Phase | None:
    target = Composition(dict(amounts)).fractional_composition
    same = [
        phase
        for phase in load_phases().values()
        if phase.role == "reference"
        and phase.composition.fractional_composition.almost_equals(target)
    ]
    return min(same, key=lambda phase: phase.energy_per_atom_ev[REFERENCE_LEVEL], default=None)
