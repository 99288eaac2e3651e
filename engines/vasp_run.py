"""One run of VASP through custodian: with its handlers, a walltime, and an end with a reason."""

from __future__ import annotations

import json
import os
import shlex
import signal
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
from custodian.custodian import (
    Custodian,
    CustodianError,
    ErrorHandler,
    Validator,
)
from custodian.vasp import handlers as known_handlers
from custodian.vasp.io import load_vasprun
from custodian.vasp.jobs import VaspJob, VaspNEBJob
from custodian.vasp.validators import VaspFilesValidator, VasprunXMLValidator

from ..errors import EngineError, HaloflowError, InterruptedRunError
from .durable import write_durably
from .vasp_failures import corrections_in, failure, not_started
from .vasp_host import FINISHED

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from .interrupts import StopRequest
    from .vasp_host import VaspHost

_PROCESS: Final = "process.json"
_ANY_RUN: Final = (
    "VaspErrorHandler", "MeshSymmetryErrorHandler", "PositiveEnergyErrorHandler",
    "StdErrHandler",
)  # fmt: skip
_AT_REST: Final = (
    "NonConvergingErrorHandler", "PotimErrorHandler", "KspacingMetalHandler",
    "LargeSigmaHandler", "IncorrectSmearingHandler",
)  # fmt: skip
"""Handlers that do not apply to molecular dynamics."""
_OF_BANDS: Final = ("VaspErrorHandler", "StdErrHandler")
"""Handlers that look at no file of a single image."""
_LOOK_S: Final = 0.5
_LOOKS_PER_CHECK: Final = 6
_ASK_STEPS: Final = 3.5
"""Steps before the end of the walltime: the one under way, the last one, and some slack."""
_INSIST_STEPS, _INSIST_SHARE = 0.5, 0.02
_UNKNOWN_SHARE = 0.03
"""Of the walltime: the length of a step as long as none is done."""
_END_BYTES: Final = 1024


def run_vasp(
    folder: Path,
    host: VaspHost,
    stop: StopRequest,
    *,
    walltime_s: float | None = None,
    is_dynamics: bool = False,
    on_steps: Callable[[int], None] | None = None,
    require: Callable[[], None] | None = None,
) -> list[str]:
    """Run VASP on the input files in `folder`; return what custodian corrected.

    Parameters
    ----------
    folder
        Holds the inputs; all output goes there and stays there, whatever happens. One with
        folders 00, 01... in it is a band of images.
    host
        How it runs here.
    stop
        Signals that were noted, and the clock of the walltime.
    walltime_s
        End on `stop`'s clock: before it VASP is asked for a last step through STOPCAR, and
        killed if it does not come in time.
    is_dynamics
        Leave out the handlers of relaxations.
    on_steps
        Called in this thread with the number of ionic steps that are done, now and then.
    require
        Called in another thread all the time; VASP is ended when it raises, and that error comes
        out of here.

    Raises
    ------
    InterruptedRunError
        After a signal or the walltime; what was computed is in `folder`.
    HaloflowError
        As of `require`.
    EngineError
        VASP failed and custodian could not mend it; names the cause.
    """
    watch = _Watch(folder, stop, walltime_s, require)
    images = images_in(folder)
    job = (_BandJob if images else _Job)(
        shlex.split(os.path.expandvars(host.command)),
        gamma_vasp_cmd=shlex.split(os.path.expandvars(host.gamma_command)),
        auto_npar=False,
        output_file="vasp.out",
        stderr_file="std_err.txt",
        backup=not images,  # which asks for a KPOINTS and a POTCAR
    )
    job.watch = watch
    custodian = Custodian(
        [_Reporter(on_steps), *_handlers(host, is_dynamics=is_dynamics, is_band=bool(images))],
        [job],
        validators=_validators(images, is_dynamics=is_dynamics),
        max_errors=host.max_errors,
        polling_time_step=host.poll_s,
        monitor_freq=_LOOKS_PER_CHECK,
        directory=str(folder),
    )
    stop_previous(folder)
    problem: Exception | None = None
    with watch.watching(), warnings.catch_warnings():
        # said by pymatgen of a POTCAR.spec
        warnings.filterwarnings("ignore", message="No POTCAR file with matching TITEL")
        # and of what the handlers are here to find
        warnings.filterwarnings("ignore", message=r"[\s\S]* is an unconverged VASP run")
        try:
            custodian.run()
        except FileNotFoundError as error:
            raise not_started([job.vasp_cmd[0], (job.gamma_vasp_cmd or [""])[0]], error) from error
        except (CustodianError, OSError, RuntimeError, TypeError, ValueError) as error:
            problem = error  # handlers of custodian fail in these ways on files that are cut short
    if watch.forbidden is not None:
        raise watch.forbidden
    if watch.reason:
        raise InterruptedRunError(
            f"VASP was stopped by {watch.reason}; what it computed is kept",
            given=str(folder),
            remedy="start the same run again to go on",
        ) from problem
    log = custodian.run_log[-1] if custodian.run_log else {}
    if problem is not None or log.get("handler"):
        raise failure(folder, problem, log, job.exit_code, host.hang_s) from problem
    (folder / FINISHED).touch()
    return corrections_in(log)


def stop_previous(folder: Path) -> None:
    """End a VASP that a killed process has left behind in `folder`."""
    try:
        noted = json.loads((folder / _PROCESS).read_text())
        process = psutil.Process(noted["pid"])
        if process.create_time() != noted["created"]:
            return
        group = [process, *process.children(recursive=True)]
    except (OSError, ValueError, KeyError, psutil.Error):  # none was noted, or it has ended
        return
    for member in group:
        with suppress(psutil.Error):  # it has ended by itself
            member.kill()
    psutil.wait_procs(group, timeout=30)


def images_in(folder: Path) -> list[Path]:
    """Return the folders of the images between the ends of a band; none of any other run."""
    return [path for path in sorted(folder.glob("[0-9][0-9]")) if path.is_dir()][1:-1]


class _Watched:
    """A job whose process is known to the watch, and which does not start after a stop."""

    watch: _Watch

    @property
    def exit_code(self) -> int | None:
        """Of the last process, if it has ended."""
        return None if self.watch.process is None else self.watch.process.poll()

    def run(self, directory: str = "./") -> subprocess.Popen[bytes]:
        if self.watch.reason:
            raise RuntimeError(self.watch.reason)
        process: subprocess.Popen[bytes] = super().run(directory)  # type: ignore[misc]  # a job's
        self.watch.process = process
        with suppress(psutil.Error):  # it has ended already
            created = psutil.Process(process.pid).create_time()
            noted = {"pid": process.pid, "created": created}
            write_durably(Path(directory) / _PROCESS, json.dumps(noted).encode())
        return process


class _Job(_Watched, VaspJob):
    pass


class _BandJob(_Watched, VaspNEBJob):
    pass


class _Reporter(ErrorHandler):
    """Finds no error: it is looked at while VASP runs, and tells how far that is."""

    is_monitor = True

    def __init__(self, on_steps: Callable[[int], None] | None = None) -> None:
        self._on_steps = on_steps
        self._counter: _StepCounter | None = None

    def check(self, directory: str = "./") -> bool:
        if self._on_steps is not None:
            if self._counter is None:
                self._counter = _StepCounter(Path(directory))
            self._on_steps(self._counter())
        return False

    def correct(self, directory: str = "./") -> dict[str, Any]:  # noqa: ARG002  (custodian's signature)
        return {"errors": [], "actions": []}


class _Hung(known_handlers.FrozenJobErrorHandler):
    """Gives up: molecular dynamics goes on in a run of its own, and loses no step."""

    def correct(self, directory: str = "./") -> dict[str, Any]:  # noqa: ARG002  (custodian's signature)
        return {"errors": ["Frozen job"], "actions": None}


class _WholeXml(Validator):
    """Looks at the end of the vasprun.xml only: that of a long run does not fit into memory."""

    def __init__(self, image: str = "") -> None:
        self._image = image

    def check(self, directory: str = "./") -> bool:
        try:
            with (Path(directory) / self._image / "vasprun.xml").open("rb") as file:
                file.seek(max(file.seek(0, os.SEEK_END) - _END_BYTES, 0))
                return b"</modeling>" not in file.read()
        except OSError:  # no file is no whole one
            return True


class _ElectronsUnconverged(known_handlers.UnconvergedErrorHandler):
    """Mends the electrons only: where atoms have not come to rest, a next run goes on."""

    def check(self, directory: str = "./") -> bool:
        try:
            run = load_vasprun(os.path.join(directory, self.output_filename))  # noqa: PTH118  (the key of custodian's cache)
        except Exception:  # noqa: BLE001  (damaged files are the validators' business)
            return False
        return not run.converged_electronic


class _Watch:
    """Ends VASP at a signal, before the walltime is over, and when it must not go on."""

    def __init__(
        self,
        folder: Path,
        stop: StopRequest,
        walltime_s: float | None,
        require: Callable[[], None] | None,
    ) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.reason = ""
        self.forbidden: HaloflowError | None = None
        self._require = require
        self._folder, self._stop = folder, stop
        self._walltime_s = walltime_s
        self._started_s = stop.elapsed_s
        self._over = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._loop, name="haloflow-vasp-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            if self.process is not None and self.process.poll() is None:
                self._kill()

    def _loop(self) -> None:
        counter = _StepCounter(self._folder)
        while not self._over.wait(_LOOK_S):
            if name := self._stop.signalled or self._prohibition():
                self.reason = name
                self._kill()
            elif self._walltime_s is not None:
                self._mind_walltime(self._walltime_s, counter())

    def _prohibition(self) -> str:
        """Return why the run must not go on; empty where it may."""
        try:
            if self._require is not None:
                self._require()
        except HaloflowError as error:
            self.forbidden = error
            return error.problem
        return ""

    def _mind_walltime(self, walltime_s: float, n_steps: int) -> None:
        """Ask for a last step in time, which the step under way comes before; then insist."""
        spent_s = self._stop.elapsed_s - self._started_s
        left_s = walltime_s - self._stop.elapsed_s
        step_s = spent_s / n_steps if n_steps else _UNKNOWN_SHARE * walltime_s
        if left_s <= min(_INSIST_STEPS * step_s, _INSIST_SHARE * walltime_s):
            self.reason = self.reason or f"the walltime of {walltime_s:g} s"
            self._kill()
        elif left_s <= _ASK_STEPS * step_s and not self.reason:
            self.reason = f"the walltime of {walltime_s:g} s"
            with suppress(EngineError):  # no room for it: it will be killed
                write_durably(self._folder / "STOPCAR", b"LSTOP = .TRUE.\n")

    def _kill(self) -> None:
        process = self.process
        if process is None or process.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, PermissionError):  # it has ended meanwhile
                os.killpg(process.pid, number)  # it leads a group of its own
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    return
                time.sleep(0.05)


def _validators(images: list[Path], *, is_dynamics: bool) -> list[Validator]:
    if images:
        return [_WholeXml(image.name) for image in images]
    return [_WholeXml() if is_dynamics else VasprunXMLValidator(), VaspFilesValidator()]


def _handlers(host: VaspHost, *, is_dynamics: bool, is_band: bool) -> list[ErrorHandler]:
    names = _ANY_RUN if is_dynamics else (*_ANY_RUN, *_AT_REST)
    found = [getattr(known_handlers, name)() for name in (_OF_BANDS if is_band else names)]
    if is_dynamics or is_band:
        return [*found, _Hung(timeout=host.hang_s)]
    hung = known_handlers.FrozenJobErrorHandler(timeout=host.hang_s)
    return [*found, _ElectronsUnconverged(), hung]


class _StepCounter:
    """Counts the ionic steps in an OSZICAR as it grows, reading each part of it once."""

    def __init__(self, folder: Path) -> None:
        self._path = next(iter(images_in(folder)), folder) / "OSZICAR"
        self._offset = self._count = 0

    def __call__(self) -> int:
        try:
            with self._path.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._offset:  # custodian started it anew
                    self._offset = self._count = 0
                file.seek(self._offset)
                whole = file.read().rpartition(b"\n")[0]
        except OSError:
            return self._count
        if whole:
            self._offset += len(whole) + 1
            self._count += sum(b" F= " in line for line in whole.split(b"\n"))
        return self._count
