"""The client's end: a FIN, a reset, a send that fails, or a hang-up while nothing is read.

What the client had sent before is received. A FIN leaves the sending half open, a failed send the receiving half. A
reset ends both, but what was read before it is delivered first. A client that closes its socket over unread bytes sends
a reset too: with TLS 1.3 that is a client that has never read, because the session tickets of the handshake wait.
"""

from __future__ import annotations

from reactorhost.reactor import READ_BYTES
from reactorhost.worker.stream import deadlines
from reactorhost.worker.stream.closing import OPEN, CloseEvent
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.receiving import frames_pending, message_waits, release, watch
from reactorhost.worker.stream.socket import HangUp, hang_up
from reactorhost.worker.stream.states import BROKEN, INPUT_PENDING, PEER_EOF, PLUGIN, SEND_FULL


def handle_fin(stream: Stream) -> None:
    """Handle the client's FIN: it still receives its answers."""
    stream.held |= PEER_EOF
    if stream.close_state is OPEN:
        # Before epoll is told: a connection that ends here needs no other call than the one that unregisters it.
        end_if_served(stream)
    else:
        stream.advance(CloseEvent.PEER_EOF)
    watch(stream)
    if stream.close_state is OPEN and stream.owed:
        deadlines.watch_open(stream)


def handle_reset(stream: Stream) -> None:
    """Handle a reset, or another error, that `recv` has reported."""
    if stream.close_state is not OPEN:
        stream.advance(CloseEvent.RESET)
    elif stream.held & PLUGIN:
        send_failed(stream)
    elif stream.owed > 1 or message_waits(stream):
        # Messages that were read before wait behind a hook that runs: they are delivered as after a FIN.
        send_failed(stream)
        handle_fin(stream)
    else:
        stream.advance(CloseEvent.RESET)


def handle_hang_up(stream: Stream) -> None:
    """Handle a hang-up that epoll has reported while nothing is read."""
    how = hang_up(stream.socket)
    if how is HangUp.NO:
        # An event of this turn for an earlier registration of the descriptor.
        return
    if how is HangUp.BROKEN or not stream.held & PLUGIN:
        send_failed(stream)
    else:
        break_sending(stream)
        end_paused(stream, was_reset=False)


def send_failed(stream: Stream) -> bool:
    """Break the sending half, and continue to receive; returns False, as `send` does."""
    break_sending(stream)
    stream.advance(CloseEvent.SEND_FAILED)
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
    if buffer is not None:
        buffer.notify_waiters(can_send=False)
    release(stream, SEND_FULL)
    watch(stream)


def end_paused(stream: Stream, *, was_reset: bool) -> None:
    """End a paused client that nothing can be sent to, unless something that it had sent waits for `resume`.

    After a reset it waits for a short time only. After an orderly end it waits as the FIN of a paused client does.
    """
    if stream.kept is None and not stream.held & PEER_EOF:
        # Only a read tells whether something waits: below TLS there is more than what the client has sent.
        try:
            stream.kept = stream.socket.recv(READ_BYTES) or None
        except OSError:
            stream.kept = None
        stream.held |= PEER_EOF if stream.kept is None else INPUT_PENDING
    if not (stream.kept or frames_pending(stream) or stream.owed):
        stream.advance(CloseEvent.RESET)
    elif was_reset:
        deadlines.watch_paused(stream)


def end_if_served(stream: Stream) -> None:
    """End the connection of a client that has sent its end and has all its answers.

    While it is paused the plugin still works for it: `resume` looks again.
    """
    if stream.held & (PEER_EOF | PLUGIN) != PEER_EOF or stream.close_state is not OPEN or stream.owed:
        return
    if not (stream.queued or frames_pending(stream)):
        stream.advance(CloseEvent.SERVED)
