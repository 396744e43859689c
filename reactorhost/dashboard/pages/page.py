"""What the live view has to know of a page: how it is drawn, its rows, its columns and the keys of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reactorhost.dashboard.model.requests import Request
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Key, View
from reactorhost.dashboard.text.grid import SortColumn
from reactorhost.dashboard.text.line import Line

Result = tuple[View, Request | None]


def _always(_view: View, _snapshot: Snapshot) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Binding:
    """A key of one page.

    Attributes:
        word: what the last line of the screen says of it; empty: it is in the help only.
        help: what the help says of it.
        act: returns the view after the key, and what it requests.
        changes: whether it changes the host; `--read-only` removes such a key.
        applies: whether the last line of the screen offers it now.
    """

    key: str
    word: str
    help: str
    act: Callable[[View, Snapshot], Result]
    changes: bool = False
    applies: Callable[[View, Snapshot], bool] = _always


def _no_rows(_snapshot: Snapshot, _view: View) -> Sequence[Key]:
    return ()


def _no_columns(_snapshot: Snapshot, _view: View) -> Sequence[SortColumn]:
    return ()


def _selected_row(_snapshot: Snapshot, view: View) -> Key | None:
    return view.table.selected


@dataclass(frozen=True, slots=True)
class PageParts:
    """A page: of rows that can be selected, or of text that scrolls.

    Attributes:
        lines: returns at most `height` lines for a snapshot, a view, a width and a height.
        rows: returns the keys of the rows that can be selected, in the order of the screen.
        current: returns the key of the row that is selected now: another one than the view's after its row has gone.
        enter: returns the view after Enter on a row.
        columns: returns the columns to sort by.
        more_columns: returns those that have no room, and a key that sorts by them.
        length: returns how many lines a page of text has at the width of the screen; None for a page of rows.
    """

    lines: Callable[[Snapshot, View, int, int], list[Line]]
    rows: Callable[[Snapshot, View], Sequence[Key]] = _no_rows
    current: Callable[[Snapshot, View], Key | None] = _selected_row
    enter: Callable[[Snapshot, View, Key], View] | None = None
    columns: Callable[[Snapshot, View], Sequence[SortColumn]] = _no_columns
    more_columns: Callable[[Snapshot, View], Sequence[SortColumn]] = _no_columns
    length: Callable[[Snapshot, View], int] | None = None
    bindings: Sequence[Binding] = ()

    def all_columns(self, snapshot: Snapshot, view: View) -> Sequence[SortColumn]:
        """Return the columns to sort by, and those without room."""
        return [*self.columns(snapshot, view), *self.more_columns(snapshot, view)]

    @property
    def is_sorted(self) -> bool:
        """Whether the page has columns to sort by."""
        return self.columns is not _no_columns

    @property
    def is_filtered(self) -> bool:
        """Whether a filter has an effect: on rows only."""
        return self.length is None


def sort_columns(columns: Sequence[SortColumn]) -> Sequence[SortColumn]:
    """Return the columns that rows can be sorted by."""
    return [column for column in columns if column.name]


def text_page(text: Callable[[Snapshot, View, int], list[Line]], bindings: Sequence[Binding] = ()) -> PageParts:
    """Return a page of text; `text` returns all of its lines for a width."""

    def lines(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
        return scrolled(text(snapshot, view, width), view.table.scroll, height)

    def length(snapshot: Snapshot, view: View) -> int:
        return len(text(snapshot, view, view.size.columns))

    return PageParts(lines, length=length, bindings=bindings)


def scrolled(lines: list[Line], start: int, height: int) -> list[Line]:
    """Return the lines of a text that are shown, from `start` on as far as there are so many."""
    start = max(0, min(start, len(lines) - height))
    return lines[start : start + max(height, 0)]
