"""The guide of options and commands: its plugins are files, and they do what the page says."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from daemons import run
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PAGE = (ROOT / "docs" / "guide" / "options.md").read_text(encoding="utf-8")

Hosts = Callable[..., LiveHost]


def by_netcat(host: LiveHost, text: str) -> str:
    if shutil.which("nc") is None:
        pytest.skip("nc is not installed")
    address, port = host.address()
    command = ["nc", "-N", address, str(port)]
    ended = subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, timeout=DEADLINE_SECONDS
    )  # fmt: skip
    return ended.stdout


def test_every_plugin_on_the_page_is_the_file() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert blocks == [(EXAMPLES / f"{name}.py").read_text(encoding="utf-8") for name in ("door", "guestbook")]


def test_the_door_opens_for_the_password(live_host: Hosts, tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    config.write_text(
        f'[service.door]\nlisten = "tcp://127.0.0.1:0"\nplugins = "{EXAMPLES / "door.py"}"\n'
        '[plugin.door]\ngreeting = "come in"\npassword = { env = "DOOR_PASSWORD" }\n'
    )
    flags = ("--set", "door.attempts=1", "--set", "door.letters=capitals")
    host = live_host("--config", str(config), *flags, environment={"DOOR_PASSWORD": "sesame"})
    assert by_netcat(host, "sesame\n") == "COME IN\n"
    assert by_netcat(host, "abracadabra\n") == "no\n"
    with host.connect() as client:
        client.sendall(b"abracadabra\n")
        assert client.recv(100) == b"no\n"
        assert client.recv(100) == b""


def test_the_guestbook_shows_on_the_command_line_what_clients_wrote(live_host: Hosts, tmp_path: Path) -> None:
    plugin = str(EXAMPLES / "guestbook.py")
    option = ("--set", f"guestbook.database={tmp_path / 'book.db'}")
    host = live_host("--plugin", plugin, *option)
    for text in ("hello", "and bye"):
        assert by_netcat(host, text) == "noted\n"
    shown = run(plugin, *option, "show", "--last", "1")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "and bye\n", "")
    assert run(plugin, *option, "show").stdout == "hello\nand bye\n"


def test_the_page_quotes_every_message(tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    service = f'[service.door]\nlisten = "tcp://:0"\nplugins = "{EXAMPLES / "door.py"}"\n[plugin.door]\n'
    wrong = {
        'greting = "x"\nattempts = "many"\nletters = "captials"\npassword = { env = "DOOR_PASSWORD" }\n': 4,
        'attempts = { env = "ATTEMPTS" }\npassword = { file = "/run/secrets/door" }\n': 2,
        "password = 5\n": 1,
        'password = { evn = "X" }\n': 1,
    }
    flags = ("--set", "attempts=3", "--set", "dor.attempts=3")
    told = []
    for table, count in wrong.items():
        config.write_text(service + table)
        last = flags if "evn" in table else ()
        ended = run("check", "--config", str(config), *last, environment={"ATTEMPTS": "x"})
        assert ended.returncode == (2 if last else 1)
        sentences = [line for line in ended.stderr.splitlines() if not line.startswith("  ")]
        assert len(sentences) == count + len(last) // 2
        told += sentences
    for sentence in told:
        assert f"`{sentence.removeprefix('reactorhost: ')}`" in PAGE
