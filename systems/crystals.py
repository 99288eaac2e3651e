"""Crystal models: supercells of the phase library, as near to a cube as their size allows."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from ..errors import CompositionError, InputError

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from .phases import Phase

_SYMPREC_A = 1e-3
_WIDTH_TOLERANCE_A = 1e-6
_SIZE_WINDOW = 1.3


def crystal_model(
    phase: Phase,
    *,
    max_atoms: int | None = None,
    min_atoms: int | None = None,
    min_mobile: int | None = None,
    mobile: str = "Na",
) -> Structure:
    """Return a supercell of a phase that is as wide as possible in its narrowest direction.

    Multiples of the conventional cell along its axes are compared, or of the primitive
    cell where the conventional one exceeds `max_atoms`. Among cells of equal width the
    smallest is taken. A lower limit is met with at most 1.3 times the fewest atoms that can
    meet it.

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
    base = phase.structure()
    if max_atoms is not None and len(base) > max_atoms:
        base = SpacegroupAnalyzer(base, _SYMPREC_A).get_primitive_standard_structure()
    if max_atoms is None and min_atoms is None and min_mobile is None:
        return base
    fewest = max(_fewest_cells(base, phase, min_atoms, min_mobile, mobile), 1)
    most = int(np.ceil(fewest * _SIZE_WINDOW))
    if max_atoms is not None:
        most = max_atoms // len(base)
        if min_atoms is not None or min_mobile is not None:
            most = min(most, int(np.ceil(fewest * _SIZE_WINDOW)))
    scaling = _widest(base, fewest, most)
    if scaling is None:
        raise InputError(
            f"no supercell of {phase.id} fits the limits",
            given=f"at most {max_atoms} atoms, at least {fewest * len(base)}",
            allowed=f"multiples of {len(base)} atoms",
            remedy="raise max_atoms or lower the other limits",
        )
    return base.make_supercell(scaling, in_place=False)


def _check_limits(**limits: int | None) -> None:
    for name, limit in limits.items():
        if limit is not None and limit < 1:
            raise InputError(
                f"{name} of a crystal model is not positive",
                given=limit,
                allowed="whole numbers from 1 on",
                remedy=f"raise {name} or leave it out",
            )


def _fewest_cells(
    base: Structure,
    phase: Phase,
    min_atoms: int | None,
    min_mobile: int | None,
    mobile: str,
) -> int:
    n_mobile = round(base.composition[mobile])
    if min_mobile is not None and n_mobile == 0:
        raise CompositionError(
            f"phase {phase.id} holds no {mobile}",
            given=phase.formula,
            allowed=f"phases with {mobile}",
            remedy="leave min_mobile out or name another mobile ion",
        )
    cells = -(-(min_atoms or 0) // len(base))
    return max(cells, -(-min_mobile // n_mobile)) if min_mobile is not None else cells


def _widest(base: Structure, fewest: int, most: int) -> tuple[int, int, int] | None:
    """Return the multiples with the largest smallest distance between opposite faces."""
    widths = base.volume / np.linalg.norm(
        np.cross(base.lattice.matrix[[1, 2, 0]], base.lattice.matrix[[2, 0, 1]]), axis=1
    )
    best: tuple[float, int, tuple[int, int, int]] | None = None
    for i, j, k in product(range(1, most + 1), repeat=3):
        if not fewest <= i * j * k <= most:
            continue
        width = float((widths * (i, j, k)).min())
        if (
            best is None
            or width > best[0] + _WIDTH_TOLERANCE_A
            or (width > best[0] - _WIDTH_TOLERANCE_A and i * j * k < best[1])
        ):
            best = (width, i * j * k, (i, j, k))
    return best[2] if best else None
