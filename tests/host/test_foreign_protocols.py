"""Protocols that were written for asyncio's own transports run unchanged, on both loops."""

from __future__ import annotations

import asyncio
import ftplib
import hashlib
import io
import json
import shutil
import smtplib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import http_client
from event_loops import LOOPS, needs_uvloop
from pki import Pki
from programs import needs_module
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

PLUGINS = Path(__file__).parent / "foreign"

Hosts = Callable[..., LiveHost]


# What depends on the loop is shown by TLS and by much data in both directions.
BOTH_LOOPS = pytest.mark.parametrize("serve", LOOPS, indirect=True)
MORE_IN_SOAK = pytest.mark.parametrize(
    "serve", ["asyncio", pytest.param("uvloop, soak", marks=needs_uvloop)], indirect=True
)


@pytest.fixture
def serve(request: pytest.FixtureRequest, live_host: Hosts, soak: bool) -> Hosts:
    """Return a function that starts a host with a class of a plugin file, as `serve("mail:Mail")`."""
    loop, _, long = request.param.partition(", ")
    if long and not soak:
        pytest.skip("run by --soak")

    def start(plugin: str, *arguments: str) -> LiveHost:
        return live_host(
            "--plugin", plugin, "--workers", "1", "--event-loop", loop, *arguments,
            environment={"PYTHONPATH": str(PLUGINS)},
        )  # fmt: skip

    return start


# aiosmtpd.


@pytest.fixture
def mail_host(serve: Hosts, tmp_path: Path, pki: Pki) -> LiveHost:
    certificate, key = pki.issue("server", "localhost")
    values = {"folder": tmp_path, "certificate": certificate, "key": key}
    return serve(
        "mail:Mail", *(word for name, value in values.items() for word in ("--set", f"mail:Mail.{name}={value}"))
    )


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@BOTH_LOOPS
@needs_module("aiosmtpd")
def test_mail_is_accepted_by_aiosmtpd_plain_and_after_starttls(mail_host: LiveHost, tmp_path: Path, pki: Pki) -> None:
    host, port = mail_host.address()
    text = "\r\n".join(["Subject: many lines", "", *("x" * 70 for _ in range(5000)), ""])
    with smtplib.SMTP(host, port, timeout=DEADLINE_SECONDS) as client:
        assert client.sendmail("first@example.org", ["to@example.org"], text) == {}
        client._host = "localhost"  # type: ignore[attr-defined]  # the name that the certificate is checked for
        assert client.starttls(context=pki.context())[0] == 220
        assert client.sendmail("second@example.org", ["to@example.org"], text) == {}
    assert (tmp_path / "first.plain").read_bytes() == text.encode()
    assert (tmp_path / "second.tls").read_bytes() == text.encode()


# asyncssh.


def ssh(address: tuple[str, int], command: str) -> list[str]:
    host, port = address
    options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
    flags = [word for option in options for word in ("-o", option)]
    return ["ssh", "-F", "none", *flags, "-p", str(port), f"anyone@{host}", command]


def with_ssh(address: tuple[str, int], command: str, data: bytes) -> tuple[int, bytes]:
    run = subprocess.run(ssh(address, command), input=data, capture_output=True, timeout=DEADLINE_SECONDS, check=False)
    assert not run.stderr
    return run.returncode, run.stdout


def with_asyncssh(address: tuple[str, int], command: str, data: bytes) -> tuple[int, bytes]:
    import asyncssh

    async def run() -> tuple[int, bytes]:
        host, port = address
        async with asyncssh.connect(host, port, known_hosts=None, username="anyone", config=None) as client:
            result = await client.run(command, input=data, encoding=None)
            assert isinstance(result.stdout, bytes)
            return result.exit_status or 0, result.stdout

    return asyncio.run(asyncio.wait_for(run(), DEADLINE_SECONDS))


no_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")


@BOTH_LOOPS
@needs_module("asyncssh")
def test_commands_run_over_asyncssh(serve: Hosts) -> None:
    run = with_ssh if shutil.which("ssh") else with_asyncssh
    address = serve("shell:Shell").address()
    data = hashlib.shake_128(b"seed").digest(3_000_000)
    assert run(address, "echo hello you", b"") == (0, b"hello you")
    assert run(address, "fail", b"") == (3, b"")
    # More than any buffer on the way has room for: both ends stop and resume writing.
    assert run(address, "cat", data) == (0, data)


@MORE_IN_SOAK
@needs_module("asyncssh")
@no_ssh
def test_an_ssh_session_outlives_a_reload(serve: Hosts) -> None:
    host = serve("shell:Shell")
    with subprocess.Popen(
        ssh(host.address(), "cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        session.stdin.write(b"before")
        assert session.stdout.read(6) == b"before"
        assert host.command("reload").returncode == 0
        session.stdin.write(b"after")
        assert session.stdout.read(5) == b"after"
        session.stdin.close()
        assert session.wait(DEADLINE_SECONDS) == 0


# pymodbus.


@MORE_IN_SOAK
@needs_module("pymodbus")
def test_registers_are_read_and_written_over_pymodbus(serve: Hosts) -> None:
    from pymodbus.client import ModbusTcpClient

    host, port = serve("registers:Registers").address()
    client = ModbusTcpClient(host, port=port, timeout=DEADLINE_SECONDS)
    try:
        assert client.connect()
        assert client.read_holding_registers(2, count=3, device_id=1).registers == [2, 3, 4]
        assert not client.write_registers(3, [33, 44], device_id=1).isError()
        assert client.read_holding_registers(2, count=4, device_id=1).registers == [2, 33, 44, 5]
    finally:
        client.close()


# aioftp.


@MORE_IN_SOAK
@needs_module("aioftp")
def test_files_are_stored_listed_and_fetched_over_aioftp(serve: Hosts, tmp_path: Path) -> None:
    data = hashlib.shake_128(b"seed").digest(1_000_000)
    folder = tmp_path / "served"
    folder.mkdir()
    host, port = serve("files:Files", "--set", f"files:Files.folder={folder}").address()
    with ftplib.FTP(timeout=DEADLINE_SECONDS) as client:
        client.connect(host, port)
        client.login()
        client.storbinary("STOR first", io.BytesIO(data))
        assert [name for name, _ in client.mlsd()] == ["first"]
        fetched: list[bytes] = []
        client.retrbinary("RETR first", fetched.append)
        client.quit()
    assert b"".join(fetched) == data
    assert (folder / "first").read_bytes() == data


# aiohttp.


@MORE_IN_SOAK
@needs_module("aiohttp")
def test_requests_and_a_websocket_are_served_by_aiohttp(serve: Hosts) -> None:
    from websockets.sync.client import connect

    host, port = serve("web:Web").address()
    with http_client((host, port)) as client:
        for number, size in enumerate((0, 10, 900_000)):
            client.request("POST", f"/{number}", b"x" * size)
            answer = json.load(client.getresponse())
            assert answer == {"path": f"/{number}", "remote": host, "bytes": size}
    with connect(f"ws://{host}:{port}/echo", open_timeout=DEADLINE_SECONDS, max_size=None) as socket:
        for message in ("hello", "x" * 1_000_000):
            socket.send(message)
            assert socket.recv(DEADLINE_SECONDS) == message


# amqtt.


@MORE_IN_SOAK
@needs_module("amqtt")
def test_messages_are_published_and_delivered_by_amqtt(serve: Hosts) -> None:
    from amqtt.client import MQTTClient

    host, port = serve("broker:Mqtt").address()

    async def publish_and_receive() -> bytes:
        subscriber, publisher = MQTTClient(), MQTTClient()
        await subscriber.connect(f"mqtt://{host}:{port}/")
        await subscriber.subscribe([("a/+", 1)])
        await publisher.connect(f"mqtt://{host}:{port}/")
        await publisher.publish("a/b", b"hello", qos=1)
        message = await subscriber.deliver_message()
        await publisher.disconnect()
        await subscriber.disconnect()
        assert message is not None
        return bytes(message.data)

    assert asyncio.run(asyncio.wait_for(publish_and_receive(), DEADLINE_SECONDS)) == b"hello"
