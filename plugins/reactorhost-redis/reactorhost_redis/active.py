"""The subscriptions that the server has confirmed, and which of several messages for one key is passed on."""

from __future__ import annotations

import re

_SPECIAL = re.compile(rb"[\\*?\[\]^-]")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


class ActiveSubscriptions:
    """Channels and patterns of channels. Confirmations come in order with messages, so this holds for each message."""

    def __init__(self) -> None:
        self._channels: set[bytes] = set()
        # By the pattern, as the server repeats it: the beginning of the channels that it stands for.
        self._beginnings: dict[bytes, bytes] = {}
        # How many patterns have a beginning of a length.
        self._lengths: dict[int, int] = {}

    def clear(self) -> None:
        """Forget everything: the connection is a new one."""
        self._channels.clear()
        self._beginnings.clear()
        self._lengths.clear()

    def confirm(self, verb: bytes, name: bytes) -> None:
        """Note a confirmation: the verb is `subscribe`, `unsubscribe`, `psubscribe` or `punsubscribe`."""
        match verb:
            case b"subscribe":
                self._channels.add(name)
            case b"unsubscribe":
                self._channels.discard(name)
            case b"psubscribe":
                if name not in self._beginnings:
                    self._beginnings[name] = beginning = _ESCAPED.sub(rb"\1", name[:-1])
                    self._lengths[len(beginning)] = self._lengths.get(len(beginning), 0) + 1
            case b"punsubscribe":
                if name in self._beginnings:
                    length = len(self._beginnings.pop(name))
                    self._lengths[length] -= 1
                    if not self._lengths[length]:
                        del self._lengths[length]

    def passes(self, glob: bytes, channel: bytes) -> bool:
        """Return whether the message of a pattern is the one to pass on: of the shortest, and not of the channel."""
        if channel in self._channels:
            return False
        beginning = self._beginnings.get(glob)
        if beginning is None:
            return False
        shorter = (length for length in self._lengths if length < len(beginning))
        return not any(glob_of(channel[:length]) in self._beginnings for length in shorter)


def glob_of(beginning: bytes) -> bytes:
    """Return the glob pattern of Redis for everything that begins so."""
    return _SPECIAL.sub(rb"\\\g<0>", beginning) + b"*"
