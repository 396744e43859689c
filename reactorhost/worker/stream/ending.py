"""How a connection ends: by the client, by us, or after a time. The actions of the table in `closing`.

The client's end is a FIN, a reset, a send that fails, or a hang-up while nothing is read. What it had sent before is
received. A FIN leaves the sending half open, a failed send the receiving half. After a FIN the `eof` hook decides
whether the connection is kept; HALF_OPEN then registers it without events, so that a reset is noticed. A reset ends
both, but what was read before it is delivered first. A client that closes its socket over unread bytes sends a reset
too: with TLS 1.3 that is a client that has never read, because the session tickets of the handshake wait.
"""

from __future__ import annotations

import contextlib

from reactorhost.api.close_reason import CloseReason
from reactorhost.reactor import READ_BYTES
from reactorhost.worker.stream import deadlines, peer_facts, sending
from reactorhost.worker.stream.closing import CLOSED, OPEN, TRANSITIONS, CloseAction, CloseEvent, CloseProgress
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.receiving import frames_pending, message_waits, release, watch
from reactorhost.worker.stream.socket import HangUp, hang_up, reset_on_close
from reactorhost.worker.stream.states import (
    BROKEN,
    BY_PLUGIN,
    CLOSING,
    EOF_CALLED,
    FIN_PENDING,
    FIN_SENT,
    HALF_OPEN,
    INPUT_PENDING,
    PEER_EOF,
    PLUGIN,
    SEND_FULL,
)


def handle_fin(stream: Stream) -> None:
    """Handle the client's FIN: it still receives its answers."""
    stream.held |= PEER_EOF
    if stream.close_state is OPEN:
        # Before the registration changes: a connection that ends here only has to be unregistered.
        end_if_served(stream)
    else:
        advance(stream, CloseEvent.PEER_EOF)
    watch(stream)
    if stream.close_state is OPEN and deadlines.is_kept(stream):
        # The silence begins now: a hook may be at work for longer than that already.
        stream.active_at = stream.context.reactor.now
        deadlines.watch_open(stream)


def handle_reset(stream: Stream) -> None:
    """Handle a reset, or another error, that `recv` has reported."""
    if stream.close_state is not OPEN:
        advance(stream, CloseEvent.RESET)
    elif stream.held & PLUGIN:
        send_failed(stream)
    # `owed` counts the call that runs, so more than one means a message behind it.
    elif stream.owed > 1 or message_waits(stream):
        # Messages that were read before wait behind a hook that runs: they are delivered as after a FIN.
        send_failed(stream)
        handle_fin(stream)
    else:
        advance(stream, CloseEvent.RESET)


def handle_hang_up(stream: Stream) -> None:
    """Handle a hang-up that epoll has reported while nothing is read."""
    how = hang_up(stream.context.reactor, stream.socket)
    if how is HangUp.NO:
        # An event of this turn for an earlier registration of the descriptor.
        return
    # Held by the host only, it will be read again, and that finds the rest of the input and the end.
    if how is HangUp.BROKEN or not stream.held & BY_PLUGIN:
        send_failed(stream)
        if stream.close_state is OPEN and stream.owed:
            # The backlog of a hook that waits for ever is never read. The silence begins now, as after a FIN.
            stream.active_at = stream.context.reactor.now
            deadlines.watch_open(stream)
    else:
        break_sending(stream)
        end_paused(stream, was_reset=False)


def send_failed(stream: Stream) -> bool:
    """Break the sending half, and continue to receive; returns False, as `send` does."""
    if stream.context.protocols is not None:
        stream.context.protocols.send_failed(stream)
    break_sending(stream)
    advance(stream, CloseEvent.SEND_FAILED)
    if stream.close_state is OPEN:
        if stream.held & BY_PLUGIN:
            end_paused(stream, was_reset=True)
        end_if_served(stream)
    return False


def break_sending(stream: Stream) -> None:
    """Break the sending half: what is queued is lost, and `send` returns False from now on."""
    stream.send_state = BROKEN
    stream.corked = None
    buffer, stream.buffer = stream.buffer, None
    # After the buffer is gone: a waiting function may send, or close the connection.
    if buffer is not None:
        buffer.abandon()
    release(stream, SEND_FULL)
    watch(stream)


def end_paused(stream: Stream, *, was_reset: bool) -> None:
    """End a paused or throttled client that nothing can be sent to, unless something that it had sent waits.

    After a reset it waits for `resume` for a short time only. After an orderly end it waits as the FIN of a paused
    client does. A throttle has an end, so nothing else limits it.
    """
    # At the end of the turn: what was read of this client in this turn, before a hook of another one paused it, is
    # kept by then.
    stream.context.reactor.call_soon(_end_paused, stream, was_reset)


def _end_paused(stream: Stream, was_reset: bool) -> None:
    if stream.close_state is not OPEN or not stream.held & BY_PLUGIN:
        return
    is_partial = False
    if stream.kept is None and not stream.held & PEER_EOF:
        # Only a read tells whether something waits: below TLS there is more than what the client has sent.
        try:
            stream.kept = stream.socket.recv(READ_BYTES) or None
        except BlockingIOError:
            # A part of a TLS record, and the rest of it may wait.
            is_partial = True
        except OSError:
            stream.kept = None
        if not is_partial:
            stream.held |= PEER_EOF if stream.kept is None else INPUT_PENDING
    # A message that does wait, not one that may: a plugin that has paused within a batch need not resume.
    if not (stream.kept or is_partial or message_waits(stream) or stream.owed):
        advance(stream, CloseEvent.RESET)
    elif was_reset and stream.held & PLUGIN:
        deadlines.watch_paused(stream)


def end_if_served(stream: Stream) -> None:
    """End the connection of a client that has sent its end and has all its answers.

    While it is paused the plugin still works for it, unless nothing can be sent: `resume` looks again.
    """
    if not stream.held & PEER_EOF or stream.close_state is not OPEN or deadlines.is_kept(stream):
        return
    is_paused = bool(stream.held & PLUGIN)
    if is_paused and stream.send_state is not BROKEN:
        return
    if stream.context.drain_runs(stream.connection):
        return
    if (message_waits if is_paused else frames_pending)(stream):
        return
    protocols = stream.context.protocols
    if protocols is not None and not is_paused:
        # It decides whether the connection stays open, and may send more.
        protocols.peer_ended(stream)
    elif stream.held & HALF_OPEN and stream.send_state < FIN_SENT:
        return
    elif stream.context.chain.eof is not None and not (is_paused or stream.held & EOF_CALLED):
        # At the end of the turn: the plugin may be at work on this connection further up the stack.
        stream.context.reactor.call_soon(_call_eof, stream)
    elif not stream.queued:
        advance(stream, CloseEvent.SERVED)


def _call_eof(stream: Stream) -> None:
    eof = stream.context.chain.eof
    # All of it is looked at again when it changes.
    if eof is None or stream.close_state is not OPEN or stream.held & (PLUGIN | EOF_CALLED):
        return
    if deadlines.is_kept(stream) or stream.context.drain_runs(stream.connection):
        return
    stream.held |= EOF_CALLED
    # The silence begins now: the plugin may set an `idle_timeout` for what is left.
    stream.active_at = stream.context.reactor.now
    try:
        is_kept = stream.variables.run(eof, stream.connection)
    except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
        is_kept = False
        stream.context.hook_raised("eof", stream.connection, raised)
    if is_kept and stream.close_state is OPEN:
        stream.held |= HALF_OPEN
    # First: a connection whose other half is over ends here, and is not registered again for that.
    end_if_served(stream)
    if stream.held & HALF_OPEN and stream.close_state is OPEN:
        watch(stream)
        # In place of the silence of a hook that ran when the client ended.
        deadlines.watch_open(stream)


def close(stream: Stream, reason: CloseReason, seconds: float | None = None) -> None:
    """Flush, FIN, wait for the client's end; with `seconds` until then at most, whatever the progress."""
    # Before the state changes: the last message of a session, and what is corked, are flushed like the rest.
    if stream.close_state is OPEN:
        sending.end_session(stream, reason)
    sending.uncork(stream)
    begins = stream.close_state is OPEN
    if begins:
        stream.progress = CloseProgress(reason)
        stream.held |= CLOSING
        stream.cancel_timers()
        _start_closing(stream)
    # A plugin that closes again must not put off the deadline, least of all the one of a worker that leaves.
    if stream.close_state is not CLOSED and stream.progress is not None and (begins or seconds is not None):
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
            if stream.context.protocols is not None:
                stream.context.protocols.flushed(stream)
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
    if stream.context.credentials is not None:
        peer_facts.keep_credentials(stream, stream.context.credentials)
    # Unregistered before it is closed: see the rules in `reactor.reactor`.
    stream.socket.close()
    stream.kept = None
    break_sending(stream)
    stream.cancel_timers()
    deadlines.cancel(stream)
    # A plugin may be at work on this connection further up the stack: its close hook comes after that.
    reactor.call_soon(stream.context.closed, stream, reason)
