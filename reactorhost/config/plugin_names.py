"""How an operator names a plugin: an installed name, `module:object`, or the path of a file that ends in `.py`."""

from __future__ import annotations

import os


def names_a_file(named: str) -> bool:
    """Return whether a plugin is named by the path of a file."""
    return named.endswith(".py") and ("/" in named or ":" not in named)


def name_of(named: str) -> str:
    """Return the plugin's name in `[plugin.NAME]` and in the log: a file's name without `.py`, else what was given."""
    return os.path.basename(named).removesuffix(".py") if names_a_file(named) else named
