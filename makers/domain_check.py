"""What a run of a trained model is watched for, and what is said of it afterwards."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engines.assessment import errors_of
from ..engines.domain import ACCEPTED_SHARE, SELECT_GRADE, domain_guard
from ..engines.feature_domain import load_domain, trained_file
from ..engines.labels import label_frames
from ..engines.potentials import load_potential
from ..engines.trajectory import TrajectoryReader
from ..engines.vasp_levels import is_vasp
from ..errors import (
    EngineError,
    InputError,
    InterruptedRunError,
    MissingDependencyError,
    PotentialError,
)
from ..quantity import Status
from ..settings import get_settings
from ..stores.domain_report import DomainReport, ErrorTable
from .frames import frame_at

if TYPE_CHECKING:
    from ase import Atoms

    from ..engines.domain import Domain
    from ..engines.guards import Guard
    from ..engines.md import MDResult
    from .step import StepContext

_MOST_GRADED = 500
_CHECKED = 5
_NOT_WATCHED = "not watched: no domain lies beside the weights of this model"


def domain_of_level(level: str) -> Domain | None:
    """Return the domain that lies beside a trained model; ``None`` where there is none.

    Raises
    ------
    PotentialError
        If it is damaged, or of another model.
    """
    settings = get_settings()
    return load_domain(level, device=settings.device, threads=settings.threads_per_worker)


def domain_guards(level: str) -> list[Guard]:
    """Return the guard that ends a run of a trained model where it leaves its domain.

    From the first look above the grade that is worth a label on, its states are not trusted.
    """
    domain = domain_of_level(level)
    return [] if domain is None else [domain_guard(domain, doubt_grade=SELECT_GRADE)]


def domain_report(level: str, run: MDResult, context: StepContext) -> DomainReport | None:
    """Grade the frames of a trained model's run, and let its teacher check some of them.

    Returns
    -------
    DomainReport or None
        ``None`` for a potential that was not trained for some frames. One without a domain
        beside it was not watched, and the report says so.
    """
    domain = domain_of_level(level)
    if domain is None:
        return None if trained_file(level) is None else DomainReport(note=_NOT_WATCHED)
    reader = TrajectoryReader(run.trajectory)
    frames = [frame_at(reader, i) for i in _spread(reader.n_frames, _MOST_GRADED)]
    grades = np.array([domain.grade(frame) for frame in frames])
    checked = [frames[i] for i in _spread(len(frames), _CHECKED)]
    errors, note = _teacher_errors(level, domain.teacher, checked, context)
    largest = float(grades.max())
    return DomainReport(
        share_above=float(np.mean(grades > SELECT_GRADE)),
        grade=SELECT_GRADE,
        largest_grade=largest if np.isfinite(largest) else None,
        n_graded=len(frames),
        teacher=domain.teacher,
        teacher_errors=errors,
        note=note,
    )


def domain_verdict(report: DomainReport | None) -> tuple[Status, str]:
    """Return what a report makes of a run that no guard has ended, and why."""
    share = None if report is None else report.share_above
    if report is None or share is None or share <= ACCEPTED_SHARE:
        return Status.OK, ""
    return Status.OUT_OF_DOMAIN, (
        f"{share:.0%} of the frames lie above grade {report.grade:g}, "
        f"{ACCEPTED_SHARE:.0%} allowed: the model was not trained for them"
    )


def left_domain(status: Status, report: DomainReport | None) -> bool:
    """Tell whether a run that ended with `status` was outside of what its model knows.

    One that broke down is, where more of its frames than allowed lie above the grade: what broke
    may be the model alone.
    """
    if status is Status.OUT_OF_DOMAIN or report is None:
        return status is Status.OUT_OF_DOMAIN
    return status.broke_down and domain_verdict(report)[0] is not Status.OK


def _spread(n: int, most: int) -> list[int]:
    found: list[int] = np.unique(np.linspace(0, n - 1, min(n, most)).round()).astype(int).tolist()
    return found


def _teacher_errors(
    level: str, teacher: str, frames: list[Atoms], context: StepContext
) -> tuple[ErrorTable | None, str]:
    if is_vasp(teacher):
        return None, f"not evaluated by the teacher: {teacher} labels no frames beside a run"
    settings = get_settings()
    where: dict[str, Any] = {"device": settings.device, "threads": settings.threads_per_worker}
    try:
        potential = load_potential(teacher, **where)
    except (InputError, PotentialError, MissingDependencyError) as error:  # told in the report
        return None, f"the teacher is not here: {error.problem}"
    try:
        labelled = label_frames(
            frames,
            potential.calculator,
            context.directory / "teacher",
            signature=f"{potential.identity.level}/{potential.identity.weights_sha256}",
            walltime_s=context.walltime_s,
        )
    except InterruptedRunError:
        raise
    except EngineError as error:  # told in the report
        return None, f"the teacher could not check: {error.problem}: {error.given}"
    sound = [frame for frame in labelled if np.isfinite(frame.get_forces()).all()]
    n_failed = len(labelled) - len(sound)
    own = load_potential(level, **where).calculator
    return ErrorTable(**asdict(errors_of(own, sound))), (
        f"the teacher failed on {n_failed} of {len(labelled)} frames" if n_failed else ""
    )
