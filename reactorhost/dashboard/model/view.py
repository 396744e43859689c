"""What the user has chosen to see, and the requests that keys make."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

FASTEST_SECONDS = 0.1
SLOWEST_SECONDS = 60.0


class Page(IntEnum):
    """The part of the screen below the header."""

    WORKERS = 1
    CONNECTIONS = 2
    PLUGINS = 3
    EVENTS = 4
    WORKER = 5
    """One worker in detail."""


class Overlay(Enum):
    """What receives the keys in place of the page."""

    NONE = "none"
    HELP = "help"
    CONFIRM = "confirm"
    FILTER = "filter"
    INTERVAL = "interval"


class ViewAction(Enum):
    """What a key requests of the program."""

    QUIT = "quit"
    SUSPEND = "suspend"
    RESET_PEAKS = "reset peaks"
    REDRAW = "redraw"


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
    fields: tuple[tuple[str, int], ...] = ()


Request = ViewAction | HostRequest


@dataclass(frozen=True, slots=True)
class View:
    """What the user has chosen to see.

    Attributes:
        selected: the process id of the selected worker.
        slot: the slot of the selected worker; when the worker is gone, its successor is selected.
        typed: the text that was typed at a prompt so far.
        pending: the request that waits for confirmation.
        before_fast: the interval from before the fast mode.
        columns: the columns to show; empty for the default ones.
    """

    page: Page = Page.WORKERS
    sort: str = "slot"
    inverted: bool = False
    filter: str = ""
    tree: bool = True
    paused: bool = False
    selected: int | None = None
    slot: int | None = None
    scroll: int = 0
    interval_seconds: float = 1.0
    before_fast: float | None = None
    overlay: Overlay = Overlay.NONE
    typed: str = ""
    pending: HostRequest | None = None
    notice: str = ""
    read_only: bool = False
    columns: tuple[str, ...] = ()
    ascii: bool = False
