"""Run a host under a real systemd, by the unit that `reactorhost systemd-unit` prints, as the page about systemd says.

`python tests/systemd/check_systemd.py`, as root, with the Python of an environment that has the host. It is not part of
the tests, because the machines that run them may have no systemd: `test_service_manager.py` has a stand-in for it.
"""

from __future__ import annotations

import time

from booted_system import SECONDS, System, boot

CONFIG = """
[host]
workers = 2
stop_timeout = "5s"

[service.chat]
listen = ["tcp://*:443", "unix:///srv/chat/chat.sock"]
plugins = "{plugin}"
"""
PLUGIN = """
import os
from reactorhost import hookimpl

@hookimpl
def receive(connection, data):
    if data == b"crash":
        os.abort()
    connection.send(data)
"""
NO_BOOT = """
from reactorhost import hookimpl

@hookimpl
def worker_start(worker):
    raise RuntimeError("no database")
"""
ASK = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30) as client:
    client.sendall(sys.argv[2].encode())
    print(client.recv(100).decode(), end="")
"""
SERVING = "Serving: 2 workers ready, 0 connections"
FLAGS = ("--name", "chat", "--config", "/etc/chat.toml", "--user", "nobody")


def main() -> None:
    """Boot a system, and take a host through its states there."""
    with boot() as system:
        print(system.run("systemctl", "--version").splitlines()[0])
        system.write("/srv/chat/chat.py", PLUGIN)
        configure(system, "/srv/chat/chat.py")
        for check in (starts, reloads, keeps_a_configuration, outlives_its_master, upgrades, is_watched, logs, stops):
            check(system)
            print(check.__name__.replace("_", " "))
        for check in (is_started_by_its_socket, is_not_restarted_in_vain, retries_a_worker_that_does_not_boot):
            check(system)
            print(check.__name__.replace("_", " "))


def configure(system: System, plugin: str) -> None:
    """Write the configuration, and the unit for it."""
    system.write("/etc/chat.toml", CONFIG.format(plugin=plugin))
    system.write("/etc/systemd/system/chat.service", printed(system))
    system.run("systemctl", "daemon-reload")


def printed(system: System, *words: str) -> str:
    """Return the unit, without what is printed to standard error."""
    command = f"reactorhost systemd-unit {' '.join((*words, *FLAGS))} 2> /dev/null"
    return system.run("sh", "-c", command)


def ask(system: System, text: str = "hello") -> str:
    """Return what the host answers to a new client, or nothing if it ends the connection."""
    return system.run("/usr/bin/python3", "-c", ASK, "443", text)


def expect(found: object, expected: object) -> None:
    """Compare two values.

    Raises:
        SystemExit: they differ.
    """
    if found != expected:
        raise SystemExit(f"found {found!r}, expected {expected!r}")


def generation(system: System) -> int:
    """Return the number of reloads that the host has had, from 1 on."""
    return int(system.run("sh", "-c", "cut -d' ' -f3 /run/reactorhost/chat/workers.pid | sort -n | tail -1"))


def starts(system: System) -> None:
    """Start it: the command returns when the workers are ready."""
    system.run("systemctl", "start", "chat")
    system.wait_for("chat", "StatusText", SERVING)
    expect(ask(system), "hello")


def reloads(system: System) -> None:
    """Reload it by systemctl."""
    system.run("systemctl", "reload", "chat")
    # Before 253 systemctl may return earlier.
    system.wait_for("chat", "StatusText", SERVING)
    system.run("reactorhost", "reload", "--name", "chat")
    expect(generation(system), 3)


def keeps_a_configuration(system: System) -> None:
    """Reload a configuration that is wrong: the reload ends, and nothing has changed."""
    system.write("/etc/chat.toml", "wrong")
    system.run("systemctl", "reload", "chat")
    system.wait_for("chat", "StatusText", f"{SERVING}; the new configuration was refused")
    configure(system, "/srv/chat/chat.py")
    expect(ask(system), "hello")


def outlives_its_master(system: System) -> None:
    """Kill the master: clients wait in the stored sockets."""
    before = system.shown("chat", "MainPID")
    system.run("kill", "-KILL", before)
    expect(ask(system), "hello")
    system.wait_for("chat", "StatusText", SERVING)
    expect(system.shown("chat", "NRestarts"), "1")


def upgrades(system: System) -> None:
    """Upgrade it: the main process stays the same."""
    before = system.shown("chat", "MainPID")
    system.run("reactorhost", "upgrade", "--name", "chat")
    system.wait_for("chat", "ActiveState", "active")
    expect((system.shown("chat", "MainPID"), ask(system)), (before, "hello"))


def is_watched(system: System) -> None:
    """Stop the master's process: the watchdog of systemd starts the host again."""
    system.write("/etc/systemd/system/chat.service.d/watchdog.conf", "[Service]\nWatchdogSec=2\n")
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "restart", "chat")
    expect(system.shown("chat", "NRestarts"), "0")
    system.run("kill", "-STOP", system.shown("chat", "MainPID"))
    system.wait_for("chat", "NRestarts", "1")
    system.wait_for("chat", "StatusText", SERVING)


def logs(system: System) -> None:
    """Crash a worker: the journal has errors, and each line of the stack is one."""
    expect(ask(system, "crash"), "")
    deadline = time.monotonic() + SECONDS
    while "worker_crashed" not in (found := system.run("journalctl", "-u", "chat", "-p", "err", "-o", "cat")):
        if time.monotonic() > deadline:
            raise SystemExit(f"the journal has no error: {system.run('journalctl', '-u', 'chat')}")
        time.sleep(0.1)
    expect(" info " in found, False)


def stops(system: System) -> None:
    """Stop it, and see that it has ended in order."""
    system.wait_for("chat", "StatusText", "Serving: 2 workers ready")
    system.run("systemctl", "stop", "chat")
    expect([system.shown("chat", name) for name in ("Result", "ExecMainStatus")], ["success", "0"])


def is_started_by_its_socket(system: System) -> None:
    """Start it by the first client of a socket unit."""
    system.write("/etc/systemd/system/chat.socket", printed(system, "--socket"))
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "start", "chat.socket")
    expect(system.shown("chat", "ActiveState"), "inactive")
    expect(ask(system), "hello")
    system.run("systemctl", "restart", "chat")
    expect(ask(system), "hello")
    system.run("systemctl", "stop", "chat.socket", "chat")
    system.run("rm", "/etc/systemd/system/chat.socket")


def is_not_restarted_in_vain(system: System) -> None:
    """Start it with a plugin that is not installed."""
    configure(system, "absent")
    system.run("systemctl", "start", "chat", check=False)
    system.wait_for("chat", "ActiveState", "failed")
    expect([system.shown("chat", name) for name in ("NRestarts", "ExecMainStatus")], ["0", "4"])


def retries_a_worker_that_does_not_boot(system: System) -> None:
    """Start it with a plugin that fails, and mend that."""
    system.write("/srv/chat/chat.py", NO_BOOT)
    configure(system, "/srv/chat/chat.py")
    system.run("systemctl", "start", "chat", check=False)
    system.write("/srv/chat/chat.py", PLUGIN)
    system.wait_for("chat", "StatusText", SERVING)
    system.run("systemctl", "stop", "chat")


if __name__ == "__main__":
    main()
