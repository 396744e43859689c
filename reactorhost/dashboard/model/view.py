"""View: what somebody chose to see of a host, and what the keys they press ask for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

FASTEST_SECONDS = 0.1
SLOWEST_SECONDS = 60.0


class Size(NamedTuple):
    """The size of a screen in cells."""

    columns: int
    rows: int


class Page(IntEnum):
    """What fills the screen below the header."""

    WORKERS = 1
    CONNECTIONS = 2
    PLUGINS = 3
    EVENTS = 4
    WORKER = 5
    """One worker in detail."""


class Overlay(Enum):
    """What takes the keys before the page does."""

    NONE = "none"
    HELP = "help"
    CONFIRM = "confirm"
    FILTER = "filter"
    INTERVAL = "interval"


class Act(Enum):
    """What a key asks of the program."""

    QUIT = "quit"
    SUSPEND = "suspend"
    RESET_PEAKS = "reset peaks"
    REDRAW = "redraw"


@dataclass(frozen=True, slots=True)
class Ask:
    """What a key asks of the host, after a yes to the question."""

    verb: str
    question: str
    fields: tuple[tuple[str, int], ...] = ()


Request = Act | Ask


@dataclass(frozen=True, slots=True)
class View:
    """What somebody chose to see.

    Attributes:
        selected: process id of the selected worker.
        slot: its slot: when it is gone, its successor is selected.
        typed: what was typed at a prompt so far.
        pending: what waits for a yes.
        before_fast: the interval to go back to from the fast one.
        columns: the columns asked for; empty for those that fit.
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
    pending: Ask | None = None
    notice: str = ""
    read_only: bool = False
    columns: tuple[str, ...] = ()
    ascii: bool = False
