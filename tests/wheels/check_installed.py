"""Use the installed wheels as a new user would; run by an interpreter outside the tree.

Start in the background, talk, stop, uninstall the plugin, see the right error. The session `wheels` calls it with the
folder of the wheels.
"""

from __future__ import annotations

import http.client
import importlib.metadata
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

SECONDS = 60
BIN = Path(sys.prefix) / "bin"
APPS = {
    "asgi": """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi"})
""",
    "wsgi": """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"wsgi"]
""",
}


def main() -> None:
    """Run all checks.

    Raises:
        SystemExit: something is not as a user expects it.
    """
    tell_versions()
    expect_all(Path(sys.argv[1]))
    with tempfile.TemporaryDirectory(prefix="reactorhost-run-") as folder:
        run_dir = Path(folder) / "run"
        with started(run_dir, "--plugin", "echo") as address:
            talk(address)
        with started(run_dir, "--plugin", "accesslog", "--plugin", "echo") as address:
            talk(address)
        with started(run_dir, "--plugin", "chat") as address:
            greet(address)
        with started(run_dir, "--plugin", "websocket", "--plugin", "echo") as address:
            upgrade(address)
        for interface, app in APPS.items():
            Path(folder, f"{interface}_app.py").write_text(app)
            settings = ("--set", f"asgi.app={interface}_app:app", "--set", f"asgi.app_dir={folder}")
            with started(run_dir, "--plugin", "asgi", *settings) as address:
                request(address, interface)
        command(5, "status", "--run-dir", str(run_dir))
        # Loads the bus and its parser, and connects nothing.
        bus = ("--bus-url", "redis://127.0.0.1", "--listen", "tcp://127.0.0.1:0", "--run-dir", str(run_dir))
        command(0, "check", "--plugin", "echo", *bus)
        uninstall("reactorhost-echo")
        start_without_plugin(run_dir)
    print("wheels: installed, started, talked to, stopped, uninstalled")


def tell_versions() -> None:
    """Print what is tested, and check that it is the installed package."""
    import reactorhost

    if not Path(reactorhost.__file__).is_relative_to(sys.prefix):
        raise SystemExit(f"reactorhost comes from {reactorhost.__file__}, not from {sys.prefix}")
    dependencies = ("click", "cronsim", "packaging", "pluggy", "rich")
    names = ("reactorhost", "reactorhost-chat", "reactorhost-echo", *dependencies)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    print(f"Python {sys.version.split()[0]}: {versions}")
    if reactorhost.__version__ not in command(0, "--version"):
        raise SystemExit("--version prints another version than the package's")
    if not Path(sys.prefix, "share", "man", "man1", "reactorhost.1").is_file():
        raise SystemExit("the manual page is not installed")


def expect_all(dist: Path) -> None:
    """Check that every distribution that was built is installed, in the version of its wheel."""
    built = {tuple(wheel.name.split("-")[:2]) for wheel in dist.glob("*.whl")}
    installed = {(each.name.replace("-", "_"), each.version) for each in importlib.metadata.distributions()}
    if missing := built - installed:
        raise SystemExit(f"not installed: {sorted(missing)}")


@contextmanager
def started(run_dir: Path, *plugins: str) -> Iterator[tuple[str, int]]:
    """Run a host in the background and yield its address; stop it and check that nothing is left."""
    place = ("--run-dir", str(run_dir))
    command(0, "start", "-d", *plugins, "--listen", "tcp://127.0.0.1:0", "--workers", "2", *place)
    try:
        listening = re.search(r"tcp://127\.0\.0\.1:(\d+)", command(0, "status", "--json", *place))
        if not listening:
            raise SystemExit("status --json does not have the address")
        address = ("127.0.0.1", int(listening[1]))
        yield address
    except BaseException:
        subprocess.run([BIN / "reactorhost", "stop", "--now", *place], check=False, timeout=SECONDS)
        raise
    command(0, "stop", *place)
    with socket.socket() as client:
        if client.connect_ex(address) == 0:
            raise SystemExit("after stop the port is still open")


def talk(address: tuple[str, int]) -> None:
    """Send 1 MB, half-close, and expect every byte back."""
    sent = bytes(range(256)) * 4096
    with socket.create_connection(address, timeout=SECONDS) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        echoed = b"".join(iter(lambda: client.recv(65536), b""))
    if echoed != sent:
        raise SystemExit(f"sent {len(sent)} bytes, {len(echoed)} came back")


def greet(address: tuple[str, int]) -> None:
    """Expect the greeting of the chat."""
    with socket.create_connection(address, timeout=SECONDS) as client:
        greeting = client.makefile("rb").readline()
    if not greeting.startswith(b"* Welcome!"):
        raise SystemExit(f"the chat greets with {greeting!r}")


def upgrade(address: tuple[str, int]) -> None:
    """Open a WebSocket, and expect a message back."""
    opening = (
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n\r\n"
    )
    with socket.create_connection(address, timeout=SECONDS) as client, client.makefile("rb") as answers:
        # The message is under a mask of zeros.
        client.sendall(opening.encode() + b"\x81\x85\0\0\0\0hello")
        head = list(iter(answers.readline, b"\r\n"))
        answer = answers.read(7)
    if not head[0].startswith(b"HTTP/1.1 101 ") or answer != b"\x81\x05hello":
        raise SystemExit(f"the WebSocket answers with {head[0]!r}, {answer!r}")


def request(address: tuple[str, int], expected: str) -> None:
    """Expect this body from an application."""
    with closing(http.client.HTTPConnection(*address, timeout=SECONDS)) as client:
        client.request("GET", "/")
        response = client.getresponse()
        body = response.read().decode()
    if (response.status, body) != (200, expected):
        raise SystemExit(f"the application answers with {response.status} {body!r}")


def uninstall(distribution: str) -> None:
    """Uninstall a distribution."""
    subprocess.run([sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", distribution], check=True)


def start_without_plugin(run_dir: Path) -> None:
    """Start with a plugin that is not installed: exit 4, a useful hint, nothing left behind."""
    address = ("--listen", "tcp://127.0.0.1:0", "--run-dir", str(run_dir))
    said = command(4, "start", "-d", "--plugin", "echo", *address)
    if "no plugin named 'echo' is installed" not in said:
        raise SystemExit(f"the error does not name the plugin: {said}")
    if "Traceback" in said:
        raise SystemExit(f"a traceback for a plugin that is only missing: {said}")
    command(5, "status", "--run-dir", str(run_dir))
    left = sorted(path.name for path in run_dir.glob("*.pid")) + sorted(path.name for path in run_dir.glob("*.sock"))
    if left:
        raise SystemExit(f"the run directory still has {left}")


def command(status: int, *arguments: str) -> str:
    """Run `reactorhost`, expect an exit status, return its output."""
    done = subprocess.run(
        [BIN / "reactorhost", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    print(f"{done.returncode} reactorhost {' '.join(arguments)}", flush=True)
    if done.returncode != status:
        raise SystemExit(f"expected exit status {status}, got {done.returncode}:\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main()
