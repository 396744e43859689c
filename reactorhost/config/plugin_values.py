"""What an operator writes for one option of a plugin, before the plugin's declaration gives it a type.

A value of TOML stands as it is; these are the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reactorhost.config.settings import Origin
from reactorhost.config.values import PATH, InvalidValueError, plain_text

_SHAPES = 'write { env = "NAME" } or { file = "PATH" }'


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a flag or a variable, to be read by the type of the option that it is for."""

    text: str = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """The value of an environment variable, as it is when a worker boots."""

    variable: str

    def __str__(self) -> str:
        return f'{{ env = "{self.variable}" }}'


@dataclass(frozen=True, slots=True)
class FromFile:
    """The content of a file, as it is when a worker boots."""

    path: Path

    def __str__(self) -> str:
        return f'{{ file = "{self.path}" }}'


def from_table(table: Mapping[str, object], folder: Path) -> FromEnvironment | FromFile:
    """Return what `{ env = "NAME" }` or `{ file = "PATH" }` stands for; a relative path is put under `folder`.

    Raises:
        InvalidValueError: the table is neither.
    """
    if table.keys() == {"env"}:
        variable = plain_text(table["env"], "the name of a variable")
        if "=" in variable:
            raise InvalidValueError(f"must be the name of a variable, not {variable!r}", _SHAPES)
        return FromEnvironment(variable)
    if table.keys() == {"file"}:
        return FromFile(folder / str(PATH.read(table["file"])))
    keys = ", ".join(table) or "nothing"
    raise InvalidValueError(f"must not be a table of {keys}", _SHAPES)
