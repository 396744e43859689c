"""What the user has chosen to see: the page, what it is restricted to, and how each is sorted, filtered, scrolled."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from typing import Any, NamedTuple

from reactorhost.dashboard.model.hosts import RunningHost
from reactorhost.dashboard.model.requests import HostRequest
from reactorhost.dashboard.text.line import Size
from reactorhost.ipc.connection_query import Grouping

FASTEST_SECONDS = 0.1
SLOWEST_SECONDS = 60.0

_SIZE = Size(80, 24)

Key = Hashable
"""What identifies a row of a page from one document to the next."""


class Page(IntEnum):
    """The part of the screen below the header. The tabs come first, by the digit that shows them."""

    WORKERS = 1
    SERVICES = 2
    CLIENTS = 3
    PLUGINS = 4
    LOG = 5
    WORKER = 6
    """One worker, or the master, in detail."""
    CLIENT = 7
    """One client in detail."""


TABS: Mapping[Page, str] = {
    Page.WORKERS: "Workers",
    Page.SERVICES: "Services",
    Page.CLIENTS: "Clients",
    Page.PLUGINS: "Plugins",
    Page.LOG: "Log",
}


class ProcessKey(NamedTuple):
    """A worker, the master (no slot), or a slot without a worker (no process id)."""

    slot: int | None
    pid: int | None

    @property
    def label(self) -> str:
        """The name in the trail of pages."""
        return "master" if self.slot is None else f"worker {self.slot}"


class ClientKey(NamedTuple):
    """A client: the process id of its worker, and its number there."""

    pid: int
    id: int


class GroupKey(NamedTuple):
    """Clients of one address or of one service."""

    group: Grouping
    name: str


@dataclass(frozen=True, slots=True)
class Focus:
    """What a page is restricted to. A part that is None restricts nothing."""

    service: str | None = None
    process: ProcessKey | None = None
    client: ClientKey | None = None
    address: str | None = None
    """The address of the clients."""
    group: Grouping | None = None
    """What the clients are grouped by."""


@dataclass(frozen=True, slots=True)
class TableState:
    """How a page is sorted, filtered and scrolled.

    Attributes:
        sort: the name of a column; empty for the order of the page.
        selected: the key of the selected row.
        row: the index that the selected row had; when the row has gone, the selection moves on from there.
        scroll: the first line of a page of text that is shown.
        opened: the key of the row whose traceback is shown.
        level: the lowest level that is shown; empty for all.
    """

    sort: str = ""
    inverted: bool = False
    selected: Key | None = None
    row: int | None = None
    scroll: int = 0
    filter: str = ""
    opened: Key | None = None
    level: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A page that the user has gone into from, to return to it as it was; `label` names the row that was entered."""

    page: Page
    focus: Focus
    tables: Mapping[Page, TableState]
    label: str


class Overlay(Enum):
    """What receives the keys in place of the page."""

    NONE = "none"
    HELP = "help"
    CONFIRM = "confirm"
    FILTER = "filter"
    INTERVAL = "interval"
    HOSTS = "hosts"


@dataclass(frozen=True, slots=True)
class View:
    """What the user has chosen to see.

    Attributes:
        focus: what the page is restricted to.
        trail: the pages that the user has gone in from, the outermost first.
        tables: the state of every page that was changed.
        typed: the text that was typed at a prompt so far.
        pending: the request that waits for confirmation.
        before_fast: the interval from before the fast mode.
        columns: the columns of the workers to show; empty for the default ones.
        hosts: the running hosts that can be switched to, while their list is shown.
        chosen_host: the index of the chosen one.
        alert: which alert the last key has shown; -1: none.
        heat: what the heat map of the workers shows.
        help_scroll: the first line of the help that is shown.
    """

    page: Page = Page.WORKERS
    focus: Focus = Focus()
    trail: tuple[Place, ...] = ()
    tables: Mapping[Page, TableState] = field(default_factory=dict)
    tree: bool = True
    paused: bool = False
    interval_seconds: float = 1.0
    before_fast: float | None = None
    overlay: Overlay = Overlay.NONE
    typed: str = ""
    pending: HostRequest | None = None
    notice: str = ""
    read_only: bool = False
    columns: tuple[str, ...] = ()
    ascii: bool = False
    linux_console: bool = False
    size: Size = _SIZE
    hosts: tuple[RunningHost, ...] = ()
    chosen_host: int = 0
    alert: int = -1
    heat: str = "cpu"
    help_scroll: int = 0

    @classmethod
    def of(cls, page: Page, *, focus: Focus = Focus(), **state: Any) -> View:
        """Return a view of a page with a state of its table: `View.of(Page.WORKERS, sort="cpu")`."""
        return cls(page=page, focus=focus, tables={page: TableState(**state)})

    @property
    def table(self) -> TableState:
        """The state of the page that is shown."""
        return self.table_of(self.page)

    def table_of(self, page: Page) -> TableState:
        """Return the state of a page."""
        return self.tables.get(page, _FRESH)

    def with_table(self, page: Page | None = None, **changes: Any) -> View:
        """Return a view with changes to the state of a page, by default of the one that is shown."""
        page = self.page if page is None else page
        return replace(self, tables={**self.tables, page: replace(self.table_of(page), **changes)})

    def show(self, page: Page) -> View:
        """Return a view of a tab, unrestricted."""
        return replace(self, page=page, focus=Focus(), trail=())

    def enter(self, page: Page, label: str, **focus: Any) -> View:
        """Return a view of a page for one row of this page: the focus is narrowed, and `back` returns here.

        The page keeps its order. Its filter and its selection belong to other rows.
        """
        here = Place(self.page, self.focus, self.tables, label)
        entered = replace(self, page=page, focus=replace(self.focus, **focus), trail=(*self.trail, here))
        return entered.with_table(selected=None, scroll=0, filter="")

    def of_another_host(self) -> View:
        """Return the view of a host that was switched to: the same page and orders, but no row of the old host."""
        tables = {page: TableState(sort=table.sort, inverted=table.inverted) for page, table in self.tables.items()}
        page = self.page if self.page in TABS else Page.WORKERS
        return replace(self.show(page), tables=tables, paused=False, notice="")

    def back(self) -> View:
        """Return the view from before the last `enter`."""
        if not self.trail:
            return self
        *trail, place = self.trail
        return replace(self, page=place.page, focus=place.focus, tables=place.tables, trail=tuple(trail))


_FRESH = TableState()
