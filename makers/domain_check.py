"""What a run of a student is watched for, and what is said of it afterwards."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from ..engines.assessment import errors_of
from ..engines.domain import (
    ACCEPTED_SHARE,
    SELECT_GRADE,
    NepDomain,
    domain_guard,
    domain_path,
)
from ..engines.labels import label_frames
from ..engines.potentials import load_potential, model_file
from ..engines.trajectory import TrajectoryReader
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

    from ..engines.guards import Guard
    from ..engines.md import MDResult
    from .step import StepContext

_MOST_GRADED = 500
_CHECKED = 5


def student_domain(level: str) -> NepDomain | None:
    """Return the domain that lies beside a student's file; ``None`` where there is none.

    Raises
    ------
    PotentialError
        If it is damaged, or of another student.
    """
    model = model_file(level) if level.startswith("nep:") else None
    return NepDomain.load(model) if model is not None and domain_path(model).is_file() else None


def domain_guards(level: str) -> list[Guard]:
    """Return the guard that ends a run of a student where it leaves its domain."""
    domain = student_domain(level)
    return [] if domain is None else [domain_guard(domain)]


def domain_report(level: str, run: MDResult, context: StepContext) -> DomainReport | None:
    """Grade the frames of a student's run, and let its teacher check some of them.

    Returns
    -------
    DomainReport or None
        ``None`` for a potential without a domain beside it.
    """
    domain = student_domain(level)
    if domain is None:
        return None
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
    if report is None or report.share_above <= ACCEPTED_SHARE:
        return Status.OK, ""
    return Status.OUT_OF_DOMAIN, (
        f"{report.share_above:.0%} of the frames lie above grade {report.grade:g}, "
        f"{ACCEPTED_SHARE:.0%} allowed: the student was not trained for them"
    )


def _spread(n: int, most: int) -> list[int]:
    found: list[int] = np.unique(np.linspace(0, n - 1, min(n, most)).round()).astype(int).tolist()
    return found


def _teacher_errors(
    level: str, teacher: str, frames: list[Atoms], context: StepContext
) -> tuple[ErrorTable | None, str]:
    settings = get_settings()
    try:
        potential = load_potential(
            teacher, device=settings.device, threads=settings.threads_per_worker
        )
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
    student = load_potential(level).calculator
    return ErrorTable(**asdict(errors_of(student, sound))), (
        f"the teacher failed on {n_failed} of {len(labelled)} frames" if n_failed else ""
    )
