"""Checks of parameters and messages that the framings share."""

from __future__ import annotations


def size_in_bytes(name: str, value: int, *, least: int = 1) -> int:
    """Return the value if it is a valid size.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is less than `least`.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, not a whole number of bytes")
    if value < least:
        raise ValueError(f"{name} is {value} and must be at least {least}")
    return value


def true_or_false(name: str, value: bool) -> bool:
    """Return the value if it is a bool, else raise a TypeError."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, not true or false")
    return value


def message_bytes(message: bytes | bytearray | memoryview) -> bytes:
    """Return a bytes-like object as bytes; raise a TypeError for anything else, also for an integer."""
    return message if isinstance(message, bytes) else bytes(memoryview(message))


def check_message_size(size: int, most: int) -> None:
    """Raise a ValueError if a message of `size` bytes is too large to be sent."""
    if size > most:
        raise ValueError(f"a message of {size} bytes is larger than the {most} bytes that are allowed")
