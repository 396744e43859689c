"""A host as process 1 of a container, without an init, with a read-only root and a user that has no name."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients import answers
from containers import USER, Container, available
from reactorhost.testing import DEADLINE_SECONDS, HostFailedError

pytestmark = pytest.mark.skipif(not available(), reason="needs namespaces of users, processes and mounts")

Containers = Callable[..., Container]


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Containers]:
    """Return a function that starts a host in a container; it ends with the test."""
    made: list[Container] = []

    def start(*arguments: str) -> Container:
        host = Container(tmp_path / f"container{len(made)}", *arguments)
        made.append(host)
        host.start()
        return host

    yield start
    for host in made:
        host.end()


def address(host: Container) -> tuple[str, int]:
    document = json.loads(host.command("status", "--json").stdout)
    _, _, port = document["services"][0]["addresses"][0].rpartition(":")
    return "127.0.0.1", int(port)


def test_a_host_serves_as_process_1_and_ends_by_term(container: Containers) -> None:
    host = container("--plugin", "echo", "--workers", "2")
    document = json.loads(host.command("status", "--json").stdout)
    assert document["pid"] == 1
    assert f"reactorhost-{USER}/default" in document["run_dir"]
    with socket.create_connection(address(host), timeout=DEADLINE_SECONDS) as client:
        assert answers(client)
    assert host.command("health").stdout == "ready\n"
    host.signal(signal.SIGTERM)
    assert host.wait() == 0
    assert "host_stopped" in host.log()


def test_process_1_reaps_what_others_leave_behind_without_a_word(container: Containers) -> None:
    host = container("--plugin", "echo", "--workers", "1")
    before = host.wait_for_log(" host_ready ")
    # The shell ends at once, so that its child gets process 1 as its parent.
    orphan = host.run("sh", "-c", "sleep 60 > /dev/null 2>&1 & echo $!").stdout.strip()
    host.wait_for_children(2)
    assert host.run("kill", "-9", orphan).returncode == 0
    host.wait_for_children(1)
    assert not host.zombies()
    assert host.log() == before
    assert host.command("health").returncode == 0


def test_term_ends_a_start_that_does_not_wait_for_signals_yet(tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    os.mkfifo(config)
    host = Container(tmp_path / "container", "--config", str(config))
    try:
        with ThreadPoolExecutor(1) as threads:
            started = threads.submit(host.start)
            # The open returns when the host reads the file, in which it waits until the close.
            with config.open("w"):
                host.signal(signal.SIGTERM)
                with pytest.raises(HostFailedError) as failed:
                    started.result(DEADLINE_SECONDS)
    finally:
        host.end()
    assert failed.value.status == 130


def test_what_a_plugin_cannot_do_is_the_exit_status_of_the_container(
    container: Containers, write_plugin: Callable[..., str]
) -> None:
    with pytest.raises(HostFailedError) as failed:
        container("--plugin", write_plugin("1 / 0"), "--workers", "1")
    assert failed.value.status == 4
    assert "ZeroDivisionError" in failed.value.text


def test_kill_of_process_1_ends_all_of_the_container(container: Containers) -> None:
    host = container("--plugin", "echo", "--workers", "2")
    reached = address(host)
    host.signal(signal.SIGKILL)
    assert host.wait() != 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(reached, timeout=DEADLINE_SECONDS)
