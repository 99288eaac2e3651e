"""Models that haloflow trained, as a store holds them, and the one that fits a run best."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pymatgen.core import Composition

from ..engines.availability import missing_for
from ..engines.potentials import level_of
from ..engines.trained_models import digits_of, models_here, name_of
from ..errors import DocumentError, InputError, PotentialError, StoreError, UnknownNameError
from ..makers.model_verdict import model_verdict
from ..makers.trained_models import bring_model, bring_models
from ..quantity import Status
from ..stores.models import TrainedModelDocument
from ..stores.records import step_of
from ..stores.student_checks import StudentCheckDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..stores.connection import HaloflowStore
    from ..stores.student_checks import StudentCheck
    from .candidates import Candidate
    from .sweep import Stages, Sweep

AUTO: Final = "auto"
DYNAMIC_STAGES: Final = ("melt_quench", "md")
_DIGITS = 12
_FRACTION_TOLERANCE = 0.01
_TEMPERATURE_TOLERANCE_K = 1.0


@dataclass(frozen=True)
class RunDomain:
    """What a run asks of a model.

    Attributes
    ----------
    composition
        Of its atoms.
    temperature_k
        From and to.
    """

    composition: Composition
    temperature_k: tuple[float, float]


@dataclass(frozen=True)
class StoredModel:
    """A trained model and its name as a potential, the same on all machines."""

    document: TrainedModelDocument
    name: str
    is_shipped: bool = False
    check: StudentCheck | None = None


@dataclass(frozen=True)
class KnownModels:
    """What there is to choose from.

    Attributes
    ----------
    models
        Fastest first.
    unreadable
        Name to what is wrong.
    """

    models: list[StoredModel] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What is wrong with those that cannot be used."""
        return [f"{name} cannot be used: {problem}" for name, problem in self.unreadable.items()]


@dataclass(frozen=True)
class LevelChoice:
    """What `auto` stands for.

    Attributes
    ----------
    name
        Of the potential that was chosen.
    reason
        Why, and what kept the others out.
    model
        The trained model; ``None`` where none fits and the fallback was taken.
    """

    name: str
    reason: str
    model: TrainedModelDocument | None = None


@dataclass(frozen=True)
class ResolvedSweep:
    """A sweep with the levels that one candidate gets."""

    sweep: Sweep
    notes: list[str] = field(default_factory=list)


def known_models(store: HaloflowStore | None) -> KnownModels:
    """Return the models of the package and of a store; those of the store come to this machine."""
    found: dict[str, StoredModel] = {}
    unreadable: dict[str, str] = {}
    for model in models_here():
        if not model.is_shipped:
            continue
        if damage := model.damage():
            unreadable[model.name] = damage
            continue
        document = step_of(model.document())
        assert isinstance(document, TrainedModelDocument)
        found[model.weights_sha256] = StoredModel(
            document, model.name, is_shipped=True, check=document.check
        )
    checks = _checks(store, unreadable) if store else {}
    rows = store.outputs.query({"output.kind": "trained_model"}, ["output"]) if store else ()
    for row in rows:
        try:
            document = step_of(row["output"])
            assert isinstance(document, TrainedModelDocument)
            if document.handed_from:
                continue
            assert store is not None
            model = bring_model(document, store.files)
        except (DocumentError, PotentialError, StoreError) as error:
            name = name_of(str(row["output"].get("level", row["output"].get("identity"))))
            unreadable[name] = f"{error.problem} ({error.given})"
            continue
        stored = StoredModel(document, model.name, check=checks.get(model.weights_sha256))
        found.setdefault(model.weights_sha256, stored)
    models = sorted(found.values(), key=lambda one: (one.document.us_per_atom_step, one.name))
    return KnownModels(models, unreadable)


def _checks(store: HaloflowStore, unreadable: dict[str, str]) -> dict[str, StudentCheck]:
    """Return the newest check of each student of a store, by the sha256 of its weights."""
    criteria = {"output.kind": "student_check"}
    found: dict[str, StudentCheck] = {}
    for row in store.outputs.query(criteria, ["output"], sort={"completed_at": 1}):
        try:
            document = step_of(row["output"])
        except DocumentError as error:
            unreadable[f"check {str(row['output'].get('identity'))[:_DIGITS]}"] = error.problem
            continue
        assert isinstance(document, StudentCheckDocument)
        found[document.weights_sha256] = document.check
    return found


def stored_models(store: HaloflowStore) -> list[StoredModel]:
    """Return the trained models of a store that can be used, fastest first."""
    return [model for model in known_models(store).models if not model.is_shipped]


def find_model(models: Sequence[StoredModel], sha256: str) -> StoredModel:
    """Return the model of this name, or whose weights' sha256 begins like this.

    Raises
    ------
    UnknownNameError
        If none does, or several do.
    """
    digits = digits_of(sha256) or sha256
    found = [model for model in models if model.document.weights_sha256.startswith(digits)]
    if len(found) != 1:
        known = [model.document.weights_sha256[:_DIGITS] for model in models]
        raise UnknownNameError.of("trained model", sha256, known)
    return found[0]


def misses(model: TrainedModelDocument, run: RunDomain) -> list[str]:
    """Say where a run leaves what a model was trained on; empty where it does not.

    A composition is covered when the fraction of each element lies within those of the
    model's frames.
    """
    if model.status is not Status.OK:
        return [f"it is {model.status.value}: {model.note}"]
    status, why = model_verdict(model.errors, model.fine_tuning)
    if status is not Status.OK:
        return [f"it is {status.value}: {why}"]
    elements = {element.symbol for element in run.composition.elements}
    if strange := sorted(elements - set(model.domain.elements)):
        return [f"it does not know {', '.join(strange)}"]
    found = []
    known = [Composition(formula) for formula in model.domain.formulas]
    for symbol in sorted(elements | set(model.domain.elements)):
        fractions = [one.get_atomic_fraction(symbol) for one in known]
        asked = run.composition.get_atomic_fraction(symbol)
        low, high = min(fractions), max(fractions)
        if not low - _FRACTION_TOLERANCE <= asked <= high + _FRACTION_TOLERANCE:
            found.append(f"{asked:.2f} of the atoms are {symbol}, it knows {low:.2f} to {high:.2f}")
    if model.domain.temperature_k is None:
        return [*found, "it knows no temperature"]
    cold, hot = model.domain.temperature_k
    asked_k = f"{run.temperature_k[0]:g} to {run.temperature_k[1]:g} K"
    if (
        run.temperature_k[0] < cold - _TEMPERATURE_TOLERANCE_K
        or run.temperature_k[1] > hot + _TEMPERATURE_TOLERANCE_K
    ):
        found.append(f"{asked_k} are asked, it knows {cold:g} to {hot:g} K")
    return found


def _knows_elements(model: TrainedModelDocument, run: RunDomain) -> bool:
    return {element.symbol for element in run.composition.elements} <= set(model.domain.elements)


def choose_model(
    models: Sequence[StoredModel], run: RunDomain, fallback: str | None = None
) -> LevelChoice:
    """Return the fastest sound model whose domain covers a run, or the fallback.

    A model that a check found to differ from its teacher is not taken.

    Parameters
    ----------
    models
        Fastest first.
    run
        What is asked.
    fallback
        Potential to take where no model covers the run; only models that it has taught are
        taken, so that results stay at one level of theory.

    Raises
    ------
    InputError
        If no model covers the run and there is no fallback.
    """
    kept_out = []
    n_others = 0
    for model in models:
        missed = misses(model.document, run)
        if fallback is not None and model.document.teacher != level_of(fallback):
            missed.append(f"its teacher is {model.document.teacher}, not {fallback}")
        if model.check is not None and model.check.problems:
            missed.append(f"it differs from its teacher: {'; '.join(model.check.problems)}")
        if not missed and (absent := missing_for(model.document.architecture)):
            missed.append(absent)
        if not missed:
            document = model.document
            table = document.errors.get("test")
            error = f", forces {table.force_mae_mev_a:.0f} meV/A off" if table else ""
            reason = (
                f"{document.level} is the fastest model that covers it "
                f"({document.us_per_atom_step:.0f} us per atom and step{error}; "
                f"teacher {document.teacher})"
            )
            return LevelChoice(model.name, reason, document)
        if model.is_shipped and not _knows_elements(model.document, run):
            n_others += 1
        else:
            kept_out.append(f"{model.document.level}: {'; '.join(missed)}")
    if all(model.is_shipped for model in models):
        kept_out.append("the store holds no trained model")
    if n_others:
        kept_out.append(f"{n_others} that haloflow brings along know other elements")
    why = " | ".join(kept_out)
    if fallback is None:
        raise InputError(
            f"no trained model covers {run.composition.reduced_formula}",
            given=why,
            remedy="train a student for it (`student` in a sweep file), or name a potential",
        )
    return LevelChoice(fallback, f"{fallback}, since no trained model covers it ({why})")


def models_for(sweep: Sweep, store: HaloflowStore | None) -> KnownModels:
    """Bring the models that a sweep names to this machine; return those that `auto` may take.

    Raises
    ------
    UnknownNameError, PotentialError
        If a model that it names cannot be had.
    """
    levels = [*sweep.levels().values()]
    if store is not None:
        bring_models(levels, store)
    if AUTO not in sweep.stages.model_dump().values():
        return KnownModels()
    known = known_models(store)
    if sweep.student is None or not sweep.student.learn:
        return known
    # planned again while it learns, the sweep must not begin anew with what it has learned
    return replace(known, models=[one for one in known.models if not one.document.of_round])


def resolve_levels(
    sweep: Sweep, candidates: Iterable[Candidate], models: Sequence[StoredModel]
) -> list[ResolvedSweep]:
    """Return the sweep for each candidate, with a potential wherever it says `auto`.

    Melt, quench and MD take the fastest trained model whose domain covers the candidate and
    the temperatures, or else the default level. Relaxation and hull take the default level:
    competing phases lie outside of any student.
    """
    stages = sweep.stages.model_dump()
    asking = [stage for stage, level in stages.items() if level == AUTO]
    if not asking:
        return [ResolvedSweep(sweep) for _ in candidates]
    defaults = {name: one.default for name, one in type(sweep.stages).model_fields.items()}
    found = []
    for candidate in candidates:
        chosen: dict[str, str] = {}
        notes = []
        for stage in asking:
            if stage not in DYNAMIC_STAGES:
                chosen[stage] = defaults[stage]
                continue
            temperatures = _temperatures_k(sweep, stage, candidate)
            run = RunDomain(candidate.mixture.composition, temperatures)
            choice = choose_model(models, run, defaults[stage])
            chosen[stage] = choice.name
            notes.append(f"{stage}: auto is {choice.reason}")
        own = sweep.model_copy(update={"stages": sweep.stages.model_copy(update=chosen)})
        found.append(ResolvedSweep(own, notes))
    return found


def by_levels(
    candidates: Sequence[Candidate], resolved: Sequence[ResolvedSweep]
) -> list[tuple[Sweep, list[Candidate]]]:
    """Return the different sweeps of `resolve_levels`, each with its candidates."""
    groups: dict[Stages, tuple[Sweep, list[Candidate]]] = {}
    for candidate, one in zip(candidates, resolved, strict=True):
        groups.setdefault(one.sweep.stages, (one.sweep, []))[1].append(candidate)
    return list(groups.values())


def _temperatures_k(sweep: Sweep, stage: str, candidate: Candidate) -> tuple[float, float]:
    if stage == "melt_quench":
        protocol = sweep.melt_quench
        return protocol.final_temperature_k, protocol.melt_temperature_k
    crystal = candidate.phase == "crystal" and sweep.md.crystal_temperatures_k
    temperatures = crystal or sweep.md.temperatures_k
    return min(temperatures), max(temperatures)
