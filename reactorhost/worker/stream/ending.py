"""Ending a connection: the actions of the table in `closing`."""

from __future__ import annotations

import contextlib

from reactorhost.api.connection import CloseReason
from reactorhost.worker.stream import deadlines, peer_end, sending
from reactorhost.worker.stream.closing import (
    CLOSED,
    OPEN,
    TRANSITIONS,
    CloseAction,
    CloseEvent,
    CloseProgress,
)
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.receiving import watch
from reactorhost.worker.stream.socket import reset_on_close
from reactorhost.worker.stream.states import BROKEN, CLOSING, FIN_PENDING, PEER_EOF


def close(stream: Stream, reason: CloseReason, seconds: float | None) -> None:
    """Flush, FIN, wait for the client's end; with `seconds` until then at most, whatever the progress."""
    sending.uncork(stream)
    if stream.close_state is OPEN:
        stream.progress = CloseProgress(reason)
        stream.held |= CLOSING
        stream.cancel_timers()
        _start_closing(stream)
    if stream.close_state is not CLOSED and stream.progress is not None:
        deadlines.watch_close(stream, stream.progress, seconds)


def _start_closing(stream: Stream) -> None:
    advance(stream, CloseEvent.CLOSE)
    if stream.send_state is BROKEN:
        advance(stream, CloseEvent.SEND_FAILED)
    elif stream.buffer is None:
        advance(stream, CloseEvent.ALL_SENT)
    else:
        stream.send_state = FIN_PENDING
    watch(stream)


def advance(stream: Stream, event: CloseEvent, reason: CloseReason = CloseReason.PEER) -> None:
    """Apply an event to the state of the connection's end; `reason` is for a connection that is open."""
    stream.close_state, action = TRANSITIONS[stream.close_state][event]
    if action is CloseAction.SEND_FIN:
        if stream.held & PEER_EOF:
            # Closing the socket sends the FIN.
            advance(stream, CloseEvent.PEER_EOF)
        else:
            sending.send_fin(stream)
    elif action is not CloseAction.NONE:
        if action is CloseAction.RESET:
            # Fails only where there is nothing left to reset.
            with contextlib.suppress(OSError):
                reset_on_close(stream.socket)
        _end(stream, reason if stream.progress is None else stream.progress.reason)


def _end(stream: Stream, reason: CloseReason) -> None:
    reactor = stream.context.reactor
    if stream.interest:
        reactor.unregister(stream.socket.fileno())
        stream.interest = 0
    stream.held |= CLOSING
    stream.socket.close()
    stream.kept = None
    peer_end.break_sending(stream)
    stream.cancel_timers()
    deadlines.cancel(stream)
    # A plugin may be at work on this connection further up the stack: its close hook comes after that.
    reactor.call_soon(stream.context.closed, stream, reason)
