"""What the terminal and the locale can show. Imports nothing heavy, so that plain commands may use it."""

from __future__ import annotations

import os
from collections.abc import Mapping


def can_draw(*descriptors: int) -> bool:
    """Return whether all descriptors are terminals that can move the cursor.

    `Console.is_terminal` of rich is not used: FORCE_COLOR makes it true for a pipe.
    """
    return all(map(os.isatty, descriptors)) and os.environ.get("TERM", "dumb") not in ("", "dumb")


def is_utf8_locale(environ: Mapping[str, str]) -> bool:
    """Return whether the user's locale is a UTF-8 one.

    Python sets LC_CTYPE to C.UTF-8 at start if the locale is C (PEP 538). That value was not set by the user, so it
    counts only if nothing else is set.
    """
    names = [environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    if not names[0] and names[1] == "C.UTF-8":
        names.pop(1)
    named = next((name for name in names if name), "C.UTF-8")
    return "utf8" in named.lower().replace("-", "")
