"""What a start imports, and in which of its processes: what workers share is made once, before they are forked."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable

from clients import answers
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

Hosts = Callable[..., LiveHost]

TELLS_ITS_MODULES = """
import json, sys

@hookimpl
def receive(connection, data):
    connection.send(json.dumps(sorted(sys.modules)).encode())
    connection.close()
"""

IMPORTS_SOMETHING = """
import colorsys

@hookimpl
def connect(connection): ...
"""

TELLS_ITS_COLLECTOR = """
import gc

@hookimpl
def receive(connection, data):
    connection.send(b"frozen" if gc.isenabled() and gc.get_freeze_count() > 0 else b"not frozen")
    connection.close()
"""


def answer(host: LiveHost) -> str:
    with host.connect() as client:
        client.settimeout(DEADLINE_SECONDS)
        client.sendall(b"tell")
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


def imported(host: LiveHost) -> Counter[str]:
    """Return how many processes of a host with PYTHONPROFILEIMPORTTIME imported each module themselves."""
    lines = host.log().splitlines()
    return Counter(line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:"))


def test_a_plain_worker_has_no_module_that_only_others_need(live_host: Hosts, write_plugin: Callable[..., str]) -> None:
    modules = set(answer(live_host("--plugin", write_plugin(TELLS_ITS_MODULES))).strip('[]"').split('", "'))
    assert "reactorhost.worker.stream.transport" in modules
    assert not modules & {"reactorhost.worker.bus.peers.peers", "reactorhost.bus.frames", "reactorhost.bus.replica"}
    assert "reactorhost.worker.bus.remote" not in modules
    others = {"rich", "asyncio", "ssl", "uvloop", "concurrent", "multiprocessing", "subprocess", "tomllib"}
    assert modules & others == set()
    assert not modules & {"h11", "prometheus_client", "hashlib", "sysconfig"}


def test_workers_import_their_plugin_and_have_all_else_from_the_fork(
    live_host: Hosts, write_plugin: Callable[..., str]
) -> None:
    plugins = ("--plugin", write_plugin(IMPORTS_SOMETHING), "--plugin", "echo")
    host = live_host(*plugins, "--workers", "3", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    with host.connect() as client:
        assert answers(client)
    by_processes = imported(host)
    assert by_processes["colorsys"] == 3
    assert by_processes["packaging.specifiers"] == by_processes["importlib.metadata"] == 1
    del by_processes["nt"]  # of other systems: tried each time, and never there
    assert [name for name, times in by_processes.items() if times >= 3] == ["colorsys"]


def test_what_was_made_before_the_fork_is_kept_from_the_collector_of_a_worker(
    live_host: Hosts, write_plugin: Callable[..., str]
) -> None:
    assert answer(live_host("--plugin", write_plugin(TELLS_ITS_COLLECTOR))) == "frozen"


def test_who_starts_a_daemon_imports_nothing_that_only_the_daemon_needs() -> None:
    program = "import sys, reactorhost.cli.commands.start, reactorhost.master.daemon; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {name for name in names if name.startswith(("reactorhost.worker", "reactorhost.plugins", "pluggy"))}
    assert not {"logging", "importlib.metadata", "reactorhost.master.startup", "reactorhost.reactor"} & set(names)


def test_what_a_command_imported_is_not_collected_at_its_end() -> None:
    program = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "from reactorhost.cli import main; main(['--version'])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "True"
