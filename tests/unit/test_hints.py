"""A command in a message selects the host that the message is about, in the shell in which it is read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import reactorhost
from reactorhost.cli.command_table import SECTIONS
from reactorhost.config.default_paths import by_run_dir

ROOT = Path(reactorhost.__file__).parent
OF_A_HOST = sorted({*SECTIONS["Run a host"], *SECTIONS["Look at hosts"]} - {"start", "ls"})
SELECTING = re.compile(rf"\breactorhost (?:{'|'.join(OF_A_HOST)})\b")
ADDED_LATER = {
    # Sent to a client, which adds the flags: see `client.hints_for` and `SentRequest`.
    "master/admin/client_commands.py",
    "master/admin/commands.py",
    "master/upgrade/document.py",
    "master/upgrade/preflight.py",
    "master/upgrade/state.py",
    "plugins/discovery.py",
    "cli/commands/launch.py",
    "cli/commands/restart.py",
}
ABOUT_NO_HOST = {"cli/manual/examples.py", "dashboard/model/recording.py"}


def messages(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of a module without its docstrings; `{}` stands for what is inserted."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    skipped = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped.update(map(id, node.values))
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value


def commands(path: Path) -> Iterator[str]:
    """Yield what follows each command that selects a host in the texts of a module."""
    for text in messages(ast.parse(path.read_text())):
        yield from (text[found.end() :] for found in SELECTING.finditer(text))


def test_every_command_has_the_flags_that_select_the_host() -> None:
    others = {ROOT / name for name in ADDED_LATER | ABOUT_NO_HOST}
    offending = [
        (path, rest)
        for path in sorted({*ROOT.rglob("*.py")} - others)
        for rest in commands(path)
        if not rest.startswith(("{}", " --run-dir {}", " --name {}"))
    ]
    assert offending == []


@pytest.mark.parametrize("path", sorted(ADDED_LATER))
def test_what_gets_its_flags_later_is_in_the_form_that_is_recognized(path: str) -> None:
    texts = list(messages(ast.parse((ROOT / path).read_text())))
    found = [text for text in texts if SELECTING.search(text)]
    assert found
    for text in found:
        flagged = by_run_dir(Path("/srv")).in_commands(text.replace("{}", "/x"))
        assert len(SELECTING.findall(text)) == flagged.count(" --run-dir /srv`")
