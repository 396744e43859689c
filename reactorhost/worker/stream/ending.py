"""How a connection ends: by the client, by us, or after a time. The actions of the table in `closing`.

The client's end is a FIN, a reset, a send that fails, or a hang-up while nothing is read. What it had sent before is
received. A FIN leaves the sending half open, a failed send the receiving half. A reset ends both, but what was read
before it is delivered first. A client that closes its socket over unread bytes sends a reset too: with TLS 1.3 that is
a client that has never read, because the session tickets of the handshake wait.

Each connection has one timer at most, in `Stream.deadline`:

- Idle, while it is open: nothing was received or sent for `idle_timeout`. A connection that the plugin has paused, or
  that waits for an async hook or a task, is not idle.
- Silence, after the client has ended its half, or while an async hook runs for one that nothing can be sent to: no
  answer was sent, and no hook or task has finished, for `close_timeout`. A client that has vanished cannot be
  distinguished from one that only reads.
- Grace, for a client that is reset while it is paused: its last input can be read for a short time if the plugin
  resumes. Only the pause can end this one, so it replaces the idle timer.
- Close, once it is being closed: see `closing.CloseProgress`.

The timers look at the time of the last activity when they are due, so a message touches no timer.
"""

from __future__ import annotations

import contextlib

from reactorhost.api.close_reason import CloseReason
from reactorhost.reactor import READ_BYTES
from reactorhost.worker.stream import peer_facts, sending
from reactorhost.worker.stream.closing import CLOSED, OPEN, TRANSITIONS, CloseAction, CloseEvent, CloseProgress
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.receiving import frames_pending, message_waits, read, release, watch
from reactorhost.worker.stream.socket import HangUp, hang_up, let_client_be_slow, reset_on_close, unacknowledged_bytes
from reactorhost.worker.stream.states import (
    BROKEN,
    CLOSING,
    FIN_PENDING,
    INPUT_PENDING,
    PEER_EOF,
    PLUGIN,
    SEND_FULL,
    TLS_HANDSHAKE,
)

_GRACE_SECONDS = 0.5


def handle_fin(stream: Stream) -> None:
    """Handle the client's FIN: it still receives its answers."""
    stream.held |= PEER_EOF
    if stream.close_state is OPEN:
        # Before the registration changes: a connection that ends here only has to be unregistered.
        end_if_served(stream)
    else:
        advance(stream, CloseEvent.PEER_EOF)
    watch(stream)
    if stream.close_state is OPEN and _is_kept(stream):
        # The silence begins now: a hook may be at work for longer than that already.
        stream.active_at = stream.context.reactor.now
        watch_open(stream)


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
    if how is HangUp.BROKEN or not stream.held & PLUGIN:
        send_failed(stream)
        if stream.close_state is OPEN and stream.owed:
            # The backlog of a hook that waits for ever is never read. The silence begins now, as after a FIN.
            stream.active_at = stream.context.reactor.now
            watch_open(stream)
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
        if stream.held & PLUGIN:
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
    """End a paused client that nothing can be sent to, unless something that it had sent waits for `resume`.

    After a reset it waits for a short time only. After an orderly end it waits as the FIN of a paused client does.
    """
    # At the end of the turn: what was read of this client in this turn, before a hook of another one paused it, is
    # kept by then.
    stream.context.reactor.call_soon(_end_paused, stream, was_reset)


def _end_paused(stream: Stream, was_reset: bool) -> None:
    if stream.close_state is not OPEN or not stream.held & PLUGIN:
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
    elif was_reset:
        _watch_paused(stream)


def end_if_served(stream: Stream) -> None:
    """End the connection of a client that has sent its end and has all its answers.

    While it is paused the plugin still works for it, unless nothing can be sent: `resume` looks again.
    """
    if not stream.held & PEER_EOF or stream.close_state is not OPEN or _is_kept(stream):
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
    elif not stream.queued:
        advance(stream, CloseEvent.SERVED)


def _is_kept(stream: Stream) -> bool:
    """Return whether a client that has ended is kept for what works for it."""
    # The task of a protocol may wait for that end, and the protocol itself decides how long the connection stays open.
    return bool(stream.owed) if stream.context.protocols is not None else _works(stream)


def _works(stream: Stream) -> bool:
    """Return whether an async hook or a task is at work for a client, and may send it something."""
    # A task for a client that has ended and cannot be sent anything has nothing left to do. A hook has: messages of the
    # client may wait behind it.
    has_tasks = stream.timers is not None and stream.timers.has_tasks
    return bool(stream.owed) or (has_tasks and stream.send_state is not BROKEN)


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
        _watch_close(stream, stream.progress, seconds)


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
    peer_facts.keep_credentials(stream)
    # Unregistered before it is closed: see the rules in `reactor.reactor`.
    stream.socket.close()
    stream.kept = None
    break_sending(stream)
    stream.cancel_timers()
    _cancel_deadline(stream)
    # A plugin may be at work on this connection further up the stack: its close hook comes after that.
    reactor.call_soon(stream.context.closed, stream, reason)


# The times after which a connection ends by itself.


def _cancel_deadline(stream: Stream) -> None:
    """Cancel the timer of a connection, if it has one."""
    if stream.deadline is not None:
        stream.deadline.cancel()
        stream.deadline = None


def watch_open(stream: Stream) -> None:
    """Start the timer of an open connection anew: for silence after the client's end, else for idleness."""
    # Any other timer would outlast the grace, for example when a plugin sets `idle_timeout` now.
    if stream.held & PLUGIN and stream.send_state is BROKEN:
        # Its grace, or none: see `end_paused`.
        return
    _cancel_deadline(stream)
    if _is_kept(stream) and (stream.held & PEER_EOF or stream.send_state is BROKEN):
        due_at = stream.active_at + stream.context.limits.close_timeout
        stream.deadline = stream.context.reactor.call_at(due_at, _silence_due, stream)
    elif stream.idle_seconds is not None:
        due_at = stream.active_at + stream.idle_seconds
        stream.deadline = stream.context.reactor.call_at(due_at, _idle_due, stream)


def _watch_paused(stream: Stream) -> None:
    """Start the short time in which the plugin can resume a client that has been reset."""
    _cancel_deadline(stream)
    stream.deadline = stream.context.reactor.call_later(_GRACE_SECONDS, _grace_due, stream)


def _watch_close(stream: Stream, progress: CloseProgress, seconds: float | None) -> None:
    """Start the deadline of a connection that is being closed; one of `seconds` is not moved by progress."""
    _cancel_deadline(stream)
    reactor, moves = stream.context.reactor, seconds is None
    limit = stream.context.limits.close_timeout if seconds is None else seconds
    due_at = progress.start(reactor.now, limit, stream.connection.bytes_out, moves=moves)
    stream.deadline = reactor.call_at(due_at, _close_due, stream, progress)


def _idle_due(stream: Stream) -> None:
    stream.deadline = None
    if _works(stream) or stream.held & (PLUGIN | TLS_HANDSHAKE) or stream.context.drain_runs(stream.connection):
        stream.active_at = stream.context.reactor.now
    if _is_idle(stream) and not stream.held:
        # A turn that had no room for this client may have left something unread.
        read(stream)
    if stream.close_state is not OPEN or stream.deadline is not None:
        return
    if _is_idle(stream):
        close(stream, CloseReason.IDLE)
    else:
        watch_open(stream)


def _is_idle(stream: Stream) -> bool:
    seconds = stream.idle_seconds
    # The sum that `watch_open` has made: a difference may be rounded to less, and the timer would be due again at once.
    return seconds is not None and stream.context.reactor.now >= stream.active_at + seconds


def _silence_due(stream: Stream) -> None:
    stream.deadline = None
    if stream.held & PLUGIN:
        stream.active_at = stream.context.reactor.now
    if stream.context.reactor.now >= stream.active_at + stream.context.limits.close_timeout:
        advance(stream, CloseEvent.DEADLINE)
    else:
        watch_open(stream)


def _grace_due(stream: Stream) -> None:
    stream.deadline = None
    advance(stream, CloseEvent.DEADLINE)


def _close_due(stream: Stream, progress: CloseProgress) -> None:
    now = stream.context.reactor.now
    # Bytes that the kernel has accepted are not with the client yet.
    unacknowledged = unacknowledged_bytes(stream.socket)
    if not progress.is_over(now, stream.connection.bytes_out, unacknowledged or 0):
        if unacknowledged and progress.moves:
            let_client_be_slow(stream.socket)
        stream.deadline = stream.context.reactor.call_at(progress.check_at(now), _close_due, stream, progress)
        return
    stream.deadline = None
    if stream.queued or unacknowledged:
        if progress.moves:
            stream.context.close_timed_out(stream.connection, stream.queued + (unacknowledged or 0))
            if progress.reason is CloseReason.LOCAL:
                progress.reason = CloseReason.TIMEOUT
        advance(stream, CloseEvent.DEADLINE)
    elif unacknowledged == 0 and not stream.held & TLS_HANDSHAKE:
        # The client's kernel has everything, our FIN too. A reset could destroy what the client has not read yet.
        advance(stream, CloseEvent.LINGER_DEADLINE)
    else:
        advance(stream, CloseEvent.DEADLINE)
