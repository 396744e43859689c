"""Escape characters that control a terminal: text of clients and plugins can neither send one a command nor end a line.

Everything that is written to a text log or printed by a command goes through here.
"""

from __future__ import annotations

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str) -> str:
    r"""Return a text with every character that does not print escaped as in JSON, for example `\n` or `\u001b`.

    Among them are the format characters of Unicode, such as those that reverse the direction of the text after them: a
    client could make an address look like another one.
    """
    if text.isprintable():
        return text
    return "".join(map(_escaped, text))


def printable_lines(text: str) -> str:
    """Return a text of several lines with every other character that does not print escaped."""
    return "\n".join(map(printable, text.split("\n")))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    if character in _SHORT:
        return _SHORT[character]
    # JSON has escapes of four digits only: a character that needs more is a pair of surrogates.
    digits = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{digits[at : at + 4]}" for at in range(0, len(digits), 4))
