"""Octahedra that share corners in chains: their ligands, their chains and their axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..errors import AnalysisError
from .frames import as_frames, as_species, require_species
from .neighbours import PairVectors, pair_vectors_within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from .frames import BoolArray, FloatArray, IntArray

BRIDGE_CUTOFF_A = 2.8
TERMINAL_CUTOFF_A = 3.1
LOST_BOND_A = 3.6
_N_AXIAL = 2
_N_EQUATORIAL = 4
_COORDINATES_PER_BLOCK = 1_000_000


@dataclass(frozen=True, slots=True)
class Octahedra:
    """Octahedra of one structure, ready to be followed through a trajectory.

    Attributes
    ----------
    centres
        Atom index of each centre, shape (n_octahedra,).
    ligands
        Atom indices, shape (n_octahedra, 6): the bridging pair, tail then head in the sense
        of the chain, then the four terminal ones counter-clockwise about tail-to-head.
    fractional_bonds
        From centre to ligand, fractional, shape (n_octahedra, 6, 3): says which image.
    chain
        Number of the chain, shape (n_octahedra,).
    n_left_out
        Centres without two bridging and four terminal ligands.
    """

    centres: IntArray
    ligands: IntArray
    fractional_bonds: FloatArray
    chain: IntArray
    n_left_out: int

    @property
    def n_chains(self) -> int:
        """Number of chains."""
        return int(self.chain.max()) + 1


@dataclass(frozen=True, slots=True)
class OctahedronAxes:
    """Unit vectors of followed octahedra; NaN while one of the six bonds is broken.

    Attributes
    ----------
    bridge
        From tail to head of the bridging pair (O-M-O), shape (n_frames, n_octahedra, 3).
    terminal
        Along the two diagonals of the terminal ligands (Cl-M-Cl), shape
        (n_frames, n_octahedra, 2, 3).
    chain
        Number of the chain, shape (n_octahedra,).
    """

    bridge: NDArray[np.float32]
    terminal: NDArray[np.float32]
    chain: IntArray

    @property
    def intact(self) -> BoolArray:
        """Whether all six bonds stand, shape (n_frames, n_octahedra)."""
        found: BoolArray = np.isfinite(self.bridge[..., 0])
        return found

    @property
    def intact_fraction(self) -> float:
        """Share of octahedra and frames with all six bonds."""
        return float(self.intact.mean())


def find_octahedra(
    positions: ArrayLike,
    cell: ArrayLike,
    species: Sequence[str],
    *,
    former: str,
    bridging: str = "O",
    terminal: str = "Cl",
    cutoffs_a: tuple[float, float] = (BRIDGE_CUTOFF_A, TERMINAL_CUTOFF_A),
) -> Octahedra:
    """Find octahedra of two bridging and four terminal ligands, and their chains.

    Centres that share a bridging atom belong to one chain (components of the corner-sharing
    graph). Signs and labels are fixed here, once, and then follow the ligands:

    * tail and head: the head of one octahedron is the tail of the next one of its chain, and
      chains run the same way, as far as they are parallel;
    * terminal ligands are counted from the one nearest to a common direction, so that equal
      octahedra carry equal labels: of the four equivalent ways to name a diagonal, the most
      aligned is taken.

    Parameters
    ----------
    positions, cell, species
        One structure, best the crystal or the first frame: A, shapes (n_atoms, 3) and (3, 3),
        and symbols (n_atoms,).
    former, bridging, terminal
        Symbols of the centre and of its ligands.
    cutoffs_a
        Longest bond to a bridging and to a terminal ligand, A; of more ligands the nearest
        two and four count.

    Raises
    ------
    AnalysisError
        For arrays that do not fit, a species that does not occur, or no octahedron at all.
    """
    frames, boxes = as_frames(positions, cell)
    if len(frames) != 1:
        raise AnalysisError(
            "octahedra are found in one structure at a time",
            given=f"{len(frames)} frames",
            remedy="pass the first frame, or the crystal",
        )
    symbols = as_species(species, frames.shape[1])
    require_species([former, bridging, terminal], symbols)
    pairs = pair_vectors_within(frames[0], boxes[0], max(cutoffs_a))
    centres, ligands, bonds = [], [], []
    for centre in np.flatnonzero(symbols == former):
        axial = _nearest(pairs, int(centre), symbols == bridging, cutoffs_a[0], _N_AXIAL)
        around = _nearest(pairs, int(centre), symbols == terminal, cutoffs_a[1], _N_EQUATORIAL)
        if axial is not None and around is not None:
            chosen = np.concatenate([axial, around])
            centres.append(int(centre))
            ligands.append(pairs.second[chosen])
            bonds.append(pairs.vector_a[chosen])
    if not centres:
        raise AnalysisError(
            f"no {former} has two {bridging} and four {terminal} around it",
            given=f"{int((symbols == former).sum())} {former}, cutoffs {cutoffs_a} A",
            remedy="pass the crystal, or longer cutoffs",
        )
    return _labelled(
        np.array(centres), np.array(ligands), np.array(bonds), boxes[0], symbols == former
    )


def _nearest(
    pairs: PairVectors, centre: int, allowed: BoolArray, cutoff_a: float, number: int
) -> IntArray | None:
    found = np.flatnonzero(
        (pairs.first == centre) & allowed[pairs.second] & (pairs.distance_a <= cutoff_a)
    )
    if len(found) < number:
        return None
    order: IntArray = found[np.argsort(pairs.distance_a[found], kind="stable")[:number]]
    return order


def _labelled(
    centres: IntArray, ligands: IntArray, bonds: FloatArray, cell: FloatArray, formers: BoolArray
) -> Octahedra:
    bridges, chain = _chains(ligands[:, :_N_AXIAL])
    _run_one_way(bridges, ligands, bonds)
    axis = _unit(bonds[:, 1] - bonds[:, 0])
    common = np.linalg.eigh(axis.T @ axis)[1][:, -1]
    common *= np.sign(common[np.abs(common).argmax()])
    for number in range(int(chain.max()) + 1):
        members = chain == number
        if axis[members].sum(axis=0) @ common < 0.0:
            ligands[members, :2] = ligands[members, 1::-1]
            bonds[members, :2] = bonds[members, 1::-1]
            axis[members] *= -1.0
    reference = bonds[0, _N_AXIAL] - (bonds[0, _N_AXIAL] @ axis[0]) * axis[0]
    for i, along in enumerate(axis):
        order = _N_AXIAL + _counter_clockwise(bonds[i, _N_AXIAL:], along, reference)
        ligands[i, _N_AXIAL:] = ligands[i, order]
        bonds[i, _N_AXIAL:] = bonds[i, order]
    return Octahedra(
        centres=centres,
        ligands=ligands,
        fractional_bonds=bonds @ np.linalg.inv(cell),
        chain=chain,
        n_left_out=int(formers.sum()) - len(centres),
    )


def _chains(axial: IntArray) -> tuple[dict[int, list[tuple[int, int]]], IntArray]:
    """Return who holds each bridging atom, as (octahedron, end), and the chain numbers."""
    bridges: dict[int, list[tuple[int, int]]] = {}
    for octahedron, ends in enumerate(axial.tolist()):
        for end, atom in enumerate(ends):
            bridges.setdefault(atom, []).append((octahedron, end))
    links = [(held[0][0], other) for held in bridges.values() for other, _ in held[1:]]
    first, second = (np.array(links, dtype=np.int64).reshape(-1, 2)).T
    n = len(axial)
    graph = coo_array((np.ones(len(links)), (first, second)), shape=(n, n))
    chain = connected_components(graph, directed=False)[1].astype(np.int64)
    return bridges, chain


def _run_one_way(
    bridges: dict[int, list[tuple[int, int]]], ligands: IntArray, bonds: FloatArray
) -> None:
    """Swap ends until each head is the tail of the next octahedron."""
    seen: set[int] = set()
    flipped = np.zeros(len(ligands), dtype=np.int64)
    for start in range(len(ligands)):
        waiting = [start] if start not in seen else []
        seen.add(start)
        while waiting:
            here = waiting.pop()
            for atom in ligands[here, :2].tolist():
                own = {end ^ int(flipped[here]) for who, end in bridges[atom] if who == here}
                for other, end in bridges[atom]:
                    if other not in seen:
                        seen.add(other)
                        flipped[other] = int(end in own)
                        waiting.append(other)
    swap = flipped.astype(bool)
    ligands[swap, :2] = ligands[swap, 1::-1]
    bonds[swap, :2] = bonds[swap, 1::-1]


def _counter_clockwise(bonds: FloatArray, along: FloatArray, reference: FloatArray) -> IntArray:
    """Return the order of the ligands about an axis, from the one nearest to `reference`."""
    first = reference - (reference @ along) * along
    if np.linalg.norm(first) < np.finfo(np.float32).eps * np.linalg.norm(reference):
        first = bonds[0] - (bonds[0] @ along) * along
    first = _unit(first)
    angles = np.arctan2(bonds @ np.cross(along, first), bonds @ first)
    order = np.argsort(angles)
    nearest = int(np.abs(angles[order]).argmin())
    turned: IntArray = np.roll(order, -nearest)
    return turned


def _unit(vectors: FloatArray) -> FloatArray:
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def bond_blocks(
    positions: ArrayLike, cells: ArrayLike, octahedra: Octahedra
) -> Iterator[tuple[slice, FloatArray]]:
    """Yield the bonds of octahedra, followed through a trajectory, in blocks of frames.

    Each bond takes the periodic image nearest to its own in the frame before, so that
    wrapped and unwrapped positions give the same.

    Parameters
    ----------
    positions, cells
        A, shapes (n_frames, n_atoms, 3) and (n_frames, 3, 3) or (3, 3).
    octahedra
        Found in a structure with the same order of atoms.

    Yields
    ------
    slice, FloatArray
        Frames, and bonds in A, shape (frames, n_octahedra, 6, 3).
    """
    frames, boxes = np.asarray(positions), np.asarray(cells)
    if octahedra.ligands.max() >= frames.shape[-2]:
        raise AnalysisError(
            "the octahedra do not fit the trajectory",
            given=f"atom {octahedra.ligands.max()} of {frames.shape[-2]} atoms",
            remedy="find them in a frame of this trajectory",
        )
    length = max(1, _COORDINATES_PER_BLOCK // max(1, frames[:1].size))
    last = octahedra.fractional_bonds
    for start in range(0, len(frames), length):
        part = slice(start, min(start + length, len(frames)))
        block, box = as_frames(
            frames[part], boxes[part] if boxes.ndim == frames.ndim else boxes, start
        )
        fractional = np.einsum("fai,fij->faj", block, np.linalg.inv(box))
        bonds = fractional[:, octahedra.ligands] - fractional[:, octahedra.centres][:, :, None]
        steps = np.diff(bonds, axis=0, prepend=last[None])
        steps -= np.rint(steps)
        bonds = last + np.cumsum(steps, axis=0)
        last = bonds[-1]
        yield part, np.einsum("fmli,fij->fmlj", bonds, box)


def octahedron_axes(
    positions: ArrayLike,
    cells: ArrayLike,
    octahedra: Octahedra,
    *,
    lost_bond_a: float = LOST_BOND_A,
) -> OctahedronAxes:
    """Return the axes of octahedra in every frame.

    The O-M-O axis runs from tail to head ligand, the two Cl-M-Cl axes along the diagonals of
    the terminal ligands. Ligands keep the labels that they were given, so that an octahedron
    that turns by 180 degrees turns its axes over.

    Parameters
    ----------
    positions, cells, octahedra
        As in :func:`bond_blocks`.
    lost_bond_a
        Bond length, A, beyond which an octahedron counts as broken in that frame.

    Raises
    ------
    AnalysisError
        For arrays that do not fit.
    """
    n_frames = len(np.asarray(positions))
    bridge = np.full((n_frames, len(octahedra.centres), 3), np.nan, dtype=np.float32)
    terminal = np.full((n_frames, len(octahedra.centres), 2, 3), np.nan, dtype=np.float32)
    for part, bonds in bond_blocks(positions, cells, octahedra):
        intact = (np.linalg.norm(bonds, axis=-1) <= lost_bond_a).all(axis=-1)
        bridge[part][intact] = _unit(bonds[:, :, 1] - bonds[:, :, 0])[intact]
        terminal[part][intact] = _unit(bonds[:, :, 2:4] - bonds[:, :, 4:6])[intact]
    return OctahedronAxes(bridge, terminal, octahedra.chain)
