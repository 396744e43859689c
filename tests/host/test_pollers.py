"""A host on another poller than epoll, and on systems that lack what Linux has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import read_exactly
from reactorhost.testing import DEADLINE_SECONDS, HostFailedError, LiveHost

Hosts = Callable[..., LiveHost]

# Names the poller of its worker: the master's was made before the fork, and what was there then is frozen.
NAMES_ITS_POLLER = """
import gc
from reactorhost.reactor.poller import EpollPoller, SelectorsPoller

@hookimpl
def receive(connection, data):
    names = {type(each).__name__ for each in gc.get_objects() if isinstance(each, EpollPoller | SelectorsPoller)}
    connection.send(" ".join(sorted(names)).encode())
    connection.close()
"""

ASYNC_ECHO = """
import asyncio

@hookimpl
async def receive(connection, data):
    await asyncio.sleep(0.001)
    connection.send(data)
"""

WITHOUT_EPOLL = """
import os, select
for module in (os, select):
    for name in dir(module):
        if name.lower().startswith(("epoll", "eventfd", "efd_")):
            delattr(module, name)
"""

WITHOUT_LINUX = f"""{WITHOUT_EPOLL}
import signal, socket, sys
for module, names in (
    (os, "memfd_create pidfd_open sched_getaffinity sched_setaffinity pipe2 setresuid setresgid getresuid getresgid"),
    (signal, "pidfd_send_signal sigtimedwait sigwaitinfo"),
    (socket, "SO_PEERCRED TCP_INFO TCP_USER_TIMEOUT TCP_KEEPIDLE SOCK_NONBLOCK SOCK_CLOEXEC"),
):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
sys.platform = "unix"
"""

LACKING = "memfd_create, pidfd_open, sched_getaffinity, prctl, SO_PEERCRED, TCP_USER_TIMEOUT, /proc"

BENCH = """
import asyncio
import reactorhost_echo
from reactorhost import hookimpl
from reactorhost.testing import PluginBench

class Later:
    @hookimpl
    async def receive(self, connection, data):
        await asyncio.sleep(1)
        connection.send(data)

for plugin in (reactorhost_echo, Later):
    with PluginBench(plugin) as bench:
        client = bench.connect()
        client.send(b"x")
        bench.advance(1)
        assert client.received == b"x"
print("tested")
"""


@pytest.fixture
def lacking(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Return a function that makes the environment in which Python lacks what a program deletes."""

    def environment(program: str) -> dict[str, str]:
        folder = tmp_path / "lacking"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(program)
        return {"PYTHONPATH": str(folder)}

    return environment


def answer(host: LiveHost, data: bytes) -> bytes:
    with host.connect() as client:
        client.sendall(data)
        return read_exactly(client, len(data))


def poller_of(host: LiveHost) -> bytes:
    with host.connect() as client:
        client.sendall(b"?")
        return b"".join(iter(lambda: client.recv(4096), b""))


@pytest.mark.parametrize(("poller", "name"), [("epoll", b"EpollPoller"), ("selectors", b"SelectorsPoller")])
def test_workers_wait_by_the_poller_that_is_set(
    live_host: Hosts, write_plugin: Callable[..., str], poller: str, name: bytes
) -> None:
    host = live_host("--plugin", write_plugin(NAMES_ITS_POLLER), "--workers", "1", "--poller", poller)
    assert name in poller_of(host).split()


@pytest.mark.parametrize("source", [None, ASYNC_ECHO], ids=["plain", "async"])
def test_a_host_on_selectors_serves_reloads_and_stops(
    live_host: Hosts, write_plugin: Callable[..., str], source: str | None
) -> None:
    plugin = "echo" if source is None else write_plugin(source)
    host = live_host("--plugin", plugin, "--workers", "2", "--poller", "selectors")
    large = os.urandom(1 << 20)
    assert answer(host, large) == large
    assert host.command("reload").returncode == 0
    assert [worker["generation"] for worker in host.workers()] == [2, 2]
    assert answer(host, b"after the reload") == b"after the reload"
    assert host.stop() == 0


def test_a_host_runs_without_epoll_and_eventfd(live_host: Hosts, lacking: Callable[[str], dict[str, str]]) -> None:
    host = live_host("--plugin", "echo", "--workers", "1", environment=lacking(WITHOUT_EPOLL))
    assert answer(host, b"x" * 100_000) == b"x" * 100_000
    assert host.stop() == 0


def test_async_hooks_without_epoll_are_refused_in_a_sentence(
    live_host: Hosts, write_plugin: Callable[..., str], lacking: Callable[[str], dict[str, str]]
) -> None:
    with pytest.raises(HostFailedError) as failed:
        live_host("--plugin", write_plugin(ASYNC_ECHO), "--workers", "1", environment=lacking(WITHOUT_EPOLL))
    assert failed.value.status == 1
    assert "async hooks need a poller with a descriptor of its own, and PollSelector has none" in failed.value.text


def test_epoll_is_no_choice_where_there_is_none(lacking: Callable[[str], dict[str, str]]) -> None:
    failed = run("-m", "reactorhost", "check", "--plugin", "echo", "--poller", "epoll", **lacking(WITHOUT_EPOLL))
    assert failed.returncode == 2
    assert "poller must be selectors, not 'epoll'" in failed.stderr


@pytest.mark.parametrize("command", ["start", "check"])
def test_a_system_that_is_not_linux_is_refused_in_a_sentence(
    command: str, tmp_path: Path, lacking: Callable[[str], dict[str, str]]
) -> None:
    arguments = ("-m", "reactorhost", command, "--plugin", "echo", "--run-dir", str(tmp_path / "run"))
    failed = run(*arguments, **lacking(WITHOUT_LINUX))
    assert failed.returncode == 1
    assert failed.stderr.splitlines() == [
        f"reactorhost: a host needs Linux: this system has no {LACKING}",
        "  hint: plugins can be tested here, on the bench of reactorhost.testing",
    ]


def test_plugins_are_tested_on_a_system_that_is_not_linux(lacking: Callable[[str], dict[str, str]]) -> None:
    tested = run("-c", BENCH, **lacking(WITHOUT_LINUX))
    assert (tested.stdout, tested.stderr) == ("tested\n", "")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with some variables of its environment changed."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
        env={**os.environ, **environment},
    )
