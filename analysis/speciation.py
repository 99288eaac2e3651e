"""Which polyhedra a network former makes, what they share, and how long their chains are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .blocks import N_BLOCKS, block_of_frame
from .frames import as_species, as_trajectory, frame_blocks, require_species
from .polyhedra import Counts, Rules
from .rdf import first_minimum_a, pair_distributions
from .speciation_tables import Speciation, tabulate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from .frames import FloatArray

LIGANDS = ("O", "S", "Cl", "Br", "I", "F")
CUTOFF_SHIFT_A = 0.1
LINK_CUTOFF_A = 4.5
"""First minimum of g_MM of NaMOCl4 (r* of chains), A."""
RETENTION_A = 3.0
_FRAMES_FOR_CUTOFFS = 100
_RANGE_FOR_CUTOFFS_A = 5.0
_BINS_FOR_CUTOFFS = 100
_SPLIT_SHELL_A = 0.6


def bond_cutoffs(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    *,
    centres: Sequence[str],
    ligands: Sequence[str],
) -> dict[tuple[str, str], float]:
    """Return the first minimum of g(r) of each centre and ligand, A, from at most 100 frames.

    Peaks within 0.6 A of the first belong to the same shell: the short and the long bonds of
    a centre that is off the middle of its polyhedron.

    Raises
    ------
    AnalysisError
        If a pair has no first shell within 5 A, or as in :func:`pair_distributions`.
    """
    frames, boxes = as_trajectory(positions, cells)
    kept = np.unique(np.linspace(0, max(len(frames) - 1, 0), _FRAMES_FOR_CUTOFFS).astype(np.int64))
    kept = kept[: len(frames)]
    found = pair_distributions(
        frames[kept],
        boxes[kept],
        species,
        r_max_a=_RANGE_FOR_CUTOFFS_A,
        n_bins=_BINS_FOR_CUTOFFS,
        n_blocks=1,
    )
    cutoffs = {}
    for centre in centres:
        for ligand in ligands:
            minimum = first_minimum_a(found.around(centre, ligand), split_a=_SPLIT_SHELL_A)
            if minimum is None:
                raise AnalysisError(
                    "a pair of species has no first shell to take its cut-off from",
                    given=f"{centre}-{ligand} within {_RANGE_FOR_CUTOFFS_A:g} A",
                    remedy="pass cutoffs_a",
                )
            cutoffs[centre, ligand] = minimum
    return cutoffs


def speciation(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    *,
    centres: Sequence[str],
    ligands: Sequence[str] | None = None,
    cutoffs_a: Mapping[tuple[str, str], float] | float | None = None,
    cutoff_shift_a: float = CUTOFF_SHIFT_A,
    link_cutoff_a: float = LINK_CUTOFF_A,
    bridges: Sequence[str] = ("O",),
    retention_a: float = RETENTION_A,
    n_blocks: int = N_BLOCKS,
) -> Speciation:
    """Return the polyhedra around network formers and how they are joined.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3) or (n_atoms, 3), wrapped or not; a memory
        map is read in blocks.
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3), of any size: images count.
    species
        Element symbols, shape (n_atoms,).
    centres
        Network formers, one or several.
    ligands
        Species around them, in the order of the labels; default: all anions present.
    cutoffs_a
        Longest bond of each centre and ligand, A, or one for all; default: the first minima of
        g(r), see :func:`bond_cutoffs`.
    cutoff_shift_a
        Shift of all cut-offs for the sensitivity, A.
    link_cutoff_a
        Centres closer than this belong to the same chain, A: the first minimum of g_MM.
    bridges
        Ligands that join centres to a chain in `chains_by_bridges`.
    retention_a
        Distance from the nearest centre up to which a ligand counts as retained, A; it is
        shifted with the cut-offs.
    n_blocks
        Contiguous blocks of frames for the errors.

    Raises
    ------
    AnalysisError
        For arrays that do not fit, no frames, species that do not occur, a species that is
        both centre and ligand, missing or impossible cut-offs.
    """
    frames, boxes = as_trajectory(positions, cells)
    symbols = as_species(species, frames.shape[1])
    around = [x for x in LIGANDS if x in symbols] if ligands is None else list(ligands)
    _check(centres, around, symbols, len(frames))
    if cutoffs_a is None:
        cutoffs_a = bond_cutoffs(frames, boxes, species, centres=centres, ligands=around)
    rules = Rules(
        centres=tuple(centres),
        ligands=tuple(around),
        cutoffs_a=_cutoff_table(centres, around, cutoffs_a, cutoff_shift_a),
        shift_a=cutoff_shift_a,
        link_cutoff_a=link_cutoff_a,
        retention_a=retention_a,
        bridges=np.isin(around, list(bridges)),
    )
    counts = Counts(rules, symbols, block_of_frame(len(frames), n_blocks))
    for start, block, cells_of_block in frame_blocks(frames, boxes):
        counts.add(start, block, cells_of_block)
    return tabulate(rules, counts)


def _check(
    centres: Sequence[str], ligands: Sequence[str], symbols: NDArray[np.str_], n_frames: int
) -> None:
    require_species([*centres, *ligands], symbols)
    both = sorted(set(centres) & set(ligands))
    if both or not centres or not ligands or not n_frames:
        raise AnalysisError(
            "polyhedra need centres, other species as ligands, and frames",
            given=f"centres {', '.join(centres) or 'none'}; "
            f"ligands {', '.join(ligands) or 'none'}; {n_frames} frames",
        )


def _cutoff_table(
    centres: Sequence[str],
    ligands: Sequence[str],
    cutoffs_a: Mapping[tuple[str, str], float] | float,
    shift_a: float,
) -> FloatArray:
    if not isinstance(cutoffs_a, Mapping):
        cutoffs_a = {(m, x): float(cutoffs_a) for m in centres for x in ligands}
    missing = [f"{m}-{x}" for m in centres for x in ligands if (m, x) not in cutoffs_a]
    if missing:
        raise AnalysisError(
            "a bond has no cut-off",
            given=f"none for {', '.join(missing)}",
            remedy="give one for each centre and ligand, or none at all",
        )
    table = np.array([[cutoffs_a[m, x] for x in ligands] for m in centres], dtype=np.float64)
    if not (shift_a >= 0.0 and (table > shift_a).all()):
        raise AnalysisError(
            "a bond cut-off must be longer than its shift",
            given=f"{table.min():g} A shifted by {shift_a:g} A",
            allowed="a shift of 0 or more, and longer cut-offs",
        )
    return table
