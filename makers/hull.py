"""Stability of a candidate against the competing phases of the library."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pymatgen.core import Composition

from ..analysis.competition import HullEntry as Entry
from ..analysis.electrochemistry import stability_window
from ..analysis.hull import hull_analysis
from ..analysis.segregation import segregation
from ..errors import InputError
from ..quantity import Quantity, Status
from ..stores.documents import (
    HullDocument,
    HullEntry,
    HullProduct,
    RedoxState,
    RelaxDocument,
    Segregation,
    SplitOff,
    StabilityWindow,
    StaticDocument,
)
from ..systems.phases import get_phase
from .step import StepContext, StepMaker, require_sound, step_job

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..analysis.competition import Product
    from ..analysis.hull import HullAnalysis

LEVEL_ERROR_EV_PER_ATOM = {"chgnet-r2scan": 0.03}
"""Mean absolute error of formation enthalpies, against experiment for 20 compounds of these
systems. It is that of the level, not of a run: more of the same does not shrink it."""
_TWO_SIDED_95 = 1.96


@dataclass
class HullMaker(StepMaker):
    """Place a relaxed candidate on the hull of the phase library.

    Attributes
    ----------
    level
        The one level of theory of candidate and phases.
    include_hypothetical
        Whether phases without an experimental report compete; targets never do.
    components
        Formula to amount: the sweep's own components, for the reaction energy.
    oxidation_states
        Element to its states in this candidate, explicit.
    crystal_phase_ids
        Crystals of the candidate's composition, for a glass.
    shipped_energies
        Phase to its energy (eV/atom) at `level`, for phases not computed in this sweep.
    mobile
        Ion that the electrochemical window is about.
    salt
        Formula of the salt that may leave the candidate.
    """

    name: str = "hull"
    level: str = "chgnet-r2scan"
    include_hypothetical: bool = False
    components: dict[str, float] = field(default_factory=dict)
    oxidation_states: dict[str, list[float]] = field(default_factory=dict)
    crystal_phase_ids: tuple[str, ...] = ()
    shipped_energies: dict[str, float] = field(default_factory=dict)
    mobile: str = "Na"
    salt: str = "NaCl"

    kind: ClassVar[str] = "hull"
    code_version: ClassVar[int] = 2

    @step_job()
    def make(
        self,
        candidate: RelaxDocument | StaticDocument,
        phases: dict[str, RelaxDocument] | None = None,
        parents: dict[str, str] | None = None,
    ) -> HullDocument | dict[str, Any]:
        """Compare `candidate` with the shipped energies and the relaxed `phases`.

        Raises
        ------
        InputError
            If a document is of another level than this hull, or its step broke down.
        AnalysisError
            If an element has no phase of its own.
        """
        computed = phases or {}
        known = parents or {
            "candidate": candidate.identity,
            **{phase_id: document.identity for phase_id, document in computed.items()},
        }
        return self.run_step(lambda context: self._place(candidate, computed, context), known)

    def _place(
        self,
        candidate: RelaxDocument | StaticDocument,
        phases: dict[str, RelaxDocument],
        context: StepContext,
    ) -> HullDocument:
        for document in (candidate, *phases.values()):
            self._require_usable(document)
        energies = self.shipped_energies | {
            phase_id: _energy(document) for phase_id, document in phases.items()
        }
        entries = [
            Entry(
                phase_id, get_phase(phase_id).formula, energy, get_phase(phase_id).role, self.level
            )
            for phase_id, energy in energies.items()
        ]
        known = {
            get_phase(entry.phase_id).composition.reduced_formula
            for entry in entries
            if entry.role == "reference"
        }
        crystals = [energies[phase_id] for phase_id in self.crystal_phase_ids]
        result = hull_analysis(
            candidate.structure.composition.formula,
            _energy(candidate),
            entries,
            level=self.level,
            components=self.components if _all_known(self.components, known) else None,
            oxidation_states=self.oxidation_states,
            include_hypothetical=self.include_hypothetical,
            crystal_energy_ev_per_atom=min(crystals, default=None),
        )
        unconverged = [
            document
            for document in (candidate, *phases.values())
            if document.status is not Status.OK
        ]
        found = self._document(result, unconverged, energies, context)
        return found.model_copy(
            update={
                "window": self._window(found, entries),
                "segregation": self._segregation(found, entries),
            }
        )

    def _window(self, hull: HullDocument, entries: list[Entry]) -> StabilityWindow | None:
        """Return the window; None where the candidate holds no mobile ion, or only that."""
        elements = {element.symbol for element in Composition(hull.formula).elements}
        if self.mobile not in elements or len(elements) == 1:
            return None
        found = stability_window(
            hull.formula,
            hull.energy_ev_per_atom,
            entries,
            level=self.level,
            mobile=self.mobile,
            include_hypothetical=self.include_hypothetical,
            error_ev_per_atom=LEVEL_ERROR_EV_PER_ATOM.get(self.level),
        )
        return StabilityWindow(
            mobile=found.mobile,
            reduction_limit_v=_no_better(found.reduction_limit_v, hull),
            oxidation_limit_v=_no_better(found.oxidation_limit_v, hull),
            reduction_products=_products(found.reduction_products),
            oxidation_products=_products(found.oxidation_products),
            is_metastable=found.is_metastable,
            states=[
                RedoxState(
                    mobile_per_formula=state.mobile_per_formula,
                    lower_v=state.lower_v,
                    upper_v=state.upper_v,
                    products=_products(state.products),
                )
                for state in found.states
            ],
        )

    def _segregation(self, hull: HullDocument, entries: list[Entry]) -> Segregation | None:
        """Return the salt that leaves; None where there is none of it, or no phase of it."""
        salt, whole = Composition(self.salt), Composition(hull.formula)
        known = any(
            entry.role == "reference"
            and Composition(entry.formula).reduced_formula == salt.reduced_formula
            for entry in entries
        )
        if not known or not set(salt.elements) < set(whole.elements):
            return None
        found = segregation(
            hull.formula,
            hull.energy_ev_per_atom,
            entries,
            level=self.level,
            salt=self.salt,
            include_hypothetical=self.include_hypothetical,
        )
        above_hull = hull.energy_above_hull_ev_per_atom
        return Segregation(
            salt=found.salt,
            largest_amount=found.largest_amount,
            equilibrium_amount=found.equilibrium_amount,
            driving_force_ev_per_atom=above_hull if found.equilibrium_amount else None,
            splits=[
                SplitOff(
                    amount=split.amount,
                    energy_ev_per_atom=split.equilibrium_ev_per_atom,
                    products=_products(split.products),
                )
                for split in found.splits
            ],
        )

    def _require_usable(self, document: RelaxDocument | StaticDocument) -> None:
        require_sound(document)
        if document.level != self.level:
            raise InputError(
                "one hull takes one level of theory",
                given=f"a {document.kind} at {document.level}",
                allowed=self.level,
                remedy="relax everything at the hull's level, or add a static step at it",
            )

    def _document(
        self,
        result: HullAnalysis,
        unconverged: list[RelaxDocument | StaticDocument],
        energies: dict[str, float],
        context: StepContext,
    ) -> HullDocument:
        status = Status.UNCONVERGED if unconverged else Status.OK
        note = "; ".join(dict.fromkeys(document.note for document in unconverged))
        sd = LEVEL_ERROR_EV_PER_ATOM.get(self.level)

        def quantity(value: float | None, missing: str) -> Quantity:
            if value is None:
                return Quantity(status=Status.UNCONVERGED, note=missing)
            if not sd:
                return Quantity(value, status=status, note=note)
            ends = (value - _TWO_SIDED_95 * sd, value + _TWO_SIDED_95 * sd)
            return Quantity(value, sd, *ends, status, note)

        crystal = min(self.crystal_phase_ids, key=lambda i: energies[i], default=None)
        return HullDocument(
            identity=context.identity,
            status=status,
            note=note,
            provenance=self.provenance(context),
            formula=result.formula,
            level=self.level,
            energy_ev_per_atom=result.energy_ev_per_atom,
            formation_energy_ev_per_atom=result.formation_energy_ev_per_atom,
            energy_above_hull_ev_per_atom=quantity(result.energy_above_hull_ev_per_atom, ""),
            decomposition=_products(result.decomposition),
            reaction_energy_ev_per_atom=quantity(
                result.reaction_energy_ev_per_atom,
                "not defined: the candidate has no components with phases in the library",
            ),
            reaction_components=_products(result.components),
            energy_above_crystal_ev_per_atom=None
            if crystal is None
            else quantity(result.energy_above_crystal_ev_per_atom, ""),
            crystal_phase_id=crystal,
            oxidation_states=result.oxidation_states,
            roles=list(result.roles),
            entries=[
                HullEntry(
                    phase_id=point.entry.phase_id,
                    formula=point.entry.formula,
                    role=point.entry.role,
                    energy_ev_per_atom=point.entry.energy_ev_per_atom,
                    formation_energy_ev_per_atom=point.formation_energy_ev_per_atom,
                    energy_above_hull_ev_per_atom=point.energy_above_hull_ev_per_atom,
                )
                for point in result.points
            ],
        )


def _no_better(limit: Quantity, hull: HullDocument) -> Quantity:
    return replace(limit, status=hull.status, note=hull.note)


def _energy(document: RelaxDocument | StaticDocument) -> float:
    energy = document.energy_ev_per_atom.value
    if energy is None:
        raise InputError(
            f"the {document.kind} step has no energy",
            given=document.note or document.status.value,
            remedy="look at that step with `haloflow show`",
        )
    return energy


def _all_known(components: dict[str, float], known: set[str]) -> bool:
    formulas = [Composition(formula).reduced_formula for formula in components]
    return len(formulas) > 1 and known.issuperset(formulas)


def _products(products: Iterable[Product]) -> list[HullProduct]:
    return [HullProduct(phase_id=p.phase_id, formula=p.formula, amount=p.amount) for p in products]
