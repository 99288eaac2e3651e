"""Every exception that haloflow raises on purpose, in one tree.

::

    HaloflowError
    ├── InputError                the user's input cannot be used as it is
    │   ├── SweepError            a sweep file
    │   ├── CompositionError      a composition, charge balance, packing
    │   ├── UnknownNameError      a family, phase, potential, column... that does not exist
    │   ├── CoverageError         a potential does not know an element
    │   └── NotFoundError         what was asked for by its id or name is not in the store
    ├── MissingDependencyError    an optional package is not installed
    ├── PotentialError            a potential cannot be loaded or gave no usable answer
    ├── EngineError               a relaxation or MD run cannot start or go on
    │   ├── CheckpointError       a checkpoint is missing, damaged or of another run
    │   ├── TrajectoryError       a trajectory file is missing, damaged or inconsistent
    │   └── InterruptedRunError   stopped by a signal or the walltime, after a checkpoint
    ├── AnalysisError             the data do not allow the analysis asked for
    └── StoreError                the store cannot do what was asked
        ├── DocumentError         a document is not valid, too large or of a newer schema
        ├── StoreTimeoutError     the store did not answer in time, or is gone
        └── ClaimError            another process holds, or took over, the step
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class HaloflowError(Exception):
    """Base of all errors: says what is wrong, what was given, what is allowed, what to do.

    Parameters
    ----------
    problem
        One clause without a final full stop.
    given, allowed
        Shown with ``repr`` unless they are strings; left out when ``None``.
    remedy
        What the reader can do now.
    """

    def __init__(
        self,
        problem: str,
        *,
        given: object = None,
        allowed: object = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.given = given
        self.allowed = allowed
        self.remedy = remedy
        super().__init__(problem)

    def __str__(self) -> str:
        parts = [f"{self.problem}."]
        if self.given is not None:
            parts.append(f"Given: {_shown(self.given)}.")
        if self.allowed is not None:
            parts.append(f"Allowed: {_shown(self.allowed)}.")
        if self.remedy is not None:
            end = "" if self.remedy.endswith("?") else "."
            parts.append(f"What to do: {self.remedy}{end}")
        return " ".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        """Keep all parts when the error crosses a process boundary."""
        return _rebuild, (type(self), self.problem, self.given, self.allowed, self.remedy)


def _rebuild(
    cls: type[HaloflowError], problem: str, given: object, allowed: object, remedy: str | None
) -> HaloflowError:
    return cls(problem, given=given, allowed=allowed, remedy=remedy)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(str(item) for item in value) or "nothing"
    return repr(value)


class InputError(HaloflowError):
    """The user's input cannot be used as it is."""


class SweepError(InputError):
    """A sweep file is wrong."""


class CompositionError(InputError):
    """A composition cannot be made, balanced or packed."""


class UnknownNameError(InputError):
    """A name that does not exist; near matches are suggested."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """Build the error for an unknown `name` of a `kind`, with suggestions from `known`."""
        names = sorted(known)
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        remedy = f"did you mean {' or '.join(near)}?" if near else f"choose one {kind} of the list"
        return cls(f"unknown {kind}", given=name, allowed=names, remedy=remedy.rstrip("."))


class CoverageError(InputError):
    """A potential does not cover an element of the system."""


class NotFoundError(InputError):
    """What was asked for by its id or name is not in the store."""


def install_line(*extras: str) -> str:
    """Return the command that installs `extras`, pinned by the constraints file."""
    if extras == ("gpaw",):  # compiled against libraries that pip alone does not bring
        return "make gpaw"
    return f"pip install -c constraints.txt 'haloflow[{','.join(extras)}]'"


class MissingDependencyError(HaloflowError):
    """An optional package is needed and not installed."""

    @classmethod
    def of(cls, package: str, extra: str, purpose: str) -> MissingDependencyError:
        """Name the missing `package` and the line that installs the `extra` that brings it."""
        return cls(
            f"the package {package} is needed for {purpose} and is not installed",
            remedy=install_line(extra),
        )


class PotentialError(HaloflowError):
    """A potential cannot be loaded or gave no usable answer."""


class EngineError(HaloflowError):
    """A relaxation or MD run cannot start or go on."""


class CheckpointError(EngineError):
    """A checkpoint is missing, damaged or belongs to another run."""


class TrajectoryError(EngineError):
    """A trajectory file is missing, damaged or inconsistent."""


class InterruptedRunError(EngineError):
    """A run was stopped by a signal or the walltime, after writing a checkpoint."""


class AnalysisError(HaloflowError):
    """The data do not allow the analysis that was asked for."""


class StoreError(HaloflowError):
    """The store cannot do what was asked."""


class DocumentError(StoreError):
    """A document is not valid, too large or of a newer schema."""


class StoreTimeoutError(StoreError):
    """The store did not answer in time, or its server is gone; it may answer later."""


class ClaimError(StoreError):
    """Another process holds, or took over, the step."""
