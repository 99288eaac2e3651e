"""The tables of a speciation: shares of polyhedra, roles, links and chains, with their errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .bonded import decode
from .polyhedra import ROLES
from .populations import SHIFTS, Population, Tally, population, ranked

if TYPE_CHECKING:
    from .frames import FloatArray, IntArray
    from .polyhedra import Counts, Rules

_MODES = ("corner", "edge", "face")


@dataclass(frozen=True, slots=True)
class ChainLengths:
    """Connected sets of centres.

    Attributes
    ----------
    rule
        When two centres are linked.
    lengths
        Share of the sets that have n centres, keyed n; sets without end apart.
    endless
        Share of the centres in sets that reach their own periodic image: chains without end.
    mean_length
        Centres per set with ends.
    """

    rule: str
    lengths: dict[int, Population]
    endless: Population
    mean_length: Population


@dataclass(frozen=True, slots=True)
class Retention:
    """Whether ligands stay with the centres.

    Attributes
    ----------
    ligand
        Species.
    distance_a
        Largest distance to the nearest centre that counts as staying, A.
    fraction
        Share of the ligands that stay.
    n_beyond
        Ligands farther from every centre, in each frame, shape (n_frames,).
    """

    ligand: str
    distance_a: float
    fraction: Population
    n_beyond: IntArray


@dataclass(frozen=True, slots=True)
class Speciation:
    """Polyhedra around network formers, with block errors and cut-off sensitivity.

    Attributes
    ----------
    cutoffs_a
        Longest bond, A, keyed ``"Ta-O"``.
    cutoff_shift_a
        How much shorter and longer all cut-offs were for the sensitivity, A.
    n_frames, n_centres
        Frames, and centres in each.
    species
        Shares of the polyhedra of each centre species, ``"TaO2Cl4"``, most frequent first.
    coordination
        Mean ligands around a centre, keyed ``"Ta-O"``.
    roles
        Shares of each ligand species that are free, terminal (one centre) or bridging.
    sharing
        Neighbouring centres per centre that share a corner, an edge or a face (one, two, three
        or more ligands), keyed ``"corner"`` and so on.
    links
        Shares of all links by centres, mode and shared ligands, ``"Ta-Ta edge Cl2"``.
    chains_by_distance, chains_by_bridges
        Sets of centres closer than a distance, and of centres that share a ligand of one of
        the bridging species.
    retention
        Keyed by ligand species.
    """

    cutoffs_a: dict[str, float]
    cutoff_shift_a: float
    n_frames: int
    n_centres: int
    species: dict[str, tuple[Population, ...]]
    coordination: dict[str, Population]
    roles: dict[str, tuple[Population, ...]]
    sharing: dict[str, Population]
    links: tuple[Population, ...]
    chains_by_distance: ChainLengths
    chains_by_bridges: ChainLengths
    retention: dict[str, Retention]


def tabulate(rules: Rules, counts: Counts) -> Speciation:
    """Turn counts into shares with errors and cut-off sensitivity."""
    kinds = counts.kinds
    blocks = np.broadcast_to(counts.frames_in_block, (len(SHIFTS), len(counts.frames_in_block)))
    centres = np.bincount(kinds.centre_kind, minlength=len(rules.centres))
    ligands = np.bincount(kinds.ligand_kind, minlength=len(rules.ligands))
    n_centres, n_frames = int(centres.sum()), int(counts.frames_in_block.sum())
    return Speciation(
        cutoffs_a={
            f"{m}-{x}": float(rules.cutoffs_a[i, j])
            for i, m in enumerate(rules.centres)
            for j, x in enumerate(rules.ligands)
        },
        cutoff_shift_a=rules.shift_a,
        n_frames=n_frames,
        n_centres=n_centres,
        species={
            m: _polyhedra(rules, counts.polyhedra, i, blocks * centres[i])
            for i, m in enumerate(rules.centres)
        },
        coordination={
            f"{m}-{x}": population(
                f"{m}-{x}",
                counts.bonds.of(i * len(rules.ligands) + j),
                blocks * centres[i],
                n_frames=n_frames,
            )
            for i, m in enumerate(rules.centres)
            for j, x in enumerate(rules.ligands)
        },
        roles={
            x: tuple(
                population(
                    role,
                    counts.roles.of(j * len(ROLES) + k),
                    blocks * ligands[j],
                    n_frames=n_frames,
                    most=1.0,
                )
                for k, role in enumerate(ROLES)
            )
            for j, x in enumerate(rules.ligands)
        },
        sharing=_sharing(rules, counts.links, blocks * n_centres),
        links=_links(rules, counts.links),
        chains_by_distance=_chains(
            f"closer than {rules.link_cutoff_a:g} A", counts.sets_by_distance, blocks * n_centres
        ),
        chains_by_bridges=_chains(
            f"sharing {' or '.join(np.array(rules.ligands)[rules.bridges]) or 'nothing'}",
            counts.sets_by_bridges,
            blocks * n_centres,
        ),
        retention={
            x: Retention(
                ligand=x,
                distance_a=rules.retention_a,
                fraction=population(
                    x, counts.retained.of(j), blocks * ligands[j], n_frames=n_frames, most=1.0
                ),
                n_beyond=counts.n_beyond[j],
            )
            for j, x in enumerate(rules.ligands)
        },
    )


def _polyhedra(
    rules: Rules, tally: Tally, centre: int, totals: FloatArray
) -> tuple[Population, ...]:
    n_centres = len(rules.centres)
    labels = {
        rules.centres[centre] + _formula(rules, code // n_centres): counts
        for code, counts in tally.counts.items()
        if code % n_centres == centre
    }
    return ranked(labels, totals, tally.n_frames)


def _formula(rules: Rules, code: int) -> str:
    numbers = decode(code, len(rules.ligands))
    return "".join(
        f"{ligand}{number if number > 1 else ''}"
        for ligand, number in zip(rules.ligands, numbers, strict=True)
        if number
    )


def _mode(rules: Rules, code: int) -> str:
    return _MODES[min(sum(decode(code, len(rules.ligands))), len(_MODES)) - 1]


def _sharing(rules: Rules, tally: Tally, totals: FloatArray) -> dict[str, Population]:
    counts = {mode: np.zeros_like(totals) for mode in _MODES}
    for code, found in tally.counts.items():
        counts[_mode(rules, code // len(rules.centres) ** 2)] += 2.0 * found
    return {
        mode: population(mode, found, totals, n_frames=tally.n_frames)
        for mode, found in counts.items()
    }


def _links(rules: Rules, tally: Tally) -> tuple[Population, ...]:
    n_centres = len(rules.centres)
    labels = {}
    for code, counts in tally.counts.items():
        shared, pair = divmod(code, n_centres**2)
        first, second = divmod(pair, n_centres)
        ends = f"{rules.centres[first]}-{rules.centres[second]}"
        labels[f"{ends} {_mode(rules, shared)} {_formula(rules, shared)}"] = counts
    totals = sum(labels.values(), np.zeros((len(SHIFTS), tally.n_blocks)))
    return ranked(labels, totals, tally.n_frames)


def _chains(rule: str, tally: Tally, centres: FloatArray) -> ChainLengths:
    sizes = sorted(size for size in tally.counts if size > 0)
    nothing = np.zeros_like(centres)
    sets = sum((tally.of(size) for size in sizes), nothing)
    in_sets = sum((size * tally.of(size) for size in sizes), nothing)
    return ChainLengths(
        rule=rule,
        lengths={
            size: population(str(size), tally.of(size), sets, n_frames=tally.n_frames, most=1.0)
            for size in sizes
        },
        endless=population(
            "endless", centres - in_sets, centres, n_frames=tally.n_frames, most=1.0
        ),
        mean_length=population("mean length", in_sets, sets, n_frames=tally.n_frames),
    )
