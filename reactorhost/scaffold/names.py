"""The name of a new plugin, and those that follow from it."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass

from reactorhost.api.hookspecs import PROJECT
from reactorhost.errors import UsageError
from reactorhost.plugins.identity import normalised

PREFIX = f"{PROJECT}-"

_EXAMPLE = "my-game"
_VALID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class PackageName:
    """The name of a plugin: `my-game`, as its entry point and its table have it."""

    plugin: str

    @property
    def distribution(self) -> str:
        """The name for pip, and of the folder."""
        return f"{PREFIX}{self.plugin}"

    @property
    def module(self) -> str:
        """The name for `import`."""
        return self.distribution.replace("-", "_")


def package_name(text: str, commands: Collection[str]) -> PackageName:
    """Return the names of a new plugin, normalised as pip does it; `reactorhost-` in front is optional.

    `commands` are those of the host.

    Raises:
        UsageError: a plugin cannot or should not have this name.
    """
    plugin = normalised(text)
    while plugin.startswith(PREFIX):
        plugin = plugin.removeprefix(PREFIX)
    if not _VALID.fullmatch(plugin):
        what = f"{text!r} cannot be the name of a plugin"
        raise UsageError(what, hint=f"use letters a-z and digits, with hyphens between them, for example {_EXAMPLE}")
    kind = _other_meaning(plugin, commands)
    if kind is not None:
        what = f"a plugin cannot be named {plugin!r}, which is {kind}"
        other = _EXAMPLE if plugin == PROJECT else f"{plugin}-server"
        raise UsageError(what, hint=f"choose another name, for example {other}")
    return PackageName(plugin)


def _other_meaning(plugin: str, commands: Collection[str]) -> str | None:
    word = plugin.replace("-", "_")
    if plugin == PROJECT:
        return "the host itself"
    if plugin in commands:
        # `reactorhost NAME` would never reach the commands of the plugin.
        return "a command of reactorhost"
    if keyword.iskeyword(word):
        return "a keyword of Python"
    # The package itself could not hide it, but a test or a one-off file of this name does.
    return "a module of the standard library" if word in sys.stdlib_module_names else None
