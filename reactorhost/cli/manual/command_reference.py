"""What a page of all commands shows of each: the manual page, and docs/reference/commands.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import click

from reactorhost.cli.manual.help_pages import COMMON, sections
from reactorhost.config.setting_help import SECTIONS as SETTINGS


def commands(context: click.Context) -> Iterator[click.Context]:
    """Yield the context of every command, of a group those of its commands."""
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from commands(found)
        else:
            yield found


def own_sections(context: click.Context) -> Mapping[str, Sequence[click.Option]]:
    """Return the options of a command by section, without those of every command and those of `start`."""
    left_out = {COMMON, *(SETTINGS if is_like_start(context) else ())}
    return {name: options for name, options in sections(context.command, context).items() if name not in left_out}


def is_like_start(context: click.Context) -> bool:
    """Return whether it is another command with all options of `start`, which are listed once."""
    return context.info_name != "start" and SETTINGS.keys() <= sections(context.command, context).keys()


def spelling(option: click.Option) -> str:
    """Return flags and value. What click returns for its own help differs between its versions."""
    flags = ", ".join(sorted(option.opts, key=len))
    if option.secondary_opts:
        flags += f" / {', '.join(option.secondary_opts)}"
    if option.is_flag:
        return flags
    choices = getattr(option.type, "choices", ())
    return f"{flags} {option.metavar or '|'.join(choices) or option.type.name.upper()}"
