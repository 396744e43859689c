"""Dead peers: accepted connections have the kernel's options that detect a client whose machine is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clients import answers, ended
from plugin_files import ECHO, plugin_file, told
from reactorhost.testing import LiveHost

Hosts = Callable[..., LiveHost]

# The plugin finds the socket of its client among its process's descriptors, and asks the kernel about that very one.
OPTIONS = """
import os, socket

@hookimpl
def connect(connection):
    for name in os.listdir("/proc/self/fd"):
        try:
            sock = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        with sock:
            try:
                if sock.getpeername() != tuple(connection.peer):
                    continue
            except OSError:
                continue
            tcp = {
                name: sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_{name}"))
                for name in ("KEEPIDLE", "KEEPINTVL", "KEEPCNT", "USER_TIMEOUT")
            }
            tell("options", keepalive=sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), **tcp)
"""


def options_of_a_client(host: LiveHost) -> dict[str, int]:
    with host.connect() as client:
        assert answers(client)
        facts = told(host)
    return {name: value for name, value in facts.items() if name != "event"}


@pytest.mark.parametrize(
    ("given", "idle", "interval", "user_timeout"),
    [
        ((), 60, 15, 120_000),
        (("--peer-timeout", "20s"), 10, 2, 20_000),
        (("--peer-timeout", "24h"), 32767, 10800, 86_400_000),
    ],
    ids=["default", "20s", "24h"],
)
def test_accepted_connections_have_the_options_that_detect_a_dead_peer(
    live_host: Hosts, tmp_path: Path, given: tuple[str, ...], idle: int, interval: int, user_timeout: int
) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "options", OPTIONS, ECHO), "--workers", "1", *given)
    expected = {"keepalive": 1, "KEEPIDLE": idle, "KEEPINTVL": interval, "KEEPCNT": 4, "USER_TIMEOUT": user_timeout}
    assert options_of_a_client(host) == expected


def test_0_leaves_the_defaults_of_the_kernel(live_host: Hosts, tmp_path: Path) -> None:
    plugin = plugin_file(tmp_path, "options", OPTIONS, ECHO)
    host = live_host("--plugin", plugin, "--workers", "1", "--peer-timeout", "0")
    options = options_of_a_client(host)
    assert (options["keepalive"], options["USER_TIMEOUT"]) == (0, 0)


def test_a_changed_value_takes_effect_at_the_next_start(live_host: Hosts, tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    plugin = plugin_file(tmp_path, "options", OPTIONS, ECHO)
    text = f'[host]\nworkers = 1\npeer_timeout = 20\n[service.a]\nlisten = "tcp://127.0.0.1:0"\nplugins = "{plugin}"\n'
    config.write_text(text)
    host = live_host("--config", str(config))
    config.write_text(text.replace("= 20", "= 40"))
    host.process.send_signal(1)
    host.wait_for_log("settings_wait_for_restart master=")
    assert "settings=peer_timeout" in host.log()
    host.until(lambda status: status["generation"] == 2 and not status["reloading"])
    assert options_of_a_client(host)["USER_TIMEOUT"] == 20_000


def test_each_service_has_its_own_idle_timeout(live_host: Hosts, tmp_path: Path) -> None:
    plugin = plugin_file(tmp_path, "echo", ECHO, "@hookimpl\ndef close(connection, reason): tell(str(reason))\n")
    config = tmp_path / "host.toml"
    config.write_text(
        "[host]\nworkers = 1\nidle_timeout = 60\n"
        f'[service.quick]\nlisten = "tcp://127.0.0.1:0"\nplugins = "{plugin}"\nidle_timeout = "200ms"\n'
        f'[service.patient]\nlisten = "tcp://127.0.0.1:0"\nplugins = "{plugin}"\n'
    )
    host = live_host("--config", str(config))
    with host.connect("patient") as patient, host.connect("quick") as quick:
        assert answers(patient)
        assert answers(quick)
        assert ended(quick)
        quick.close()
        assert told(host) == {"event": "idle"}
        assert answers(patient)
