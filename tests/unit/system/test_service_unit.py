"""The command of systemd for a process names the unit that the process belongs to."""

from __future__ import annotations

import pytest

from reactorhost.system.service_unit import command, systemctl


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("0::/system.slice/chat.service\n", "systemctl stop chat"),
        ("9:name=systemd:/system.slice/chat.service\n8:pids:/\n0::/\n", "systemctl stop chat"),
        ("0::/system.slice/system-chat.slice/chat@eu.service\n", "systemctl stop chat@eu"),
        ("0::/system.slice/a\\x2db.service\n", "systemctl stop 'a\\x2db'"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/mine.service\n", "systemctl --user stop mine"),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", "systemctl stop UNIT"),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", "systemctl stop UNIT"),
        ("0::/\n", "systemctl stop UNIT"),
        ("", "systemctl stop UNIT"),
    ],
)
def test_the_unit_is_the_innermost_service(groups: str, expected: str) -> None:
    assert command("stop", groups) == expected


def test_a_process_that_does_not_exist_has_no_unit() -> None:
    assert systemctl("restart", 0) == "systemctl restart UNIT"
