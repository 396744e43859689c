"""The table of `reactorhost connections`."""

from __future__ import annotations

import pytest

from reactorhost.dashboard.output.connection_lines import connection_lines, group_lines


def test_connections_are_aligned_in_columns() -> None:
    row = {
        "slot": 0,
        "pid": 4243,
        "id": 17,
        "service": "default",
        "peer": "127.0.0.1:53422",
        "age_seconds": 3.0,
        "idle_seconds": 0.5,
        "bytes_in": 10,
        "bytes_out": 2048,
        "queued_bytes": 0,
        "state": "open",
        "tls": None,
    }
    lines = list(connection_lines([row, {**row, "id": 12345, "peer": "[::1]:5"}]))
    shown = ["0", "4243", "17", "default", "127.0.0.1:53422", "3.0s", "0.5s", "10", "2.0K", "0", "open"]
    assert lines[1].split() == shown
    assert [line.index(word) + len(word) for line, word in zip(lines, ("   ID", "   17", "12345"), strict=True)] == [
        17
    ] * 3
    assert [line.index(word) for line, word in zip(lines, ("PEER", "127", "[::1]"), strict=True)] == [28] * 3


def test_a_peer_cannot_control_the_terminal() -> None:
    texts = {"slot": 0, "pid": 1, "id": 2, "service": "x", "peer": "unix:\x1b[2J\n", "state": "open", "tls": None}
    numbers = dict.fromkeys(("age_seconds", "idle_seconds", "bytes_in", "bytes_out", "queued_bytes"), 0)
    assert "unix:\\u001b[2J\\n" in list(connection_lines([{**texts, **numbers}]))[1]


def test_without_connections_only_the_headings_are_shown() -> None:
    assert list(connection_lines([])) == ["SLOT  PID  ID  SERVICE  PEER  AGE  IDLE  IN  OUT  QUEUED  STATE"]


def test_rates_and_tls_have_columns_if_any_connection_has_them() -> None:
    texts = {"slot": 0, "pid": 1, "id": 2, "service": "x", "peer": "10.0.0.1:5", "state": "open"}
    numbers = dict.fromkeys(("age_seconds", "idle_seconds", "bytes_in", "bytes_out", "queued_bytes"), 0)
    tls = {"version": "TLSv1.3", "cipher": "AES", "server_name": None, "subject": "commonName=db\n"}
    row = {**texts, **numbers, "tls": None, "in_per_second": 2048.0, "out_per_second": None}
    headings, plain, encrypted = connection_lines([row, {**row, "tls": tls}])
    assert headings.split()[-4:] == ["STATE", "IN/s", "OUT/s", "TLS"]
    assert plain.split()[-3:] == ["open", "2.0K", "-"]
    assert encrypted.endswith("TLSv1.3 AES commonName=db\\n")


def test_groups_have_their_sums() -> None:
    numbers = {"age_seconds": 65.0, "idle_seconds": 0.5, "bytes_in": 2048, "bytes_out": 0, "queued_bytes": 0}
    row = {"peer": "10.0.0.1", "connections": 1200, **numbers}
    assert [line.split() for line in group_lines([row], "peer")] == [
        ["PEER", "CLIENTS", "OLDEST", "IDLE", "IN", "OUT", "QUEUED"],
        ["10.0.0.1", "1,200", "1m05s", "0.5s", "2.0K", "0", "0"],
    ]
    headings, _ = group_lines([{**row, "in_per_second": 1.0, "out_per_second": 2.0}], "peer")
    assert headings.endswith("IN/s  OUT/s")


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (200, "SLOT PID ID SERVICE PEER AGE IDLE IN OUT QUEUED STATE TLS"),
        (80, "SLOT PID ID SERVICE PEER AGE IDLE IN OUT QUEUED STATE"),
        (60, "PID ID SERVICE PEER AGE IN OUT STATE"),
        (40, "PID ID PEER AGE STATE"),
        # Less than what `disconnect` needs.
        (10, "PID ID PEER"),
    ],
)
def test_a_narrow_terminal_has_fewer_columns(width: int, shown: str) -> None:
    texts = {"slot": 0, "pid": 4243, "id": 17, "service": "default", "peer": "127.0.0.1:53422", "state": "open"}
    numbers = dict.fromkeys(("age_seconds", "idle_seconds", "bytes_in", "bytes_out", "queued_bytes"), 0)
    tls = {"version": "TLSv1.3", "cipher": "AES", "server_name": None, "subject": None}
    headings, line = connection_lines([{**texts, **numbers, "tls": tls}], width)
    assert headings.split() == shown.split()
    assert "127.0.0.1:53422" in line
    assert len(line) <= max(width, len("4243  17  127.0.0.1:53422"))
    group_headings, _ = group_lines([{**texts, **numbers, "connections": 1}], "service", width)
    assert group_headings.startswith("SERVICE  CLIENTS")
