"""Names of the keys, and clicks of the mouse, in the bytes that a terminal sends.

An escape sequence may arrive in several reads, and its first byte is also what the Esc key sends. Only time tells them
apart: `parse` returns an unfinished sequence as the rest, and the caller passes it to `flush` if nothing follows soon.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# What follows `ESC [` or `ESC O`: terminals send the first form in normal mode and the second in application mode, and
# for Home, End and F1 there are further codes, of rxvt, the Linux console and others.
_NAMES = {
    b"A": "up",
    b"B": "down",
    b"C": "right",
    b"D": "left",
    b"H": "home",
    b"1~": "home",
    b"7~": "home",
    b"F": "end",
    b"4~": "end",
    b"8~": "end",
    b"5~": "page up",
    b"6~": "page down",
    b"P": "?",
    b"11~": "?",
}
# Enter sends CR, which the terminal driver turns into LF (ICRNL) unless the user has switched that off. Backspace sends
# DEL or BS, depending on the terminal. Ctrl-C and Ctrl-Z arrive as bytes only where they are not the characters of
# the signals (ISIG, `stty intr`).
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
# ECMA-48: CSI, parameter bytes, intermediate bytes, one final byte; or SS3 and one character. Before them a click as a
# terminal without SGR 1006 sends it: its three bytes would otherwise be read as keys.
_SEQUENCE = re.compile(rb"\x1b(?:\[M[ -\xff]{3}|\[[0-?]*[ -/]*[@-~]|O[ -~])")
_UNFINISHED = re.compile(rb"\x1b(?:\[M[ -\xff]{0,2}|\[[0-?]*[ -/]*|O)?\Z")
# SGR 1006: buttons and modifiers as bits, column, row, and M for a press or m for a release.
_MOUSE = re.compile(rb"\x1b\[<(\d+);(\d+);(\d+)([Mm])")
_MODIFIERS = 4 | 8 | 16
_WHEEL = {64: "wheel up", 65: "wheel down"}
# A longer one is noise: waiting for its end would block the keyboard.
_LONGEST_SEQUENCE = 32


class Click(NamedTuple):
    """A press of the left button of the mouse; the first cell of the screen is (0, 0)."""

    column: int
    row: int


KeyName = str | Click


def parse(data: bytes) -> tuple[list[KeyName], bytes]:
    """Return the names of the keys, and the bytes at the end that may be the start of another key.

    A character is its own name.
    """
    keys: list[KeyName] = []
    key: KeyName
    while data:
        if data[0] == 0x1B:
            if _UNFINISHED.match(data) and len(data) < _LONGEST_SEQUENCE:
                return keys, data
            key, length = _escape(data)
        elif data[0] < 0x21 or data[0] == 0x7F:
            key, length = _CONTROLS.get(data[0], ""), 1
        elif data[0] < 0x80:
            key, length = chr(data[0]), 1
        else:
            # A character may be split between two reads. After a wrong byte only that byte is dropped, so that the next
            # key is read from its start.
            length = 4 if data[0] >= 0xF0 else 3 if data[0] >= 0xE0 else 2
            if len(data) < length and all(0x80 <= byte < 0xC0 for byte in data[1:]):
                return keys, data
            key, length = _character(data[:length])
        if key:
            keys.append(key)
        data = data[length:]
    return keys, b""


def flush(rest: bytes) -> list[KeyName]:
    """Return the names of the keys in an unfinished sequence that nothing followed."""
    # `ESC [` alone is Alt with a bracket, which the terminal sends in the same way: Esc, then the bracket.
    keys: list[KeyName] = ["esc"] if rest[:1] == b"\x1b" else []
    return keys + parse(rest[1:])[0]


def _escape(data: bytes) -> tuple[KeyName, int]:
    sequence = _SEQUENCE.match(data)
    if sequence is None:
        # Esc followed by another key, or Alt with a key, which looks the same.
        return "esc", 1
    mouse = _MOUSE.fullmatch(sequence[0])
    return (_NAMES.get(sequence[0][2:], "") if mouse is None else _mouse(mouse)), len(sequence[0])


def _mouse(event: re.Match[bytes]) -> KeyName:
    button = int(event[1]) & ~_MODIFIERS
    if button == 0 and event[4] == b"M":
        return Click(int(event[2]) - 1, int(event[3]) - 1)
    return _WHEEL.get(button, "")


def _character(data: bytes) -> tuple[str, int]:
    try:
        return data.decode(), len(data)
    except UnicodeDecodeError:
        return "", 1
