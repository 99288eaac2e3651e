"""What all Makers share: identity, reuse, claims, provenance, failure."""

from __future__ import annotations

import atexit
import platform
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from jobflow import CURRENT_JOB, Job, JobConfig, Maker, OnMissing, job
from pymongo.errors import PyMongoError

from .. import __version__
from ..engines.lockstep import current_lockstep
from ..engines.potentials import identify, level_of, load_potential, parts_of
from ..engines.torchsim_models import choose_runner, load_batched
from ..errors import ClaimError, EngineError, InputError, InterruptedRunError, StoreError
from ..identity import canonical, step_identity, step_uuid, structure_hash
from ..settings import get_settings
from ..stores.claims import Claims, Owner
from ..stores.connection import store_of_job
from ..stores.documents import PotentialRecord, Provenance, StepDocument
from ..stores.purpose import is_for_tests
from ..stores.results import record_failure, stored_output, used_all
from ..stores.saved_runs import RunSaver
from ..stores.step_files import StepFiles
from ..stores.trajectory_places import remember_place
from .installed import installed_packages
from .progress import ProgressReporter
from .references import references_to
from .trained_models import bring_models
from .walltime import walltime_left_s

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from pymatgen.core import Structure

    from ..engines.md import MDResult
    from ..engines.potentials import Potential, PotentialIdentity
    from ..stores.connection import HaloflowStore
    from ..stores.documents import FileReference

DocumentT = TypeVar("DocumentT", bound=StepDocument)
_LEAST_WALLTIME_S = 1.0
_LOOK_INTERVAL_S = 1.0


def step_job(*, needs_all_inputs: bool = True) -> Callable[..., Any]:
    """Return jobflow's ``job`` decorator as every Maker of this package uses it.

    Parameters
    ----------
    needs_all_inputs
        False for steps that can work with what arrived when a parent failed.
    """
    missing = OnMissing.ERROR if needs_all_inputs else OnMissing.NONE
    decorator: Callable[..., Any] = job(
        config=JobConfig(expose_store=True, on_missing_references=missing)
    )
    return decorator


@dataclass
class StepContext:
    """What a running step knows about itself; its folder is made by who writes there."""

    identity: str
    directory: Path
    files_dir: Path
    parents: dict[str, str]
    started: float = field(default_factory=time.time)
    potential: Potential | None = None
    n_resumes: int = 0
    owner: Owner | None = None
    saver: RunSaver | None = None
    stored: StepFiles | None = None
    evaluated_by: PotentialIdentity | None = None
    for_tests: bool = False
    runner: str = "ase"

    @property
    def files(self) -> StepFiles:
        """The files of steps, wherever they are."""
        return self.stored or StepFiles(self.files_dir)

    @property
    def walltime_s(self) -> float | None:
        """Seconds left to this process, if the settings limit them; at least one."""
        left_s = walltime_left_s()
        return None if left_s is None else max(left_s, _LEAST_WALLTIME_S)

    def progress(self, total: int) -> ProgressReporter:
        """Return a reporter for `total` units of work."""
        return ProgressReporter(self.directory, total, self._between)

    def _between(self) -> None:
        """Stop if another process took the step over; save what is due."""
        if self.owner is not None:
            Claims.require_unlost(self.identity, self.owner)
        if self.saver is not None:
            self.saver.offer()

    def load(self, level: str) -> Potential:
        """Load the potential of `level` and note it for the provenance."""
        settings = get_settings()
        self.runner = choose_runner(settings.runner, level, settings.device)
        load = load_batched if self.runner == "torch-sim" else load_potential
        self.potential = load(level, device=settings.device, threads=settings.threads_per_worker)
        self.evaluated_by = self.potential.identity
        return self.potential

    def trajectories(self, parts: Mapping[str, MDResult]) -> list[FileReference]:
        """Refer to the trajectory files of the parts of a run."""
        return [
            reference
            for part, result in parts.items()
            for reference in references_to(result.trajectory, part, self.files_dir)
        ]


_computed = ExitStack()
"""Claims on steps that this process has computed, held until their documents are stored."""


@atexit.register
def release_claims() -> None:
    """Give back the claims on steps that jobflow has stored, or failed to store, by now."""
    with suppress(StoreError, PyMongoError):  # a store that is gone holds no claims
        _computed.close()


def _forget_saved(store: HaloflowStore, job_uuid: str, saver: RunSaver) -> None:
    """Drop what was saved of a running step, if its document has been stored."""
    if store.is_open and store.outputs.query_one({"uuid": job_uuid}, ["uuid"]) is not None:
        saver.forget()


def _claim(
    store: HaloflowStore, identity: str, used: Collection[str], owner: Owner, held: ExitStack
) -> dict[str, Any] | None:
    """Claim a step into `held`, or return its document once whoever is at it has stored it."""
    claims = Claims(store.claims)
    while not held.enter_context(claims.held(identity, owner)):
        if (document := _stored(store, identity, used)) is not None:
            return document
        if current_lockstep() is not None:  # to wait would hold up those beside
            raise ClaimError(
                f"another process is at step {identity[:12]}", remedy="run the same command again"
            )
        if (left_s := walltime_left_s()) is not None and left_s <= _LOOK_INTERVAL_S:
            raise InterruptedRunError(
                f"the walltime is over while another process is at step {identity[:12]}",
                remedy="run the same command again",
            )
        time.sleep(_LOOK_INTERVAL_S)
    return _stored(store, identity, used)


def _stored(store: HaloflowStore, identity: str, used: Collection[str]) -> dict[str, Any] | None:
    """Return the step's document, unless it was made without some of the parents `used`."""
    document = stored_output(store, identity)
    return document if document is not None and used_all(document, used) else None


@dataclass
class StepMaker(Maker):
    """Base of the Makers: one physical step, known by what it does.

    Subclasses are dataclasses whose fields are the step's settings; all of them but
    `not_physics` enter the identity.
    """

    name: str = "step"

    kind: ClassVar[str]
    code_version: ClassVar[int]

    not_physics: ClassVar[tuple[str, ...]] = ("name", "checkpoint_interval")
    """Settings without influence on the result."""

    needs_all_inputs: ClassVar[bool] = True
    """Whether the step is lost when one of its parents fails."""

    essential: ClassVar[tuple[str, ...]] = ()
    """Names of parents without which it is lost in any case."""

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels of theory that the step evaluates; none for pure analysis."""
        return ()

    @property
    def runs_beside_others(self) -> bool:
        """Whether such steps had better run side by side in one process."""
        return False

    def settings(self) -> dict[str, Any]:
        """Return the settings as they were given."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "name"}

    def physics(self) -> dict[str, Any]:
        """Return what decides the result; the same in every spelling of the settings."""
        found = {k: v for k, v in self.settings().items() if k not in self.not_physics}
        return found | ({"level": level_of(found["level"])} if "level" in found else {})

    def identity(self, parents: dict[str, str]) -> str:
        """Identify the step that starts from `parents` (input name to identity or hash)."""
        return step_identity(
            self.kind,
            self.code_version,
            {
                "settings": self.physics(),
                "potentials": [identify(level).as_parameters() for level in self.levels],
                "parents": parents,
            },
        )

    def run_step(
        self,
        work: Callable[[StepContext], DocumentT],
        parents: dict[str, str],
        used: Collection[str] | None = None,
    ) -> DocumentT | dict[str, Any]:
        """Run `work` once in the world: reuse what is stored, wait for who is at it.

        Parameters
        ----------
        work
            Makes the document.
        parents
            What the step starts from: input to identity or hash.
        used
            Those of the parents that gave a result; default: all.

        Raises
        ------
        EngineError
            If this machine would make another step than the one planned.
        ClaimError
            If another process took the step over meanwhile; the result is not stored.
        """
        release_claims()
        with ExitStack() as held:
            store = held.enter_context(store_of_job(CURRENT_JOB.store))
            bring_models([*self.levels, getattr(self, "level", "")], store)
            identity = self.identity(parents)
            self._require_planned(identity)
            arrived = {k: v for k, v in parents.items() if used is None or v in used}
            needed = () if self.needs_all_inputs else tuple(arrived.values())
            owner = Owner.here()
            stored = _claim(store, identity, needed, owner, held)
            if stored is not None:
                return stored
            directory = step_directory(store.files_dir, identity)
            remember_place(store)
            saver = RunSaver(
                store, identity, directory, get_settings().saving_interval_s, owner=owner
            )
            saver.restore()
            context = StepContext(
                identity, directory, store.files_dir, arrived, saver=saver, stored=store.files
            )
            context.owner = owner
            context.for_tests = is_for_tests(store)
            document = self._work(work, context, store)
            Claims(store.claims).require(identity, owner)  # or else another process is at it
            if saver.is_needed:
                held.callback(_forget_saved, store, CURRENT_JOB.job.uuid, saver)
            _computed.push(held.pop_all())  # jobflow stores the document after this returns
            return document

    def _work(
        self,
        work: Callable[[StepContext], DocumentT],
        context: StepContext,
        store: HaloflowStore,
    ) -> DocumentT:
        try:
            document = work(context)
            if context.saver is not None:
                context.saver.secure(document.files)
            return document  # noqa: TRY300  (what it refers to must be stored first)
        except InterruptedRunError:
            if context.saver is not None:
                context.saver.save_now()
            raise
        except ClaimError:  # it has not failed: another process is at it
            raise
        except Exception as error:  # whatever it is: noted in the store, and raised again
            message = str(error) or type(error).__name__
            record_failure(store, context.identity, self.name, message)
            raise

    def _require_planned(self, identity: str) -> None:
        planned = CURRENT_JOB.job.metadata.get("haloflow_identity")
        if planned is not None and planned != identity:
            raise EngineError(
                f"this machine would not run the {self.kind} step that was planned",
                given=f"identity {identity[:12]} here, {planned[:12]} in the plan",
                remedy="install the versions of haloflow and of the potential that made the "
                "plan, or plan again with those installed here",
            )

    def provenance(self, context: StepContext) -> Provenance:
        """Describe how a document of this step came about."""
        settings = get_settings()
        record = None
        if (known := context.evaluated_by) is not None:
            record = PotentialRecord(
                name=known.name,
                level=known.level,
                package=known.package,
                package_version=known.package_version,
                weights_sha256=known.weights_sha256,
            )
        return Provenance(
            haloflow_version=__version__,
            code_version=self.code_version,
            python_version=platform.python_version(),
            packages=dict(installed_packages()) | parts_of(context.potential),
            potential=record,
            parents=sorted(context.parents.values()),
            parameters=canonical(self.settings()),
            threads=settings.threads_per_worker,
            device=settings.device,
            runner=context.runner,
            wall_s=round(time.time() - context.started, 3),
            n_resumes=context.n_resumes,
        )


@dataclass
class LevelMaker(StepMaker):
    """Base of the Makers that evaluate one potential.

    Attributes
    ----------
    level
        Level of theory (the name of a potential).
    """

    level: str = "chgnet-r2scan"

    @property
    def levels(self) -> tuple[str, ...]:
        """The one level of this step."""
        return (self.level,)


def step_directory(files_dir: Path, identity: str) -> Path:
    """Return the folder of the step `identity`."""
    return files_dir / identity[:2] / identity


def plan_job(
    maker: StepMaker, inputs: dict[str, Any], parents: dict[str, str], *, name: str, identity: str
) -> Job:
    """Return the Job of a step that was planned with `identity`, which gives it its UUID."""
    planned: Job = maker.make(**inputs, parents=parents)
    planned.set_uuid(step_uuid(identity))
    planned.name = name
    planned.metadata = {"haloflow_identity": identity, "haloflow_step": name}
    return planned


def require_sound(document: StepDocument) -> None:
    """Refuse to build on a step that broke down.

    Raises
    ------
    InputError
        With that step's own reason.
    """
    if document.status.is_broken:
        raise InputError(
            f"the {document.kind} step before this one ended as {document.status.value}",
            given=document.note or "no further note",
            remedy="look at that step with `haloflow show`; change its settings or its level",
        )


def start_structure(start: Structure | StepDocument) -> Structure:
    """Return the structure to start from; a step that broke down gives none."""
    if not isinstance(start, StepDocument):
        return start
    require_sound(start)
    structure: Structure = start.structure  # type: ignore[attr-defined]  # all that precede have one
    return structure


def parents_of(start: Structure | StepDocument) -> dict[str, str]:
    """Return the parents of a step that starts from `start`."""
    if isinstance(start, StepDocument):
        return {"start": start.identity}
    return {"start": structure_hash(start)}
