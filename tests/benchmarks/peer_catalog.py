"""The peers: how each is started, and why one cannot run here."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from compiler import compiled, compiler
from servers import PEERS, Server, free_port, given_port, installed_host, printed_port, program

PLUGINS = PEERS / "plugins"
FRESH = "asyncio-protocol-fresh"
# Started only by the figures that measure starting; they do not echo.
STARTED_ELSEWHERE = ("gunicorn", "python")

Starting = Callable[[Path], contextlib.AbstractContextManager[Server]]


@dataclass(frozen=True, slots=True)
class Peer:
    """One server to compare.

    Attributes:
        start: context manager that runs the server, given a folder for its files.
        missing: why the peer cannot run here, None when it can.
    """

    start: Starting
    missing: str | None = None


def peers(autoload: Path | None = None) -> Mapping[str, Peer]:
    """Return all peers by name; `autoload` is Workerman's autoload.php."""
    uvloop, uses_uvloop = _package("uvloop"), ("--event-loop", "uvloop")
    return {
        "c": Peer(_c_loop, None if compiler() else "no C compiler is installed"),
        "uvloop-protocol": Peer(_asyncio("protocol", "--uvloop"), uvloop),
        "uvloop-streams": Peer(_asyncio("streams", "--uvloop"), uvloop),
        "asyncio-protocol": Peer(_asyncio("protocol")),
        FRESH: Peer(_asyncio("protocol")),
        "asyncio-streams": Peer(_asyncio("streams")),
        "twisted": Peer(_program("twisted_echo.py"), _package("twisted")),
        "gevent": Peer(_program("gevent_echo.py"), _package("gevent")),
        "threads": Peer(_program("threads_echo.py")),
        "workerman": Peer(partial(_workerman, autoload), workerman_missing(autoload)),
        "reactorhost": Peer(installed_host),
        "reactorhost-accesslog": Peer(_accesslog),
        "reactorhost-framing": Peer(host("framed_echo.py")),
        "reactorhost-async": Peer(host("async_echo.py")),
        "reactorhost-async-uvloop": Peer(host("async_echo.py", *uses_uvloop), uvloop),
    }


def host(plugin: str, *settings: str | Path) -> Starting:
    """Return a function that starts a host with one of the plugin files."""

    def start(folder: Path) -> contextlib.AbstractContextManager[Server]:
        return installed_host(folder, [PLUGINS / plugin], settings)

    return start


def _package(name: str) -> str | None:
    return None if importlib.util.find_spec(name) else f"{name} is not installed"


def _program(name: str, *arguments: str) -> Starting:
    def start(_folder: Path) -> contextlib.AbstractContextManager[Server]:
        return program(name, *arguments)

    return start


def _asyncio(*arguments: str) -> Starting:
    return _program("asyncio_echo.py", *arguments)


def _c_loop(folder: Path) -> contextlib.AbstractContextManager[Server]:
    return printed_port([compiled(folder, "epoll_echo", PEERS / "epoll_echo.c")])


def _accesslog(folder: Path) -> contextlib.AbstractContextManager[Server]:
    return installed_host(folder, ["accesslog", "echo"], ["--set", f"accesslog.file={folder / 'access.log'}"])


def _workerman(autoload: Path | None, folder: Path) -> contextlib.AbstractContextManager[Server]:
    port = free_port()
    environment = {**os.environ, "AUTOLOAD": str(autoload), "PORT": str(port), "PLACE": str(folder)}
    return given_port(["php", PEERS / "workerman_echo.php", "start"], port, environment)


def workerman_missing(autoload: Path | None) -> str | None:
    """Return why Workerman cannot run here, None when it can."""
    if not shutil.which("php"):
        return "PHP is not installed"
    if autoload is None:
        return "--workerman AUTOLOAD_PHP was not given"
    return None if autoload.exists() else f"{autoload} does not exist"
