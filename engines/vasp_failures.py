"""What custodian corrected in a VASP run, and the cause of one that it gave up."""

from __future__ import annotations

import errno
import signal
from typing import TYPE_CHECKING, Any, Final

from custodian.custodian import ReturnCodeError, ValidationError

from ..errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TAIL_LINES: Final = 5
_NO_MEMORY: Final = (
    "allocation would exceed memory limit",
    "out of memory",
    "insufficient virtual memory",
)
_NO_ROOM: Final = ("no space left on device", "disk quota exceeded")
_SHELL_SIGNAL: Final = 128


class VaspFailedError(EngineError):
    """VASP failed in a run, and custodian could not mend it."""

    is_of_structure = False
    """Whether custodian's corrections are used up: the same structure would fail again."""


def corrections_in(log: dict[str, Any]) -> list[str]:
    """Say what custodian corrected, e.g. ``brmix: ISTART 1``."""
    said = []
    for correction in log.get("corrections", []):
        changed = [_changed(action) for action in correction.get("actions") or []]
        said.append(f"{', '.join(correction['errors'])}: {'; '.join(changed) or 'nothing'}")
    return said


def _changed(action: dict[str, Any]) -> str:
    made = action["action"]
    if "_set" in made:
        return ", ".join(f"{key} {value}" for key, value in made["_set"].items())
    return f"from {action.get('file')}" if "_file_copy" in made else f"without {action.get('file')}"


def not_started(commands: Sequence[str], error: FileNotFoundError) -> EngineError:
    """Say which file was not there, when a run was to be started."""
    if error.filename not in commands:
        return EngineError("a file of a VASP run is gone", given=str(error))
    return EngineError(
        "VASP cannot be started",
        given=str(error.filename),
        remedy="set ATOMATE2_VASP_CMD and ATOMATE2_VASP_GAMMA_CMD, e.g. to 'srun vasp_std' and "
        "'srun vasp_gam'",
    )


def failure(
    folder: Path,
    problem: Exception | None,
    log: dict[str, Any],
    code: int | None,
    hang_s: float,
) -> VaspFailedError:
    """Name the cause of a run that custodian gave up."""
    is_of_structure = False
    tail = _tail(folder / "std_err.txt") or _tail(folder / "vasp.out")
    errors = [error for c in log.get("corrections", []) for error in c["errors"]]
    said = (tail + _tail(folder / "vasp.out")).lower()
    full = isinstance(problem, OSError) and problem.errno in {errno.ENOSPC, errno.EDQUOT}
    if full or any(words in said for words in _NO_ROOM):
        cause, remedy = "the disk is full", "make room on that disk"
    elif any(words in said for words in _NO_MEMORY):
        cause = "memory ran out"
        remedy = "give the step more memory or more nodes"
    elif "Frozen job" in errors:
        cause = f"it hung: no output for {hang_s:g} s"
        remedy = "look at the node it ran on"
    elif errors and not isinstance(problem, ValidationError | ReturnCodeError):
        is_of_structure = True
        cause = f"{len(errors)} corrections did not mend it: {', '.join(dict.fromkeys(errors))}"
        remedy = "look at custodian.json and the error.*.tar.gz there"
    elif (name := _signal_of(code)) is not None:
        cause, remedy = f"it died by {name}", "look at the node's memory and the limit of the stack"
    elif code:
        cause, remedy = f"it ended with exit code {code}", "look at vasp.out there"
    else:
        cause = "its vasprun.xml is damaged or cut short"
        remedy = "see whether the disk is full or a quota was reached"
    failed = VaspFailedError(
        f"VASP failed: {cause}",
        given=f"{folder}" + (f", which ends with: {tail}" if tail else ""),
        remedy=f"{remedy}; run the same again, it goes on from the last whole structure",
    )
    failed.is_of_structure = is_of_structure
    return failed


def _signal_of(code: int | None) -> str | None:
    """Return the name of the signal behind an exit code, of a shell or launcher too."""
    if code is None:
        return None
    number = -code if code < 0 else code - _SHELL_SIGNAL
    try:
        return signal.Signals(number).name
    except ValueError:  # the code is no signal's
        return None


def _tail(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").split("\n")
    except OSError:  # VASP wrote none
        return ""
    return " | ".join([line.strip() for line in lines if line.strip()][-_TAIL_LINES:])
