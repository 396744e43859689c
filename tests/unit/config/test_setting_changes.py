"""What differs between a running host and its configuration is found, with what applies it."""

from __future__ import annotations

import pytest

from reactorhost.config.setting_changes import changes
from reactorhost.config.setting_rows import SettingRow

RUNNING = {
    "workers": "2",
    "backlog": "100",
    "log_file": "/run/x/reactorhost.log",
    "service.web.listen": "tcp://*:80",
    "service.web.idle_timeout": "1m",
    "service.web.unix_mode": "0600",
    "plugin.echo.limit": "5",
}


def changed(**fresh: str | None) -> dict[str, tuple[str, str]]:
    after = {name: value for name, value in {**RUNNING, **fresh}.items() if value is not None}
    before_rows, after_rows = (
        [SettingRow(name, value, "FILE:1") for name, value in values.items()] for values in (RUNNING, after)
    )
    found = changes(before_rows, after_rows, ("backlog", "log_file"))
    return {row.setting: (row.value, row.applied_by) for row in found}


@pytest.mark.parametrize(
    ("fresh", "expected"),
    [
        ({}, {}),
        ({"workers": "3"}, {"workers": ("3", "HUP")}),
        ({"backlog": "200"}, {"backlog": ("200", "restart")}),
        # A host in the background has one that no setting names.
        ({"log_file": "-"}, {}),
        ({"log_file": "/var/log/x"}, {"log_file": ("/var/log/x", "restart")}),
        ({"service.web.unix_mode": "0660"}, {"service.web.unix_mode": ("0660", "restart")}),
        ({"plugin.echo.limit": None}, {"plugin.echo.limit": ("-", "HUP")}),
        ({"plugin.echo.rate": "1"}, {"plugin.echo.rate": ("1", "HUP")}),
        # HUP refuses other addresses, and with them everything else.
        (
            {"service.web.listen": "tcp://*:81", "workers": "3"},
            {"service.web.listen": ("tcp://*:81", "restart"), "workers": ("3", "restart")},
        ),
        (
            {"service.web.certificate": "a.pem", "workers": "3"},
            {"service.web.certificate": ("a.pem", "restart"), "workers": ("3", "restart")},
        ),
    ],
)
def test_what_differs_is_found_with_what_applies_it(
    fresh: dict[str, str | None], expected: dict[str, tuple[str, str]]
) -> None:
    assert changed(**fresh) == expected
