"""Addresses of every kind, the files of a run directory, and the errors if one of them is not available."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import socket
import stat
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from clients import answers, read_exactly
from daemons import COMMAND, run
from reactorhost.testing import DEADLINE_SECONDS, HostFailedError, LiveHost

Hosts = Callable[..., LiveHost]

ANSWER = "@hookimpl\ndef receive(connection, data):\n    connection.send(b'{}')\n"


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def unix_client(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(DEADLINE_SECONDS)
    client.connect(str(path))
    return client


def asked(client: socket.socket, count: int) -> bytes:
    client.sendall(b"?")
    return read_exactly(client, count)


# Services


def test_services_of_a_file_listen_on_tcp_and_unix_sockets(
    live_host: Hosts, tmp_path: Path, write_plugin: Callable[..., str]
) -> None:
    path = tmp_path / "a.sock"
    six = 'listen = "tcp://[::1]:0"' if has_ipv6() else 'listen = "tcp://127.0.0.2:0"'
    plugins = {name: write_plugin(ANSWER.format(name), name) for name in ("four", "six", "local")}
    config = tmp_path / "host.toml"
    config.write_text(
        "[host]\nworkers = 3\n"
        f'[service.four]\nlisten = ["tcp://127.0.0.1:0", "tcp://127.0.0.1:0"]\nplugins = "{plugins["four"]}"\n'
        f'[service.six]\n{six}\nplugins = "{plugins["six"]}"\n'
        f'[service.local]\nlisten = "unix://{path}"\nplugins = "{plugins["local"]}"\n'
    )
    host = live_host("--config", str(config))
    services = {service["name"]: service["addresses"] for service in host.status()["services"]}
    assert list(services) == ["four", "six", "local"]
    assert len(set(services["four"])) == 2
    assert services["local"] == [f"unix://{path}"]
    assert [line.split()[1] for line in host.banner if line.startswith("  listening")] == ["four:", "six:", "local:"]
    for _ in range(12):
        with host.connect("four") as four, host.connect("six") as six_client, unix_client(path) as local:
            assert asked(four, 4) == b"four"
            assert asked(six_client, 3) == b"six"
            assert asked(local, 5) == b"local"
    assert host.command("reload").returncode == 0
    with unix_client(path) as local:
        assert asked(local, 5) == b"local"
    assert host.stop() == 0
    assert not path.exists()


def test_all_interfaces_means_one_port_for_ipv4_and_ipv6(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--listen", "tcp://*:0", "--workers", "2")
    (service,) = host.status()["services"]
    ports = {address.rpartition(":")[2] for address in service["addresses"]}
    assert len(ports) == 1
    port = int(ports.pop())
    hosts = ("127.0.0.1", "::1") if has_ipv6() else ("127.0.0.1",)
    assert len(service["addresses"]) == len(hosts)
    for each in hosts:
        with socket.create_connection((each, port), timeout=DEADLINE_SECONDS) as client:
            assert answers(client)


def test_port_0_is_the_same_free_port_for_every_worker(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "4")
    (service,) = host.status()["services"]
    assert len(service["addresses"]) == 1
    assert host.address()[1] != 0

    def everybody_served() -> bool:
        with host.connect() as client:
            assert answers(client)
        return all(worker["accepted"] for worker in host.workers())

    host.until(lambda _: everybody_served(), "a connection for every worker")


def test_several_workers_share_one_unix_socket(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    host = live_host("--plugin", "echo", "--listen", f"unix://{path}", "--workers", "3")
    with ExitStack() as stack:
        clients = [stack.enter_context(unix_client(path)) for _ in range(30)]
        assert all(answers(client) for client in clients)
    assert host.command("scale", "1").returncode == 0
    with unix_client(path) as client:
        assert answers(client)
    assert host.command("scale", "2").returncode == 0
    with unix_client(path) as client:
        assert answers(client)


def test_a_stale_unix_socket_file_is_replaced(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    host = live_host("--plugin", "echo", "--listen", f"unix://{path}")
    with unix_client(path) as client:
        assert answers(client)
    assert host.stop() == 0
    assert not path.exists()


def test_the_unix_socket_of_another_server_is_not_replaced(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    first = live_host("--plugin", "echo", "--listen", f"unix://{path}")
    inode = path.stat().st_ino
    with pytest.raises(HostFailedError) as refused:
        live_host("--plugin", "echo", "--listen", f"unix://{path}")
    assert refused.value.status == 1
    assert f"unix://{path} is in use by another process" in refused.value.text
    assert path.stat().st_ino == inode
    with unix_client(path) as client:
        assert answers(client)
    assert first.stop() == 0


def test_a_unix_socket_file_replaced_by_another_server_is_not_removed(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    host = live_host("--plugin", "echo", "--listen", f"unix://{path}")
    other = tmp_path / "b.sock"
    with socket.socket(socket.AF_UNIX) as successor:
        successor.bind(str(other))
        other.rename(path)
        assert host.stop() == 0
        assert path.is_socket()


def test_a_file_that_is_not_a_socket_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("letters")
    address = f"unix://{path}"
    refused = run("start", "--plugin", "echo", "--listen", address, "--run-dir", str(tmp_path / "run"))
    assert refused.returncode == 1
    assert f"{path} exists and is not a socket" in refused.stderr
    assert path.read_text() == "letters"
    assert os.listdir(tmp_path) == ["precious"]


# Files


def test_the_pid_files_name_master_and_workers(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "3")
    master, workers = host.run_dir / "master.pid", host.run_dir / "workers.pid"

    def rows() -> list[str]:
        return sorted(f"{each['slot']} {each['pid']} {each['generation']}" for each in host.status()["workers"])

    assert master.read_text() == f"{host.pid}\n"
    assert workers.read_text().splitlines() == rows()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (master, workers)} == {0o644}
    assert stat.S_IMODE((host.run_dir / "control.sock").stat().st_mode) == 0o600
    assert host.command("reload").returncode == 0
    assert host.command("scale", "2").returncode == 0
    host.until(lambda status: len(status["workers"]) == 2)
    assert workers.read_text().splitlines() == rows()
    assert all(re.fullmatch(r"\d+ \d+ 2", line) for line in workers.read_text().splitlines())
    assert sorted(os.listdir(host.run_dir)) == ["control.sock", "lock", "master.pid", "workers.pid"]


def test_a_configured_pid_file_is_written_and_removed(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "my.pid"
    path.write_text("99999999\n")
    host = live_host("--plugin", "echo", "--pid-file", str(path))
    assert path.read_text() == f"{host.pid}\n"
    assert not (host.run_dir / "master.pid").exists()
    assert host.stop() == 0
    assert not path.exists()


def test_a_pid_file_replaced_by_another_process_is_not_removed(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "my.pid"
    host = live_host("--plugin", "echo", "--pid-file", str(path))
    other = tmp_path / "other.pid"
    other.write_text("1\n")
    other.rename(path)
    assert host.stop() == 0
    assert path.read_text() == "1\n"


def test_a_failed_second_start_keeps_the_pid_file_of_the_first(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "my.pid"
    host = live_host("--plugin", "echo", "--pid-file", str(path))
    with pytest.raises(HostFailedError):
        live_host("--plugin", "echo", "--pid-file", str(path), "--listen", "tcp://{}:{}".format(*host.address()))
    assert path.read_text() == f"{host.pid}\n"


# Failed starts. Each has an exit status and one sentence, no traceback, and leaves nothing behind.


def refused(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    given = [word.partition("=")[0] for word in arguments]
    defaults = {"--listen": "tcp://127.0.0.1:0", "--run-dir": str(tmp_path / "run")}
    words = [word for flag, value in defaults.items() if flag not in given for word in (flag, value)]
    ended = run("start", "--plugin", "echo", "--workers", "2", *words, *arguments)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("reactorhost: ")]
    assert len(lines) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "  hint: " in ended.stderr
    assert not (tmp_path / "run").exists()
    return ended.returncode, lines[0].removeprefix("reactorhost: ")


def test_a_start_on_an_address_of_another_machine_fails(tmp_path: Path) -> None:
    status, message = refused(tmp_path, "--listen", "tcp://192.0.2.1:0")
    assert (status, message) == (1, "tcp://192.0.2.1:0 is not an address of this machine")


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 70 + ".example"])
def test_a_start_on_an_unknown_host_name_fails(tmp_path: Path, host: str) -> None:
    status, message = refused(tmp_path, "--listen", f"tcp://{host}:0")
    assert status == 1
    assert message.startswith(f"tcp://{host}:0 cannot be resolved")


def without_privileged_ports() -> None:
    """Remove the privilege to bind ports below 1024 from the program that is started next, also for root."""
    drop_from_bounding_set, net_bind_service = 24, 10
    ctypes.CDLL(None).prctl(drop_from_bounding_set, net_bind_service, 0, 0, 0)


@pytest.mark.parametrize("command", ["start", "check"])
def test_a_privileged_port_is_refused_without_the_privilege(tmp_path: Path, command: str) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first == 0:
        pytest.skip("this kernel gives every port to everybody")
    address, place = f"tcp://127.0.0.1:{first - 1}", ("--run-dir", str(tmp_path / "run"))
    ended = subprocess.run(
        [*COMMAND, command, "--plugin", "echo", "--listen", address, *place],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=without_privileged_ports,
    )
    assert ended.returncode == 7, ended.stderr
    assert f"reactorhost: not permitted to listen on {address}\n" in ended.stderr
    assert os.listdir(tmp_path) == []


def test_a_start_fails_if_the_run_directory_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    status, message = refused(tmp_path, "--run-dir", str(tmp_path / "file" / "run"))
    assert (status, message) == (1, f"cannot create the run directory {tmp_path / 'file' / 'run'}: Not a directory")


def test_a_start_fails_with_the_run_directory_of_another_user(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    if os.geteuid() == 0:
        os.chown(foreign, 65534, 65534)
    else:
        # Readable for all, writable for root only.
        foreign = Path("/usr")
    status, _ = refused(tmp_path, "--run-dir", str(foreign))
    assert status == 7


def test_a_start_fails_with_a_world_writable_run_directory(tmp_path: Path) -> None:
    shared = tmp_path / "open"
    shared.mkdir()
    shared.chmod(0o777)
    status, message = refused(tmp_path, "--run-dir", str(shared))
    assert (status, message) == (7, f"other users can write to {shared}")
    assert os.listdir(shared) == []


def test_a_start_fails_if_the_path_of_the_run_directory_is_too_long(tmp_path: Path) -> None:
    status, message = refused(tmp_path, "--run-dir", str(tmp_path / ("x" * 120)))
    assert status == 1
    assert "control.sock" in message
    assert os.listdir(tmp_path) == []


def test_a_start_fails_if_the_pid_file_cannot_be_written(tmp_path: Path) -> None:
    status, message = refused(tmp_path, "--pid-file", str(tmp_path / "no" / "such" / "folder.pid"))
    assert status == 1
    assert message.startswith("cannot write the pid file")
    assert message.endswith("No such file or directory")


def test_a_pid_file_that_is_not_regular_is_not_replaced(tmp_path: Path) -> None:
    # As with `--pid-file /dev/null`, which root could replace by a file.
    device = tmp_path / "device"
    os.mkfifo(device)
    status, message = refused(tmp_path, "--pid-file", str(device))
    assert status == 1
    assert message.startswith(f"cannot write the pid file {device}")
    assert device.is_fifo()


def test_a_start_fails_if_the_log_file_cannot_be_opened(tmp_path: Path) -> None:
    status, message = refused(tmp_path, "--log-file", str(tmp_path / "no" / "log"))
    assert (status, message) == (1, f"cannot open the log file {tmp_path / 'no' / 'log'}: No such file or directory")


@pytest.mark.parametrize("flag", [(), ("-d",)], ids=["foreground", "daemon"])
def test_a_start_fails_on_a_full_disk(tmp_path: Path, flag: tuple[str, ...]) -> None:
    place = ("--listen", "tcp://127.0.0.1:0", "--run-dir", str(tmp_path / "run"))
    # With a file size limit of 0 every write fails, as on a full disk.
    ended = subprocess.run(
        [*COMMAND, "start", *flag, "--plugin", "echo", *place],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )
    assert ended.returncode == 1, ended.stderr
    assert f"reactorhost: cannot write the pid file {tmp_path / 'run' / 'master.pid'}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "run" / "master.pid").exists()
    assert os.listdir(tmp_path) == []
