"""A check lists what it has looked at."""

from __future__ import annotations

import os
from pathlib import Path

from reactorhost.cli.commands.checked import CheckRow, checked, lines
from reactorhost.config.layers import Arguments
from reactorhost.config.resolve import resolve

FILE = """
[host]
workers = 2
pid_file = "pids/host.pid"
log_file = "host.log"
user = "0"
admin = "tcp://127.0.0.1:9901"
[service.a]
listen = ["tcp://127.0.0.1:0", "unix:///tmp/a", "unix://@a", "fd://a"]
plugins = ["accesslog", "echo"]
[service.b]
listen = "udp://127.0.0.1:0"
plugins = "echo"
"""


def rows(tmp_path: Path, text: str, **variables: str) -> list[CheckRow]:
    (tmp_path / "host.toml").write_text(text)
    (tmp_path / "host.log").touch()
    flags = {"config": "host.toml", "run_dir": "run"}
    return list(checked(resolve(flags, variables, tmp_path)))


def test_every_part_of_the_settings_has_a_row(tmp_path: Path) -> None:
    found = rows(tmp_path, FILE, REACTORHOST_BACKLOG="7")
    assert [(row.check, row.subject) for row in found[1:4]] == [
        ("account", "user root, group 0"),
        ("plugin", "accesslog (reactorhost-accesslog 0.1.0)"),
        ("plugin", "echo (reactorhost-echo 0.1.0)"),
    ]
    assert [row.detail for row in found[2:4]] == ["loaded, for service a", "loaded, for services a, b"]
    assert [row[1:] for row in found if row.check == "address"] == [
        ("tcp://127.0.0.1:0", "of this machine, may be in use, for service a"),
        ("unix:///tmp/a", "can be made, may be in use, for service a"),
        ("unix://@a", "in a namespace of its own, may be in use, for service a"),
        ("fd://a", "passed by systemd at the start, for service a"),
        ("udp://127.0.0.1:0", "of this machine, may be in use, for service b"),
        ("tcp://127.0.0.1:9901", "of this machine, may be in use, for probes and metrics"),
    ]
    assert [(row.check, row.subject, row.detail) for row in found[-3:]] == [
        ("run directory", os.path.realpath(tmp_path / "run"), "can be made"),
        ("pid file", os.path.realpath(tmp_path / "pids" / "host.pid"), "can be made"),
        ("log file", str(tmp_path / "host.log"), "can be written"),
    ]


def test_the_settings_are_counted_by_where_they_come_from(tmp_path: Path) -> None:
    row = rows(tmp_path, FILE, REACTORHOST_BACKLOG="7")[0]
    lines_with_a_value = sum("=" in line for line in FILE.splitlines())
    expected = f"set by 1 flag, 1 variable, {lines_with_a_value} lines"
    assert row == CheckRow("settings", str(tmp_path / "host.toml"), expected)


def test_an_argument_is_not_counted_as_a_flag(tmp_path: Path) -> None:
    flags = {"plugins": Arguments(["echo"]), "run_dir": str(tmp_path / "run")}
    row, *_ = checked(resolve(flags, {}, tmp_path))
    assert row.detail == "set by 1 argument, 1 flag"


def test_the_columns_are_aligned() -> None:
    assert lines([CheckRow("a", "long name", "x"), CheckRow("longer", "b", "y")]) == [
        "ok  a       long name  x",
        "ok  longer  b          y",
    ]
