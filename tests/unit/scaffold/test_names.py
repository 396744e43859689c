"""The names of a new plugin."""

from __future__ import annotations

import pytest

from reactorhost.cli.command_table import COMMANDS
from reactorhost.errors import UsageError
from reactorhost.scaffold.names import PackageName, package_name


@pytest.mark.parametrize(
    ("text", "plugin"),
    [
        ("chat", "chat"),
        ("my-game", "my-game"),
        ("My_Game", "my-game"),
        ("my.-_game", "my-game"),
        ("reactorhost-my-game", "my-game"),
        ("reactorhost_my_game", "my-game"),
        ("reactorhost-reactorhost-game", "game"),
        ("2048", "2048"),
        ("json-server", "json-server"),
    ],
)
def test_a_name_is_normalised_as_pip_does_it(text: str, plugin: str) -> None:
    assert package_name(text, COMMANDS) == PackageName(plugin)


def test_the_other_names_follow() -> None:
    name = package_name("My.Game", COMMANDS)
    assert (name.distribution, name.module) == ("reactorhost-my-game", "reactorhost_my_game")


@pytest.mark.parametrize(
    "text", ["", "-", "reactorhost-", "-game", "game-", "my game", "a/b", "../x", "gämé", "x\n", "a:b", "./x.py/"]
)
def test_what_pip_or_a_shell_would_not_accept_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a plugin") as raised:
        package_name(text, COMMANDS)
    assert raised.value.hint is not None
    assert "my-game" in raised.value.hint


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("reactorhost", "the host itself"),
        ("reactorhost-reactorhost", "the host itself"),
        ("top", "a command of reactorhost"),
        ("systemd-unit", "a command of reactorhost"),
        ("class", "a keyword of Python"),
        ("JSON", "a module of the standard library"),
        ("reactorhost-asyncio", "a module of the standard library"),
    ],
)
def test_a_name_with_another_meaning_is_refused_and_another_proposed(text: str, kind: str) -> None:
    with pytest.raises(UsageError, match=kind) as raised:
        package_name(text, COMMANDS)
    assert raised.value.hint is not None
    proposal = raised.value.hint.rpartition(" ")[2]
    assert package_name(proposal, COMMANDS).plugin == proposal
