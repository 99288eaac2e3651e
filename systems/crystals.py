"""Crystal models: supercells of the phase library, as near to a cube as their size allows."""

from __future__ import annotations

from itertools import product
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from ..errors import CompositionError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from .phases import Phase

_SYMPREC_A = 1e-3
_WIDTH_TOLERANCE_A = 1e-6
_SIZE_WINDOW = 1.3
_MOST_SKEW_CELLS = 8
_SKEW_GAIN = 1.1


def crystal_model(
    phase: Phase,
    *,
    max_atoms: int | None = None,
    min_atoms: int | None = None,
    min_mobile: int | None = None,
    mobile: str = "Na",
) -> Structure:
    """Return a supercell of a phase that is as near to a cube as its size allows.

    Multiples of the conventional cell along its axes are compared by their narrowest
    width; the smallest of the widest is taken. A lower limit is met with at most 1.3 times
    the fewest cells that can meet it. Under an upper limit, supercells of the primitive
    cell with other axes (up to 8 cells, LLL-reduced) are looked at too, and one is taken
    where its images are at least 10 % farther apart.

    Parameters
    ----------
    phase
        A phase of the library.
    max_atoms
        Most atoms.
    min_atoms, min_mobile
        Fewest atoms, fewest mobile ions.
    mobile
        The mobile ion.

    Returns
    -------
    Structure
        The conventional cell where no limit is given.

    Raises
    ------
    InputError
        If a limit is not positive, or the limits exclude every supercell.
    CompositionError
        If mobile ions are asked of a phase without any.
    """
    _check_limits(max_atoms=max_atoms, min_atoms=min_atoms, min_mobile=min_mobile)
    conventional = phase.structure()
    if max_atoms is None and min_atoms is None and min_mobile is None:
        return conventional
    fewest = _fewest_atoms(conventional, phase, min_atoms, min_mobile, mobile)
    most = max_atoms
    if most is None or fewest > 1:
        cells = -(-fewest // len(conventional))
        enough = ceil(cells * _SIZE_WINDOW) * len(conventional)
        most = enough if most is None else min(most, enough)
    straight = _straight(conventional, fewest, most)
    skew = _skew(conventional, fewest, most) if max_atoms is not None else None
    if straight is None and skew is None:
        raise InputError(
            f"no supercell of {phase.id} fits the limits",
            given=f"at most {max_atoms} atoms, at least {fewest}",
            allowed=f"multiples of the primitive cell's {len(_primitive(conventional))} atoms",
            remedy="raise max_atoms or lower the other limits",
        )
    if straight is None:
        return skew
    if skew is None or _image_distance_a(skew) < _SKEW_GAIN * _image_distance_a(straight):
        return straight
    return skew


def _check_limits(**limits: int | None) -> None:
    for name, limit in limits.items():
        if limit is not None and limit < 1:
            raise InputError(
                f"{name} of a crystal model is not positive",
                given=limit,
                allowed="whole numbers from 1 on",
                remedy=f"raise {name} or leave it out",
            )


def _fewest_atoms(
    cell: Structure, phase: Phase, min_atoms: int | None, min_mobile: int | None, mobile: str
) -> int:
    n_mobile = int(cell.composition[mobile])
    if min_mobile is None:
        return min_atoms or 1
    if n_mobile == 0:
        raise CompositionError(
            f"phase {phase.id} holds no {mobile}",
            given=phase.formula,
            allowed=f"phases with {mobile}",
            remedy="leave min_mobile out or name another mobile ion",
        )
    return max(min_atoms or 1, -(-min_mobile * len(cell) // n_mobile))


def _primitive(cell: Structure) -> Structure:
    return SpacegroupAnalyzer(cell, _SYMPREC_A).get_primitive_standard_structure()


def _image_distance_a(cell: Structure) -> float:
    """Return the shortest distance between an atom and its periodic image."""
    return float(min(cell.lattice.get_lll_reduced_lattice().abc))


def _straight(cell: Structure, fewest: int, most: int) -> Structure | None:
    """Return the multiple along the axes with the largest narrowest width, if any fits."""
    widths = cell.volume / np.linalg.norm(
        np.cross(cell.lattice.matrix[[1, 2, 0]], cell.lattice.matrix[[2, 0, 1]]), axis=1
    )
    best: tuple[float, int, tuple[int, int, int]] | None = None
    for i, j, k in product(range(1, most // len(cell) + 1), repeat=3):
        if not fewest <= i * j * k * len(cell) <= most:
            continue
        width = float((widths * (i, j, k)).min())
        if (
            best is None
            or width > best[0] + _WIDTH_TOLERANCE_A
            or (width > best[0] - _WIDTH_TOLERANCE_A and i * j * k < best[1])
        ):
            best = (width, i * j * k, (i, j, k))
    return cell.make_supercell(best[2], in_place=False) if best else None


def _skew(cell: Structure, fewest: int, most: int) -> Structure | None:
    """Return the supercell of the primitive cell with the farthest images, if any fits."""
    primitive = _primitive(cell)
    n_atoms = len(primitive)
    best: tuple[float, NDArray[np.int64]] | None = None
    for n_cells in range(-(-fewest // n_atoms), min(most // n_atoms, _MOST_SKEW_CELLS) + 1):
        for matrix in _hermite_matrices(n_cells):
            lattice = Lattice(matrix @ primitive.lattice.matrix).get_lll_reduced_lattice()
            distance = float(min(lattice.abc))
            if best is None or distance > best[0] + _WIDTH_TOLERANCE_A:
                best = (distance, matrix)
    if best is None:
        return None
    return primitive.make_supercell(best[1], in_place=False).get_reduced_structure("LLL")


def _hermite_matrices(determinant: int) -> Iterator[NDArray[np.int64]]:
    """Yield one matrix (3, 3) for each superlattice of this many cells."""
    for a, b in product(range(1, determinant + 1), repeat=2):
        if determinant % (a * b):
            continue
        c = determinant // (a * b)
        for d, e, f in product(range(b), range(c), range(c)):
            yield np.array([[a, d, e], [0, b, f], [0, 0, c]])
