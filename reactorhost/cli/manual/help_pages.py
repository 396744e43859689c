"""The `--help` of a command: its options in sections, then examples."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from reactorhost.errors import most_similar

OWN = "Options"
COMMON = "Common options"
_LEAST_COLUMNS = 20


class SectionedOption(click.Option):
    """An option with the section of `--help` that it stands in."""

    def __init__(self, *arguments: Any, section: str = OWN, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.section = section


class HelpFormatter(click.HelpFormatter):
    """Formats a page for narrow terminals too: that of click has at least 50 columns."""

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        if width is None:
            width = max(_LEAST_COLUMNS, min(shutil.get_terminal_size().columns, max_width or 80)) - 2
        super().__init__(indent_increment, width, max_width)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write rows of two columns; the first one has at most half of the width."""
        super().write_dl(list(rows), min(col_max, self.width // 2), col_spacing)


class _Context(click.Context):
    formatter_class = HelpFormatter


class WithHelp(click.Command):
    """A command with a `--help` that fits the terminal, and to which its usage errors lead."""

    context_class = _Context

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; an error knows for which command they are."""
        # The parser empties the list.
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            # click leaves it out where a value is missing.
            error.ctx = error.ctx or ctx
            if isinstance(error, click.NoSuchOption) and not error.option_name.startswith("--"):
                raise (_of_whole_word(error, ctx, words) or error) from None
            raise


def _of_whole_word(
    error: click.NoSuchOption, context: click.Context, words: Sequence[str]
) -> click.NoSuchOption | None:
    """Return the error of a letter in `-plugin` as one of the word, or None if that resembles no long option."""
    letter = error.option_name[1:]
    known = {
        each.lstrip("-"): each
        for option in context.command.get_params(context)
        for each in (*option.opts, *option.secondary_opts)
        if each.startswith("--")
    }
    for word in words:
        name, _, _ = word.removeprefix("-").partition("=")
        if word.startswith("-") and not word.startswith("--") and letter in name:
            similar = most_similar(name, known)
            if similar is not None:
                return click.NoSuchOption(f"-{name}", possibilities=[known[similar]], ctx=context)
    return None


class GroupWithHelp(WithHelp, click.Group):
    """A group of commands, with the same."""


class HostCommand(WithHelp):
    """A command whose `--help` has sections and examples."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, those of each section in the order of their declaration."""
        for section, options in sections(self, ctx).items():
            with formatter.section(section):
                formatter.write_dl([record for option in options if (record := option.get_help_record(ctx))])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples. A command is not wrapped: it can be copied."""
        with formatter.section("Examples"):
            for words, text in examples(ctx.command_path):
                formatter.write(f"{'':>{formatter.current_indent}}{words}\n")
                formatter.indent()
                formatter.write_text(text)
                formatter.dedent()


def section_option(section: str, *spellings: str, **attributes: Any) -> Callable[[Any], Any]:
    """Return the decorator that adds an option to a section of `--help`."""
    return click.option(*spellings, cls=SectionedOption, section=section, **attributes)


def sections(command: click.Command, context: click.Context) -> Mapping[str, Sequence[click.Option]]:
    """Return the options of a command by section: its own first, those of every command last."""
    found: dict[str, list[click.Option]] = {OWN: []}
    common: list[click.Option] = []
    for parameter in command.get_params(context):
        if not isinstance(parameter, click.Option) or parameter.hidden:
            continue
        # That of --help is made by click.
        section = COMMON if "--help" in parameter.opts else getattr(parameter, "section", OWN)
        (common if section == COMMON else found.setdefault(section, [])).append(parameter)
    return {name: options for name, options in [*found.items(), (COMMON, common)] if options}


def examples(command_path: str) -> Iterator[tuple[str, str]]:
    """Yield the examples of a command: the words to enter, and what they do."""
    # Only help needs them.
    from reactorhost.cli.manual.examples import EXAMPLES

    yield from EXAMPLES.get(command_path.partition(" ")[2], ())
