"""The manual page in roff, from what `--help` prints."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence

import click

from reactorhost import __version__
from reactorhost.cli.command_table import SECTIONS
from reactorhost.cli.manual.command_reference import commands, is_like_start, own_sections, spelling
from reactorhost.cli.manual.help_pages import examples, sections
from reactorhost.errors import ReactorhostError

_VARIABLES = {
    "REACTORHOST_SETTING": (
        "Every setting of start has a variable: --stop-timeout is REACTORHOST_STOP_TIMEOUT. An option takes precedence."
    ),
    "NO_COLOR": "If it is not empty, nothing is printed in colour.",
    "FORCE_COLOR": "If it is not empty, colours are printed to files and pipes too.",
    "COLUMNS": "The width of a terminal. What is printed to a file or a pipe is never cut.",
    "XDG_RUNTIME_DIR, TMPDIR": "Where the default run directory of a user is made.",
}
_FILES = {
    "/run/reactorhost/NAME": "The run directory of a host of root.",
    "$XDG_RUNTIME_DIR/reactorhost/NAME": "That of another user; in $TMPDIR or /tmp if the variable is not set.",
    "RUN_DIR/reactorhost.log": "The log of a host in the background, unless --log-file names another file.",
    "RUN_DIR/control.sock": "The socket for requests of other programs.",
}
_STATUSES = {"0": "Done.", "1": "Failed at run time, or the configuration is invalid."}


def manual_page(root: click.Context) -> str:
    """Return the page of all commands."""
    return "\n".join([*_page(root), ""])


def _page(root: click.Context) -> Iterator[str]:
    group = root.command
    assert isinstance(group, click.Group)
    yield f'.TH REACTORHOST 1 "" "reactorhost {__version__}" "User Commands"'
    # Words to be entered must not be divided.
    yield ".nh\n.ad l"
    yield from (".SH NAME", r"reactorhost \- serve TCP with plugins, in forked workers")
    yield from (".SH SYNOPSIS", f".B reactorhost\n{_text('[OPTIONS] COMMAND [ARGS]...')}")
    yield from (".SH DESCRIPTION", *_paragraphs(group.help or "", after_heading=True))
    for section, names in SECTIONS.items():
        yield f".SS {_text(section)}"
        yield from _list((f"reactorhost {name}", text) for name, (_, text) in names.items())
    yield ".SH OPTIONS"
    yield _text("These options may stand before the command or behind it.")
    for options in sections(group, root).values():
        yield from _options(options)
    yield ".SH COMMANDS"
    for context in commands(root):
        yield from _command(context)
    statuses = {str(kind.exit_status): kind.__doc__ or "" for kind in ReactorhostError.__subclasses__()}
    yield from (".SH EXIT STATUS", *_list(sorted((statuses | _STATUSES).items(), key=lambda each: int(each[0]))))
    yield from (".SH ENVIRONMENT", *_list(_VARIABLES.items()))
    yield from (".SH FILES", *_list(_FILES.items()))


def _command(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f".SS {_text(context.command_path)}"
    yield _bold(" ".join([context.command_path, *command.collect_usage_pieces(context)]))
    yield from _paragraphs(command.help or "")
    for section, options in own_sections(context).items():
        yield f".PP\n.I {_text(section)}"
        yield from _options(options)
    if is_like_start(context):
        yield f".PP\n{_text('All other options are those of `reactorhost start`.')}"
    yield ".PP\n.I Examples"
    yield from _list(examples(context.command_path))


def _options(options: Sequence[click.Option]) -> Iterator[str]:
    yield from _list((spelling(option), option.help or "") for option in options)


def _list(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield f".TP\n{_bold(term)}\n{_text(text)}"


def _paragraphs(text: str, *, after_heading: bool = False) -> Iterator[str]:
    for number, paragraph in enumerate(inspect.cleandoc(text).split("\n\n")):
        # A heading begins a paragraph itself.
        if number or not after_heading:
            yield ".PP"
        # click marks with this character what must not be wrapped.
        if paragraph.startswith("\b\n"):
            yield f".nf\n{_text(paragraph[2:])}\n.fi"
        else:
            yield _text(" ".join(paragraph.split()))


def _bold(text: str) -> str:
    # Not `.B`, which would remove quotes.
    return f"\\fB{_text(text)}\\fP"


def _text(text: str) -> str:
    """Escape what roff would interpret; words in backquotes become bold."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    # At the beginning of a line these two begin a request.
    text = re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)
    return re.sub(r"`([^`\n]+)`", r"\\fB\1\\fP", text)
