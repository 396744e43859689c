"""What a service manager such as systemd passes to this process in variables, and the descriptors that come with them.

The variables are for this process alone (sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)), so they are removed
from the environment before another process is started: a worker or a program of a plugin could use them by mistake.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from dataclasses import dataclass

_FIRST_DESCRIPTOR = 3
_NOTIFY = "NOTIFY_SOCKET"
# From systemd 254 on.
_STORE = "FDSTORE"
_WATCHDOG = ("WATCHDOG_USEC", "WATCHDOG_PID")
_LISTEN = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
# More cannot be meant: it is what systemd passes at most.
_MOST_DESCRIPTORS = 4096


@dataclass(frozen=True, slots=True)
class ManagerVariables:
    """What this process was passed.

    Attributes:
        notify_socket: where notifications are sent, or None.
        watchdog_seconds: the longest time between two signs of life, or None.
        descriptors: those that were passed, each with its name.
        most_stored: how many descriptors the service manager keeps for this process.
    """

    notify_socket: str | None = None
    watchdog_seconds: float | None = None
    descriptors: tuple[tuple[int, str], ...] = ()
    most_stored: int = 0

    @classmethod
    def remove_from(cls, environ: MutableMapping[str, str], pid: int) -> ManagerVariables:
        """Return what the variables say for the process `pid`, and remove them; invalid values count as not given.

        Programs that this process starts do not inherit the descriptors.
        """
        removed = {name: environ.pop(name) for name in (_NOTIFY, _STORE, *_WATCHDOG, *_LISTEN) if name in environ}
        notify_socket = removed.get(_NOTIFY, "")
        usec = _number(removed.get("WATCHDOG_USEC"))
        for_this = _number(removed.get("WATCHDOG_PID", str(pid))) == pid
        descriptors = tuple(_descriptors(removed)) if _number(removed.get("LISTEN_PID")) == pid else ()
        for descriptor, _ in descriptors:
            os.set_inheritable(descriptor, False)
        return cls(
            # An address of another kind, such as vsock:, is for the manager of a virtual machine.
            notify_socket if notify_socket.startswith(("/", "@")) else None,
            usec / 1e6 if usec and for_this else None,
            descriptors,
            _number(removed.get(_STORE)) or 0,
        )

    def notify_variables(self, pid: int) -> dict[str, str]:
        """Return the variables from which the next program of the process `pid` learns where to send notifications."""
        variables = {} if self.notify_socket is None else {_NOTIFY: self.notify_socket}
        if self.watchdog_seconds is not None:
            variables |= {"WATCHDOG_USEC": str(round(self.watchdog_seconds * 1e6)), "WATCHDOG_PID": str(pid)}
        if self.most_stored:
            variables[_STORE] = str(self.most_stored)
        return variables


def _descriptors(variables: MutableMapping[str, str]) -> list[tuple[int, str]]:
    count = min(_number(variables.get("LISTEN_FDS")) or 0, _MOST_DESCRIPTORS)
    names = variables.get("LISTEN_FDNAMES", "").split(":")
    # Without a name systemd calls it so too.
    names += ["unknown"] * (count - len(names))
    found = []
    for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + count):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        found.append((descriptor, names[descriptor - _FIRST_DESCRIPTOR] or "unknown"))
    return found


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 20 else None
