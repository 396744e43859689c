"""Where the value of a plugin's option comes from, if it is not a plain TOML value.

The option's type is known only once the plugin is loaded; `plugins.option_values` then reads the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reactorhost.config.settings import Origin
from reactorhost.config.values import PATH, InvalidValueError, plain_text

_SHAPES = 'write { env = "NAME" } or { file = "PATH" }'


@dataclass(frozen=True, slots=True)
class OptionText:
    """The text of a flag or variable, to be converted to the type of the option."""

    text: str = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """The value of an environment variable at the time when a worker boots."""

    variable: str

    def __str__(self) -> str:
        return f'{{ env = "{self.variable}" }}'


@dataclass(frozen=True, slots=True)
class FromFile:
    """The content of a file at the time when a worker boots."""

    path: Path

    def __str__(self) -> str:
        return f'{{ file = "{self.path}" }}'


def from_table(table: Mapping[str, object], folder: Path) -> FromEnvironment | FromFile:
    """Return the source that `{ env = "NAME" }` or `{ file = "PATH" }` means; a relative path is below `folder`.

    Raises:
        InvalidValueError: the table is neither.
    """
    if table.keys() == {"env"}:
        variable = plain_text(table["env"], "the name of an environment variable")
        if "=" in variable:
            raise InvalidValueError(f"must be the name of an environment variable, not {variable!r}", _SHAPES)
        return FromEnvironment(variable)
    if table.keys() == {"file"}:
        return FromFile(folder / str(PATH.read(table["file"])))
    keys = ", ".join(table) or "no key"
    raise InvalidValueError(f"must not be a table with {keys}", _SHAPES)
