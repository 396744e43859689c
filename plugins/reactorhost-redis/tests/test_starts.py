"""A host with `[bus] url`: what is wrong is reported at the start, and a server that is away is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kernel import free_port
from reactorhost.testing import HostFailedError, LiveHost

PLUGIN = """
from reactorhost import hookimpl

@hookimpl
def worker_start(worker):
    worker.subscribe("news", print)

@hookimpl
def receive(connection, data):
    connection.send(data)
"""


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    path = tmp_path / "news.py"
    path.write_text(PLUGIN)
    return str(path)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reactorhost", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_server_that_is_away_does_not_hinder_the_start_and_is_reported(plugin: str, tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://:hunter2@127.0.0.1:{port}?retry=0.3"
    with LiveHost(tmp_path / "host", "--plugin", plugin, "--bus-url", url, "--workers", "2") as host:
        with host.connect() as client:
            client.sendall(b"hello")
            assert client.recv(5) == b"hello"
        status = host.until(lambda status: status["bus"] and (status["bus"]["backend"] or {}).get("state") == "down")
        assert status["bus"]["backend"]["reason"] == "connection refused"
        log = host.wait_for_log("bus_backend_down")
        assert log.count("bus_backend_down") == 1
        shown = host.command("status").stdout + host.command("status", "--json").stdout
    assert "connection refused" in shown
    assert "hunter2" not in log + shown + host.log()


UNKNOWN = ("no installed distribution provides a bus for nats://", "rediss://")
MALFORMED = ("bus_url: the port is not a number from 1 to 65535", "where: --bus-url")


@pytest.mark.parametrize(
    ("command", "url", "status", "lines"),
    [
        ("start", "nats://h", 4, UNKNOWN),
        ("check", "nats://h", 4, UNKNOWN),
        ("check", "redis://u:hunter2@h:x", 2, MALFORMED),
        ("check", "rediss://h?ca=/missing/ca.pem", 2, ("bus_url: the file of the option ca, /missing/ca.pem",)),
    ],
)
def test_what_is_wrong_with_the_url_ends_start_and_check(
    command: str, url: str, status: int, lines: tuple[str, ...], plugin: str, tmp_path: Path
) -> None:
    arguments = ("--plugin", plugin, "--listen", "tcp://127.0.0.1:0", "--bus-url", url)
    place = ("--run-dir", str(tmp_path / "run"))
    done = run(command, *arguments, *place)
    assert done.returncode == status, done.stderr
    for line in lines:
        assert line in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_url_of_the_file_is_reported_with_its_line_and_shown_without_the_password(
    plugin: str, tmp_path: Path
) -> None:
    config = tmp_path / "host.toml"
    service = f'[service.a]\nplugins = ["{plugin}"]\nlisten = "tcp://127.0.0.1:0"\n'
    config.write_text(f'[bus]\nurl = "redis://u:hunter2@h?tiemout=3"\n{service}')
    host = LiveHost(tmp_path / "host", "--config", str(config))
    with pytest.raises(HostFailedError) as failed:
        host.start()
    host.end()
    assert failed.value.status == 1
    log = (tmp_path / "host" / "log").read_text()
    assert "bus_url: the option 'tiemout' is unknown" in log
    assert f"{config}:2" in log
    shown = run("config", "show", "--config", str(config)).stdout
    assert "redis://u:***@h" in shown.replace("\n", "")
    assert "hunter2" not in log + shown
