"""The table of `reactorhost connections`."""

from __future__ import annotations

from reactorhost.dashboard.output.connection_lines import connection_lines


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
    }
    lines = list(connection_lines([row, {**row, "id": 12345, "peer": "[::1]:5"}]))
    shown = ["0", "4243", "17", "default", "127.0.0.1:53422", "3.0s", "0.5s", "10", "2.0K", "0", "open"]
    assert lines[1].split() == shown
    assert [line.index(word) + len(word) for line, word in zip(lines, ("   ID", "   17", "12345"), strict=True)] == [
        17
    ] * 3
    assert [line.index(word) for line, word in zip(lines, ("PEER", "127", "[::1]"), strict=True)] == [28] * 3


def test_a_peer_cannot_control_the_terminal() -> None:
    texts = {"slot": 0, "pid": 1, "id": 2, "service": "x", "peer": "unix:\x1b[2J\n", "state": "open"}
    numbers = dict.fromkeys(("age_seconds", "idle_seconds", "bytes_in", "bytes_out", "queued_bytes"), 0)
    assert "unix:\\u001b[2J\\n" in list(connection_lines([{**texts, **numbers}]))[1]


def test_without_connections_only_the_headings_are_shown() -> None:
    assert list(connection_lines([])) == ["SLOT  PID  ID  SERVICE  PEER  AGE  IDLE  IN  OUT  QUEUED  STATE"]
