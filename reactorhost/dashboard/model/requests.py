"""What a key requests: of the program, or of the host."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from reactorhost.dashboard.model.hosts import RunningHost


class ViewAction(Enum):
    """What a key requests of the program."""

    QUIT = "quit"
    SUSPEND = "suspend"
    RESET_PEAKS = "reset peaks"
    REDRAW = "redraw"
    LIST_HOSTS = "list hosts"


@dataclass(frozen=True, slots=True)
class HostRequest:
    """What a key requests of the host.

    Attributes:
        verb: the verb of the control socket.
        question: the question that the user confirms before the request is sent.
        fields: the arguments of the verb.
    """

    verb: str
    question: str
    fields: tuple[tuple[str, int | str], ...] = ()


@dataclass(frozen=True, slots=True)
class SwitchHost:
    """Show another host from now on."""

    host: RunningHost


Request = ViewAction | HostRequest | SwitchHost
