"""Send the connections of a worker that a query selects to the master, a part in each turn of the loop.

With 20,000 clients, looking at each of them takes tens of milliseconds, in which no client would be served. So a turn
looks at some of them and keeps the best ones so far; the rows are made in the last turns, of those that are left.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from reactorhost.errors import UsageError
from reactorhost.ipc.connection_query import MOST_ROWS, ConnectionQuery, Row, Sort
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.reactor import Reactor
from reactorhost.worker.monitor.connection_rates import ConnectionRates
from reactorhost.worker.monitor.connection_rows import Groups, Transport, matcher, row, row_key, sort_key

_T = TypeVar("_T")

_ROWS_PER_TURN = 50
# Connections of which one attribute is read, and those of which a text is made or which are added up.
_READ_PER_TURN = 200
_COMPARED_PER_TURN = 50


class ConnectionLists:
    """Answers the master's requests for connections; several may run at a time."""

    def __init__(self, reactor: Reactor, send_report: Callable[[Message], object]) -> None:
        self._reactor = reactor
        self._send_report = send_report
        self._rates = ConnectionRates(reactor)

    def answer(self, transports: Sequence[Transport], order: Message) -> None:
        """Answer a request with rows, including those of connections that end before their row."""
        request = order["request"]
        try:
            # A master of an earlier version has no query.
            query = ConnectionQuery.of(order.get("query", {}))
        except UsageError:
            # It is one of a later version. This worker is listed as one that has not answered.
            return
        listing = _Listing(self._reactor, transports, query, self._rates)
        parts = listing.parts()

        def send_part() -> None:
            part = next(parts, None)
            last = part is None
            if not last:
                self._reactor.call_soon(send_part)
            if part or last:
                counts = {"matched": listing.matched, "total": len(transports)}
                self._send_report(
                    {"report": Report.CONNECTIONS, "request": request, "rows": part or (), "last": last, **counts}
                )

        send_part()


class _Listing:
    """One pass over the connections; `matched` counts those that the query selects."""

    def __init__(
        self, reactor: Reactor, transports: Sequence[Transport], query: ConnectionQuery, rates: ConnectionRates
    ) -> None:
        self._reactor = reactor
        self._transports = transports
        self._query = query
        self._rates = rates.begin() if query.has_rates else None
        self.matched = 0

    def parts(self) -> Iterator[Sequence[Row]]:
        """Yield rows, or none after a part of the pass that has only compared."""
        query = self._query
        if query.group is not None:
            yield from self._groups(Groups(query.group, self._rates))
        elif query.limit is not None:
            yield from self._first(query.limit)
        else:
            for part in self._matching(_ROWS_PER_TURN):
                yield self._rows(part)

    def _first(self, limit: int) -> Iterator[Sequence[Row]]:
        parts = self._matching(_COMPARED_PER_TURN if self._is_costly else _READ_PER_TURN)
        best = yield from self._best(parts, limit, sort_key(self._query, self._rates))
        yield from map(self._rows, _parts(best, _ROWS_PER_TURN))

    def _groups(self, groups: Groups) -> Iterator[Sequence[Row]]:
        for part in self._matching(_COMPARED_PER_TURN):
            for transport in part:
                groups.add(transport, self._reactor.now)
            yield ()
        # Other workers may have connections of the same groups: those beyond this number hardly matter in the sum.
        query = replace(self._query, limit=MOST_ROWS)
        best = yield from self._best(_parts(groups.rows(), _READ_PER_TURN), MOST_ROWS, row_key(query))
        yield from _parts(query.ordered(best), _ROWS_PER_TURN)

    def _best(
        self, parts: Iterable[list[_T]], limit: int, key: Callable[[_T], Any]
    ) -> Generator[Sequence[Row], None, list[_T]]:
        """Return the first ones in the order of the query, after a turn for each part."""
        select = heapq.nlargest if self._query.is_descending else heapq.nsmallest
        best: list[_T] = []
        for part in parts:
            best += part
            if len(best) > 2 * limit + _READ_PER_TURN:
                best = select(limit, best, key)
            yield ()
        return select(limit, best, key)

    @property
    def _is_costly(self) -> bool:
        return self._query.peer is not None or self._query.sort is Sort.PEER or self._query.has_rates

    def _matching(self, count: int) -> Iterator[list[Transport]]:
        matches = matcher(self._query)
        for part in _parts(self._transports, count):
            found = part if matches is None else list(filter(matches, part))
            self.matched += len(found)
            if self._rates is not None:
                # All of them: the next list may have another filter.
                self._rates.add(transport.connection for transport in part)
            yield found

    def _rows(self, transports: Iterable[Transport]) -> list[Row]:
        return [row(transport, self._reactor.now, self._rates) for transport in transports]


def _parts(items: Iterable[_T], count: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while part := list(islice(iterator, count)):
        yield part
