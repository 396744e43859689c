"""The guide's page on framings: a real host serves every example, and what goes wrong is said as written there."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import connect_unix, ended, read_exactly
from pki import Pki
from reactorhost.testing import DEADLINE_SECONDS, LiveHost, PluginBench

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "guide" / "framing.md"
EXAMPLES = sorted((DOCS / "examples").glob("framing_*.py"))

Serving = Callable[..., LiveHost]


@pytest.fixture
def serving(live_host: Callable[..., LiveHost]) -> Serving:
    """Start a host of one worker with an example of the page."""
    return lambda name, *settings: live_host("--plugin", str(DOCS / "examples" / name), "--workers", "1", *settings)


def exchanged(client: socket.socket, pieces: list[bytes], answer: bytes) -> None:
    """Send pieces, and read the answer, which is only whole after the last."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        client.sendall(piece)
    assert read_exactly(client, len(answer)) == answer


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_page_contains_every_example_file(path: Path) -> None:
    plugins = [block for block in blocks() if "hookimpl" in block and "def test_" not in block]
    assert path.read_text(encoding="utf-8") in plugins
    assert len(plugins) == len(EXAMPLES)


def test_the_test_of_a_checksum_passes(plugin_bench: Callable[..., PluginBench]) -> None:
    (program,) = (block for block in blocks() if "def test_a_wrong_checksum" in block)
    names: dict[str, Any] = {}
    exec(program, names)
    names["test_a_wrong_checksum_closes_the_connection"](plugin_bench)


@pytest.mark.skipif(shutil.which("nc") is None, reason="nc is not installed")
def test_nc_is_answered_line_by_line(serving: Serving) -> None:
    nc = subprocess.run(
        ["nc", "-N", *map(str, serving("framing_lines.py").address())],
        input=b"hello\r\ntwo\nnot a line",
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    assert nc.stdout == b"HELLO\nTWO\n"


def test_lines_are_whole_however_they_come_and_one_that_is_too_long_closes(serving: Serving) -> None:
    host = serving("framing_lines.py")
    with host.connect() as client:
        exchanged(client, [b"f", b"i", b"rst\r", b"\nsecond\nthi", b"rd\n"], b"FIRST\nSECOND\nTHIRD\n")
        client.sendall(b"last\n" + b"x" * 8194)
        assert read_exactly(client, 5) == b"LAST\n"
        assert ended(client)
    line = host.wait_for_log("framing_broken")
    assert re.search(
        r" warning framing_broken .*service=default peer=127\.0\.0\.1:\d+ connection=1 "
        r'reason="a line of more than 8192 bytes"',
        line,
    )


def test_lines_become_binary_in_the_middle_of_what_came(serving: Serving) -> None:
    host = serving("framing_upgrade.py")
    with host.connect() as client:
        exchanged(client, [b"Ada\r\nBINARY\r\n\0\3abc\0", b"\2de"], b"hello Ada\r\nOK\r\n\0\3cba\0\2ed")
        client.sendall(b"\x20\0")
        assert ended(client)
    assert 'reason="a length of 8192 where at most 4096 is allowed"' in host.wait_for_log("framing_broken")


def test_header_before_the_length_is_part_of_the_message(serving: Serving) -> None:
    host = serving("framing_header.py")
    with host.connect() as client:
        exchanged(client, [b"\1\0\5hi\1", b"\0\3"], b"\2\0\5hi\2\0\3")
        client.sendall(b"\1\0\2")
        assert ended(client)
    assert 'reason="a length of 2 where at least 3 is needed"' in host.wait_for_log("framing_broken")


def test_framing_of_ones_own(serving: Serving) -> None:
    host = serving("framing_own.py")
    with host.connect() as client, host.connect() as other:
        client.sendall(b"\0\0")
        exchanged(other, [b"\0\0\1x"], b"\0\0\1x")
        exchanged(client, [b"\3a", b"bc\0\0\0"], b"\0\0\3abc\0\0\0")
        client.sendall(b"\1\0\1")
        assert ended(client)
        exchanged(other, [b"\0\0\1y"], b"\0\0\1y")
    assert 'reason="a length of 65537 where at most 65536 is allowed"' in host.wait_for_log("framing_broken")


def test_operator_chooses_the_framing_and_wins_over_the_plugin(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    config = tmp_path / "host.toml"
    examples = DOCS / "examples"
    config.write_text(
        "[host]\nworkers = 1\n"
        f'[service.feed]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["{examples}/framing_by_operator.py"]\n'
        'framing = { kind = "delimited", delimiter = "\\r\\n\\r\\n", max_size = "1KiB" }\n'
        f'[service.cells]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["{examples}/framing_lines.py"]\n'
        'framing = { kind = "fixed", size = 4 }\n'
    )
    host = live_host("--config", str(config))
    with host.connect("feed") as client:
        exchanged(client, [b"a\r\n\r", b"\nbcd\r\n\r\n"], b"1 bytes\n3 bytes\n")
        client.sendall(b"x" * 1028)
        assert ended(client)
    assert 'reason="a message of more than 1024 bytes"' in host.wait_for_log("framing_broken")
    with host.connect("cells") as client:
        exchanged(client, [b"abc\n", b"de"], b"ABC\n")


@pytest.mark.skipif(shutil.which("nc") is None, reason="nc is not installed")
def test_a_session_greets_answers_and_says_goodbye(serving: Serving) -> None:
    host = serving("framing_session.py", "--framing", "hello")
    nc = subprocess.run(
        ["nc", *map(str, host.address())],
        input=b"HELLO ann\nhow are you?\nPING\nBYE\n",
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    assert nc.stdout == b"HELLO\nHOW ARE YOU?\nPONG\nBYE\n"
    with host.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert read_exactly(client, 100) == b"SORRY say HELLO and your name\n"
    line = host.wait_for_log("handshake_failed")
    assert re.search(
        r" info handshake_failed .*service=default peer=127\.0\.0\.1:\d+ "
        r'reason="its first line is not HELLO and a name"',
        line,
    )


def test_a_session_follows_proxy_header_and_tls_and_a_stop_ends_it(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    pki = Pki(tmp_path)
    pki.issue("server", "localhost")
    unix = tmp_path / "hello.sock"
    host = live_host(
        *("--plugin", str(DOCS / "examples" / "framing_session.py"), "--framing", "hello", "--workers", "1"),
        *("--listen", "tls://127.0.0.1:0", "--listen", f"unix://{unix}", *pki.arguments("server")),
        *("--proxy-from", "127.0.0.1", "--proxy-from", "unix", "--stop-timeout", "0.5s"),
    )
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n"
    with host.connect() as refused:
        refused.sendall(header)
        with pki.wrap(refused) as client:
            client.sendall(b"GOOD DAY\n")
            assert read_exactly(client, 100) == b"SORRY say HELLO and your name\n"
    assert "peer=192.0.2.7:4711 reason=" in host.wait_for_log("handshake_failed")
    with host.connect() as plain, connect_unix(unix) as local:
        plain.sendall(header)
        local.sendall(header)
        with pki.wrap(plain) as client:
            for each in (client, local):
                each.sendall(b"HELLO ann\none\n")
                assert read_exactly(each, 10) == b"HELLO\nONE\n"
            host.signal(signal.SIGTERM)
            for each in (client, local):
                assert read_exactly(each, 100) == b"BYE shutdown\n"
    assert host.wait() == 0
