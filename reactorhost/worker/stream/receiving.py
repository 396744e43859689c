"""Receiving: when input is read and delivered, how much is read at a time, and the registration with epoll."""

from __future__ import annotations

from reactorhost.reactor import READ, READ_BYTES, WRITE
from reactorhost.worker.stream.closing import CLOSED
from reactorhost.worker.stream.framed_input import FramedInput
from reactorhost.worker.stream.protocol import HANG_UP, Stream
from reactorhost.worker.stream.states import (
    BROKEN,
    CLOSING,
    ENDED,
    HALF_OPEN,
    INPUT_PENDING,
    NO_DELIVERY,
    PEER_EOF,
    TLS_HANDSHAKE,
)

# After a full read the next one is four times as large, and is made by the transport and not by the reactor: what many
# clients send in a turn must not be in memory together. 1 MiB was slower, because the buffer leaves the cache, and so
# was another read at once after a full one: it starves the others, and answers accumulate.
_LARGEST_READ = 512 * 1024
# A plugin that changes the framing at every message costs a copy of the rest each time.
_LARGEST_FRAMED_READ = 64 * 1024
_DISCARDED_READ = 64 * 1024

# Beside READ in `interest`: the reactor reads by itself, and calls nothing back.
_BY_REACTOR = 1 << 16


def hold(stream: Stream, reason: int) -> None:
    """Deliver no input, for one more reason."""
    was_held, stream.held = stream.held, stream.held | reason
    # A client that has sent its end is unregistered. It is watched again while it is held for another reason too.
    if not was_held & ~ENDED:
        watch(stream)


def release(stream: Stream, reason: int) -> None:
    """Deliver input again, unless another reason is left."""
    was_held, stream.held = stream.held, stream.held & ~reason
    if was_held & reason & ~INPUT_PENDING:
        restart_message(stream)
    if not stream.held:
        if was_held:
            watch(stream)
    # This was the last reason that kept back input which was read already. A FIN may have come behind that input.
    elif was_held & reason and stream.held & ~(ENDED | HALF_OPEN) == INPUT_PENDING:
        _deliver_soon(stream)


def watch(stream: Stream) -> None:
    """Register with epoll what this transport waits for, if that has changed."""
    # A handshake has a registration of its own.
    if stream.close_state is CLOSED or stream.held & TLS_HANDSHAKE:
        return
    if not stream.held:
        # The reactor reads by itself only where no other event is possible and a small read is enough.
        wanted = READ if stream.buffer is not None or stream.read_size != READ_BYTES else READ | _BY_REACTOR
    elif stream.held & CLOSING:
        # Read whatever the plugin wants: a socket that is closed over unread input sends a reset.
        wanted = 0 if stream.held & PEER_EOF else READ
    else:
        wanted = HANG_UP if stream.held & ~ENDED and stream.send_state is not BROKEN else 0
    if stream.buffer is not None:
        wanted = wanted & READ | WRITE
    if wanted != stream.interest:
        _register(stream, wanted)


def _register(stream: Stream, wanted: int) -> None:
    reactor, descriptor = stream.context.reactor, stream.socket.fileno()
    if not wanted:
        reactor.unregister(descriptor)
    elif wanted & _BY_REACTOR:
        if stream.interest:
            reactor.modify_to_stream(descriptor, stream)
        else:
            reactor.register_stream(descriptor, stream)
    elif stream.interest:
        reactor.modify(descriptor, wanted & (READ | WRITE), stream.ready)
    else:
        reactor.register(descriptor, wanted & (READ | WRITE), stream.ready)
    stream.interest = wanted


def read(stream: Stream) -> None:
    """Read once, and dispatch what was read."""
    size = stream.read_size
    try:
        data: bytes | None = stream.socket.recv(size)
    except BlockingIOError:
        return
    except OSError:
        data = None
    stream.context.dispatcher.dispatch([(stream, data)])
    # Unless a hook has changed the size, as a first framing does. By steps: one short read among full ones is common.
    if data and len(data) < READ_BYTES and size == stream.read_size:
        set_read_size(stream, max(size // 4, READ_BYTES))


def discard(stream: Stream) -> None:
    """Read past what a client still sends while its connection is being closed."""
    try:
        data = stream.socket.recv(_DISCARDED_READ)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    if data:
        stream.active_at = stream.context.reactor.now
    else:
        stream.context.dispatcher.dispatch([(stream, data)])


def grow_reads(stream: Stream, received: int) -> None:
    """Read more at a time from a client that fills a read, or, with TLS, sends even more."""
    if received >= stream.read_size:
        largest = _LARGEST_FRAMED_READ if isinstance(stream.receiver, FramedInput) else _LARGEST_READ
        set_read_size(stream, min(4 * stream.read_size, largest))


def set_read_size(stream: Stream, size: int) -> None:
    """Read so many bytes at a time; the reactor reads the smallest pieces by itself."""
    was_small, stream.read_size = stream.read_size == READ_BYTES, size
    if was_small != (size == READ_BYTES):
        watch(stream)


def keep(stream: Stream, data: bytes) -> None:
    """Keep input that was read when it is not to be delivered any more."""
    stream.kept = data
    hold(stream, INPUT_PENDING)


def frames_pending(stream: Stream) -> bool:
    """Return whether messages may wait in the framing; the end of a hook that runs finds out."""
    return isinstance(stream.receiver, FramedInput) and stream.receiver.pending


def message_waits(stream: Stream) -> bool:
    """Return whether a message does wait in the framing; see `FramedInput.has_message`."""
    return isinstance(stream.receiver, FramedInput) and stream.receiver.has_message()


def restart_message(stream: Stream) -> None:
    """Let the time of an incomplete message begin anew."""
    if isinstance(stream.receiver, FramedInput) and stream.receiver.clock is not None:
        stream.receiver.clock.restart()


def deliver_frames(stream: Stream) -> None:
    """Deliver the messages that wait in the framing, as far as nothing is against it."""
    if isinstance(stream.receiver, FramedInput) and stream.receiver.pending:
        stream.runner.run(stream.receiver.deliver_pending)


def input_waits(stream: Stream) -> None:
    """Read no more until the messages in the framing are delivered; deliver them when nothing is against it."""
    hold(stream, INPUT_PENDING)
    if not (stream.owed or stream.held & NO_DELIVERY):
        _deliver_soon(stream)


def input_delivered(stream: Stream) -> None:
    """Read again: nothing waits in the framing."""
    if stream.kept is None:
        release(stream, INPUT_PENDING)
    else:
        _deliver_soon(stream)


def _deliver_soon(stream: Stream) -> None:
    # At the end of the turn: the plugin may be at work on this connection now.
    stream.context.reactor.call_soon(_deliver, stream)


def _deliver(stream: Stream) -> None:
    if stream.held & NO_DELIVERY:
        return
    # A client whose messages take many turns is not idle meanwhile.
    stream.active_at = stream.context.reactor.now
    if stream.kept is not None:
        data, stream.kept = stream.kept, None
        # Not by `release`: a framing that still has messages holds again at once.
        stream.held &= ~INPUT_PENDING
        stream.context.dispatcher.dispatch([(stream, data)])
        watch(stream)
    if not stream.owed:
        deliver_frames(stream)
