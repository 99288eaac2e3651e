"""MD of a sweep that learns: what left the domain of its student goes on with the next one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..engines.trained_models import name_of
from ..errors import InputError
from ..identity import content_hash
from ..stores.documents import MDDocument, StepDocument
from ..stores.learned_runs import ModelSpan, joined_level
from .domain_check import left_domain
from .handed_on import FOLDERS, handed_on, start_anew_for
from .md import MDMaker
from .past_run import PARTS, PastRun
from .step import StepContext, start_structure, step_job
from .trained_models import bring_model

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ..stores.models import TrainedModelDocument


@dataclass
class LearnedMDMaker(MDMaker):
    """Go on with a run that left the domain of its student, from its last trusted state.

    A run that stayed inside is handed on as it is; so is one that ended for another reason, or
    where no student came of what it had found.

    Attributes
    ----------
    level
        Of the run before there was anything to learn; the student comes as an input.
    """

    needs_all_inputs: ClassVar[bool] = False
    essential: ClassVar[tuple[str, ...]] = ("run",)

    @property
    def runs_beside_others(self) -> bool:
        """Each by itself: what drives it comes with its own document."""
        return False

    @step_job(needs_all_inputs=False)
    def make(
        self,
        start: Structure | StepDocument | None,
        run: MDDocument | None,
        student: TrainedModelDocument | None,
        parents: dict[str, str] | None = None,
    ) -> MDDocument | dict[str, Any]:
        """Go on with `run`.

        Parameters
        ----------
        start
            What it had started from: where it left the domain before any state could be
            trusted, it starts again from there.
        run
            Of the round before.
        student
            Taught by what left the domain; ``None`` where its training failed.

        Raises
        ------
        InputError
            There is no run.
        """
        if run is None:
            raise InputError(
                "there is no run to go on with",
                given="an MD step without a result",
                remedy="look at that step with `haloflow show`, and run the sweep again",
            )
        given = {"start": start, "run": run, "student": student}
        arrived = {n: one.identity for n, one in given.items() if isinstance(one, StepDocument)}
        known = parents or arrived
        return self.run_step(
            lambda context: self._go_on(start, run, student, context),
            known,
            [identity for identity in known.values() if identity in arrived.values()],
        )

    def _go_on(
        self,
        start: Structure | StepDocument | None,
        run: MDDocument,
        student: TrainedModelDocument | None,
        context: StepContext,
    ) -> MDDocument:
        last = run.provenance.potential
        is_new = student is not None and last is not None \
            and student.weights_sha256 != last.weights_sha256  # fmt: skip
        left = left_domain(run.status, run.domain)
        began = {"start": run.start or context.parents.get("start", "")}
        if not left or student is None or not is_new or start is None:
            return handed_on(run, context).model_copy(update=began)
        bring_model(student, context.files)
        past = PastRun.of(run, context.files)
        made_of = [student.weights_sha256, past.sha256 if past else ""]
        start_anew_for(content_hash(made_of), context, *FOLDERS)
        maker = MDMaker(**self.settings() | {"level": name_of(student.level)})
        found = maker.go_on(start_structure(start), context, past)
        models = spans(run, student, past)
        return found.model_copy(update={"models": models, "level": joined_level(models)} | began)


def spans(run: MDDocument, student: TrainedModelDocument, past: PastRun | None) -> list[ModelSpan]:
    """Return the models of a run that went on with a student, those before that had come so far.

    The first one stays named where nothing is left of what it drove.
    """
    place = (past.part, past.state.step) if past else (_first_part(run), 0)
    before = run.models or [_span(run.level, _weights(run), (_first_part(run), 0))]
    kept = [one for one in before[1:] if _order(one.part, one.from_step) < _order(*place)]
    return [before[0], *kept, _span(student.level, student.weights_sha256, place)]


def _order(part: str, step: int) -> tuple[int, int]:
    return PARTS.index(part), step


def _first_part(run: MDDocument) -> str:
    return PARTS[0] if run.provenance.parameters.get("equilibration_steps") else PARTS[1]


def _weights(run: MDDocument) -> str:
    potential = run.provenance.potential
    return potential.weights_sha256 if potential else ""


def _span(level: str, weights_sha256: str, place: tuple[str, int]) -> ModelSpan:
    return ModelSpan(level=level, weights_sha256=weights_sha256, part=place[0], from_step=place[1])
