"""The setting `framing`: the name of a kind, or a table with its arguments."""

from __future__ import annotations

from collections.abc import Mapping

from reactorhost.config.values import InvalidValueError, ValueKind, plain_text, size

_MESSAGE_SIZE = size(1, 1 << 36)


def _read_framing(value: object) -> object:
    """Return a name or a table as it is, for the framing to check; only `max_size` may have a unit and is read here."""
    if not isinstance(value, Mapping):
        return plain_text(value, "a framing's name or a table")
    try:
        return {key: _MESSAGE_SIZE.read(each) if key == "max_size" else each for key, each in value.items()}
    except InvalidValueError as error:
        raise InvalidValueError(f"has a max_size that {error}", error.hint) from None


def _show_framing(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_quoted(each)}" for key, each in value.items()) + " }"
    return "-" if value is None else str(value)


def _quoted(value: object) -> str:
    if isinstance(value, str):
        import json

        return json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_quoted, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


FRAMING = ValueKind("KIND", _read_framing, show=_show_framing)
