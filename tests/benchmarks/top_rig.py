"""A host on a bad day, to look at: `top_rig.py [--command REACTORHOST]`, then `reactorhost top --name rig` elsewhere.

Four workers serve six services: TCP, IPv6, a unix socket, TLS, UDP and async hooks. Clients keep a load on all of them.
One plugin raises exceptions, and one blocks now and then. Then one worker hangs in a hook, one has crashed and cannot
start again, one is stopped (SIGSTOP), and one drains after it was recycled. It ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import trustme

DEADLINE_SECONDS = 60.0

CONFIG = """
[host]
name = "rig"
workers = 4
stall_timeout = "1h"
drain_timeout = "1h"

[service.echo]
listen = "tcp://127.0.0.1:{echo}"
plugins = ["./audit.py", "./echo.py"]

[service.echo6]
listen = "tcp://[::1]:{echo6}"
plugins = "./faulty.py"

[service.local]
listen = "unix:///{folder}/local.sock"
plugins = "./slow.py"

[service.secure]
listen = "tls://127.0.0.1:{secure}"
plugins = ["./audit.py", "./echo.py"]
certificate = "{folder}/certificate.pem"
key = "{folder}/key.pem"

[service.datagrams]
listen = "udp://127.0.0.1:{datagrams}"
plugins = "./echo.py"

[service.waits]
listen = "tcp://127.0.0.1:{waits}"
plugins = "./waiting.py"
"""

PLUGINS = {
    "audit.py": """
from reactorhost import hookimpl

@hookimpl(wrapper=True)
def receive(connection, data):
    return (yield)
""",
    "echo.py": """
from reactorhost import hookimpl

@hookimpl
def receive(connection, data):
    connection.send(data)
""",
    "faulty.py": """
import os
from pathlib import Path
from reactorhost import hookimpl

BROKEN = Path(__file__).with_name("broken")

@hookimpl
def worker_start(worker):
    if BROKEN.exists() and worker.slot == int(BROKEN.read_text()):
        raise ConnectionError("cannot reach the database at 10.0.0.7:5432: connection refused")

@hookimpl
def receive(connection, data):
    if data.startswith(b"?"):
        raise ValueError("no such room: 'lobby'; the rooms are: kitchen, garden, cellar, attic, garage and library")
    connection.send(data)
""",
    "slow.py": """
import time
from reactorhost import hookimpl

@hookimpl
def receive(connection, data):
    if data == b"hang":
        time.sleep(3600)
    time.sleep(0.002)
    connection.send(data)
""",
    "waiting.py": """
import asyncio
from reactorhost import hookimpl

@hookimpl
async def receive(connection, data):
    await asyncio.sleep(0.05)
    connection.send(data)
""",
}


class Rig:
    """The host in a folder, started by a command; its ports are free ones."""

    def __init__(self, folder: Path, command: str) -> None:
        self.folder = folder
        self.run_dir = folder / "run"
        self._command = command
        self._host: subprocess.Popen[bytes] | None = None
        self.ports = {name: free_port() for name in ("echo", "echo6", "secure", "datagrams", "waits")}

    def start(self) -> None:
        """Write the files, and start the host."""
        for name, text in PLUGINS.items():
            (self.folder / name).write_text(text)
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(str(self.folder / "authority.pem"))
        (self.folder / "certificate.pem").write_bytes(issued.cert_chain_pems[0].bytes())
        issued.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        config = self.folder / "rig.toml"
        config.write_text(CONFIG.format(folder=self.folder, **self.ports))
        words = [self._command, "start", "--config", str(config), "--run-dir", str(self.run_dir)]
        log_file = self.folder / "rig.log"
        self._host = subprocess.Popen([*words, "--log-file", str(log_file)], stdout=subprocess.PIPE)
        assert self._host.stdout is not None
        while b"  stop " not in (line := self._host.stdout.readline()):
            if not line:
                raise SystemExit("the host did not start")

    def end(self) -> None:
        """End the host; its stopped worker too."""
        if self._host is None:
            return
        pids = [worker["pid"] for worker in self.status()["workers"]]
        self._host.send_signal(signal.SIGQUIT)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._host.wait(DEADLINE_SECONDS)

    def ask(self, verb: str, **fields: object) -> dict[str, Any]:
        """Return the last line of the host's answer to a verb."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(DEADLINE_SECONDS)
            line.connect(str(self.run_dir / "control.sock"))
            line.sendall(json.dumps({"verb": verb, **fields}).encode() + b"\n")
            for answer in line.makefile("rb"):
                message: dict[str, Any] = json.loads(answer)
                if "status" in message:
                    return message
        raise SystemExit(f"no answer to {verb}")

    def status(self) -> dict[str, Any]:
        """Return the status document."""
        document: dict[str, Any] = self.ask("status")["document"]
        return document

    def until(self, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Return the first document for which this holds."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not holds(document := self.status()):
            if time.monotonic() > deadline:
                raise SystemExit("the host does not come into the state that was waited for")
            time.sleep(0.1)
        return document

    def make_trouble(self) -> None:
        """Hang one worker, crash one for good, stop one, and recycle one that has clients."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.folder / "local.sock"))
            client.sendall(b"hang")
            document = self.until(lambda each: any(worker["tick_age_seconds"] > 1.5 for worker in each["workers"]))
        hung = next(worker for worker in document["workers"] if worker["tick_age_seconds"] > 1.5)
        crashed, stopped, recycled = [worker for worker in document["workers"] if worker is not hung]
        (self.folder / "broken").write_text(str(crashed["slot"]))
        os.kill(crashed["pid"], signal.SIGSEGV)
        self.ask("recycle", pid=recycled["pid"])
        os.kill(stopped["pid"], signal.SIGSTOP)
        self.until(lambda each: (each["slots"][crashed["slot"]]["retry_seconds"] or 0) > 2)


def free_port() -> int:
    """Return a port that was free a moment ago, for TCP and UDP."""
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        port: int = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        return port


async def talk(connect: Callable[[], Any], words: list[bytes], pause_seconds: float) -> None:
    """Send words in turn for ever, each after the answer to the one before; a word with `?` is not answered."""
    while True:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ssl.SSLError):
            reader, writer = await connect()
            for at in range(1_000_000):
                writer.write(words[at % len(words)])
                if words[at % len(words)].startswith(b"?"):
                    await asyncio.sleep(pause_seconds)
                    continue
                if not await asyncio.wait_for(reader.read(65536), 30.0):
                    break
                await asyncio.sleep(pause_seconds)
        await asyncio.sleep(0.5)


async def send_datagrams(port: int) -> None:
    """Send datagrams for ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        while True:
            with contextlib.suppress(OSError):
                sock.sendto(b"x" * 100, ("127.0.0.1", port))
            await asyncio.sleep(0.02)


async def _load(rig: Rig, clients: int) -> None:
    ports, plain = rig.ports, [b"x" * 60, b"y" * 700]
    context = ssl.create_default_context(cafile=str(rig.folder / "authority.pem"))
    tasks = [talk(lambda: asyncio.open_connection("127.0.0.1", ports["echo"]), plain, 0.03) for _ in range(clients)]
    tasks += [talk(lambda: asyncio.open_connection("::1", ports["echo6"]), [*plain, b"?x"], 0.2) for _ in range(9)]
    local = str(rig.folder / "local.sock")
    tasks += [talk(lambda: asyncio.open_unix_connection(local), plain, 0.05) for _ in range(6)]
    over_tls = partial(asyncio.open_connection, "127.0.0.1", ports["secure"], ssl=context, server_hostname="127.0.0.1")
    tasks += [talk(over_tls, plain, 0.1) for _ in range(12)]
    tasks += [talk(lambda: asyncio.open_connection("127.0.0.1", ports["waits"]), plain, 0.1) for _ in range(20)]
    await asyncio.gather(*tasks, *(send_datagrams(ports["datagrams"]) for _ in range(2)))


@contextlib.contextmanager
def loaded(rig: Rig, clients: int = 60) -> Iterator[None]:
    """Keep a load on all services while the context lasts."""
    process: BaseProcess = get_context("fork").Process(target=lambda: asyncio.run(_load(rig, clients)))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def main() -> None:
    """Start the host and the load, make trouble, and wait for the end of standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", default=str(Path(sys.executable).with_name("reactorhost")))
    parser.add_argument("--seconds", type=float, default=15.0, help="how long the host is well before the trouble")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rig") as folder:
        rig = Rig(Path(folder), arguments.command)
        rig.start()
        try:
            with loaded(rig):
                time.sleep(arguments.seconds)
                rig.make_trouble()
                print(f"reactorhost top --run-dir {rig.run_dir}", flush=True)
                sys.stdin.read()
        finally:
            rig.end()


if __name__ == "__main__":
    main()
