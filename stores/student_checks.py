"""How a student's runs compare with its teacher's, and how long they last."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..quantity import Quantity, Status
from .documents import Model, StepDocument


class Agreement(Model):
    """One number of two runs at the same conditions."""

    what: str = Field(description="E.g. 'density / g/cm3', 'first peak of Na-Cl / A'.")
    teacher: Quantity
    student: Quantity
    limit: float | None = Field(
        None, description="Allowed difference; None where the 95 % intervals have to overlap."
    )
    status: Status = Field(
        description="ok within the limit, unconverged where the runs are too short to tell, "
        "out_of_domain beyond it."
    )


class ComparedRun(Model):
    """A run of the teacher that the student has repeated from the same atoms."""

    source: str = Field(description="Identity of the teacher's run.")
    formula: str
    temperature_k: float
    n_atoms: int
    duration_ps: float = Field(description="Of the production.")
    status: Status = Field(description="Of the student's run.")
    note: str = ""
    agreements: list[Agreement]


class LongRun(Model):
    """A run of the student alone, to see whether a guard ends it."""

    formula: str
    temperature_k: float
    n_atoms: int
    duration_ps: float
    asked_ps: float
    status: Status
    note: str = ""
    share_above: float | None = Field(None, description="Of frames above the grade, where graded.")


class StudentCheck(Model):
    """What a student was held against."""

    runs: list[ComparedRun]
    long_runs: list[LongRun]

    @property
    def problems(self) -> list[str]:
        """What was not as it should be, a sentence each."""
        found = []
        for run in self.runs:
            at = f"{run.formula} at {run.temperature_k:g} K"
            if run.status is not Status.OK:
                found.append(f"{at}: {run.status.value}, {run.note}")
            found += [
                f"{at}: {one.what} {_shown(one.student)}, teacher {_shown(one.teacher)}"
                for one in run.agreements
                if one.status is Status.OUT_OF_DOMAIN
            ]
        return found + [
            f"{run.formula} at {run.temperature_k:g} K ended after {run.duration_ps:g} of "
            f"{run.asked_ps:g} ps: {run.note}"
            for run in self.long_runs
            if run.status is not Status.OK
        ]


def _shown(quantity: Quantity) -> str:
    return "unknown" if quantity.value is None else f"{quantity.value:.4g}"


class StudentCheckDocument(StepDocument):
    """A student held against its teacher: density, structure, diffusion, stability."""

    kind: Literal["student_check"] = "student_check"
    level: str
    weights_sha256: str
    teacher: str
    check: StudentCheck
