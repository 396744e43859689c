"""What plugins do about input: `pause` and `resume`, and `throttle`, a pause that ends by itself.

They are two reasons to hold, so that a plugin which throttles a client does not end the pause of another one, nor the
other way round. The time of a throttle is in the table of the worker: few connections have one.
"""

from __future__ import annotations

from reactorhost.worker.hooks.timers import checked_seconds
from reactorhost.worker.stream import deadlines, ending, receiving
from reactorhost.worker.stream.closing import OPEN
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.states import BROKEN, BY_PLUGIN, CLOSING, PEER_EOF, PLUGIN, THROTTLED


def pause(stream: Stream) -> None:
    """Deliver nothing more until `resume`."""
    _stop(stream, PLUGIN)


def throttle(stream: Stream, seconds: float) -> None:
    """Deliver nothing more for so long; of several times the one that ends last counts.

    Raises:
        TypeError: `seconds` is not a number.
        ValueError: `seconds` is not finite.
    """
    if checked_seconds(seconds) > 0 and stream.close_state is OPEN:
        stream.context.throttles.add(stream, seconds)
        _stop(stream, THROTTLED)


def resume(stream: Stream) -> None:
    """End a pause."""
    if stream.held & PLUGIN:
        _go_on(stream, PLUGIN)


def throttle_ended(stream: Stream) -> None:
    """Deliver again after the time of `throttle`."""
    _go_on(stream, THROTTLED)


def is_paused(stream: Stream) -> bool:
    """Return whether a plugin wants no `receive` now."""
    return bool(stream.held & BY_PLUGIN) and not stream.held & CLOSING


def _stop(stream: Stream, reason: int) -> None:
    receiving.hold(stream, reason)
    if stream.send_state is BROKEN and stream.close_state is OPEN:
        ending.end_paused(stream, was_reset=True)


def _go_on(stream: Stream, reason: int) -> None:
    """Deliver again, what waits for an async hook first, unless there is another reason not to."""
    stream.active_at = stream.context.reactor.now
    receiving.release(stream, reason)
    if stream.send_state is BROKEN and stream.close_state is OPEN:
        deadlines.watch_open(stream)
    stream.context.resumed(stream.connection)
    if stream.held & PEER_EOF:
        # At the end of the turn: an answer may follow.
        stream.context.reactor.call_soon(ending.end_if_served, stream)
