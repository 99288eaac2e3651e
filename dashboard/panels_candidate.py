"""The figures in a candidate's section of the report and on its page."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..stores.analyses import StructureDocument, TransportDocument
from ..stores.barrier_documents import BarriersDocument
from ..stores.documents import DiffusionDocument, HullDocument, MeltQuenchDocument
from ..stores.ensemble_documents import EnsembleDocument
from ..stores.models import TrainedModelDocument
from ..stores.registry_documents import RegistryDocument
from .analysis_figures import analysis_sections, documents_by_sample, runs_of
from .cautions import caution_notes
from .figures import SIGMA
from .figures_arrhenius import arrhenius_figure
from .figures_barriers import barriers_figure
from .figures_candidate import density_figure, hull_figure
from .figures_ensemble import ensemble_figure
from .figures_fine_tuning import fine_tuning_caption, model_parity_figure, training_figure
from .figures_registries import registry_figure
from .figures_transport import msd_figure, rdf_figure
from .figures_window import LIMITS, window_figure
from .panels import panels_of
from .wording import hull_error_note

if TYPE_CHECKING:
    from .panels import Entry, Panel
    from .view import CandidateView

_ARRHENIUS_CAPTION = (
    "Line: Arrhenius law of the ok points, dotted where extrapolated, 95 % band. Hollow: not "
    "converged; triangles: bounds. Long dashes: regimes, where there are several. Grey: published "
    "at room temperature."
)
_DENSITY_CAPTION = (
    "Means over blocks of the NPT equilibration after the quench. Dashed: crystal, and sum of "
    "the components."
)

_TRAINING_CAPTION = "The loss that is made small; the point marks the epoch that was taken."


def candidate_panels(view: CandidateView, prefix: str) -> list[Panel]:
    """Return the figures of one candidate; ids start with `prefix`."""
    sections = {
        "stability": _stability_figures(view),
        "transport": _motion_figures(view),
        "glass": [
            (
                "density",
                "Density of the glass",
                _DENSITY_CAPTION,
                density_figure(view.of_kind(MeltQuenchDocument)),
            )
        ],
        "potential": _potential_figures(view),
    }
    panels = [
        replace(panel, id=f"{prefix}-{panel.id}", section=_section(panel, section))
        for section, figures in sections.items()
        for panel in panels_of(figures)
    ]
    last = [panel for panel in panels if panel.section in {"glass", "potential"}]
    return panels[: len(panels) - len(last)] + _analysis_panels(view, prefix) + last


def _section(panel: Panel, among: str) -> str:
    """Return what a panel is about; pair functions come with the motion where nothing else is."""
    return "structure" if panel.id.startswith("rdf-") else among


def _stability_figures(view: CandidateView) -> list[Entry]:
    figures: list[Entry] = []
    hulls = view.of_kind(HullDocument).values()
    published = [row for name in LIMITS for row in view.literature(name)]
    for index, document in enumerate(hulls, start=1):
        caption = _hull_caption(document)
        figures.append(
            (f"hull-{index}", "Place on the convex hull", caption, hull_figure(document))
        )
    for index, document in enumerate(hulls, start=1):
        figure = window_figure(document, published)
        caption = _window_caption(document)
        figures.append((f"window-{index}", "Electrochemical window", caption, figure))
    figures += [
        (f"{name}", "Chain registries", _registry_caption(document), registry_figure(document))
        for name, document in view.of_kind(RegistryDocument).items()
    ]
    figures += [
        (
            f"{name}",
            "Frames of the glass above the hull",
            _ensemble_caption(document),
            ensemble_figure(document),
        )
        for name, document in view.of_kind(EnsembleDocument).items()
    ]
    return figures


def _potential_figures(view: CandidateView) -> list[Entry]:
    figures: list[Entry] = []
    for name, model in view.of_kind(TrainedModelDocument).items():
        tuning = model.fine_tuning
        if tuning is None:
            continue
        caption = fine_tuning_caption(model.level, tuning, model.teacher)
        parity, training = model_parity_figure(tuning), training_figure(tuning)
        figures += [
            (f"parity-{name}", "Potential against labels", caption, parity),
            (f"training-{name}", "Training of the potential", _TRAINING_CAPTION, training),
        ]
    return figures


def _ensemble_caption(document: EnsembleDocument) -> str:
    return (
        f"{len(document.frames)} of {document.n_asked} frames of MD at "
        f"{document.temperature_k:g} K, relaxed at {document.level}. Pale: not converged."
    )


def _registry_caption(document: RegistryDocument) -> str:
    return (
        f"Relaxed at {document.level}, relative to the lowest. A label names the shift of each "
        f"chain along itself in {document.former}-{document.former} repeats and the polar "
        f"direction of its {document.former}. Grey: relaxed into another one; pale: not converged."
    )


def _motion_figures(view: CandidateView) -> list[Entry]:
    figures: list[Entry] = []
    diffusion = view.of_kind(DiffusionDocument)
    if diffusion:
        figures.append(
            (
                "arrhenius",
                "Conductivity over temperature",
                _ARRHENIUS_CAPTION,
                arrhenius_figure(
                    diffusion, view.literature(SIGMA), view.of_kind(TransportDocument)
                ),
            )
        )
    for index, (name, document) in enumerate(diffusion.items(), start=1):
        of = f" – {name}" if len(diffusion) > 1 else ""
        figures += [
            (
                f"msd-{index}",
                f"Mean squared displacement{of}",
                "The thick part is the fit window; slope 1 is diffusion.",
                msd_figure(document.msd, document.mobile),
            ),
            (
                f"rdf-{index}",
                f"Pair distribution functions{of}",
                "Averaged over the run at the temperature chosen in the menu.",
                None if view.of_kind(StructureDocument) else rdf_figure(document),
            ),
        ]
    figures += [
        (
            f"{name}",
            "Barriers of single hops",
            _barrier_caption(document),
            barriers_figure(document),
        )
        for name, document in view.of_kind(BarriersDocument).items()
    ]
    return figures


def _barrier_caption(document: BarriersDocument) -> str:
    into = (
        "into the site of an ion that was taken out"
        if document.into == "vacancy"
        else "into empty sites, all ions being there"
    )
    return (
        f"Climbing-image bands at {document.level} between sites within "
        f"{document.max_distance_a:g} A, {into}; the colour says which anions both sites share. "
        "Pale: no sound barrier."
    )


def _analysis_panels(view: CandidateView, prefix: str) -> list[Panel]:
    """Return the figures of the analyses of runs, sample by sample."""
    panels = []
    for sample, documents in documents_by_sample(view).items():
        sections = analysis_sections(runs_of(documents))
        for section, entries in sections.items():
            named = [
                (f"{prefix}-{_slug(title)}{sample}", f"{title}{_of(sample)}", caption, figure)
                for title, caption, figure in entries
            ]
            panels += [replace(panel, section=section) for panel in panels_of(named)]
    return panels


def _slug(title: str) -> str:
    """Return a title as part of an id or address."""
    return "-".join(re.findall(r"[a-z0-9]+", title.lower()))


def _of(sample: str) -> str:
    return f" – {sample.removeprefix('-')}" if sample else ""


def _hull_caption(document: HullDocument) -> str:
    what = (
        f"A projection of {len(document.entries)} {' and '.join(document.roles)} phases on the "
        "sodium content: the red bar is E_hull, down to the mixture of the green products."
    )
    said = [
        what,
        hull_error_note(document.level),
        *caution_notes(product.phase_id for product in document.decomposition),
    ]
    return " ".join(said)


def _window_caption(document: HullDocument) -> str:
    if document.window is None or not document.window.is_metastable:
        return "Shaded: no exchange of the mobile ion. Errors are those of the level of theory."
    return (
        "Above the hull: the states are those of the phases it decomposes into, and the shaded "
        "window is theirs. Errors are those of the level of theory."
    )
