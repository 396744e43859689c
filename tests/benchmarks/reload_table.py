"""Reload web servers again and again under load: the requests that fail, and the spread of connections over workers.

Every server runs the same application with the same number of workers, alone on the machine. Clients request all the
time, on new and on persistent connections, while a signal replaces all workers. A reload is complete when no process
that answered before it exists any more, and another one answers. A server that does not get there is reported as
failed, with the reason.

After the reloads the load ends. Connections are opened and kept, several times: many at once, as clients reconnect when
the network was interrupted, many one after the other, and few one after the other. Each makes a request, whose answer
names the worker. The spread is the number of connections of the worker that has most, divided by the mean: 1.0 is even,
and the number of workers means that one of them has all.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from machine import machine, package_versions, revision
from processors import places
from reload_load import Client, Load, is_alive, running_load
from reload_result import PAGES, STORED, ReloadResult, ServerRun, details, read, with_tables, write
from servers import Server, ServerError
from web_servers import web_servers

ROOT = Path(__file__).parents[2]
# The application by server: ASGI where the server runs it in its usual form, else WSGI.
APPS = {
    "reactorhost": "pid-asgi",
    "uvicorn": "pid-asgi",
    "granian": "pid-asgi",
    "gunicorn-gthread": "pid-wsgi",
    "gunicorn-reuse-port": "pid-wsgi",
}
PACKAGES = ("reactorhost", "uvicorn", "granian", "gunicorn", "uvloop", "httptools")
MANY = 200
FEW = 8
SPREADS = {"at once": (MANY, True), "in turn": (MANY, False), "few": (FEW, False)}
_SPREAD_TIMES = 5
_SECONDS_BETWEEN = 1.0
_START_SECONDS = 30.0
_RELOAD_SECONDS = 60.0


def main() -> None:
    """Measure, print the table, store the result; or only write the stored result into the pages."""
    options = arguments()
    if not options.pages:
        result = measured(options)
        print(f"\n{details(result)}")
        if options.json:
            write(result, options.json)
        if not options.store:
            return
        write(result, ROOT / STORED)
    result = read(ROOT / STORED)
    for name in PAGES:
        page = ROOT / name
        page.write_text(with_tables(page.read_text(encoding="utf-8"), result), encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--reloads", type=int, default=10, help="of each server in each run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--servers", default=",".join(APPS), help=f"of {', '.join(APPS)}; separated by commas")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--store", action="store_true", help=f"write {STORED} and the pages that show it")
    parser.add_argument("--pages", action="store_true", help=f"only write the pages, from {STORED}")
    return parser.parse_args()


def measured(options: argparse.Namespace) -> ReloadResult:
    """Run all servers in turn, as often as asked for."""
    began, sources = datetime.now(UTC).replace(microsecond=0), revision(ROOT)
    runs: list[ServerRun] = []
    for number in range(options.runs):
        for name in options.servers.split(","):
            with tempfile.TemporaryDirectory(prefix="reactorhost-bench-") as folder:
                run = measured_server(name, options, Path(folder))
            runs.append(run)
            print(f"run {number + 1}: {name}: {run.failed or f'{run.requests} requests, lost {run.lost}'}", flush=True)
    settings = {name: getattr(options, name) for name in ("workers", "reloads", "runs")}
    where = {name: value for name, value in machine(places()).items() if not name.endswith("_on")}
    return ReloadResult(
        began=began.isoformat(),
        revision=sources,
        machine=where,
        versions=package_versions(PACKAGES),
        settings={**settings, "many": MANY, "few": FEW},
        runs=runs,
    )


def measured_server(name: str, options: argparse.Namespace, folder: Path) -> ServerRun:
    """Run one server once."""
    run = ServerRun(name)
    server = web_servers()[name]
    try:
        if server.missing or server.reload is None:
            raise ServerError(server.missing or "it has no signal that replaces its workers")
        with server.start(APPS[name], options.workers, folder) as started:
            with running_load(started.port) as load:
                _wait_for_workers(load, options.workers)
                for _ in range(options.reloads):
                    run.reload_seconds.append(_reload(started, server.reload, load))
                _wait_for_workers(load, options.workers)
            run.requests, run.lost = dict(load.requests), {kind: dict(found) for kind, found in load.lost.items()}
            for _ in range(_SPREAD_TIMES):
                for case, (count, at_once) in SPREADS.items():
                    run.spreads.setdefault(case, []).append(
                        spread(started.port, count, options.workers, at_once=at_once)
                    )
    except (ServerError, OSError) as error:
        run.failed = str(error)
    return run


def _reload(server: Server, reload: signal.Signals, load: Load) -> float:
    """Replace the workers, and return the seconds until none of the old ones exists.

    Raises:
        ServerError: the workers were not replaced.
    """
    began = time.monotonic()
    old = load.workers()
    os.kill(server.pid, reload)
    while any(map(is_alive, old)) or not load.workers(since=began) - old:
        if time.monotonic() > began + _RELOAD_SECONDS:
            raise ServerError(f"{reload.name} did not replace the workers within {_RELOAD_SECONDS:.0f} s")
        time.sleep(0.02)
    took = time.monotonic() - began
    time.sleep(max(0.0, _SECONDS_BETWEEN - took))
    return round(took, 2)


def _wait_for_workers(load: Load, count: int) -> None:
    """Wait until so many workers answer.

    Raises:
        ServerError: some of them have not answered.
    """
    began = time.monotonic()
    while len(load.workers(since=began)) < count:
        if time.monotonic() > began + _START_SECONDS:
            raise ServerError(f"{len(load.workers(since=began))} of {count} workers answered")
        time.sleep(0.02)


def spread(port: int, count: int, workers: int, *, at_once: bool) -> float:
    """Open connections, and return the largest number of one worker, divided by the mean."""
    clients = [Client(port, "/", stays=True) for _ in range(count)]
    with contextlib.ExitStack() as closing:
        for client in clients:
            closing.callback(client.close)
            if at_once:
                client.connect(waits=False)
        served = Counter(client.request() for client in clients)
    return max(served.values()) / (count / workers)


if __name__ == "__main__":
    main()
