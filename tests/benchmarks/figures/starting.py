"""Durations of commands: `start` until all workers are ready, `reload`, `--help`.

A server is ready when its last worker has loaded what it serves and reports that. A host prints `4 of 4 ready` in its
banner when every worker has reported from inside its loop. A gunicorn worker prints a line in `post_worker_init`, which
is called after it has loaded the application and before it waits for clients. Both times are measured from outside,
from the start of the command to that line in its output. Nothing is pinned: a start may use every processor.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import Bench
from processors import running_on
from results import Figure, Rounds
from servers import BIN, PEERS, ServerError, reactorhost

_WORKERS = 4
_PATIENCE_SECONDS = 30.0
_HOST = ["--plugin", "echo", "--workers", str(_WORKERS), "--listen", "tcp://127.0.0.1:0"]


def start_to_ready(bench: Bench) -> list[Figure]:
    """Measure from the start of the command to the line that reports the last worker as ready."""
    names = ["reactorhost", "gunicorn"]
    if not importlib.util.find_spec("gunicorn"):
        bench.skip("gunicorn", "gunicorn is not installed")
        names.remove("gunicorn")
    starts = {"reactorhost": _foreground, "gunicorn": _gunicorn, "daemon": _daemon}
    found = _timed_in_turn(bench, "start", {name: starts[name] for name in (*names, "daemon")})
    daemon = {"reactorhost": found.pop("daemon")}
    case = {"workers": _WORKERS}
    return [
        Figure("start_to_ready", "s", {**case, "start": "foreground"}, "lower", found),
        Figure("start_to_ready", "s", {**case, "start": "daemon"}, "lower", daemon),
    ]


def reload(bench: Bench) -> list[Figure]:
    """Measure the command that replaces all workers of an idle host and waits until the new ones serve."""
    place = ["--run-dir", tempfile.mkdtemp(prefix="run-", dir=bench.folder)]
    with ExitStack() as stack, running_on(*bench.places.usable):
        reactorhost("start", "-d", *_HOST, *place)
        stack.callback(reactorhost, "stop", "--now", *place)

        def once(_folder: Path) -> float:
            began = time.perf_counter()
            reactorhost("reload", *place)
            return time.perf_counter() - began

        found = _timed_in_turn(bench, "reload", {"reactorhost": once})
    return [Figure("reload", "s", {"workers": _WORKERS}, "lower", found)]


def help_time(bench: Bench) -> list[Figure]:
    """Measure `reactorhost --help` beside an interpreter that exits at once."""
    commands = {"reactorhost": [str(BIN / "reactorhost"), "--help"], "python": [sys.executable, "-c", "pass"]}

    def timed(name: str, _folder: Path) -> float:
        began = time.perf_counter()
        subprocess.run(commands[name], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    found = _timed_in_turn(bench, "help", {name: partial(timed, name) for name in commands})
    return [Figure("help", "s", {}, "lower", found)]


def _timed_in_turn(bench: Bench, what: str, runs: Mapping[str, Callable[[Path], float]]) -> Rounds:
    """Run all in turn, with one additional round at first that fills the page cache and writes byte code."""

    def once(name: str) -> float:
        with running_on(*bench.places.usable), tempfile.TemporaryDirectory(dir=bench.folder) as folder:
            return runs[name](Path(folder))

    found = bench.alternate(what, list(runs), bench.settings.starts + 1, once)
    return {name: values[1:] for name, values in found.items()}


def _foreground(folder: Path) -> float:
    line = rf"\b{_WORKERS} of {_WORKERS} ready"
    return _until_said([str(BIN / "reactorhost"), "start", *_HOST, "--run-dir", str(folder)], line, 1)


def _gunicorn(_folder: Path) -> float:
    settings = ["--workers", str(_WORKERS), "--bind", "127.0.0.1:0", "-c", str(PEERS / "gunicorn_app.py")]
    command = [str(BIN / "gunicorn"), *settings, "--chdir", str(PEERS), "gunicorn_app:application"]
    return _until_said(command, "^ready$", _WORKERS)


def _until_said(command: Sequence[str], line: str, times: int) -> float:
    """Start a server, wait for a number of matching lines, end it, and return the seconds of the wait."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        patience = threading.Timer(_PATIENCE_SECONDS, process.kill)
        patience.start()
        try:
            for _ in range(times):
                if not any(re.search(line, said) for said in process.stdout):
                    raise ServerError(f"{Path(command[0]).name} ended before it was ready")
            return time.perf_counter() - began
        finally:
            patience.cancel()
            process.terminate()
            process.communicate()


def _daemon(folder: Path) -> float:
    place = ["--run-dir", str(folder)]
    began = time.perf_counter()
    reactorhost("start", "-d", *_HOST, *place)
    seconds = time.perf_counter() - began
    ready = re.search(rf"\b{_WORKERS}/{_WORKERS} ready", reactorhost("status", *place))
    reactorhost("stop", "--now", *place)
    if not ready:
        raise ServerError("reactorhost start -d returned before its workers were ready")
    return seconds
