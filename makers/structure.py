"""Structure of one run: pair distributions and coordination."""

from __future__ import annotations

from itertools import combinations_with_replacement, product
from typing import TYPE_CHECKING

from pymatgen.core import Element

from ..analysis.rdf import (
    PairDistributions,
    coordination_quantity,
    first_minimum_a,
    pair_distributions,
)
from ..stores.analyses import CoordinationAnalysis, RdfAnalysis, StructureAnalysis

if TYPE_CHECKING:
    from ..analysis.passage import Passage

_RDF_RANGE_A = 10.0
_RDF_BINS = 200
_DIGITS = 5


def measure_structure(passage: Passage) -> StructureAnalysis:
    """Return the pair structure of the frames sampled from a run."""
    found = pair_distributions(
        passage.sample_a,
        passage.sample_cells_a,
        passage.species.tolist(),
        r_max_a=_RDF_RANGE_A,
        n_bins=_RDF_BINS,
    )
    names = sorted(found.numbers, key=electronegativity)
    return StructureAnalysis(
        n_frames=len(passage.sample_a),
        rdf={
            f"{a}-{b}": RdfAnalysis(
                r_a=found.r_a.round(_DIGITS).tolist(),
                g=found.around(a, b).g.round(_DIGITS).tolist(),
            )
            for a, b in combinations_with_replacement(names, 2)
        },
        coordination=_coordination(found, names),
    )


def electronegativity(symbol: str) -> tuple[float, str]:
    """Return a key that sorts cations before anions."""
    return float(Element(symbol).X), symbol


def _coordination(found: PairDistributions, names: list[str]) -> dict[str, CoordinationAnalysis]:
    numbers = {}
    for centre, partner in product(names, names):
        rdf = found.around(centre, partner)
        cutoff = first_minimum_a(rdf)
        if cutoff is None:
            continue
        n = coordination_quantity(rdf, cutoff)
        numbers[f"{centre}-{partner}"] = CoordinationAnalysis(
            n=n.value or 0.0, sd=n.sd, cutoff_a=cutoff
        )
    return numbers
