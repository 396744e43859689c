"""The times after which a connection ends by itself.

Each connection has one timer at most, in `Stream.deadline`:

- Idle, while it is open: nothing was received or sent for `idle_timeout`. A connection that a plugin has paused or
  throttled, or that waits for an async hook or a task, is not idle.
- Message, while it is open: a message has begun and is not complete after `message_timeout`. The time in which the host
  does not read the client does not count.
- Silence, after the client has ended its half, or while an async hook runs for one that nothing can be sent to: no
  answer was sent, and no hook or task has finished, for `close_timeout`. A client that has vanished cannot be
  distinguished from one that only reads. One that the `eof` hook keeps is not limited by it.
- Grace, for a client that is reset while it is paused: its last input can be read for a short time if the plugin
  resumes. Only the pause can end this one, so it replaces the timer for idleness and messages.
- Close, once it is being closed: see `closing.CloseProgress`.

The timers look at the time of the last activity when they are due, so a whole message touches no timer. Before they end
a connection they read: a turn reads a part of the clients that are ready, so after a stall the timer can be due while
what the client has sent in time is in the kernel.
"""

from __future__ import annotations

import math

from reactorhost.api.close_reason import CloseReason
from reactorhost.worker.stream.closing import LINGERING, OPEN, CloseEvent, CloseProgress
from reactorhost.worker.stream.framed_input import FramedInput
from reactorhost.worker.stream.message_clock import MessageClock
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.receiving import frames_pending, read, restart_message
from reactorhost.worker.stream.socket import let_client_be_slow, unacknowledged_bytes
from reactorhost.worker.stream.states import BROKEN, BY_PLUGIN, HALF_OPEN, PEER_EOF, PLUGIN, TLS_HANDSHAKE

_GRACE_SECONDS = 0.5
_QUIET_SECONDS = 1.0


def cancel(stream: Stream) -> None:
    """Cancel the timer of a connection, if it has one."""
    if stream.deadline is not None:
        stream.deadline.cancel()
        stream.deadline = None


def watch_open(stream: Stream) -> None:
    """Start the timer of an open connection anew: for silence after the client's end, else for what is due first."""
    # Any other timer would outlast the grace, for example when a plugin sets `idle_timeout` now.
    if stream.held & PLUGIN and stream.send_state is BROKEN:
        # Its grace, or none: see `end_paused`.
        return
    cancel(stream)
    waits_for_answer = stream.held & (PEER_EOF | HALF_OPEN) == PEER_EOF
    if is_kept(stream) and (waits_for_answer or stream.send_state is BROKEN):
        due_at = stream.active_at + stream.context.limits.close_timeout
        stream.deadline = stream.context.reactor.call_at(due_at, _silence_due, stream)
    elif stream.idle_seconds is not None or stream.context.limits.message_timeout is not None:
        dues = [due for due in (_idle_due_at(stream), _message_due_at(stream)) if due is not None]
        if dues:
            stream.deadline = stream.context.reactor.call_at(min(dues), _open_due, stream)


def watch_message(stream: Stream) -> None:
    """Watch the time of a message that has begun, unless the timer is due before its end anyway."""
    due_at = _message_due_at(stream)
    if due_at is not None and (stream.deadline is None or stream.deadline.when > due_at):
        watch_open(stream)


def watch_paused(stream: Stream) -> None:
    """Start the short time in which the plugin can resume a client that has been reset."""
    cancel(stream)
    stream.deadline = stream.context.reactor.call_later(_GRACE_SECONDS, _grace_due, stream)


def watch_close(stream: Stream, progress: CloseProgress, seconds: float | None) -> None:
    """Start the deadline of a connection that is being closed; one of `seconds` is not moved by progress."""
    cancel(stream)
    reactor, moves = stream.context.reactor, seconds is None
    limit = stream.context.limits.close_timeout if seconds is None else seconds
    due_at = progress.start(reactor.now, limit, stream.connection.bytes_out, moves=moves)
    stream.deadline = reactor.call_at(_check_at(stream, due_at), _close_due, stream, progress)


def drain_begins(stream: Stream) -> None:
    """Look sooner at a connection that is being closed, because the worker is about to leave."""
    soon = _check_at(stream, math.inf)
    if stream.progress is not None and stream.deadline is not None and stream.deadline.when > soon:
        cancel(stream)
        stream.deadline = stream.context.reactor.call_at(soon, _close_due, stream, stream.progress)


def _check_at(stream: Stream, due_at: float) -> float:
    # A worker that leaves looks more often, for the client of `_is_quiet`.
    return min(due_at, stream.context.reactor.now + _QUIET_SECONDS) if stream.context.draining else due_at


def _open_due(stream: Stream) -> None:
    stream.deadline = None
    connection = stream.connection
    if _works(stream) or stream.held & (BY_PLUGIN | TLS_HANDSHAKE) or stream.context.drain_runs(stream.connection):
        stream.active_at = stream.context.reactor.now
    if stream.held or stream.owed or frames_pending(stream):
        restart_message(stream)
    received = connection.bytes_in
    if not stream.held and (_is_idle(stream) or _is_late(stream)):
        read(stream)
    if stream.close_state is not OPEN or stream.deadline is not None:
        return
    clock = _clock(stream)
    if clock is not None and _is_late(stream) and not (connection.bytes_in > received and clock.catch_up()):
        stream.context.message_late(connection)
    elif _is_idle(stream):
        stream.close_for(CloseReason.IDLE)
    else:
        watch_open(stream)


def _is_idle(stream: Stream) -> bool:
    # The sum that `watch_open` has made: a difference may be rounded to less, and the timer would be due again at once.
    due_at = _idle_due_at(stream)
    return due_at is not None and stream.context.reactor.now >= due_at


def _is_late(stream: Stream) -> bool:
    due_at = _message_due_at(stream)
    return due_at is not None and stream.context.reactor.now >= due_at


def _idle_due_at(stream: Stream) -> float | None:
    return None if stream.idle_seconds is None else stream.active_at + stream.idle_seconds


def _message_due_at(stream: Stream) -> float | None:
    clock, seconds = _clock(stream), stream.context.limits.message_timeout
    return None if clock is None or seconds is None else clock.due_at(seconds)


def _clock(stream: Stream) -> MessageClock | None:
    return stream.receiver.clock if isinstance(stream.receiver, FramedInput) else None


def _silence_due(stream: Stream) -> None:
    stream.deadline = None
    if stream.held & BY_PLUGIN:
        stream.active_at = stream.context.reactor.now
    if stream.context.reactor.now >= stream.active_at + stream.context.limits.close_timeout:
        stream.advance(CloseEvent.DEADLINE)
    else:
        watch_open(stream)


def _grace_due(stream: Stream) -> None:
    stream.deadline = None
    stream.advance(CloseEvent.DEADLINE)


def _close_due(stream: Stream, progress: CloseProgress) -> None:
    now = stream.context.reactor.now
    # Bytes that the kernel has accepted are not with the client yet.
    unacknowledged = unacknowledged_bytes(stream.socket)
    is_over = progress.is_over(now, stream.connection.bytes_out, unacknowledged or 0)
    if not is_over and not (unacknowledged == 0 and _is_quiet(stream, progress)):
        if unacknowledged and progress.moves:
            let_client_be_slow(stream.socket)
        due_at = _check_at(stream, progress.check_at(now))
        stream.deadline = stream.context.reactor.call_at(due_at, _close_due, stream, progress)
        return
    stream.deadline = None
    if stream.queued or unacknowledged:
        if progress.moves:
            stream.context.client_log.close_timed_out(stream.connection, stream.queued + (unacknowledged or 0))
            if progress.reason is CloseReason.LOCAL:
                progress.reason = CloseReason.TIMEOUT
        stream.advance(CloseEvent.DEADLINE)
    elif unacknowledged == 0 and not stream.held & TLS_HANDSHAKE:
        # The client's kernel has everything, our FIN too. A reset could destroy what the client has not read yet.
        stream.advance(CloseEvent.LINGER_DEADLINE)
    else:
        stream.advance(CloseEvent.DEADLINE)


def _is_quiet(stream: Stream, progress: CloseProgress) -> bool:
    """Return whether a worker that leaves need not wait for the end of a client that has acknowledged everything.

    The kernel answers with a reset what such a client sends after the socket is closed. One that has sent nothing for a
    while, since our FIN, is at its end and only does not close, as `nc` does while its own input is open.
    """
    if not stream.context.draining or stream.close_state is not LINGERING or stream.held & TLS_HANDSHAKE:
        return False
    return stream.context.reactor.now >= max(stream.active_at, progress.progress_at) + _QUIET_SECONDS


def is_kept(stream: Stream) -> bool:
    """Return whether a client that has ended is kept for what works for it."""
    # The task of a protocol may wait for that end, and the protocol itself decides how long the connection stays open.
    return stream.owed > 0 or (stream.timers is not None and stream.context.protocols is None and _works(stream))


def _works(stream: Stream) -> bool:
    """Return whether an async hook or a task is at work for a client, and may send it something."""
    # A task for a client that has ended and cannot be sent anything has nothing left to do. A hook has: messages of the
    # client may wait behind it.
    has_tasks = stream.timers is not None and stream.timers.has_tasks
    return stream.owed > 0 or (has_tasks and stream.send_state is not BROKEN)
