"""`config show --running`: what a host uses, and what its file has changed since."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemons import Daemon, run

GUARDED = """
from reactorhost import Option

@hookimpl
def options():
    return [Option("word", secret=True), Option("limit", int, default=3)]

@hookimpl
def receive(connection, data): ...
"""


@pytest.fixture
def host(
    daemon: Callable[..., Daemon], write_plugin: Callable[..., str], tmp_path: Path
) -> tuple[Daemon, Callable[..., None]]:
    plugin = write_plugin(GUARDED, "guarded")

    def configure(*lines: str, word: str = "old-word") -> None:
        (tmp_path / "host.toml").write_text(
            "\n".join(["[host]", "workers = 1", *lines, "[service.a]", "listen = 'tcp://127.0.0.1:0'"])
            + f"\nplugins = '{plugin}'\n[plugin.guarded]\nword = '{word}'\n"
        )

    configure()
    return daemon("--config", str(tmp_path / "host.toml")), configure


def shown(host: Daemon) -> dict[str, Any]:
    printed = run("config", "show", "--running", "--json", "--run-dir", str(host.run_dir))
    assert printed.returncode == 0
    assert "-word" not in printed.stdout
    document: dict[str, Any] = json.loads(printed.stdout)
    return document


def test_values_in_use_and_those_of_the_file_are_shown(
    host: tuple[Daemon, Callable[..., None]], tmp_path: Path
) -> None:
    running, configure = host
    file = tmp_path / "host.toml"
    document = shown(running)
    values = {row["setting"]: (row["value"], row["origin"]) for row in document["settings"]}
    assert values["workers"] == ("1", f"{file}:2")
    assert values["config_file"] == (str(file), "flag --config")
    assert values["plugin.guarded.word"] == ("***", f"{file}:7")
    assert values["plugin.guarded.limit"] == ("3", "default")
    assert (document["changes"], document["problems"]) == ([], [])

    running.ask("scale", workers=2)
    configure("stop_timeout = 3", "backlog = 50", word="new-word")
    document = shown(running)
    values = {row["setting"]: (row["value"], row["origin"]) for row in document["settings"]}
    assert values["workers"] == ("2", f"scaled, 1 of {file}:2")
    assert values["stop_timeout"] == ("8s", "default")
    assert document["changes"] == [
        {"setting": "backlog", "value": "50", "origin": f"{file}:4", "applied_by": "restart"},
        {"setting": "stop_timeout", "value": "3s", "origin": f"{file}:3", "applied_by": "HUP"},
        {"setting": "plugin.guarded.word", "value": "***", "origin": f"{file}:9", "applied_by": "HUP"},
    ]
    table = run("config", "show", "--running", "--run-dir", str(running.run_dir)).stdout
    assert table.partition("\nchanged since, and not in use:\n")[2].splitlines()[1].split() == [
        "backlog",
        "50",
        f"{file}:4",
        "restart",
    ]


def test_an_invalid_file_is_reported_beside_the_values_in_use(host: tuple[Daemon, Callable[..., None]]) -> None:
    running, configure = host
    configure("backlog = 'many'")
    document = shown(running)
    assert document["settings"]
    [problem] = document["problems"]
    assert problem["where"].endswith("host.toml:3")
    # Settings of a start have no meaning here.
    refused = run("config", "show", "--running", "--workers", "3", "--run-dir", str(running.run_dir))
    assert (refused.returncode, "--workers" in refused.stderr) == (2, True)
