"""Make a framing from its name or table in a configuration."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping

from reactorhost.errors import did_you_mean
from reactorhost.framing.contract import Framing
from reactorhost.framing.delimited import Delimited, Lines
from reactorhost.framing.sized import Fixed, LengthPrefixed

_KINDS: dict[str, Callable[..., Framing]] = {
    "lines": Lines,
    "delimited": Delimited,
    "length_prefixed": LengthPrefixed,
    "fixed": Fixed,
}
BUILT_IN = tuple(_KINDS)
NAME = re.compile("[a-z][a-z0-9_]{0,63}")
"""What a plugin may call its framings."""

_IN_BYTES = ("delimiter", "end")
"""Parameters that are bytes; a configuration file has them as text."""
_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def framing_named(
    spec: str | Mapping[str, object], brought: Mapping[str, Callable[..., Framing]] | None = None
) -> Framing:
    """Return the framing of a kind, given by name or by a table with `kind` and parameters.

    `brought` are the kinds of plugins beside the built-in ones. Text where a built-in framing expects bytes is encoded
    as UTF-8. Sizes are whole numbers of bytes.

    Raises:
        ValueError: there is no such framing, or a parameter is invalid; the text is one sentence.
    """
    kinds = {**_KINDS, **(brought or {})}
    kind = kind_of(spec)
    if kind is None:
        raise ValueError(f"a framing table needs the key 'kind', one of {', '.join(kinds)}")
    if not isinstance(kind, str) or kind not in kinds:
        hint = (did_you_mean(kind, kinds) if isinstance(kind, str) else None) or f"use one of {', '.join(kinds)}"
        raise ValueError(f"there is no framing {kind!r}; {hint}")
    values = {key: value for key, value in spec.items() if key != "kind"} if isinstance(spec, Mapping) else {}
    if kind in _KINDS:
        values |= {key: value.encode() for key, value in values.items() if key in _IN_BYTES and isinstance(value, str)}
    return _made(kind, kinds[kind], values)


def kind_of(spec: str | Mapping[str, object]) -> object:
    """Return what a name or a table has as the kind; None for a table without one."""
    return spec.get("kind") if isinstance(spec, Mapping) else spec


def may_be_brought(spec: str | Mapping[str, object]) -> bool:
    """Return whether the kind may be one of a plugin: whether it is valid as a name, and not built in."""
    kind = kind_of(spec)
    return isinstance(kind, str) and NAME.fullmatch(kind) is not None and kind not in _KINDS


def _made(kind: str, make: Callable[..., Framing], values: Mapping[str, object]) -> Framing:
    known = inspect.signature(make).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for key in values:
        if key not in known and not takes_any:
            hint = did_you_mean(key, known) or (f"its parameters are {', '.join(known)}" if known else "it has none")
            raise ValueError(f"framing {kind!r} has no parameter {key!r}; {hint}")
    for key, parameter in known.items():
        if parameter.default is parameter.empty and key not in values and parameter.kind not in _STARRED:
            raise ValueError(f"framing {kind!r} needs the parameter {key!r}")
    try:
        return make(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"framing {kind!r}: {error}") from error
