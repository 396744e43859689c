"""Declared keys of a plugin's `[plugin.NAME]` table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType

OPTION_TYPES: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list of strings",
    dict: "a table",
}
"""The types that an option may have, each as error messages describe it."""


@dataclass(frozen=True, slots=True)
class Option:
    """One key of a plugin's `[plugin.NAME]` table.

    Args:
        name: the key.
        type: `bool`, `int`, `float`, `str`, `list` (a list of strings) or `dict` (a table, whose keys and values the
            plugin checks).
        default: the value without the key. Left out, the key is required; None means that the plugin has no value.
        help: one line for the operator, with the unit of a number.
        choices: the only values allowed; for a list, the only items.
        secret: the value is masked wherever the host shows options.

    Raises:
        TypeError: `type` is none of these, or the default or a choice is not of the type.
    """

    name: str
    type: type = str
    default: object = ...
    help: str = ""
    choices: Sequence[object] = ()
    secret: bool = False

    def __post_init__(self) -> None:
        if self.type not in OPTION_TYPES:
            known = ", ".join(kind.__name__ for kind in OPTION_TYPES)
            raise TypeError(f"option {self.name!r} has an unknown type {self.type!r}; the types are {known}")
        # A string is one choice, although it is a sequence too.
        choices = (self.choices,) if isinstance(self.choices, str) else tuple(self.choices)
        object.__setattr__(self, "choices", choices)
        for choice in choices:
            if not self._of_type([choice] if self.type is list else choice):
                raise TypeError(f"option {self.name!r} has choice {choice!r}, which is not {OPTION_TYPES[self.type]}")
        if not (self.default is None or isinstance(self.default, EllipsisType) or self.accepts(self.default)):
            raise TypeError(f"option {self.name!r} has default {self.default!r}, which is not {self.kind}")

    @property
    def required(self) -> bool:
        """Whether the operator must set the key."""
        return self.default is ...

    @property
    def kind(self) -> str:
        """The allowed values, as error messages describe them."""
        if not self.choices:
            return OPTION_TYPES[self.type]
        return f"{'a list of' if self.type is list else 'one of'} {', '.join(map(str, self.choices))}"

    def accepts(self, value: object) -> bool:
        """Return whether a value is of the type and among the choices.

        An `int` is accepted for `float`; a `bool` is accepted for neither.
        """
        if not self._of_type(value):
            return False
        values = value if isinstance(value, list) else [value]
        return not self.choices or all(each in self.choices for each in values)

    def _of_type(self, value: object) -> bool:
        if self.type is list:
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        if self.type is float:
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return isinstance(value, self.type) and (self.type is bool or not isinstance(value, bool))
