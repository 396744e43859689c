"""Make a framing from its name or table in a configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from reactorhost.errors import did_you_mean
from reactorhost.framing.contract import Framing
from reactorhost.framing.delimited import Delimited, Lines
from reactorhost.framing.sized import Fixed, LengthPrefixed

_KINDS: Mapping[str, Callable[..., Framing]] = {
    "lines": Lines,
    "delimited": Delimited,
    "length_prefixed": LengthPrefixed,
    "fixed": Fixed,
}
_IN_BYTES = ("delimiter", "end")
"""Parameters that are bytes; a configuration file has them as text."""


def framing_named(spec: str | Mapping[str, object]) -> Framing:
    """Return the framing of a kind, given by name or by a table with `kind` and parameters.

    Text where bytes are expected is encoded as UTF-8. Sizes are whole numbers of bytes.

    Raises:
        ValueError: there is no such framing, or a parameter is invalid; the text is one sentence.
    """
    table = spec if isinstance(spec, Mapping) else {"kind": spec}
    if "kind" not in table:
        raise ValueError(f"a framing table needs the key 'kind', one of {', '.join(_KINDS)}")
    kind = table["kind"]
    if not isinstance(kind, str) or kind not in _KINDS:
        hint = (did_you_mean(kind, _KINDS) if isinstance(kind, str) else None) or f"use one of {', '.join(_KINDS)}"
        raise ValueError(f"there is no framing {kind!r}; {hint}")
    return _made(kind, {key: value for key, value in table.items() if key != "kind"})


def _made(kind: str, values: Mapping[str, object]) -> Framing:
    known = inspect.signature(_KINDS[kind]).parameters
    for key in values:
        if key not in known:
            hint = did_you_mean(key, known) or f"its parameters are {', '.join(known)}"
            raise ValueError(f"framing {kind!r} has no parameter {key!r}; {hint}")
    for key, parameter in known.items():
        if parameter.default is parameter.empty and key not in values:
            raise ValueError(f"framing {kind!r} needs the parameter {key!r}")
    texts = {key: values[key] for key in _IN_BYTES if key in values}
    encoded = {key: value.encode() for key, value in texts.items() if isinstance(value, str)}
    try:
        return _KINDS[kind](**{**values, **encoded})
    except (TypeError, ValueError) as error:
        raise ValueError(f"framing {kind!r}: {error}") from error
