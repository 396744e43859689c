"""The guide's pages on UDP, unix sockets and time: a real host serves their examples to real clients."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import answers
from datagrams import udp_addresses, udp_client
from reactorhost import CloseReason
from reactorhost.testing import DEADLINE_SECONDS, LiveHost, PluginBench

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = {
    "udp.md": ("udp_upper.py", "udp_later.py"),
    "time.md": ("time_patience.py", "time_keeper.py", "time_turns.py"),
    "unix-sockets.md": ("own_user.py",),
}

Hosts = Callable[..., LiveHost]


def example(name: str) -> str:
    return str(DOCS / "examples" / name)


def client_program(*command: str, data: bytes) -> bytes:
    """Run a program with some input, and return its output when it has ended by itself."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    ended = subprocess.run(command, input=data, capture_output=True, timeout=DEADLINE_SECONDS, check=True)
    return ended.stdout


@pytest.mark.parametrize("page", EXAMPLES)
def test_every_plugin_of_the_page_is_an_example_file(page: str) -> None:
    text = (DOCS / "guide" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    files = [Path(example(name)).read_text(encoding="utf-8") for name in EXAMPLES[page]]
    assert [block for block in blocks if "hookimpl" in block] == files


@pytest.mark.parametrize(
    "command",
    [("nc", "-u", "-w", "1", "127.0.0.1", "{port}"), ("socat", "-t", "1", "-", "UDP4-SENDTO:127.0.0.1:{port}")],
    ids=lambda command: command[0],
)
def test_udp_answers_common_programs(live_host: Hosts, command: tuple[str, ...]) -> None:
    host = live_host("--plugin", example("udp_upper.py"), "--listen", "udp://127.0.0.1:0", "--workers", "1")
    ((_, port),) = udp_addresses(host)
    assert client_program(*(word.format(port=port) for word in command), data=b"hello") == b"HELLO"


def test_udp_answers_later(live_host: Hosts) -> None:
    host = live_host("--plugin", example("udp_later.py"), "--listen", "udp://127.0.0.1:0", "--workers", "1")
    (address,) = udp_addresses(host)
    with udp_client(address) as client:
        client.send(b"later")
        assert client.recv(100) == b"later"


@pytest.mark.parametrize(
    "command",
    [("nc", "-N", "-U", "{path}"), ("socat", "-t", "5", "-", "UNIX-CONNECT:{path}")],
    ids=lambda command: command[0],
)
def test_a_unix_socket_answers_common_programs(live_host: Hosts, tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "a.sock"
    host = live_host("--plugin", "echo", "--listen", f"unix://{path}", "--unix-mode", "0600", "--workers", "1")
    assert client_program(*(word.format(path=path) for word in command), data=b"hello") == b"hello"
    assert host.stop() == 0


def test_a_day_has_24_hours_and_one_night(plugin_bench: Callable[..., PluginBench]) -> None:
    bench = plugin_bench(example("time_keeper.py"))
    bench.advance(24 * 3600)
    assert bench.stats() == {"hours": 24, "nights": 1}


def test_clients_that_send_no_first_line_or_no_later_line_are_disconnected(
    plugin_bench: Callable[..., PluginBench],
) -> None:
    bench = plugin_bench(example("time_patience.py"))
    silent, talker = bench.connect(), bench.connect()
    talker.send(b"hello\n")
    bench.advance(11)
    assert silent.received == b"too late\n"
    assert silent.closed is CloseReason.LOCAL
    bench.advance(60)
    assert talker.received.startswith(b"hello\nit is ")


def test_a_host_runs_the_example_of_timers(live_host: Hosts) -> None:
    host = live_host("--plugin", example("time_patience.py"), "--workers", "1")
    with host.connect() as client:
        assert answers(client)


def test_a_client_that_asks_more_than_once_a_second_waits_for_its_turn(
    plugin_bench: Callable[..., PluginBench],
) -> None:
    bench = plugin_bench(example("time_turns.py"))
    client = bench.connect()
    client.send(b"one\ntwo\n")
    assert client.received == b"ONE\n"
    bench.advance(0.9)
    assert client.received == b"ONE\n"
    bench.advance(0.2)
    assert client.received == b"ONE\nTWO\n"


def test_the_test_of_the_page_on_unix_sockets_passes(plugin_bench: Callable[..., PluginBench]) -> None:
    text = (DOCS / "guide" / "unix-sockets.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n((?:(?!```).)*def test_.*?)^```", text, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(block.replace("docs/examples/", f"{DOCS}/examples/"), names)
    names["test_another_user_is_refused"](plugin_bench)
