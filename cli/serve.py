"""``haloflow serve``: the dashboard and the REST API of a store."""

from __future__ import annotations

import importlib.util
import secrets
import socket
import webbrowser
from ipaddress import ip_address
from urllib.parse import quote

import psutil
from rich.text import Text

from ..errors import InputError, MissingDependencyError
from .console import console
from .stores import existing_store
from .upkeep import Upkeep

PACKAGES = ("fastapi", "uvicorn")
_BACKLOG = 128
_EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104  (what the user may ask for)
_MIN_TOKEN = 16


def serve_store(
    store: str | None, *, host: str, port: int, token: str | None, open_browser: bool
) -> None:
    """Answer requests until Ctrl-C.

    Raises
    ------
    MissingDependencyError
        The packages of the extra ``serve`` are not installed.
    InputError
        The address cannot be used, or the token is too short.
    """
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError.of(package, "serve", "the dashboard")
    from ..dashboard.app import OPTIMADE_PATH, create_app
    from ..dashboard.security import LOOPBACK_HOSTS
    from ..dashboard.server import answer_requests

    token = checked_token(token, host)
    with bind(host, port) as listening, existing_store(store, read_only=True) as opened:
        port = listening.getsockname()[1]
        hosts = [*LOOPBACK_HOSTS, *host_names(host)]
        optimade_url = None
        if importlib.util.find_spec("optimade") is not None:
            optimade_url = address_of(host, port, None) + OPTIMADE_PATH.lstrip("/")
        app = create_app(opened, token=token, allowed_hosts=hosts, optimade_url=optimade_url)
        address = address_of(host, port, token)
        _announce(address, optimade_url, with_token=token is not None)
        if open_browser:
            webbrowser.open(address)
        try:
            with Upkeep(store, opened):
                answer_requests(app, listening)
        finally:
            if optimade_url:
                app.state.optimade.state.mirror.close()
    console().print("Stopped.")


def _announce(address: str, optimade_url: str | None, *, with_token: bool) -> None:
    out = console()
    out.print(Text.assemble("Dashboard and API: ", (address, "bold")), soft_wrap=True)
    if optimade_url:
        out.print(Text.assemble("OPTIMADE: ", optimade_url), soft_wrap=True)
    if with_token:
        out.print("The address holds the token: who has it sees the store. Shown only now.")
    out.print("Stop with Ctrl-C.")


def checked_token(token: str | None, host: str) -> str | None:
    """Return the token to ask for: as given, a new one off loopback, none on loopback.

    Raises
    ------
    InputError
        The token could be guessed, or does not fit into a header.
    """
    if token is None:
        return None if is_loopback(host) else secrets.token_urlsafe(24)
    if len(token) < _MIN_TOKEN or not all(
        c.isascii() and (c.isalnum() or c in "-._~") for c in token
    ):
        raise InputError(
            "this is no safe token",
            allowed=f"{_MIN_TOKEN} characters or more of A-Z a-z 0-9 - . _ ~",
            remedy="leave --token out: a new one is made for every other host than 127.0.0.1",
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:  # the name of a host, which others may reach
        return False


def host_names(host: str) -> list[str]:
    """Return the names under which browsers reach a server on `host`."""
    names = [host]
    if host in _EVERY_ADDRESS:
        addresses = [a.address for part in psutil.net_if_addrs().values() for a in part]
        names = [socket.gethostname(), socket.getfqdn(), *addresses]
    return [f"[{name}]" if ":" in name else name for name in names]


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens at `host` and `port`; 0 for any free port.

    Raises
    ------
    InputError
        The port is in use or not allowed, or the host is not of this machine.
    """
    name = host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise InputError(
            f"no address is known for this host: {error.strerror}",
            given=host,
            allowed="127.0.0.1, an address of this machine, or 0.0.0.0 for all of them",
        ) from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(_BACKLOG)  # whoever comes before the server runs is kept waiting
    except OSError as error:
        listening.close()
        raise InputError(
            f"cannot listen here: {(error.strerror or str(error)).lower()}",
            given=f"{host}:{port}",
            remedy="stop what uses the port, or take another one: --port 0 finds a free one",
        ) from error
    return listening


def address_of(host: str, port: int, token: str | None) -> str:
    """Return the address to open, with the token where there is one."""
    shown = socket.gethostname() if host in _EVERY_ADDRESS else host.strip("[]")
    name = f"[{shown}]" if ":" in shown else shown
    return f"http://{name}:{port}/" + (f"?token={quote(token)}" if token else "")
