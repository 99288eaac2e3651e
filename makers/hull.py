"""Stability of a candidate against the competing phases of the library."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pymatgen.core import Composition

from ..analysis.competition import HullEntry as Entry
from ..analysis.electrochemistry import stability_window
from ..analysis.hull import hull_analysis, reaction
from ..analysis.segregation import segregation
from ..engines.potentials import level_of
from ..engines.trained_models import digits_of
from ..errors import AnalysisError, InputError
from ..identity import content_hash
from ..quantity import TWO_SIDED_95, Quantity, Status, worst
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

_SD_OVER_MEAN_ABSOLUTE_ERROR = (math.pi / 2) ** 0.5
"""Of a normal distribution."""
LEVEL_ERROR_EV_PER_ATOM = {"chgnet-r2scan": _SD_OVER_MEAN_ABSOLUTE_ERROR * 0.03}
"""Standard deviation of formation enthalpies, from their mean absolute error against experiment
for 20 compounds of these systems. It is that of the level, not of a run: more of the same does
not shrink it."""
NOT_MEASURED = "error of this level not measured"
SAME_COMPOSITION = "difference of equal compositions: most of the level's error cancels"
_LEAST_COMPONENTS = 2
_NARROW = "a trained model knows its own compositions, not the phases that compete with them"


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
        Formula to amount in the candidate as it was made, for the reaction energy.
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
    library_gap
        Why competing phases may be missing; then `E_hull` is out of domain.
    fetched
        Competing phases from elsewhere, by id: formula and energy (eV/atom) at `level`.
    fetched_from
        Where they are from, for the note.
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
    library_gap: str = ""
    fetched: dict[str, tuple[str, float]] = field(default_factory=dict)
    fetched_from: str = ""

    kind: ClassVar[str] = "hull"
    code_version: ClassVar[int] = 3

    def physics(self) -> dict[str, Any]:
        """Return what decides the result, with what the library says of the stored phases."""
        phases = {phase_id: _described(phase_id) for phase_id in self.shipped_energies}
        own = {"crystal_phase_ids": sorted(self.crystal_phase_ids), "phases": phases}
        found = super().physics() | own
        if not self.fetched:  # hulls of before have no such setting
            del found["fetched"], found["fetched_from"]
        if self._is_narrow:
            found["narrow"] = True
        return found

    @property
    def _is_narrow(self) -> bool:
        """Whether its level is a model that haloflow trained, by its checksum."""
        return digits_of(self.level) is not None

    def identity(self, parents: dict[str, str]) -> str:
        """Identify the step; a phase that was computed is its energy, formula and role."""
        described = {
            name: parent if name == "candidate" else content_hash([parent, _described(name)])
            for name, parent in parents.items()
        }
        return super().identity(described)

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
            phase_id: energy_of(document) for phase_id, document in phases.items()
        }
        level = level_of(self.level)
        entries = [
            Entry(phase_id, get_phase(phase_id).formula, energy, get_phase(phase_id).role, level)
            for phase_id, energy in energies.items()
        ]
        entries += [
            Entry(phase_id, formula, energy, "reference", level)
            for phase_id, (formula, energy) in self.fetched.items()
        ]
        crystals = [energies[phase_id] for phase_id in self.crystal_phase_ids]
        result = hull_analysis(
            candidate.structure.composition.formula,
            energy_of(candidate),
            entries,
            level=level,
            oxidation_states=self.oxidation_states,
            include_hypothetical=self.include_hypothetical,
            crystal_energy_ev_per_atom=min(crystals, default=None),
        )
        unconverged = [
            document
            for document in (candidate, *phases.values())
            if document.status is not Status.OK
        ]
        found = self._document(result, entries, unconverged, context)
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
            level=hull.level,
            mobile=self.mobile,
            include_hypothetical=self.include_hypothetical,
            error_ev_per_atom=LEVEL_ERROR_EV_PER_ATOM.get(hull.level),
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
            level=hull.level,
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

    def _reaction(
        self, hull: HullAnalysis, entries: list[Entry], status: Status, note: str
    ) -> tuple[tuple[Product, ...], Quantity]:
        """Return what the candidate is made from, and the energy of that or why there is none."""
        if len(self.components) < _LEAST_COMPONENTS:
            return (), Quantity(
                status=Status.UNCONVERGED, note="not defined: the candidate has no components"
            )
        try:
            made_from, energy = reaction(
                hull.formula, hull.energy_ev_per_atom, entries, self.components
            )
        except AnalysisError as error:
            reason = f"{error.problem} ({error.given})"
            return (), Quantity(status=Status.UNCONVERGED, note=reason)
        return made_from, _with_level_error(energy, status, note, hull.level)

    def _require_usable(self, document: RelaxDocument | StaticDocument) -> None:
        require_sound(document)
        level = level_of(self.level)
        if document.level != level:
            raise InputError(
                "one hull takes one level of theory",
                given=f"a {document.kind} at {document.level}",
                allowed=level,
                remedy="relax everything at the hull's level, or add a static step at it",
            )

    def _document(
        self,
        result: HullAnalysis,
        entries: list[Entry],
        unconverged: list[RelaxDocument | StaticDocument],
        context: StepContext,
    ) -> HullDocument:
        status = Status.UNCONVERGED if unconverged else Status.OK
        note = _joined([*(document.note for document in unconverged), self.fetched_from])
        energies = {entry.phase_id: entry.energy_ev_per_atom for entry in entries}
        crystal = min(self.crystal_phase_ids, key=lambda i: energies[i], default=None)
        above_hull = _with_level_error(
            result.energy_above_hull_ev_per_atom, status, note, result.level
        )
        made_from, reaction_energy = self._reaction(result, entries, status, note)
        if self._is_narrow:
            above_hull, reaction_energy = (
                _beyond(above_hull, _NARROW),
                _beyond(reaction_energy, _NARROW),
            )
        if self.library_gap:
            above_hull = _beyond(above_hull, self.library_gap)
        return HullDocument(
            identity=context.identity,
            status=status,
            note=note,
            provenance=self.provenance(context),
            formula=result.formula,
            level=result.level,
            energy_ev_per_atom=result.energy_ev_per_atom,
            formation_energy_ev_per_atom=result.formation_energy_ev_per_atom,
            energy_above_hull_ev_per_atom=above_hull,
            decomposition=_products(result.decomposition),
            reaction_energy_ev_per_atom=reaction_energy,
            reaction_components=_products(made_from),
            energy_above_crystal_ev_per_atom=None
            if result.energy_above_crystal_ev_per_atom is None
            else Quantity(
                result.energy_above_crystal_ev_per_atom,
                status=status,
                note=_joined([note, SAME_COMPOSITION]),
            ),
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


def _beyond(energy: Quantity, why: str) -> Quantity:
    """Return `energy` with the reason for which it is out of domain."""
    status = worst(energy.status, Status.OUT_OF_DOMAIN)
    return replace(energy, status=status, note=_joined([why, energy.note]))


def _no_better(limit: Quantity, hull: HullDocument) -> Quantity:
    above_hull = hull.energy_above_hull_ev_per_atom
    return replace(limit, status=above_hull.status, note=above_hull.note)


def _with_level_error(value: float, status: Status, note: str, level: str) -> Quantity:
    """Return `value` with the error of its level, where that is known."""
    sd = LEVEL_ERROR_EV_PER_ATOM.get(level)
    if sd is None:
        return Quantity(value, status=status, note=_joined([note, NOT_MEASURED]))
    ends = (value - TWO_SIDED_95 * sd, value + TWO_SIDED_95 * sd)
    return Quantity(value, sd, *ends, status, note)


def _joined(notes: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(note for note in notes if note))


def _described(phase_id: str) -> list[str]:
    phase = get_phase(phase_id)
    return [phase.formula, phase.role]


def energy_of(document: RelaxDocument | StaticDocument) -> float:
    """Return the energy of a step, eV/atom.

    Raises
    ------
    InputError
        It has none.
    """
    energy = document.energy_ev_per_atom.value
    if energy is None:
        raise InputError(
            f"the {document.kind} step has no energy",
            given=document.note or document.status.value,
            remedy="look at that step with `haloflow show`",
        )
    return energy


def _products(products: Iterable[Product]) -> list[HullProduct]:
    return [HullProduct(phase_id=p.phase_id, formula=p.formula, amount=p.amount) for p in products]
