"""How a running host was started, as it reports, and the settings that the same start would have now."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from reactorhost.cli.commands.start import start
from reactorhost.cli.parameters.common_options import context_before, split
from reactorhost.config import plugin_tables
from reactorhost.config.resolve import is_setting, resolve
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.messages import Message


@dataclass(frozen=True, slots=True)
class Launch:
    """How the host was started; `before` are the words in front of the command `start`, `after` those behind it."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    directory: str
    environment: dict[str, str]
    prefix: str

    @classmethod
    def from_reply(cls, reply: Message) -> Launch:
        """Return what the host replied.

        Raises:
            ReactorhostError: the reply is not that of a host that was started by `reactorhost start`.
        """
        arguments, environment = reply.get("arguments"), reply.get("environment")
        directory, prefix = reply.get("directory"), reply.get("prefix", sys.prefix)
        if not isinstance(arguments, list) or not isinstance(environment, dict):
            raise _unusable()
        for text in (*arguments, *environment, *environment.values(), directory, prefix):
            # A NUL would end a text in the kernel, and `execve` refuses it: after the stop that would be too late.
            if not isinstance(text, str) or "\0" in text:
                raise _unusable()
        # Each command that starts the host decides by itself what it prints.
        before, words = split([word for word in arguments if word not in ("-q", "--quiet")])
        if words[:1] != ["start"]:
            raise _unusable()
        return cls(tuple(before), tuple(words[1:]), str(directory), environment, str(prefix))


def _unusable() -> ReactorhostError:
    what = "the host does not report how it was started"
    return ReactorhostError(what, hint="use `reactorhost stop`, then start it with its arguments")


def resolved(launch: Launch) -> tuple[dict[str, str], Settings]:
    """Return the variables of this process, but settings as the host has them, and what they and the flags set.

    Raises:
        ReactorhostError: a setting is wrong.
    """
    environment = {name: value for name, value in os.environ.items() if not is_setting(name)}
    environment |= {name: value for name, value in launch.environment.items() if is_setting(name)}
    # `start` prefers this name of its directory: one that leads through a link leads to another directory later.
    environment["PWD"] = launch.directory
    with context_before(launch.before) as program, start.make_context("start", list(launch.after), program) as context:
        settings = resolve(context.params, environment, Path(launch.directory))
    # Only variables that the settings name: others could change what the interpreter does.
    named = plugin_tables.variables(settings.plugin_tables)
    return environment | {name: value for name, value in launch.environment.items() if name in named}, settings
