"""The rules for what people type, and the words that they read.

Nothing here knows connections or workers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MOST_LISTED = 50

HELP = (
    "What you type goes to everyone in your room. Commands:",
    "  /name NAME      change your name",
    "  /join ROOM      go to another room; one that is new is made",
    "  /leave          leave the room",
    "  /who            list the people in your room, and those elsewhere",
    "  /msg NAME TEXT  send a line to one person only",
    "  /history        show the last messages of the room",
    "  /quit           disconnect",
)

NAME_RULE = "has 1 to 20 letters, digits, - and _"
_NAME = re.compile(r"[\w-]{1,20}")

# Zero-width non-joiner and joiner: scripts and emoji need them, and no terminal acts on them.
_JOINERS = "\u200c\u200d"


def cleaned(data: bytes) -> str:
    """Return a message as text, with a blank in place of each character that a terminal may act on."""
    text = data.decode(errors="replace")
    return "".join(each if each.isprintable() or each in _JOINERS else " " for each in text)


def valid_name(text: str) -> str | None:
    """Return a name of a person or a room in its one form, or None if it breaks the rule."""
    # The same letter may be written in several ways: as a whole or with a combining accent, in full width.
    name = unicodedata.normalize("NFKC", text)
    return name if _NAME.fullmatch(name) else None


def listed(names: Iterable[str]) -> str:
    """Return names as a part of a sentence, sorted; of many only the first."""
    ordered = sorted(names, key=str.casefold)
    if len(ordered) > MOST_LISTED:
        ordered[MOST_LISTED:] = [f"{len(ordered) - MOST_LISTED:,} more"]
    return " and ".join(filter(None, [", ".join(ordered[:-1]), *ordered[-1:]]))
