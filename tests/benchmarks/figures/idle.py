"""Cost of a message beside idle clients, with and without an idle timeout."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from bench import Bench, NotMeasuredError, figure_of
from fleet import visit
from idle_clients import idle_clients
from loading import Work
from peer_catalog import Peer, host
from results import Figure
from servers import Server, ServerError

_PEERS = ("c", "uvloop-protocol", "asyncio-protocol", "twisted", "reactorhost")
_BYTES = 64
_FEW = 10


@dataclass(frozen=True, slots=True)
class _Case:
    """A server of a peer with a number of idle clients."""

    peer: str
    idle: int

    def __str__(self) -> str:
        return f"{self.peer} beside {self.idle}"


def beside_idle(bench: Bench) -> list[Figure]:
    """Measure two servers of each peer, one with few idle clients, one with many."""
    many = _many(bench)
    cases = [_Case(name, idle) for name in _PEERS if name in bench.names for idle in (_FEW, many)]
    with ExitStack() as stack:
        servers: dict[_Case, Server] = {}
        for case in cases:
            with _left_out(bench, str(case)):
                servers[case] = _with_idle(bench, stack, bench.fleet.peers[case.peer], case.idle)
        found = bench.alternate(
            "beside idle clients", list(servers), bench.settings.rounds, lambda case: _exchange(bench, servers[case])
        )
    made = []
    for idle in (_FEW, many):
        works = {case.peer: values for case, values in found.items() if case.idle == idle}
        made.append(figure_of("cpu_beside_idle", "us", {"idle": idle}, "lower", works, lambda work: work.cpu_micros))
    return made


def idle_timeout(bench: Bench) -> list[Figure]:
    """Measure two hosts with many idle clients, one with an idle timeout that none of them reaches."""
    if "reactorhost" not in bench.names:
        return []
    many, settings = _many(bench), {"False": (), "True": ("--idle-timeout", "1h")}
    with ExitStack() as stack:
        servers = {
            key: _with_idle(bench, stack, Peer(host("plain_echo.py", *words)), many) for key, words in settings.items()
        }
        found = bench.alternate(
            "idle timeout", list(servers), bench.settings.rounds, lambda key: _exchange(bench, servers[key])
        )
    return [
        figure_of(
            "cpu_idle_timeout", "us", {"idle_timeout": key == "True", "idle": many}, "lower",
            {"reactorhost": works}, lambda work: work.cpu_micros,
        )
        for key, works in found.items()
    ]  # fmt: skip


def _many(bench: Bench) -> int:
    if not bench.idle:
        raise NotMeasuredError("no number of idle clients was asked for")
    return max(bench.idle)


def _with_idle(bench: Bench, stack: ExitStack, peer: Peer, idle: int) -> Server:
    server = stack.enter_context(bench.fleet.another(peer))
    visit(server)
    stack.enter_context(idle_clients(server, idle))
    return server


@contextlib.contextmanager
def _left_out(bench: Bench, what: str) -> Iterator[None]:
    try:
        yield
    except (ServerError, OSError) as error:
        bench.skip(what, str(error))


def _exchange(bench: Bench, server: Server) -> Work:
    return bench.loader.exchange(server, bench.settings.clients, _BYTES)
