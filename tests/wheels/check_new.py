"""Make the packages of `reactorhost new`, one of each variant, and use them as their authors would.

Run by the session `wheels` with the Python of an environment that has the built wheels.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

SECONDS = 120
BIN = Path(sys.prefix, "bin")
# The flags of each kind, and a message for it. What is generated must be well formatted with a short name and a long.
KINDS: Mapping[str, tuple[str, bytes]] = {
    "bytes": ("", b"as it comes"),
    "lines": ("--framing lines", b"a line\n"),
    "delimited": ("--framing delimited", b"up to here;"),
    "length": ("--framing length_prefixed", b"\0\0\0\x05hello"),
    "fixed": ("--framing fixed", b"sixteen bytes is"),
    "protocol": ("--protocol", b"anything"),
    "websocket": ("--websocket", b"a message"),
}
LONG = "a-plugin-with-an-async-hook-and-a-very-long-name-for"
FLAGS = {f"2048-{kind}": flags.split() for kind, (flags, _) in KINDS.items()} | {
    f"{LONG}-{kind}": [*flags.split(), "--async"] for kind, (flags, _) in KINDS.items() if kind != "protocol"
}
# hatchling needs `editables` for editable packages.
TOOLS = ("editables", "hatchling", "mypy", "pytest", "ruff")
# An isolated build would install both for each package.
BUILD = ("--quiet", "--no-build-isolation", "--no-deps")
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


class Made(TypedDict):
    """What `new --json` prints."""

    name: str
    module: str
    folder: str
    commands: Sequence[str]


def main() -> None:
    """Make, install and check all packages.

    Raises:
        SystemExit: something is not as it should be.
    """
    run("pip", "install", "--quiet", *TOOLS)
    with tempfile.TemporaryDirectory(prefix="reactorhost-new-") as folder:
        parent = Path(folder)
        made: list[Made] = [
            json.loads(run("reactorhost", "new", name, *flags, "--json", cwd=parent)) for name, flags in FLAGS.items()
        ]
        install, test = made[1]["commands"][:2], made[1]["commands"][2]
        run("bash", "-ec", "\n".join([*install, test]), cwd=parent)
        folders = [each["folder"] for each in made]
        run("pip", "install", *BUILD, *(word for each in folders for word in ("--editable", each)))
        check_style(parent, made)
        check_tests(parent, made)
        check_wheel(parent, made[1])
        serve(parent, made)
    print(f"new: {len(made)} packages made, installed, checked, tested, served and reloaded")


def check_style(parent: Path, made: Sequence[Made]) -> None:
    """Expect ruff and mypy, as each package configures them, to find nothing."""
    run("ruff", "format", "--check", ".", cwd=parent)
    run("ruff", "check", ".", cwd=parent)
    # The settings of all are the same. The first run has the files that they name.
    run("mypy", cwd=Path(made[0]["folder"]))
    files = [path for each in made for path in (f"{each['folder']}/{each['module']}", f"{each['folder']}/tests")]
    run("mypy", *files, cwd=Path(made[0]["folder"]))


def check_tests(parent: Path, made: Sequence[Made]) -> None:
    """Expect the tests of all packages to pass, and those on the bench to fail for a plugin that does nothing."""
    tests = ("pytest", "-q", "-p", "reactorhost.testing", "-p", "no:cacheprovider", ".")
    run(*tests, cwd=parent)
    with changed(made, lambda code: re.sub(r"\S*\.(send|send_message|write)\(.*\)", "pass", code)):
        # Without those in a host, which would wait for an answer.
        printed = run(*tests, "-k", "not serves", status=1, cwd=parent)
    if " passed" in printed:
        raise SystemExit(f"tests pass although the plugin does nothing:\n{printed}")


def check_wheel(parent: Path, package: Made) -> None:
    """Expect a wheel with the module and the mark for type checkers, and nothing of the tests."""
    run("pip", "wheel", *BUILD, "--wheel-dir", str(parent), package["folder"])
    (wheel,) = parent.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    module = package["module"]
    if names != {f"{module}/__init__.py", f"{module}/py.typed"}:
        raise SystemExit(f"the wheel has {sorted(names)}")


def serve(parent: Path, made: Sequence[Made]) -> None:
    """Serve all plugins in one host, talk to each, change their code, reload, and talk to each again."""
    place = ("--run-dir", str(parent / "run"))
    configuration = parent / "host.toml"
    configuration.write_text("\n".join(service(each) for each in made))
    run("reactorhost", "start", "-d", "--workers", "1", "--config", str(configuration), *place)
    try:
        talk(place, made, lambda message: message)
        with changed(made, lambda code: code.replace("else data", "else data.swapcase()")):
            run("reactorhost", "reload", *place)
            talk(place, made, bytes.swapcase)
    finally:
        run("reactorhost", "stop", "--now", *place)


def service(package: Made) -> str:
    """Return the table of a service: its plugins are the words of the command that starts it."""
    plugins = package["commands"][3].split()[2:]
    return f'[service.{package["name"]}]\nlisten = "tcp://127.0.0.1:0"\nplugins = {json.dumps(plugins)}'


def talk(place: Sequence[str], made: Sequence[Made], answer: Callable[[bytes], bytes]) -> None:
    """Send each service a message, and expect this answer."""
    document: dict[str, Any] = json.loads(run("reactorhost", "status", "--json", *place))
    addresses = {each["name"]: each["addresses"][0] for each in document["services"]}
    for package in made:
        kind = package["name"].rpartition("-")[2]
        exchange = over_websocket if kind == "websocket" else over_tcp
        _, message = KINDS[kind]
        found = exchange(addresses[package["name"]], message)
        if found != answer(message):
            raise SystemExit(f"{package['name']} answers {message!r} with {found!r}, not {answer(message)!r}")


def over_tcp(address: str, message: bytes) -> bytes:
    """Send a message and the end of the stream, and return all that comes back."""
    port = int(address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        client.sendall(message)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def over_websocket(address: str, message: bytes) -> bytes:
    """Send a text message, and return the next one."""
    from websockets.sync.client import connect

    with connect(address.replace("tcp", "ws", 1)) as client:
        client.send(message.decode())
        return bytes(client.recv(timeout=SECONDS, decode=False))


@contextmanager
def changed(made: Sequence[Made], change: Callable[[str], str]) -> Iterator[None]:
    """Change the module of each package for a while.

    Raises:
        SystemExit: there is nothing to change in one of them.
    """
    files = [Path(each["folder"], each["module"], "__init__.py") for each in made]
    before = [file.read_text() for file in files]
    try:
        for file, code in zip(files, before, strict=True):
            if change(code) == code:
                raise SystemExit(f"nothing to change in {file}")
            file.write_text(change(code))
        yield
    finally:
        for file, code in zip(files, before, strict=True):
            file.write_text(code)


def run(program: str, *arguments: str, status: int = 0, cwd: Path | None = None) -> str:
    """Run a program of the environment, expect an exit status, and return its standard output."""
    done = subprocess.run(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=ENVIRONMENT,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != status:
        words = " ".join([program, *arguments])
        raise SystemExit(f"{words}: exit status {done.returncode}, not {status}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
