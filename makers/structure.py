"""Structure of one run: pairs and scattering, polyhedra, octahedra, surroundings of the ion."""

from __future__ import annotations

from collections import Counter
from itertools import combinations_with_replacement, product
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.axis_correlation import axis_correlation, fourfold_correlation
from ..analysis.bonds import ANIONS, bond_cutoffs_a, bond_series
from ..analysis.cell_lengths import cell_lengths
from ..analysis.environment import ion_environment
from ..analysis.free_volume import free_volume
from ..analysis.librations import librations, terminal_angular_density
from ..analysis.octahedra import find_octahedra, octahedron_axes
from ..analysis.powder import crystal_pattern, glass_pattern
from ..analysis.rdf import (
    coordination_quantity,
    first_minimum_a,
    pair_distributions,
)
from ..analysis.speciation import CUTOFF_SHIFT_A, LIGANDS, RETENTION_A, speciation
from ..analysis.xray import reduced_pdf, total_scattering
from ..errors import AnalysisError
from ..stores.analyses import (
    ChainAnalysis,
    CoordinationAnalysis,
    EnvironmentAnalysis,
    OctahedraAnalysis,
    PatternAnalysis,
    PopulationAnalysis,
    RdfAnalysis,
    ScatteringAnalysis,
    SpeciationAnalysis,
    StructureAnalysis,
)
from ..systems.formulae import place_in_formula
from .curves import if_possible, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..analysis.glass import Crystal
    from ..analysis.passage import Passage
    from ..analysis.populations import Population
    from ..analysis.rdf import PairDistributions, PartialRdf
    from ..analysis.speciation_tables import ChainLengths
    from ..quantity import Quantity

_RDF_RANGE_A = 10.0
_RDF_BINS = 200
_PDF_R_A = np.arange(0.5, 10.0001, 0.05)
_TWO_THETA_DEG = np.arange(8.0, 60.01, 0.2)
_ATOMS_FOR_SCATTERING = 12_000
_ATOMS_FOR_SURROUNDINGS = 40_000
_ATOMS_FOR_VOLUME = 8_000
BRIDGES = ("O", "S")


def measure_structure(
    passage: Passage, *, crystal: bool = False, references: Mapping[str, Crystal] | None = None
) -> StructureAnalysis:
    """Return the pair structure of the frames sampled from a run, and what X-rays would see.

    Parameters
    ----------
    passage
        The trajectory.
    crystal
        Whether the powder pattern is that of a crystal whose reflections are sharp.
    references
        Crystals by name whose powder patterns are to be compared with.
    """
    symbols = passage.species.tolist()
    patterns = {name: _at_rest(reference) for name, reference in (references or {}).items()}
    found = pair_distributions(
        passage.sample_a,
        passage.sample_cells_a,
        symbols,
        r_max_a=_RDF_RANGE_A,
        n_bins=_RDF_BINS,
    )
    names = sorted(found.numbers, key=place_in_formula)
    cell = cell_lengths(passage.cells_a)
    return StructureAnalysis(
        n_frames=len(passage.sample_a),
        cell_lengths_a=list(cell.lengths_a),
        cell_angles_deg=list(cell.angles_deg),
        rdf={
            f"{a}-{b}": _rdf(found.around(a, b)) for a, b in combinations_with_replacement(names, 2)
        },
        coordination=_coordination(found, names),
        scattering=if_possible(lambda: _scattering(passage, symbols, patterns, crystal=crystal)),
    )


def _rdf(found: PartialRdf) -> RdfAnalysis:
    return RdfAnalysis(
        r_a=numbers(found.r_a),
        g=numbers(found.g),
        running_coordination=numbers(found.coordination_at_r),
    )


def _coordination(found: PairDistributions, names: list[str]) -> dict[str, CoordinationAnalysis]:
    shells = {}
    for centre, partner in product(names, names):
        rdf = found.around(centre, partner)
        cutoff = first_minimum_a(rdf)
        if cutoff is not None:
            n = coordination_quantity(rdf, cutoff)
            shells[f"{centre}-{partner}"] = CoordinationAnalysis(
                n=n.value or 0.0, sd=n.sd, cutoff_a=cutoff
            )
    return shells


def _scattering(
    passage: Passage, symbols: list[str], crystals: dict[str, PatternAnalysis], *, crystal: bool
) -> ScatteringAnalysis:
    part = _some(passage, _ATOMS_FOR_SCATTERING)
    frames, cells = passage.sample_a[part], passage.sample_cells_a[part]
    total = total_scattering(frames, cells, symbols)
    pdf = reduced_pdf(total, _PDF_R_A)
    pattern = (crystal_pattern if crystal else glass_pattern)(
        frames, cells, symbols, two_theta_deg=_TWO_THETA_DEG
    )
    return ScatteringAnalysis(
        q_inv_a=numbers(total.q_inv_a),
        s=numbers(total.s),
        r_a=numbers(pdf.r_a),
        g_inv_a2=numbers(pdf.g_inv_a2),
        q_max_inv_a=pdf.q_max_inv_a,
        window=pdf.window,
        method=total.method,
        two_theta_deg=numbers(pattern.two_theta_deg),
        intensity_e2_per_atom=numbers(pattern.intensity_e2_per_atom),
        crystals=crystals,
    )


def _at_rest(crystal: Crystal) -> PatternAnalysis:
    pattern = crystal_pattern(
        crystal.positions, crystal.cell, crystal.species, two_theta_deg=_TWO_THETA_DEG
    )
    return PatternAnalysis(
        two_theta_deg=numbers(pattern.two_theta_deg),
        intensity_e2_per_atom=numbers(pattern.intensity_e2_per_atom),
    )


def _some(passage: Passage, n_atoms: int) -> slice:
    """Return which sampled frames to take so that they hold about so many atoms."""
    n_frames = max(2, n_atoms // len(passage.species))
    return slice(None, None, max(1, -(-len(passage.sample_a) // n_frames)))


def network_formers(passage: Passage) -> list[str]:
    """Return the cations that do not move about, most frequent first."""
    counts = Counter(passage.species.tolist())
    return [
        name
        for name, _ in counts.most_common()
        if name != passage.mobile_species and name not in LIGANDS
    ]


def measure_speciation(passage: Passage) -> SpeciationAnalysis:
    """Return the polyhedra around the network formers of the sampled frames.

    Raises
    ------
    AnalysisError
        If there is no network former, or none has a first shell.
    """
    symbols = passage.species.tolist()
    formers = network_formers(passage)
    if not formers:
        raise AnalysisError(
            "there is no network former",
            given=sorted(set(symbols)),
            allowed="a cation besides the mobile one",
        )
    found = speciation(
        passage.sample_a,
        passage.sample_cells_a,
        symbols,
        centres=formers,
        bridges=[name for name in BRIDGES if name in symbols] or ["Cl"],
    )
    return SpeciationAnalysis(
        cutoffs_a=found.cutoffs_a,
        cutoff_shift_a=found.cutoff_shift_a,
        n_frames=found.n_frames,
        populations=_labelled(row for rows in found.species.values() for row in rows),
        coordination=_populations(found.coordination),
        roles={name: _labelled(rows) for name, rows in found.roles.items()},
        sharing=_populations(found.sharing),
        links=_labelled(found.links),
        chains_by_distance=_chains(found.chains_by_distance),
        chains_by_bridges=_chains(found.chains_by_bridges),
        retention=_populations({name: one.fraction for name, one in found.retention.items()}),
        retention_distance_a=RETENTION_A,
        anion_bonds=_anion_bonds(passage, symbols),
    )


def _anion_bonds(passage: Passage, symbols: list[str]) -> dict[str, PopulationAnalysis]:
    """Return the mean number of covalent bonds between the anions that are there."""
    cutoffs = bond_cutoffs_a(set(ANIONS) & set(symbols))
    if not cutoffs:
        return {}
    mean, shorter, longer = (
        bond_series(
            passage.sample_a,
            passage.sample_cells_a,
            symbols,
            cutoffs_a={pair: cutoff + shift for pair, cutoff in cutoffs.items()},
        ).mean
        for shift in (0.0, -CUTOFF_SHIFT_A, CUTOFF_SHIFT_A)
    )
    return {
        pair: PopulationAnalysis(
            value=found.value or 0.0,
            sd=found.sd,
            at_shorter=shorter[pair].value or 0.0,
            at_longer=longer[pair].value or 0.0,
        )
        for pair, found in mean.items()
    }


def _population(found: Population) -> PopulationAnalysis:
    return PopulationAnalysis(
        value=found.value.value or 0.0,
        sd=found.value.sd,
        at_shorter=found.at_shorter,
        at_longer=found.at_longer,
    )


def _labelled(rows: Iterable[Population]) -> dict[str, PopulationAnalysis]:
    return {row.label: _population(row) for row in rows}


def _populations(found: Mapping[str, Population]) -> dict[str, PopulationAnalysis]:
    return {name: _population(row) for name, row in found.items()}


def _chains(found: ChainLengths) -> ChainAnalysis:
    return ChainAnalysis(
        rule=found.rule,
        lengths={str(length): _population(row) for length, row in found.lengths.items()},
        endless=_population(found.endless),
        mean_length=_population(found.mean_length) if found.lengths else None,
    )


def measure_octahedra(passage: Passage) -> OctahedraAnalysis:
    """Return how the octahedra of the first sampled frame agree and turn through the run.

    Raises
    ------
    AnalysisError
        If there is no octahedron of two oxygen and four chlorine.
    """
    formers = network_formers(passage)
    octahedra = find_octahedra(
        passage.sample_a[0],
        passage.sample_cells_a[0],
        passage.species.tolist(),
        former=formers[0] if formers else "none",
    )
    axes = octahedron_axes(passage.sample_a, passage.sample_cells_a, octahedra)
    correlation: dict[str, Quantity] = {}
    for axis in ("bridge", "terminal"):
        found = axis_correlation(axes, axis)
        correlation[f"{axis}_intra_chain"] = found.intra_chain
        correlation[f"{axis}_inter_chain"] = found.inter_chain
        correlation[f"{axis}_intra_chain_unsigned"] = found.intra_chain_unsigned
        correlation[f"{axis}_inter_chain_unsigned"] = found.inter_chain_unsigned
    roll = fourfold_correlation(axes)
    correlation["fourfold_intra_chain"] = roll.intra_chain
    correlation["fourfold_inter_chain"] = roll.inter_chain
    turning = if_possible(lambda: librations(axes))
    angles = if_possible(
        lambda: terminal_angular_density(passage.sample_a, passage.sample_cells_a, octahedra, axes)
    )
    return OctahedraAnalysis(
        n_octahedra=len(octahedra.centres),
        n_chains=octahedra.n_chains,
        n_left_out=octahedra.n_left_out,
        intact_fraction=axes.intact_fraction,
        correlation=correlation,
        roll_deg=turning.roll_deg if turning else None,
        tilt_deg=turning.tilt_deg if turning else None,
        ligand_angle_deg=numbers(angles.angle_deg) if angles else [],
        ligand_density_per_degree=numbers(angles.density_per_degree) if angles else [],
        covered_fraction_of_a_ligand=angles.covered_fraction_of_a_ligand if angles else None,
    )


def measure_environment(passage: Passage) -> EnvironmentAnalysis:
    """Return the surroundings of the mobile ions and the room between the others.

    Raises
    ------
    AnalysisError
        If no mobile species was named, or no anion is around.
    """
    symbols = passage.species.tolist()
    mobile = passage.mobile_species or "none"
    part = _some(passage, _ATOMS_FOR_SURROUNDINGS)
    found = ion_environment(
        passage.sample_a[part], passage.sample_cells_a[part], symbols, mobile=mobile
    )
    few = _some(passage, _ATOMS_FOR_VOLUME)
    room = if_possible(
        lambda: free_volume(
            passage.sample_a[few], passage.sample_cells_a[few], symbols, mobile=mobile
        )
    )
    return EnvironmentAnalysis(
        octahedral=found.octahedral,
        prismatic=found.prismatic,
        other=found.other,
        shape_limit=found.limit,
        coordination=found.coordination,
        free_fraction=room.free_fraction if room else None,
        free_a3_per_mobile=room.free_a3_per_mobile if room else None,
        mobile_fraction=room.mobile_fraction if room else None,
        largest_probe_a=room.largest_probe_a if room else None,
    )
