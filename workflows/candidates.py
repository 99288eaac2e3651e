"""From the chemistry of a sweep file to its candidates."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, cast

from scipy.optimize import minimize_scalar

from ..errors import CompositionError, InputError, SweepError
from ..systems.components import component
from ..systems.expressions import check, names
from ..systems.families import crystal_literature, custom_family, get_family
from ..systems.formulae import formula_of
from ..systems.mixture import Mixture
from ..systems.phases import get_phase
from .sweep import GridRange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..systems.declarations import LiteratureRow, Variable
    from ..systems.families import Family
    from ..systems.mixture import IntegerUnits
    from .sweep import Phase, Sweep, SystemEntry

_NEAR = 1.0
_VARIABLE_TOLERANCE = 1e-7
_ON_THE_LINE = 1e-9
_NOT_POSSIBLE = 10.0


@dataclass(frozen=True)
class Candidate:
    """A composition in a phase.

    Attributes
    ----------
    label
        For people, e.g. ``"NaTaOCl4 glass"``.
    family
        Family id, ``"crystal"`` for a phase of the library by itself, or ``"custom"``.
    mixture
        Composition in formula units of components with explicit oxidation states.
    variables
        Values of the sweep variables.
    phase_id
        Crystal model of the library, for a crystal.
    crystal_ids
        Crystal models of the same composition, for a glass.
    source, former
        What makes mixtures of other values of the variables.
    until
        Last stage; ``None`` for all of them.
    """

    label: str
    family: str
    phase: Phase
    mixture: Mixture
    variables: dict[str, float] = field(default_factory=dict)
    phase_id: str | None = None
    crystal_ids: tuple[str, ...] = ()
    mobile: str = "Na"
    literature: tuple[LiteratureRow, ...] = ()
    source: Family | None = None
    former: str | None = None
    until: str | None = None

    def variables_of(self, units: IntegerUnits) -> dict[str, float]:
        """Return the values of the variables that `units` have; none off the family's line."""
        if self.source is None or len(self.variables) != 1:
            return {}
        ((name, asked),) = self.variables.items()
        variable = cast("Variable", self.source.variable)
        total = sum(units.counts.values())

        def miss(value: float) -> float:
            """Return the squared distance of the shares at `value` from those of `units`."""
            try:
                there = cast("Family", self.source).mixture(value, former=self.former).amounts
            except CompositionError:
                return _NOT_POSSIBLE
            whole = sum(there.values())
            shares = {part.formula: amount / whole for part, amount in there.items()}
            formulas = shares.keys() | units.counts.keys()
            return sum((shares.get(f, 0.0) - units.counts.get(f, 0) / total) ** 2 for f in formulas)

        nearby = max(_NEAR, asked)
        found = minimize_scalar(
            miss,
            bounds=(max(variable.lower, asked - nearby), min(variable.upper, asked + nearby)),
            method="bounded",
            options={"xatol": _VARIABLE_TOLERANCE},
        )
        return {name: round(float(found.x), 4)} if found.fun < _ON_THE_LINE else {}

    @property
    def phase_note(self) -> str:
        """What must be said wherever the crystal model is shown."""
        return get_phase(self.phase_id).caution if self.phase_id else ""

    @property
    def glass_transition_k(self) -> float | None:
        """Measured glass transition of this composition, if one is published."""
        for row in self.literature:
            if row.quantity == "glass_transition_k" and row.kind == "experiment":
                return row.value
        return None


def expand(sweep: Sweep) -> list[Candidate]:
    """Return the candidates of `sweep`, each once, in the file's order.

    Raises
    ------
    SweepError
        If an entry makes no candidate.
    """
    unique: dict[tuple[str, str | None, str, str | None], Candidate] = {}
    for index, entry in enumerate(sweep.systems):
        made = _entry_candidates(entry, f"systems.{index}")
        if not made:
            raise SweepError(
                f"systems.{index} makes no candidate",
                given=entry.model_dump(exclude_none=True),
                allowed="a phase that the family has at these values",
                remedy="look at `haloflow systems`; change phase, former or x",
            )
        for candidate in made:
            mixture = str(candidate.mixture.canonical())
            key = (candidate.phase, candidate.phase_id, mixture, candidate.until)
            unique.setdefault(key, candidate)
    return list(unique.values())


def _entry_candidates(entry: SystemEntry, where: str) -> list[Candidate]:
    try:
        return list(_of_entry(entry, where))
    except InputError as error:
        if not error.problem.startswith(where):
            error.problem = f"{where}: {error.problem}"
        raise


def _of_entry(entry: SystemEntry, where: str) -> Iterator[Candidate]:
    if entry.crystal is not None:
        _refuse(entry, where, "a crystal", ("x", "former", "oxidation_states", "volumes_a3"))
        phase = get_phase(entry.crystal)
        yield Candidate(
            label=f"{formula_of(phase.composition)} crystal ({phase.id})",
            family="crystal",
            phase="crystal",
            mixture=_mixture_of_phase(phase.id, neutral=entry.until is not None),
            phase_id=phase.id,
            literature=tuple(crystal_literature(phase.id)),
            until=entry.until,
        )
        return
    family = _family(entry, where)
    formers: list[str | None] = [*(entry.former or family.formers)] or [None]
    made: list[Candidate] = []
    without_model: list[str] = []
    for former, point in product(formers, _points(entry, family, where)):
        found = list(_of_point(entry, family, former, point))
        made += found
        if "crystal" in (entry.phases() or ()) and not any(c.phase == "crystal" for c in found):
            without_model.append(_point_text(former, point))
    if made and without_model:
        raise SweepError(
            f"{where}: family {family.id} has no crystal model at every point",
            given=f"phase {entry.phase} at {'; '.join(without_model)}",
            allowed="crystal where the library holds a model of this composition",
            remedy="leave phase out to take what there is at each point, or take these points "
            "out of the entry",
        )
    yield from made


def _point_text(former: str | None, point: dict[str, float]) -> str:
    parts = [f"M = {former}"] if former else []
    return ", ".join([*parts, *(f"{name} = {value:g}" for name, value in point.items())])


def _of_point(
    entry: SystemEntry, family: Family, former: str | None, point: dict[str, float]
) -> Iterator[Candidate]:
    mixture = family.mixture(point, former=former)
    models = [crystal.phase_id for crystal in family.crystals_for(point, former=former)]
    same = tuple(m for m in models if _same_composition(m, mixture))
    available: list[Phase] = ["crystal"] if same else []
    if family.glass:
        available.append("glass")
    wanted = entry.phases() or available
    name = mixture.label.replace(" ", "").replace("+", "-") if point else mixture.formula
    for phase in wanted:
        if phase == "crystal" and not same:
            continue
        yield Candidate(
            label=f"{name} {phase}",
            family=family.id,
            phase=phase,
            mixture=mixture,
            variables=point,
            phase_id=same[0] if phase == "crystal" else None,
            crystal_ids=same,
            mobile=family.mobile,
            literature=tuple(family.literature_for(point, former=former, phase=phase)),
            source=family,
            former=former,
        )


def _family(entry: SystemEntry, where: str) -> Family:
    if entry.family is not None:
        _refuse(entry, where, "a family", ("oxidation_states", "volumes_a3", "until"))
        return get_family(entry.family)
    _refuse(entry, where, "an entry of components", ("former", "until"))
    components = cast("dict[str, float | str]", entry.components)
    states, volumes = entry.oxidation_states or {}, entry.volumes_a3 or {}
    _check_components(entry, components, where)
    rows: list[dict[str, Any]] = [
        {
            "formula": formula,
            "amount": amount,
            "oxidation_states": states.get(formula),
            "volume_a3": volumes.get(formula),
        }
        for formula, amount in components.items()
    ]
    return custom_family(rows, variables={"x": (0.0, 1e6)} if entry.x is not None else None)


def _check_components(entry: SystemEntry, components: dict[str, float | str], where: str) -> None:
    """Refuse properties of other components, and an x that does not fit the amounts."""
    strange = {*(entry.oxidation_states or ()), *(entry.volumes_a3 or ())} - components.keys()
    if strange:
        raise SweepError(
            f"{where} describes what is no component of it",
            given=sorted(strange),
            allowed=list(components),
            remedy="write the formulas as under components",
        )
    for formula, amount in components.items():
        check(amount, ["x"], of=formula)
    depends = any("x" in names(amount) for amount in components.values())
    if depends != (entry.x is not None):
        raise SweepError(
            f"{where}: amounts depend on x, which has no values"
            if depends
            else f"{where}: x has values, and no amount depends on it",
            given=components,
            allowed="amounts such as x or 1 - x together with values of x",
            remedy="add x: [0.5, 1.0]" if depends else "remove x, or use it in an amount",
        )


def _points(entry: SystemEntry, family: Family, where: str) -> list[dict[str, float]]:
    variable = family.variable
    if variable is None:
        _refuse(entry, where, f"family {family.id}, which has no variable,", ("x",))
        return [{}]
    if isinstance(entry.x, GridRange):
        values = entry.x.values()
    elif isinstance(entry.x, list):
        values = entry.x
    else:
        values = list(variable.published)
    if not values:
        raise SweepError(
            f"{where}.x gives no values",
            given=entry.x,
            allowed=f"{variable.lower:g} to {variable.upper:g}",
            remedy="write x: [0.5, 1.0] or x: {start: 0.5, stop: 1.0, step: 0.25}",
        )
    return [{variable.name: float(value)} for value in values]


def _refuse(entry: SystemEntry, where: str, kind: str, fields: tuple[str, ...]) -> None:
    given = [name for name in fields if getattr(entry, name) is not None]
    if given:
        raise SweepError(
            f"{where}: {kind} takes no {' or '.join(given)}",
            given=entry.model_dump(exclude_none=True),
            remedy=f"remove {' and '.join(given)}",
        )


def _mixture_of_phase(phase_id: str, *, neutral: bool) -> Mixture:
    """Return a phase as a mixture of one component: itself, with its known states or none."""
    phase = get_phase(phase_id)
    formula = phase.composition.reduced_formula
    states = dict.fromkeys(phase.elements, 0.0) if neutral else None
    return Mixture({component(formula, states, phase_id=phase.id): 1.0})


def _same_composition(phase_id: str, mixture: Mixture) -> bool:
    one = get_phase(phase_id).composition.fractional_composition
    return bool(one.almost_equals(mixture.composition.fractional_composition, rtol=1e-4))
