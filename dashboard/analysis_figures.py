"""All figures of the analyses of runs, in the order of a page; from documents or from a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from ..stores.analyses import (
    EnvironmentAnalysis,
    HopsAnalysis,
    LandscapeAnalysis,
    LandscapeDocument,
    OctahedraAnalysis,
    SpeciationAnalysis,
    StructureAnalysis,
    StructureDocument,
    TopologyAnalysis,
    TransportAnalysis,
    TransportDocument,
)
from .figures_analysis_environment import environment_figure, free_volume_figure
from .figures_analysis_landscape import (
    barcode_figure,
    betti_figure,
    density_projection_figure,
    free_energy_figure,
    free_energy_histogram_figure,
)
from .figures_analysis_relaxation import jump_time_figure, relaxation_figure
from .figures_analysis_structure import (
    axis_correlation_figure,
    cell_length_figure,
    chain_figure,
    coordination_figure,
    ligand_angle_figure,
    pair_figure,
    scattering_figures,
    sharing_figure,
    speciation_figure,
)
from .figures_analysis_transport import (
    collective_msd_figure,
    conductivity_pair_figure,
    cross_displacement_figure,
    direction_figure,
    hop_length_figure,
    species_msd_figure,
    van_hove_figure,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..stores.analyses import JumpLawAnalysis, ScatteringAnalysis
    from ..stores.documents import Model, StepDocument
    from .theme import Figure
    from .view import CandidateView

Entry = tuple[str, str, "Figure | None"]

_COLLECTIVE_CAPTION = (
    "Self: mean over ions. Collective: squared sum of the displacements over their number. "
    "Relative to the framework."
)
_MCD_CAPTION = (
    "⟨S(a)·S(b)⟩ of the summed displacements of two species, over the number of mobile ions, in "
    "the barycentric frame; bands are one standard error."
)
_DIRECTION_CAPTION = (
    "Along the principal axes of each run's diffusion tensor: tracer diffusivity above, collective "
    "conductivity below. Sorted by speed: equal directions look a little different."
)
_PLANES_CAPTION = (
    "{what}; oblique planes are drawn with their two vectors square to each other. Gaps: no visit."
)
_CELL_CAPTION = (
    "Of the box, at the mean cell of each run's equilibration; in the legend those of the coldest."
)
_CIJ_CAPTION = (
    "⟨u(i)·u(j)⟩ of the axes of octahedra and ⟨cos 4(φ(i)−φ(j))⟩ of their roll, our definitions; 1 "
    "is aligned. The Cl–M–Cl axes are named alike in the first frame of a run: a run that starts "
    "disordered starts at 0.81; the roll has no such memory. Hollow: few independent samples."
)


_JUMP_CAPTION = (
    "How long an ion's place is remembered, returns included. Stars: by the Arrhenius law of the "
    "runs. 95 % intervals; hollow: not converged."
)
_T1_CAPTION = (
    "Bloembergen, Purcell and Pound, from the jump correlation time; conditional on the quadrupole "
    "coupling that was given. Stars: by the Arrhenius law of the runs."
)
_SHAPE_CAPTION = (
    "By the continuous shape measure of the six nearest anions; below: anions in the "
    "first shell. 95 % of block means of this box."
)
_ROOM_CAPTION = (
    "Outside spheres of the ionic radii, mobile ions left out. 95 % of block means of this box."
)
PartT = TypeVar("PartT")
_FIELDS: Final[dict[type, str]] = {
    TransportAnalysis: "transport",
    StructureAnalysis: "structure",
    SpeciationAnalysis: "speciation",
    OctahedraAnalysis: "octahedra",
    EnvironmentAnalysis: "environment",
    LandscapeAnalysis: "landscape",
    HopsAnalysis: "hops",
    TopologyAnalysis: "topology",
}


@dataclass
class AnalysedRuns:
    """Runs by name (their temperature), part by part."""

    transport: dict[str, TransportAnalysis] = field(default_factory=dict)
    structure: dict[str, StructureAnalysis] = field(default_factory=dict)
    speciation: dict[str, SpeciationAnalysis] = field(default_factory=dict)
    octahedra: dict[str, OctahedraAnalysis] = field(default_factory=dict)
    environment: dict[str, EnvironmentAnalysis] = field(default_factory=dict)
    landscape: dict[str, LandscapeAnalysis] = field(default_factory=dict)
    hops: dict[str, HopsAnalysis] = field(default_factory=dict)
    topology: dict[str, TopologyAnalysis] = field(default_factory=dict)
    jump_law: JumpLawAnalysis | None = None
    temperatures_k: dict[str, float] = field(default_factory=dict)

    def by_temperature(self, parts: Mapping[str, PartT]) -> dict[float, PartT]:
        """Return the parts of the runs whose temperature is known, by it."""
        return {at: parts[name] for name, at in self.temperatures_k.items() if name in parts}

    def add(self, name: str, temperature_k: float | None, parts: Iterable[Model | None]) -> None:
        """Add the parts of a run under its name."""
        if temperature_k is not None:
            self.temperatures_k[name] = temperature_k
        for part in parts:
            if type(part) in _FIELDS:
                getattr(self, _FIELDS[type(part)])[name] = part


def runs_of(documents: Iterable[StepDocument]) -> AnalysedRuns:
    """Collect the runs of one sample from its documents."""
    runs = AnalysedRuns()
    for document in documents:
        if isinstance(document, TransportDocument):
            for transport in document.points:
                at = transport.temperature_k
                runs.add(f"{at:g} K", at, [transport])
        elif isinstance(document, StructureDocument):
            for point in document.points:
                at = point.temperature_k
                parts = [point.structure, point.speciation, point.octahedra, point.environment]
                runs.add(f"{at:g} K", at, parts)
        elif isinstance(document, LandscapeDocument):
            runs.jump_law = document.jump_law
            for found in document.points:
                at = found.landscape.temperature_k
                runs.add(f"{at:g} K", at, [found.landscape, found.hops, found.topology])
    return runs


def documents_by_sample(view: CandidateView) -> dict[str, list[StepDocument]]:
    """Return the analyses of runs of each sample: ``""`` for a crystal, ``"-seed1"``..."""
    samples: dict[str, list[StepDocument]] = {}
    for name, document in view.documents.items():
        if isinstance(document, (TransportDocument, StructureDocument, LandscapeDocument)):
            samples.setdefault(name.removeprefix(document.kind), []).append(document)
    return samples


def coldest_patterns(views: Iterable[CandidateView]) -> dict[str, ScatteringAnalysis]:
    """Return the scattering of the coldest run of each candidate that has one, by its title."""
    patterns: dict[str, ScatteringAnalysis] = {}
    for view in views:
        for document in view.of_kind(StructureDocument).values():
            known = [p.structure.scattering for p in document.points if p.structure.scattering]
            if known:
                patterns.setdefault(view.title, known[0])
    return patterns


def analysis_figures(runs: AnalysedRuns) -> list[Entry]:
    """Return title, caption and figure of everything that the runs show."""
    return [entry for entries in analysis_sections(runs).values() for entry in entries]


def analysis_sections(runs: AnalysedRuns) -> dict[str, list[Entry]]:
    """Return the entries of :func:`analysis_figures` by what they are about."""
    return {
        "transport": _motion(runs),
        "structure": _structure(runs),
        "landscape": _landscape(runs),
    }


def _motion(runs: AnalysedRuns) -> list[Entry]:
    hops = runs.by_temperature(runs.hops)
    return [
        ("Motion alone and in concert", _COLLECTIVE_CAPTION, collective_msd_figure(runs.transport)),
        (
            "Conductivity alone and in concert",
            "Nernst-Einstein and collective; their ratio is the Haven ratio. 95 % intervals.",
            conductivity_pair_figure(runs.transport),
        ),
        (
            "By direction",
            _DIRECTION_CAPTION,
            direction_figure(runs.by_temperature(runs.transport)),
        ),
        (
            "Motion of every species",
            "Mean squared displacement relative to the framework.",
            species_msd_figure(runs.transport),
        ),
        ("Mean cross-displacements", _MCD_CAPTION, cross_displacement_figure(runs.transport)),
        ("Hop lengths", "Hops between the cores of density basins.", hop_length_figure(runs.hops)),
        (
            "How far ions come",
            "Self part of the van Hove function at some lags.",
            van_hove_figure(runs.hops),
        ),
        ("Memory of a site", _JUMP_CAPTION, jump_time_figure(hops, runs.jump_law)),
        ("Relaxation of sodium", _T1_CAPTION, relaxation_figure(hops, runs.jump_law)),
    ]


def _structure(runs: AnalysedRuns) -> list[Entry]:
    environment = runs.by_temperature(runs.environment)
    return [
        (
            "Pairs and coordination",
            "In the legend: mean number of partners up to the first minimum.",
            pair_figure(runs.structure),
        ),
        (
            "Running coordination",
            "Mean number of the second species within r of one of the first.",
            coordination_figure(runs.structure),
        ),
        *scattering_figures(runs.structure),
        (
            "Cell lengths",
            _CELL_CAPTION,
            cell_length_figure(runs.by_temperature(runs.structure)),
        ),
        (
            "Polyhedra",
            "95 % of block means of this box; how other cut-offs change a bar stands in its label.",
            speciation_figure(runs.speciation),
        ),
        (
            "Bridges and sharing",
            "What the anions do, and by what the polyhedra are joined.",
            sharing_figure(runs.speciation),
        ),
        (
            "Chain lengths",
            "Connected sets of network formers.",
            chain_figure(runs.speciation),
        ),
        (
            "Order of the octahedra",
            _CIJ_CAPTION,
            axis_correlation_figure(runs.by_temperature(runs.octahedra)),
        ),
        (
            "Where terminal ligands point",
            "Angular density about the chain.",
            ligand_angle_figure(runs.octahedra),
        ),
        ("Surroundings of the mobile ions", _SHAPE_CAPTION, environment_figure(environment)),
        ("Free volume", _ROOM_CAPTION, free_volume_figure(environment)),
    ]


def _landscape(runs: AnalysedRuns) -> list[Entry]:
    barcodes = {name: found.barcodes for name, found in runs.topology.items()}
    return [
        (
            "Free energy landscape",
            _PLANES_CAPTION.format(what="Lowest F along a cell vector"),
            free_energy_figure(runs.landscape),
        ),
        (
            "Density of the mobile ions",
            _PLANES_CAPTION.format(what="Summed along a cell vector"),
            density_projection_figure(runs.landscape),
        ),
        (
            "Distribution of the free energy",
            "Over the voxels that ions visited; what was not visited lies higher.",
            free_energy_histogram_figure(runs.landscape),
        ),
        (
            "Barcodes",
            "Persistent homology of one frame, periodic images included.",
            barcode_figure(barcodes),
        ),
        ("Features alive at a distance", "Mean over frames.", betti_figure(barcodes)),
    ]
