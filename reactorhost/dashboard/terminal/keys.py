"""Keys: what a terminal sends, as names of keys; a sequence may come in several reads."""

from __future__ import annotations

import re

_NAMES = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[C": "right",
    b"\x1bOC": "right",
    b"\x1b[D": "left",
    b"\x1bOD": "left",
    b"\x1b[H": "home",
    b"\x1bOH": "home",
    b"\x1b[1~": "home",
    b"\x1b[7~": "home",
    b"\x1b[F": "end",
    b"\x1bOF": "end",
    b"\x1b[4~": "end",
    b"\x1b[8~": "end",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
    b"\x1bOP": "?",
    b"\x1b[11~": "?",
}
_CONTROLS = {
    0x03: "ctrl-c",
    0x08: "backspace",
    0x0A: "enter",
    0x0C: "ctrl-l",
    0x0D: "enter",
    0x15: "ctrl-u",
    0x1A: "ctrl-z",
    0x20: "space",
    0x7F: "backspace",
}
# A control sequence (ECMA-48): parameters, intermediates, one final; or SS3 and one letter.
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~])")
_BEGINNING = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")
_LONGEST_SEQUENCE = 32


def parse(data: bytes) -> tuple[list[str], bytes]:
    """Return the keys in what was read, and what is left because it may be the beginning of one.

    Letters are their own names. What is left as a lone ESC is the key `esc` once nothing follows for a moment: give
    it to `settled` then.
    """
    keys: list[str] = []
    while data:
        if data[0] == 0x1B:
            if _BEGINNING.match(data) and len(data) < _LONGEST_SEQUENCE:
                return keys, data
            key, length = _escape(data)
        elif data[0] < 0x21 or data[0] == 0x7F:
            key, length = _CONTROLS.get(data[0], ""), 1
        elif data[0] < 0x80:
            key, length = chr(data[0]), 1
        else:
            length = _utf8_length(data[0])
            if len(data) < length and all(0x80 <= byte < 0xC0 for byte in data[1:]):
                return keys, data
            key, length = _letter(data[:length])
        if key:
            keys.append(key)
        data = data[length:]
    return keys, b""


def settled(data: bytes) -> list[str]:
    """Return the keys in what was left over, now that nothing follows."""
    keys = ["esc"] if data[:1] == b"\x1b" else []
    rest, _ = parse(data[1:])
    return keys + rest


def _escape(data: bytes) -> tuple[str, int]:
    sequence = _SEQUENCE.match(data)
    if sequence is None:
        # ESC and something else: the key itself, or Alt with a letter, which nothing here listens to.
        return "esc", 1
    return _NAMES.get(sequence[0], ""), len(sequence[0])


def _utf8_length(first: int) -> int:
    if first >= 0xF0:
        return 4
    return 3 if first >= 0xE0 else 2


def _letter(data: bytes) -> tuple[str, int]:
    try:
        return data.decode(), len(data)
    except UnicodeDecodeError:
        return "", 1
