"""Start structures of glasses: whole formula units packed at random into a periodic box."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np
from pymatgen.core import Lattice, Structure

from ..errors import CompositionError, HaloflowError, InputError, MissingDependencyError
from ..units import density_g_cm3

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .mixture import IntegerUnits, Mixture

PEROXIDE_BOND_A: Final = 1.49
DEFAULT_DENSITY_SCALE: Final = 0.9
"""Melts and glasses of these systems are about a tenth lighter than their components."""

DEFAULT_TOLERANCE_A: Final = 2.4
SIZE_FACTORS: Final = {"O": 0.85, "S": 1.1, "Cl": 1.1}
"""Share of the tolerance that an element keeps to its neighbours; 1 where not named."""

_SHRINK: Final = (1.0, 0.92, 0.85, 0.78, 0.7)
_LARGEST_SEED: Final = 2**31 - 1
_LARGEST_DENSITY_SCALE: Final = 1.5
_TIMEOUT_S: Final = 120.0
_MAX_LOOPS: Final = 20
_EXPECTED_CODES: Final = (0, 173)


@dataclass(frozen=True)
class _Block:
    """Equal rigid units: single atoms, or pairs along z at a fixed distance."""

    element: str
    number: int
    bond_a: float | None = None

    @property
    def size(self) -> int:
        return 1 if self.bond_a is None else 2

    @property
    def factor(self) -> float:
        return SIZE_FACTORS.get(self.element, 1.0)


@dataclass(frozen=True)
class PackedBox:
    """A packed cubic box and how it was made.

    Attributes
    ----------
    structure
        Sites in blocks of one element; the two atoms of a peroxide unit are neighbours in
        the list.
    units
        Formula units in it.
    seed
        Seed of packmol.
    density_g_cm3
        Its density.
    density_components_g_cm3
        Density of the unmixed components.
    min_distance_a
        Smallest distance between atoms of different units.
    tolerance_a
        Distance that was asked of packmol in the attempt that succeeded.
    packer
        Name and version of the program.
    """

    structure: Structure
    units: IntegerUnits
    seed: int
    density_g_cm3: float
    density_components_g_cm3: float
    min_distance_a: float
    tolerance_a: float
    packer: str


def pack(
    mixture: Mixture,
    units: IntegerUnits,
    *,
    seed: int,
    density_scale: float = DEFAULT_DENSITY_SCALE,
    tolerance_a: float = DEFAULT_TOLERANCE_A,
) -> PackedBox:
    """Pack whole formula units into a periodic cubic box with packmol.

    Atoms are placed singly, but for the O2 units of peroxides, which stay whole at 1.49 A.
    Two atoms of different units keep the mean of their elements' shares of `tolerance_a`
    (`SIZE_FACTORS`). Where that cannot be met, it is tried again with smaller distances,
    down to 0.7 of them. The same arguments give the same box.

    Parameters
    ----------
    mixture, units
        What to pack; `units` come from ``mixture.integer_units``.
    seed
        0 to 2^31 - 1.
    density_scale
        Density over that of the unmixed components.
    tolerance_a
        Smallest distance in angstrom.

    Raises
    ------
    InputError
        If the seed, the density scale or the tolerance is out of range.
    CompositionError
        If the units are of another mixture, or do not fit into the box.
    MissingDependencyError
        If packmol is not installed.
    HaloflowError
        If packmol crashes.
    """
    _check("seed", seed, 0, _LARGEST_SEED)
    _check("density_scale", density_scale, 0.1, _LARGEST_DENSITY_SCALE)
    _check("tolerance_a", tolerance_a, 1.0, 4.0)
    blocks = _blocks(mixture, units)
    volume_a3 = mixture.volume_a3(units.counts)
    lattice = Lattice.cubic((volume_a3 / density_scale) ** (1 / 3))
    for shrink in _SHRINK:
        tolerance = tolerance_a * shrink
        positions = _run_packmol(blocks, lattice.a, seed, tolerance)
        if positions is None:
            continue
        species = [block.element for block in blocks for _ in range(block.number * block.size)]
        structure = Structure(
            lattice, species, positions, coords_are_cartesian=True, to_unit_cell=True
        )
        distances, wanted = _distances(structure, blocks)
        if (distances >= tolerance * wanted * (1 - 1e-3)).all():
            weight = float(units.composition.weight)
            return PackedBox(
                structure=structure,
                units=units,
                seed=seed,
                density_g_cm3=density_g_cm3(weight, lattice.volume),
                density_components_g_cm3=density_g_cm3(weight, volume_a3),
                min_distance_a=float(distances.min()),
                tolerance_a=tolerance,
                packer=f"packmol {version('packmol')}",
            )
    raise CompositionError(
        f"{mixture.label} cannot be packed",
        given=f"{units.n_atoms} atoms in a box of {lattice.a:.2f} A at density_scale "
        f"{density_scale:g}, tolerance_a {tolerance_a:g}",
        allowed=f"boxes with room for {tolerance_a * _SHRINK[-1]:.2f} A between atoms",
        remedy="lower density_scale or tolerance_a",
    )


def _check(name: str, value: float, lower: float, upper: float) -> None:
    if not lower <= value <= upper:
        raise InputError(
            f"{name} of a packing is out of range",
            given=value,
            allowed=f"{lower:g} to {upper:g}",
            remedy=f"choose another {name}",
        )


def _blocks(mixture: Mixture, units: IntegerUnits) -> list[_Block]:
    """Split the units into single atoms by element, and O2 pairs."""
    if set(units.counts) != {part.formula for part in mixture.amounts}:
        raise CompositionError(
            "the formula units to pack belong to another mixture",
            given=list(units.counts),
            allowed=[part.formula for part in mixture.amounts],
            remedy="take them from integer_units of this mixture",
        )
    singles: dict[str, int] = {}
    pairs = 0
    for part in mixture.amounts:
        for symbol, amount in part.composition.get_el_amt_dict().items():
            n = round(amount * units.counts[part.formula])
            if symbol == "O" and part.is_peroxide:
                pairs += n // 2
                n %= 2
            singles[symbol] = singles.get(symbol, 0) + n
    blocks = [_Block(symbol, n) for symbol, n in sorted(singles.items()) if n]
    return [*blocks, _Block("O", pairs, PEROXIDE_BOND_A)] if pairs else blocks


def _run_packmol(
    blocks: list[_Block], box_a: float, seed: int, tolerance_a: float
) -> NDArray[np.float64] | None:
    """Return Cartesian positions (n_atoms, 3) in angstrom, or None if packmol gave none."""
    with TemporaryDirectory(prefix="haloflow-pack-") as name:
        folder = Path(name)
        lines = [
            f"tolerance {tolerance_a:.6f}",
            "filetype xyz",
            "output packed.xyz",
            f"seed {seed}",
            f"nloop {_MAX_LOOPS}",
            f"pbc {box_a:.8f} {box_a:.8f} {box_a:.8f}",
        ]
        for index, block in enumerate(blocks):
            atoms = [
                f"{block.element} 0 0 {(block.bond_a or 0.0) * k:.6f}" for k in range(block.size)
            ]
            (folder / f"{index}.xyz").write_text("\n".join([str(block.size), "", *atoms, ""]))
            lines += [
                f"structure {index}.xyz",
                f"  number {block.number}",
                f"  radius {0.5 * tolerance_a * block.factor:.6f}",
                "end structure",
            ]
        script = folder / "pack.inp"
        script.write_text("\n".join([*lines, ""]))
        with script.open() as stdin:  # packmol reads its input twice: a pipe will not do
            try:
                done = subprocess.run(  # noqa: S603  (the wheel's own binary, no user text)
                    [_packmol()],
                    stdin=stdin,
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    timeout=_TIMEOUT_S,
                    check=False,
                )
            except subprocess.TimeoutExpired:  # no packing in time: the caller tries another
                return None
        if done.returncode not in _EXPECTED_CODES:
            output = (done.stderr or done.stdout).strip()
            raise HaloflowError(
                "packmol failed",
                given=f"exit status {done.returncode}: {output[-400:]}",
                allowed="exit status 0, or 173 for an imperfect packing",
                remedy="reinstall it: pip install --force-reinstall packmol",
            )
        packed = folder / "packed.xyz"
        return np.loadtxt(packed, skiprows=2, usecols=(1, 2, 3)) if packed.exists() else None


def _packmol() -> str:
    try:
        from packmol.cli import get_binary_path  # noqa: PLC0415  (optional on odd platforms)

        return str(get_binary_path())
    except (ImportError, FileNotFoundError) as error:
        raise MissingDependencyError(
            "packmol is needed to pack glass structures and is not installed",
            remedy="pip install -c constraints.txt packmol",
        ) from error


def _distances(
    structure: Structure, blocks: list[_Block]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return distances between atoms of different units, and their shares of the tolerance."""
    unit = np.concatenate([np.repeat(np.arange(b.number), b.size) for b in blocks])
    block = np.repeat(np.arange(len(blocks)), [b.number * b.size for b in blocks])
    factor = np.array([b.factor for b in blocks])[block]
    first, second = np.triu_indices(len(structure), k=1)
    other = (unit[first] != unit[second]) | (block[first] != block[second])
    first, second = first[other], second[other]
    distances = structure.distance_matrix[first, second]
    return distances, 0.5 * (factor[first] + factor[second])
