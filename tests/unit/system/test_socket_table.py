"""The kernel's tables of sockets, as far as they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactorhost.system import socket_table

INTERNET = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:2328 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 20 4 30 10 -1
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  123: 00000000:2328 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 13 2 0 0
"""
UNIX = (
    "Num       RefCount Protocol Flags    Type St Inode Path\n"
    "0: 00000002 00000000 00010000 0001 01 21 /run/listens\n"
    "0: 00000002 00000000 00000000 0001 01 22 /run/bound here\n"
    "0: 00000003 00000000 00000000 0001 03 23 /run/listens\n"
    "0: 00000003 00000000 00000000 0001 03 24\n"
    "0: 00000002 00000000 00010000 0001 01 25 /tmp/a\x0cb c d e f g h\n"
    "0: 00000002 00000000 00010000 0001 01 26 /tmp/new\nline d e not-hexadecimal g h i\n"
)


@pytest.fixture(autouse=True)
def _tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("tcp", INTERNET), ("udp", UDP), ("unix", UNIX)):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(socket_table, "_NET", tmp_path)


def test_listeners_and_udp_sockets_are_found_whatever_characters_a_path_has() -> None:
    # Without IPv6 there are fewer tables.
    assert socket_table.listening_inodes() == {"11", "13", "21", "25", "26"}


@pytest.mark.parametrize(
    ("path", "expected"), [("/run/bound here", True), ("/run/listens", False), ("/run/bound", False)]
)
def test_a_socket_that_is_bound_and_does_not_listen_is_found_by_its_path(path: str, expected: bool) -> None:
    assert socket_table.is_bound_without_listening(Path(path)) is expected
