"""The kinds of value that only services have: framing, network, file mode and owner, ALPN protocol."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping

from reactorhost.config.values import InvalidValueError, ValueKind, plain_text, size, written

_MODE = re.compile(r"0?[0-7]{3}")
_OWNER = re.compile(r"[^:\s]+(:[^:\s]+)?|:[^:\s]+")
_LARGEST_MESSAGE = 1 << 36
_MESSAGE_SIZE = size(1, _LARGEST_MESSAGE)


def _read_framing(value: object) -> object:
    """Return a name or a table as it is, for the framing to check; only `max_size` may have a unit and is read here."""
    if isinstance(value, Mapping):
        return {key: _MESSAGE_SIZE.read(each) if key == "max_size" else each for key, each in value.items()}
    return plain_text(value, "a framing's name or a table")


def _show_framing(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_quoted(each)}" for key, each in value.items()) + " }"
    return "-" if value is None else str(value)


def _quoted(value: object) -> str:
    if isinstance(value, str):
        import json

        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_network(value: object) -> object:
    import ipaddress

    text = plain_text(value, "an IP address or a network")
    if text == "unix":
        return text
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        hint = "write 10.0.0.7, 10.0.0.0/8, ::1, or unix for all clients of a unix socket"
        with contextlib.suppress(ValueError):
            # An address with bits set behind the prefix, as 10.0.0.7/8.
            hint = f"for the network write {ipaddress.ip_network(text, strict=False)}"
        raise InvalidValueError(f"must be an IP address or a network, not {written(value)}", hint) from None


def _read_mode(value: object) -> object:
    if isinstance(value, str) and _MODE.fullmatch(value):
        return int(value, 8)
    raise InvalidValueError(
        f"must be a file mode, not {written(value)}", 'write three octal digits as a string: "0660"'
    )


def _read_owner(value: object) -> object:
    if value == "-":
        return None
    if isinstance(value, str) and _OWNER.fullmatch(value):
        return value
    raise InvalidValueError(f"must be an owner, not {written(value)}", 'write "USER", "USER:GROUP" or ":GROUP"')


def _read_protocol(value: object) -> object:
    if isinstance(value, str) and value.isascii() and value.isprintable() and 1 <= len(value) <= 255:
        return value
    raise InvalidValueError(f"must be a protocol's name, not {written(value)}", 'for example "h2" or "mqtt"')


def _show_mode(value: object) -> str:
    return f"{value:04o}" if isinstance(value, int) else "-"


def _show_owner(value: object) -> str:
    return "-" if value is None else str(value)


FRAMING = ValueKind("KIND", _read_framing, show=_show_framing)
NETWORK = ValueKind("NETWORK", _read_network)
MODE = ValueKind("MODE", _read_mode, show=_show_mode)
OWNER = ValueKind("USER:GROUP", _read_owner, show=_show_owner)
PROTOCOL = ValueKind("NAME", _read_protocol)
