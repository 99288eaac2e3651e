"""The page of one analysed trajectory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..stores.analyses import (
    EnvironmentAnalysis,
    HopsAnalysis,
    LandscapeAnalysis,
    OctahedraAnalysis,
    SpeciationAnalysis,
    StructureAnalysis,
    TopologyAnalysis,
    TransportAnalysis,
)
from .analysis_figures import AnalysedRuns, analysis_figures
from .page import render_page
from .panels import Fact, Panel
from .wording import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..stores.analyses import PopulationAnalysis
    from ..stores.documents import Model
    from ..workflows.analyze import TrajectoryAnalysis

_MOST_POLYHEDRA = 5


def render_analysis(found: TrajectoryAnalysis) -> str:
    """Return the HTML of an analysed trajectory."""
    runs = AnalysedRuns()
    runs.add("", found.trajectory["temperature_k"], found.sections.values())
    panels = [
        Panel(f"figure-{index}", title, caption, figure)
        for index, (title, caption, figure) in enumerate(analysis_figures(runs), start=1)
        if figure is not None
    ]
    facts = found.trajectory
    atoms = " ".join(f"{name}{count}" for name, count in facts["species"].items())
    meta = [("frames", f"{facts['n_frames']:,}"), ("atoms", f"{facts['n_atoms']} ({atoms})")]
    if facts["duration_ps"] is not None:
        meta.append(("duration", f"{number(facts['duration_ps'])} ps"))
    if facts["temperature_k"] is not None:
        meta.append(("temperature", f"{number(facts['temperature_k'])} K"))
    return render_page(
        "analysis.html",
        {panel.id: panel.figure for panel in panels},
        created_at=datetime.now(UTC),
        title=facts["path"].rpartition("/")[2],
        meta=meta,
        facts=analysis_facts(found.sections),
        left_out=found.left_out,
        panels=panels,
    )


def analysis_facts(sections: Mapping[str, Model]) -> list[Fact]:
    """Return the main numbers of an analysed trajectory."""
    facts: list[Fact] = []
    for section in sections.values():
        if isinstance(section, TransportAnalysis):
            facts += transport_facts(section)
        elif isinstance(section, SpeciationAnalysis):
            facts += _speciation_facts(section)
        elif isinstance(section, StructureAnalysis):
            facts += _structure_facts(section)
        elif isinstance(section, OctahedraAnalysis):
            facts += [
                Fact("O–M–O axes, within chains", section.correlation["bridge_intra_chain"]),
                Fact("O–M–O axes, between chains", section.correlation["bridge_inter_chain"]),
                Fact("Roll, between chains", section.correlation.get("fourfold_inter_chain")),
            ]
        elif isinstance(section, TopologyAnalysis):
            facts += [
                Fact(f"b{bars.dimension} deaths of the {bars.atoms}", bars.deaths_a, unit="Å")
                for bars in section.barcodes
            ]
        elif isinstance(section, EnvironmentAnalysis):
            facts += [
                Fact("Prismatic surroundings", section.prismatic),
                Fact("Octahedral surroundings", section.octahedral),
                Fact("Free volume per mobile ion", section.free_a3_per_mobile, unit="Å³"),
            ]
        elif isinstance(section, LandscapeAnalysis):
            facts += [
                Fact(f"Barrier through the cell along {axis}", barrier, unit="eV")
                for axis, barrier in section.barrier_ev.items()
            ]
            facts.append(Fact("Barrier out of a site", section.local_barrier_ev, unit="eV"))
        elif isinstance(section, HopsAnalysis):
            facts += [
                Fact("Residence time of a site", section.residence_time_ps, unit="ps"),
                Fact("Jump correlation time", section.correlation_time_ps, unit="ps"),
                *(Fact(f"T1 at {at} MHz", time, unit="ms") for at, time in section.t1_ms.items()),
            ]
    return [fact for fact in facts if fact.quantity is not None or fact.text]


def transport_facts(found: TransportAnalysis) -> list[Fact]:
    """Return the main numbers of a run's transport."""
    return [
        Fact(f"D of {found.mobile}", found.diffusivity_cm2_s, unit="cm²/s"),
        Fact("σ of ions alone (Nernst-Einstein)", found.sigma_ne_ms_cm, unit="mS/cm"),
        Fact("σ, collective", found.sigma_ms_cm, unit="mS/cm"),
        Fact("Haven ratio", found.haven_ratio),
        *(
            Fact(f"σ along {_direction(axis)}", sigma, unit="mS/cm")
            for axis, sigma in zip(found.principal_axes, found.principal_sigmas_ms_cm, strict=False)
        ),
    ]


def _direction(axis: Sequence[float]) -> str:
    """Return a unit vector as it reads."""
    return f"({', '.join(f'{x:.2f}' for x in axis)})"


def _structure_facts(found: StructureAnalysis) -> list[Fact]:
    shells = ", ".join(
        f"{pair} {shell.n:.2f} within {shell.cutoff_a:.2f} Å"
        for pair, shell in found.coordination.items()
    )
    return [Fact("Coordination", text=shells)]


def _speciation_facts(found: SpeciationAnalysis) -> list[Fact]:
    polyhedra = list(found.populations.items())[:_MOST_POLYHEDRA]
    return [
        Fact("Polyhedra", text=", ".join(f"{name} {_share(row)}" for name, row in polyhedra)),
        Fact(
            "Ligands that stay",
            text=", ".join(f"{name} {_share(row)}" for name, row in found.retention.items()),
        ),
    ]


def _share(row: PopulationAnalysis) -> str:
    return f"{row.value:.1%}"
