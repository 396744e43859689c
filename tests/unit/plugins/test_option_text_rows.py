"""`config show` prints options of plugins with their origin and without secrets."""

from __future__ import annotations

from pathlib import Path

from reactorhost.api.option import Option
from reactorhost.config.resolve import resolve
from reactorhost.plugins.option_text import rows, values

TOML = """\
[service.web]
listen = "tcp://*:9000"
plugins = ["echo", "chat"]
[plugin.echo]
greeting = "hi"
limits = ["a", "b"]
since = 2024-01-01
bell = "\\u0007"
key = "hunter2"
token = { env = "TOKEN" }
unknown = "hunter2"
users = { env = "hunter2" }
[plugin.chat]
word = "hunter2"
"""
OPTIONS = (
    Option("greeting"),
    Option("limits", list),
    Option("since"),
    Option("bell"),
    Option("key", secret=True),
    Option("token", secret=True),
    Option("users", dict, secret=True),
    Option("pin", secret=True, default="1234"),
    Option("rate", float, default=None),
    Option("loud", bool, default=True),
    Option("needed"),
)


def test_a_value_is_shown_if_its_plugin_declares_it_and_it_is_not_secret(tmp_path: Path) -> None:
    file = tmp_path / "host.toml"
    file.write_text(TOML)
    settings = resolve({"config": str(file), "set": ("echo.greeting=hello",)}, {}, tmp_path, uid=0, cpus=lambda: 3)
    found = [
        (row.setting, row.value, row.origin.replace(str(file), "FILE"))
        for row in rows(values(settings), {"echo": OPTIONS})
    ]
    assert found == [
        ("plugin.echo.greeting", "hello", "flag --set"),
        ("plugin.echo.limits", '["a", "b"]', "FILE:6"),
        ("plugin.echo.since", '"2024-01-01"', "FILE:7"),
        ("plugin.echo.bell", '"\\u0007"', "FILE:8"),
        ("plugin.echo.key", "***", "FILE:9"),
        ("plugin.echo.token", '{ env = "TOKEN" }', "FILE:10"),
        ("plugin.echo.unknown", "***", "FILE:11"),
        ("plugin.echo.users", "***", "FILE:12"),
        ("plugin.echo.pin", "***", "default"),
        ("plugin.echo.rate", "-", "default"),
        ("plugin.echo.loud", "true", "default"),
        ("plugin.chat.word", "***", "FILE:14"),
    ]
