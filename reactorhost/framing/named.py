"""Framings by name, as a configuration file has them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from reactorhost.errors import did_you_mean
from reactorhost.framing.contract import Framing
from reactorhost.framing.delimited import Delimited
from reactorhost.framing.fixed import Fixed
from reactorhost.framing.length_prefixed import LengthPrefixed
from reactorhost.framing.lines import Lines

_KINDS: Mapping[str, Callable[..., Framing]] = {
    "lines": Lines,
    "delimited": Delimited,
    "length_prefixed": LengthPrefixed,
    "fixed": Fixed,
}
_IN_BYTES = ("delimiter", "end")
"""Keys whose values are bytes, which a file writes as text."""


def framing_named(spec: str | Mapping[str, object]) -> Framing:
    """Return the framing that is meant by the name of a kind, or by a table with `kind` and parameters.

    Texts in the place of bytes are taken as UTF-8. Sizes are whole numbers of bytes.

    Raises:
        ValueError: there is no such framing; the text is a plain sentence.
    """
    table = spec if isinstance(spec, Mapping) else {"kind": spec}
    if "kind" not in table:
        raise ValueError(f"a framing needs 'kind', which is one of {_list(_KINDS)}")
    kind = table["kind"]
    if not isinstance(kind, str) or kind not in _KINDS:
        hint = (did_you_mean(kind, _KINDS) if isinstance(kind, str) else None) or f"the kinds are {_list(_KINDS)}"
        raise ValueError(f"there is no framing {kind!r}; {hint}")
    return _made(kind, {key: value for key, value in table.items() if key != "kind"})


def _made(kind: str, values: Mapping[str, object]) -> Framing:
    known = inspect.signature(_KINDS[kind]).parameters
    for key in values:
        if key not in known:
            hint = did_you_mean(key, known) or f"it knows {_list(known)}"
            raise ValueError(f"framing {kind!r} does not know {key!r}; {hint}")
    for key, parameter in known.items():
        if parameter.default is parameter.empty and key not in values:
            raise ValueError(f"framing {kind!r} needs {key!r}")
    texts = {key: values[key] for key in _IN_BYTES if key in values}
    encoded = {key: value.encode() for key, value in texts.items() if isinstance(value, str)}
    try:
        return _KINDS[kind](**{**values, **encoded})
    except (TypeError, ValueError) as error:
        raise ValueError(f"framing {kind!r}: {error}") from error


def _list(words: Mapping[str, object]) -> str:
    return ", ".join(words)
