"""What stands in a candidate's section of the report: facts, figures, structures."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from ..quantity import Status
from ..stores.analyses import StructureDocument
from ..stores.documents import (
    HullDocument,
    MeltQuenchDocument,
    RelaxDocument,
)
from ..stores.structure_means import structure_means
from ..systems.electrodes import list_electrodes
from .analysis_figures import coldest_patterns
from .figures import SIGMA, conductivity_figure, screening_figure, stability_figure
from .figures_analysis_structure import powder_overview
from .figures_arrhenius import arrhenius_overview
from .figures_sections import section_figures
from .figures_window import window_overview
from .structures import structure_scene
from .wording import (
    NOTHING,
    decomposition_text,
    duration_text,
    energy_text,
    evidence_text,
    formula_units_text,
    number,
    quantity_text,
    quench_rate_text,
    reason,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pymatgen.core import Structure

    from ..quantity import Quantity
    from .theme import Figure
    from .view import CandidateView

Entry: TypeAlias = "tuple[str, str, str, Figure | None]"
ENERGY_LIMIT = "energy_above_hull_ev_per_atom"
_MOST_POLYHEDRA = 4
_STABILITY_CAPTION = (
    "Energy above the hull of the competing phases, 95 % intervals where the error of the level "
    "is measured."
)
_WINDOWS_CAPTION = (
    "From the grand potential of the mobile ion; a candidate above the hull has the window of the "
    "phases that it decomposes into. Published onsets are moved to this scale."
)
_POWDER_CAPTION = (
    "Coldest run of each candidate's first sample, Cu K-alpha, relative to its highest point. "
    "By-products of a real powder are not in it."
)


@dataclass(frozen=True)
class Fact:
    """One line of results: a quantity with its unit, or words."""

    name: str
    quantity: Quantity | None = None
    energy: bool = False
    unit: str = ""
    text: str = ""
    has_formulas: bool = False

    def row(self) -> dict[str, Any]:
        """Return it in words, as pages show it."""
        words = energy_text(self.quantity) if self.energy else quantity_text(self.quantity)
        known = self.quantity is not None and words != NOTHING
        is_ok = self.quantity is not None and self.quantity.status is Status.OK
        return {
            "name": self.name,
            "text": words if self.quantity else self.text,
            "unit": self.unit,
            "status": self.quantity.status if self.quantity and (known or not is_ok) else None,
            "reason": reason(self.quantity) if known or not is_ok else "not computed",
            "has_formulas": self.has_formulas,
        }


@dataclass(frozen=True)
class Panel:
    """A figure with its title, what it says, and the part of a page that it belongs to."""

    id: str
    title: str
    caption: str
    figure: Figure
    section: str = ""

    @property
    def height(self) -> int:
        """Height of the plot in pixels."""
        return int(self.figure["layout"]["height"])


@dataclass(frozen=True)
class Scene:
    """A structure for the viewer."""

    id: str
    title: str
    caption: str
    scene: dict[str, Any]

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Element symbols and their colours."""
        return list(zip(self.scene["elements"], self.scene["colours"], strict=True))


def overview_panels(views: Sequence[CandidateView], screen: Mapping[str, float]) -> list[Panel]:
    """Return the figures over all candidates."""
    figures = (
        (
            "overview-stability",
            "Stability",
            _STABILITY_CAPTION,
            stability_figure(views, screen.get(ENERGY_LIMIT)),
        ),
        (
            "overview-conductivity",
            "Conductivity at 300 K",
            "Extrapolated along the Arrhenius line, 95 % intervals or bounds.",
            conductivity_figure(views, screen.get(SIGMA)),
        ),
        (
            "overview-screening",
            "Stability against conductivity",
            "Best towards the upper left.",
            screening_figure(views, screen.get(ENERGY_LIMIT)),
        ),
        (
            "overview-powder",
            "Powder patterns",
            _POWDER_CAPTION,
            powder_overview(coldest_patterns(views)),
        ),
        (
            "overview-arrhenius",
            "Conductivity over temperature",
            "Solid where data stand, dotted where extrapolated; stars at 300 K.",
            arrhenius_overview(views),
        ),
        (
            "overview-windows",
            "Electrochemical windows",
            _WINDOWS_CAPTION,
            window_overview(views),
        ),
    )
    return panels_of([*figures, *section_figures(views)])


def panels_of(figures: Iterable[Entry]) -> list[Panel]:
    """Return the figures that there are, of id, title, caption and figure."""
    return [
        Panel(name, title, caption, figure)
        for name, title, caption, figure in figures
        if figure is not None
    ]


def candidate_scenes(view: CandidateView, prefix: str) -> list[Scene]:
    """Return the structures of one candidate: glasses as quenched, the crystal relaxed."""
    shown: list[tuple[str, Structure]] = [
        (f"Glass, seed {glass.seed}", glass.structure)
        for glass in view.of_kind(MeltQuenchDocument).values()
    ]
    if not shown:
        relaxed = view.of_kind(RelaxDocument)
        shown = [(f"After {name}", document.structure) for name, document in relaxed.items()]
    scenes = []
    for index, (title, structure) in enumerate(shown, start=1):
        caption = f"{len(structure)} atoms in the cell, {number(float(structure.density))} g/cm³."
        name = f"{prefix}-structure-{index}"
        scenes.append(Scene(name, title, caption, structure_scene(structure)))
    return scenes


def candidate_facts(view: CandidateView) -> list[Fact]:
    """Return the results of one candidate in words and numbers."""
    s = view.summary
    levels = ", ".join(f"{stage} {level}" for stage, level in s.levels.items())
    facts = [
        Fact(
            "Composition",
            text=f"{s.formula}, {s.n_atoms} atoms, {s.n_mobile} mobile ions",
            has_formulas=True,
        ),
        Fact("Levels of theory", text=levels),
        Fact("E_hull", s.energy_above_hull_ev_per_atom, energy=True, unit="meV/atom"),
        Fact("Decomposes to", text=decomposition_text(s.decomposition), has_formulas=True),
        Fact("Above its crystal", s.energy_above_crystal_ev_per_atom, energy=True, unit="meV/atom"),
        Fact("E_hull of frames", s.ensemble_above_hull_ev_per_atom, energy=True, unit="meV/atom"),
        Fact("Reaction energy", s.reaction_energy_ev_per_atom, energy=True, unit="meV/atom"),
        *_window_facts(view),
        *_segregation_facts(view),
        Fact("σ(300 K)", s.sigma_300k_ms_cm, unit="mS/cm"),
        Fact("σ(300 K), collective", s.sigma_collective_300k_ms_cm, unit="mS/cm"),
        Fact("Haven ratio", s.haven_ratio),
        Fact("Anisotropy of D", s.anisotropy),
        Fact("T1 of 23Na", s.t1_ms, unit="ms"),
        Fact("Activation energy", s.activation_energy_ev, unit="eV"),
        Fact("Barrier over O/S corners", s.corner_barrier_chalcogenide_ev, unit="eV"),
        Fact("Barrier over halide corners", s.corner_barrier_halide_ev, unit="eV"),
        *(Fact(f"D({at})", value, unit="cm²/s") for at, value in s.diffusivity_cm2_s.items()),
        Fact("Density", s.density_g_cm3, unit="g/cm³"),
        *_structure_facts(view),
    ]
    facts += [Fact(name, text=text) for name, text in glass_facts(view)]
    if s.peroxide_fraction is not None:
        facts.append(Fact("Peroxide", text=f"{s.peroxide_fraction:.0%} of the oxygen is O(−1)"))
    if s.wall_s:
        facts.append(Fact("Computed in", text=duration_text(s.wall_s)))
    return [fact for fact in facts if fact.quantity is not None or fact.text]


def _window_facts(view: CandidateView) -> list[Fact]:
    """Return the limits against the metal, then against known electrodes."""
    s = view.summary
    hulls = view.of_kind(HullDocument)
    window = next((hull.window for hull in hulls.values() if hull.window), None)
    if window is None or s.reduction_limit_v is None or s.oxidation_limit_v is None:
        return []
    facts = [
        Fact("Reduction limit", s.reduction_limit_v, unit=f"V against {window.mobile}"),
        Fact("Oxidation limit", s.oxidation_limit_v, unit=f"V against {window.mobile}"),
    ]
    for electrode in list_electrodes(window.mobile):
        ends = (electrode.against(limit) for limit in (s.reduction_limit_v, s.oxidation_limit_v))
        words = " to ".join(quantity_text(end) for end in ends)
        facts.append(
            Fact(f"Window, {electrode.id}", text=f"{words} V ({electrode.id} {electrode.caution})")
        )
    ends_in = (
        ("Reduced to", window.reduction_products),
        ("Oxidised to", window.oxidation_products),
    )
    return facts + [
        Fact(name, text=formula_units_text(products), has_formulas=True)
        for name, products in ends_in
        if products
    ]


def _structure_facts(view: CandidateView) -> list[Fact]:
    """Return structure as the mean over glasses, where there are several."""
    documents = list(view.of_kind(StructureDocument).values())
    found = structure_means(documents, n_expected=view.summary.n_seeds)
    if found is None:
        return []
    shares = dict(islice(found.populations.items(), _MOST_POLYHEDRA))
    shares |= {f"{shape} surroundings": share for shape, share in found.surroundings.items()}
    shares |= {f"{pair} coordination": n for pair, n in found.coordination.items()}
    where = f"at {number(found.temperature_k)} K, mean of glasses"
    return [Fact(f"{name} {where}", value) for name, value in shares.items()]


def _segregation_facts(view: CandidateView) -> list[Fact]:
    facts = []
    for hull in view.of_kind(HullDocument).values():
        found = hull.segregation
        if found is None:
            continue
        words = f"{number(found.equilibrium_amount)} of {number(found.largest_amount)}"
        facts.append(
            Fact(
                f"{found.salt} that leaves",
                text=f"{words} per {hull.formula}, in equilibrium",
                has_formulas=True,
            )
        )
        if found.driving_force_ev_per_atom is not None:
            gain = found.driving_force_ev_per_atom
            facts.append(Fact("Gained by that", gain, energy=True, unit="meV/atom"))
    return list(dict.fromkeys(facts))


def glass_facts(view: CandidateView) -> list[tuple[str, str]]:
    """Return name and wording of what makes a glass a glass; empty for a crystal."""
    s = view.summary
    facts = []
    if s.quench_rate_k_s is not None:
        samples = "1 sample" if s.n_seeds == 1 else f"{s.n_seeds} samples"
        facts.append(("Quenched at", f"{quench_rate_text(s.quench_rate_k_s)}, {samples}"))
    for name, glass in view.of_kind(MeltQuenchDocument).items():
        parts = [f"{quantity_text(glass.density_g_cm3)} g/cm³"]
        parts.append(f"component sum {number(glass.density_components_g_cm3)}")
        if glass.density_crystal_g_cm3 is not None:
            parts.append(f"crystal {number(glass.density_crystal_g_cm3)}")
        parts += [f"ratio {number(glass.density_ratio)}", glass.density_warning]
        facts.append((f"Density, {name}", "; ".join(part for part in parts if part)))
        for title, evidence in (("Melted", glass.melted), ("Amorphous", glass.amorphous)):
            numbers = evidence_text(evidence.numbers)
            verdict = "yes" if evidence.holds else "NO"
            facts.append((f"{title}, {name}", f"{verdict}: {evidence.criterion} ({numbers})"))
        if glass.bonds:
            bonds = ", ".join(f"{count} {bond}" for bond, count in glass.bonds.items())
            facts.append((f"Anion bonds, {name}", bonds))
    return facts
