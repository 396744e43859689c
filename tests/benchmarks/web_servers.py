"""The servers of the web figures: how each is started with an application, and which applications it can run."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from peer_catalog import Peer
from servers import BIN, PEERS, Server, free_port, given_port, installed_host

APPS = PEERS / "web"
TARGETS = {
    "asgi": "web_apps:asgi",
    "starlette": "starlette_app:app",
    "wsgi": "web_apps:wsgi",
    "flask": "flask_app:app",
    "websocket": "web_apps:asgi",
}
# They answer with the process that serves.
PID_TARGETS = {"pid-asgi": "pid_apps:asgi", "pid-wsgi": "pid_apps:wsgi"}
WSGI = ("wsgi", "flask", "pid-wsgi")
_ALL_TARGETS = {**TARGETS, **PID_TARGETS}
THREADS = "4"

Command = Callable[[str, int, int], Sequence[str]]
"""Called with the name of the application, a port and a number of workers; returns a command line."""


@dataclass(frozen=True, slots=True)
class WebServer:
    """A server to compare.

    Attributes:
        start: runs it with an application and a number of workers.
        apps: the names of the applications that it can run.
        missing: why it cannot run here.
        reload: the signal to its first process that replaces its workers; None if there is none.
    """

    start: Callable[[str, int, Path], contextlib.AbstractContextManager[Server]]
    apps: Sequence[str]
    missing: str | None = None
    reload: signal.Signals | None = signal.SIGHUP

    def peer(self, app: str, workers: int = 1) -> Peer:
        """Return the server with an application."""
        return Peer(partial(self.start, app, workers), self.missing)


def web_servers() -> Mapping[str, WebServer]:
    """Return all servers by name."""
    of_asgi = ("asgi", "starlette", "websocket", "pid-asgi")
    return {
        "reactorhost": WebServer(asgi_host, tuple(_ALL_TARGETS), _package("reactorhost_asgi"), signal.SIGUSR1),
        "reactorhost-framing": WebServer(framing_host, ("websocket",), _package("reactorhost_websocket")),
        "uvicorn": WebServer(_started(_uvicorn), of_asgi, _package("uvicorn")),
        "granian": WebServer(_started(_granian), tuple(_ALL_TARGETS), _package("granian")),
        "gunicorn-gthread": WebServer(_started(_gthread), WSGI, _package("gunicorn")),
        "gunicorn-reuse-port": WebServer(_started(_gthread_reuse_port), ("pid-wsgi",), _package("gunicorn")),
        "gunicorn-asgi": WebServer(_started(_gunicorn_asgi), of_asgi, _package("gunicorn.asgi")),
        "hypercorn": WebServer(_started(_hypercorn), of_asgi, _package("hypercorn"), reload=None),
    }


def asgi_host(app: str, workers: int, folder: Path) -> contextlib.AbstractContextManager[Server]:
    """Run an installed host with the plugin `asgi`."""
    values = {
        "app": _ALL_TARGETS[app],
        "app_dir": str(APPS),
        "interface": "wsgi" if app in WSGI else "asgi3",
        "access_log": "off",
        "keep_alive": "60",
    }
    settings = [word for name, value in values.items() for word in ("--set", f"asgi.{name}={value}")]
    settings += ["--event-loop", "uvloop", "--threads", THREADS, "--workers", str(workers)]
    return installed_host(folder, ["asgi"], settings)


def framing_host(app: str, workers: int, folder: Path) -> contextlib.AbstractContextManager[Server]:
    """Run an installed host with the framing `websocket`, and a plugin that echoes or sends to all."""
    config = folder / "websocket.toml"
    plugin = APPS / "websocket_room.py"
    config.write_text(f'[service.web]\nplugins = ["websocket", "{plugin}"]\nframing = "websocket"\n')
    return installed_host(folder, [], ["--config", config, "--workers", str(workers)])


def _started(command: Command) -> Callable[[str, int, Path], contextlib.AbstractContextManager[Server]]:
    def start(app: str, workers: int, _folder: Path) -> contextlib.AbstractContextManager[Server]:
        port = free_port()
        environment = {**os.environ, "PYTHONPATH": str(APPS), "PYTHONSAFEPATH": "", "GRANIAN_LOG_ENABLED": "0"}
        return given_port([str(BIN / word) if not at else word for at, word in enumerate(command(app, port, workers))],
                          port, environment)  # fmt: skip

    return start


def _uvicorn(app: str, port: int, workers: int) -> Sequence[str]:
    # With one worker it serves in its only process, which is what it is measured at.
    many = ["--workers", str(workers)] if workers > 1 else []
    chosen = ["--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio", "--timeout-keep-alive", "60"]
    return [
        "uvicorn",
        _ALL_TARGETS[app],
        "--port",
        str(port),
        *many,
        *chosen,
        "--no-access-log",
        "--log-level",
        "error",
    ]


def _granian(app: str, port: int, workers: int) -> Sequence[str]:
    how = ["--interface", "wsgi", "--blocking-threads", THREADS] if app in WSGI else ["--interface", "asgi"]
    return ["granian", _ALL_TARGETS[app], "--port", str(port), "--workers", str(workers), *how]


def _gthread(app: str, port: int, workers: int) -> Sequence[str]:
    return [*_gunicorn(port, workers), "--worker-class", "gthread", "--threads", THREADS, _ALL_TARGETS[app]]


def _gthread_reuse_port(app: str, port: int, workers: int) -> Sequence[str]:
    return [*_gthread(app, port, workers), "--reuse-port"]


def _gunicorn_asgi(app: str, port: int, workers: int) -> Sequence[str]:
    return [*_gunicorn(port, workers), "--worker-class", "asgi", "--asgi-loop", "uvloop", _ALL_TARGETS[app]]


def _gunicorn(port: int, workers: int) -> Sequence[str]:
    return ["gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--log-level", "error",
            "--keep-alive", "60"]  # fmt: skip


def _hypercorn(app: str, port: int, workers: int) -> Sequence[str]:
    place = ["--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
    return ["hypercorn", _ALL_TARGETS[app], *place, "--worker-class", "uvloop", "--log-level", "error"]


def _package(name: str) -> str | None:
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        found = None
    return None if found else f"{name} is not installed"
