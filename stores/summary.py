"""From the documents of a candidate's steps to its row in the ranked table."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

from pymatgen.core import Composition

from ..errors import InputError
from ..quantity import Quantity, Status
from .analysis_columns import analysis_columns
from .combine import combine
from .documents import (
    CandidateSummary,
    DiffusionDocument,
    HullDocument,
    MeltQuenchDocument,
    RelaxDocument,
)
from .learned_runs import ROUND
from .samples import Steps
from .trust import MIN_MOBILE_IONS, few_ions, limited, with_enough_ions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from .documents import (
        CandidateDocument,
        LiteratureValue,
        StabilityWindow,
        StepDocument,
        TransportPoint,
    )

MIN_DENSITY_RATIO = 0.85
"""Density of a glass over that of its crystal (or components) below which we warn."""
_AS_MADE = {"units", "variables_made", "composition_deviation"}
_EXACT = 1e-6
_OF_STRUCTURE = {
    "bridging_fraction",
    "mean_chain_length",
    "corner_barrier_chalcogenide_ev",
    "corner_barrier_halide_ev",
    "ensemble_above_hull_ev_per_atom",
}
SCREEN_CRITERIA = ("energy_above_hull_ev_per_atom", "sigma_300k_ms_cm")
"""Largest energy above hull; least lower bound of sigma(300 K)."""


def summarize(
    candidate: CandidateDocument,
    steps: Mapping[str, StepDocument | Mapping[str, Any]],
    literature: Sequence[LiteratureValue] | None = None,
    *,
    running: Collection[str] = (),
    failures: Mapping[str, str] | None = None,
) -> CandidateSummary:
    """Summarize a candidate, as far as its steps have come.

    Parameters
    ----------
    candidate
        The candidate and the identities of its steps.
    steps
        Documents of steps by identity; others than the candidate's are ignored.
    literature
        Published values; default: those of the candidate.
    running
        Identities of steps that run now.
    failures
        Why steps gave no document, by identity.

    Raises
    ------
    DocumentError
        A step's document is not valid.
    InputError
        The candidate's screen has an unknown criterion.
    """
    known = Steps.of(candidate, steps, running, failures or {})
    hulls = known.each("hull", HullDocument)
    lowest = min(hulls, key=_hull_value, default=None)
    stability = _combined(
        known, "hull", HullDocument, lambda hull: hull.energy_above_hull_ev_per_atom
    )
    above_crystal = known.quantities(
        "hull", HullDocument, lambda hull: hull.energy_above_crystal_ev_per_atom
    )
    conductivity = _transport(candidate, known, lambda doc: doc.sigma_300k_ms_cm)
    return CandidateSummary(
        **candidate.model_dump(
            exclude={"schema_version", "components", "steps", "screen", "literature"} | _AS_MADE
        ),
        chemsys=Composition(candidate.formula).chemical_system,
        n_seeds=len(known.samples),
        energy_above_hull_ev_per_atom=stability,
        energy_above_crystal_ev_per_atom=(
            combine(above_crystal, n_expected=len(known.samples)) if above_crystal else None
        ),
        reaction_energy_ev_per_atom=_combined(
            known, "hull", HullDocument, lambda hull: hull.reaction_energy_ev_per_atom
        ),
        decomposition=lowest.decomposition if lowest else [],
        reduction_limit_v=_window_limit(known, lambda window: window.reduction_limit_v),
        oxidation_limit_v=_window_limit(known, lambda window: window.oxidation_limit_v),
        sigma_300k_ms_cm=conductivity,
        activation_energy_ev=_transport(
            candidate, known, lambda doc: doc.activation_energy_ev, logarithmic=False
        ),
        diffusivity_cm2_s=_diffusivities(candidate, known),
        **_density(candidate, known),
        **_glass(known),
        **_with_enough_ions(candidate, analysis_columns(known)),
        passes_screen=passes_screen(candidate.screen, stability, conductivity),
        warnings=_warnings(candidate, known),
        steps=known.states,
        literature=list(candidate.literature if literature is None else literature),
        complete=all(state.state in {"done", "skipped"} for state in known.states),
        wall_s=sum(state.wall_s for state in known.states),
    )


def passes_screen(
    screen: Mapping[str, float], stability: Quantity, conductivity: Quantity
) -> bool | None:
    """Apply the screen: None where a criterion cannot be decided and none has failed.

    Raises
    ------
    InputError
        A criterion is unknown.
    """
    if unknown := sorted(set(screen) - set(SCREEN_CRITERIA)):
        raise InputError("unknown criterion of a screen", given=unknown, allowed=SCREEN_CRITERIA)
    most, least = (screen.get(name) for name in SCREEN_CRITERIA)
    verdicts: list[bool | None] = []
    if most is not None:
        verdicts.append(_at_most(stability, most))
    if least is not None:
        verdicts.append(_at_least(conductivity, least))
    if False in verdicts:
        return False
    return None if None in verdicts or not verdicts else True


def _at_most(quantity: Quantity, limit: float) -> bool | None:
    if quantity.status is Status.OK and quantity.value is not None:
        return quantity.value <= limit
    failed = quantity.status is Status.UNCONVERGED and (quantity.lower or limit) > limit
    return False if failed else None


def _at_least(quantity: Quantity, limit: float) -> bool | None:
    if quantity.status is Status.OK and quantity.lower is not None:
        return quantity.lower >= limit
    upper = limit if quantity.upper is None else quantity.upper
    return False if quantity.status in {Status.OK, Status.UNCONVERGED} and upper < limit else None


def _hull_value(hull: HullDocument) -> float:
    value = hull.energy_above_hull_ev_per_atom.value
    return float("inf") if value is None else value


def _window_limit(known: Steps, read: Callable[[StabilityWindow], Quantity]) -> Quantity | None:
    limits = known.quantities(
        "hull", HullDocument, lambda hull: read(hull.window) if hull.window else None
    )
    return combine(limits, n_expected=len(known.samples)) if limits else None


def _combined(
    known: Steps,
    stage: str,
    kind: type[Any],
    read: Callable[[Any], Quantity | None],
    *,
    logarithmic: bool = False,
) -> Quantity:
    samples = known.quantities(stage, kind, read)
    if not samples:
        return known.missing(stage)
    combined = combine(samples, n_expected=len(known.samples), logarithmic=logarithmic)
    return known.limited_by_lost(combined, stage)


def _transport(
    candidate: CandidateDocument,
    known: Steps,
    read: Callable[[DiffusionDocument], Quantity],
    *,
    logarithmic: bool = True,
) -> Quantity:
    quantity = _combined(known, "diffusion", DiffusionDocument, read, logarithmic=logarithmic)
    return quantity if quantity.value is None else with_enough_ions(quantity, candidate.n_mobile)


def _with_enough_ions(
    candidate: CandidateDocument, columns: Mapping[str, Quantity | None]
) -> dict[str, Quantity | None]:
    """Return the analyses' columns; what is about motion needs enough ions."""
    return {
        name: with_enough_ions(quantity, candidate.n_mobile)
        if quantity is not None and name not in _OF_STRUCTURE
        else quantity
        for name, quantity in columns.items()
    }


def _diffusivities(candidate: CandidateDocument, known: Steps) -> dict[str, Quantity]:
    temperatures = {
        point.temperature_k
        for document in known.each("diffusion", DiffusionDocument)
        for point in document.points
    }

    def at(temperature_k: float) -> Callable[[DiffusionDocument], Quantity | None]:
        def read(document: DiffusionDocument) -> Quantity | None:
            found: list[TransportPoint] = [
                point for point in document.points if point.temperature_k == temperature_k
            ]
            return found[0].diffusivity_cm2_s if found else None

        return read

    return {
        f"{temperature_k:g}K": _transport(candidate, known, _required(at(temperature_k)))
        for temperature_k in sorted(temperatures)
    }


def _required(
    read: Callable[[DiffusionDocument], Quantity | None],
) -> Callable[[DiffusionDocument], Quantity]:
    return lambda document: (
        read(document) or Quantity(status=Status.UNCONVERGED, note="no run at this temperature")
    )


def _density(candidate: CandidateDocument, known: Steps) -> dict[str, Any]:
    if candidate.phase == "crystal":
        relaxed = known.document("relax", RelaxDocument)
        if relaxed is None:
            return {}
        return {"density_g_cm3": limited(Quantity(relaxed.density_g_cm3), relaxed)}
    glasses = known.each("melt_quench", MeltQuenchDocument)
    if not glasses:
        return {}
    return {
        "density_g_cm3": _combined(
            known, "melt_quench", MeltQuenchDocument, lambda glass: glass.density_g_cm3
        ),
        "density_ratio": fmean(glass.density_ratio for glass in glasses),
    }


def _glass(known: Steps) -> dict[str, Any]:
    glasses = known.each("melt_quench", MeltQuenchDocument)
    relaxed = known.each("relax", RelaxDocument)
    as_quenched = [document.oxygen for document in glasses if document.oxygen]
    oxygen = [document.oxygen for document in relaxed if document.oxygen] or as_quenched
    return {
        "quench_rate_k_s": max((glass.quench_rate_k_s for glass in glasses), default=None),
        "melted": all(glass.melted.holds for glass in glasses) if glasses else None,
        "amorphous": all(glass.amorphous.holds for glass in glasses) if glasses else None,
        "peroxide_fraction": fmean(o.peroxide_fraction for o in oxygen) if oxygen else None,
    }


def _warnings(candidate: CandidateDocument, known: Steps) -> list[str]:
    warnings = [_made_as(candidate)] if candidate.composition_deviation > _EXACT else []
    if candidate.n_mobile < MIN_MOBILE_IONS:
        warnings.append(few_ions(candidate.n_mobile))
    for sample in known.samples:
        glass = known.document(f"melt_quench{sample}", MeltQuenchDocument)
        if glass is not None:
            warnings += [f"{sample[1:]}: {text}" for text in _glass_warnings(glass)]
    for state in known.states:
        if ROUND.match(state.name):
            continue  # what became of it is told of the last round
        if state.status not in {None, Status.OK} and state.state != "skipped":
            reason = state.note or state.status.value.replace("_", " ")
            warnings.append(f"{state.name}: {reason}")
    return list(dict.fromkeys(warnings))


def _made_as(candidate: CandidateDocument) -> str:
    """Say what whole formula units made of the asked composition."""
    made = " + ".join(f"{count} {formula}" for formula, count in candidate.units.items())
    point = ", ".join(f"{name} = {value:.2f}" for name, value in candidate.variables_made.items())
    return f"made as {made}: {point}" if point else f"made as {made}"


def _glass_warnings(glass: MeltQuenchDocument) -> list[str]:
    warnings = []
    if glass.density_ratio < MIN_DENSITY_RATIO:
        against = "crystal" if glass.density_crystal_g_cm3 else "sum of its components"
        warnings.append(
            glass.density_warning
            or f"density is {glass.density_ratio:.2f} of that of the {against}"
        )
    elif glass.density_warning:
        warnings.append(glass.density_warning)
    if not glass.melted.holds:
        warnings.append(f"not melted ({glass.melted.criterion})")
    if not glass.amorphous.holds:
        warnings.append(f"not amorphous ({glass.amorphous.criterion})")
    return warnings
