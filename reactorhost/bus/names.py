"""Names of topics and groups, and the keys under which messages travel.

A topic has functions that subscribe to it, a group has connections that have joined it. The two are separate name
spaces. The layers below see one kind of name only, the key: `t:` and a topic, or `g:` and a group. A pattern of keys is
a key, or the beginning of keys with a `*` behind it.
"""

from __future__ import annotations

MOST_NAME_BYTES = 255

TOPIC = "t:"
GROUP = "g:"


def checked_name(what: str, name: str) -> str:
    """Return the name of a topic or group; `what` is `topic` or `group`.

    Raises:
        TypeError: it is not a text.
        ValueError: it is empty or too long, or has a `*` or a control character.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a {what} is a text, not {type(name).__name__}")
    if "*" in name:
        raise ValueError(f"the name of a {what} must not contain a *: {name!r}")
    _check(what, name)
    return name


def checked_pattern(what: str, pattern: str) -> str:
    """Return a pattern: a name, or the beginning of names with a `*` behind it.

    Raises:
        TypeError: it is not a text.
        ValueError: it is malformed.
    """
    if not isinstance(pattern, str):
        raise TypeError(f"a pattern of {what}s is a text, not {type(pattern).__name__}")
    if "*" in pattern[:-1]:
        raise ValueError(f"a pattern of {what}s may have a * at its end only: {pattern!r}")
    if pattern != "*":
        _check(what, pattern.removesuffix("*"))
    return pattern


def matches(pattern: str, name: str) -> bool:
    """Return whether a name, or key, fits a pattern."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _check(what: str, name: str) -> None:
    if not name:
        raise ValueError(f"the name of a {what} is empty")
    if not name.isprintable():
        raise ValueError(f"the name of a {what} has a character that cannot be printed: {name!r}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ValueError(f"the name of a {what} has no UTF-8 form: {name!r}") from None
    if size > MOST_NAME_BYTES:
        raise ValueError(f"the name of a {what} has {size} bytes, more than {MOST_NAME_BYTES}")
