"""What all framings ask of their parameters and messages."""

from __future__ import annotations


def size_in_bytes(name: str, value: int, *, least: int = 1) -> int:
    """Return the value when it can be a size.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is smaller than `least`.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, which is not a whole number of bytes")
    if value < least:
        raise ValueError(f"{name} is {value}, and must be at least {least}")
    return value


def true_or_false(name: str, value: bool) -> bool:
    """Return the value when it is a bool, and raise a TypeError otherwise."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, which is neither true nor false")
    return value


def message_bytes(message: bytes | bytearray | memoryview) -> bytes:
    """Return the bytes of anything bytes-like, and raise a TypeError for the rest, whole numbers too."""
    return message if isinstance(message, bytes) else bytes(memoryview(message))


def check_message_size(size: int, most: int) -> None:
    """Raise a ValueError when a message of so many bytes may not be sent."""
    if size > most:
        raise ValueError(f"a message of {size} bytes is larger than the {most} bytes that are allowed")
