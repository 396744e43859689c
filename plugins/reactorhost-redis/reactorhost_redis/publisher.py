"""What a worker publishes and stores: PUBLISH, and for keys with history a bounded stream beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hiredis

from reactorhost import Worker
from reactorhost.bus import Keep
from reactorhost_redis.commands import packed
from reactorhost_redis.fence import Fence
from reactorhost_redis.redis_url import RedisUrl
from reactorhost_redis.refusals import RefusalLog, refusal_of
from reactorhost_redis.session import LOST, OnAnswer, Session, SessionState

_FIELD = b"d"

OnStored = Callable[[Sequence[bytes] | None], object]


class Publisher:
    """The commands of one session; `lost` is called with a key whose payload was not published or not stored."""

    def __init__(
        self,
        worker: Worker,
        session: Session,
        url: RedisUrl,
        names: tuple[bytes, bytes],
        fence: Fence,
        refusals: RefusalLog,
        lost: Callable[[str], object],
    ) -> None:
        self._worker = worker
        self._session = session
        self._url = url
        self._channel_prefix, self._stream_prefix = names
        self._fence = fence
        self._held_bytes = 0
        self._refusals = refusals
        self._lost = lost

    def publish(self, key: str, payload: bytes, keep: Keep | None) -> bool:
        """See `Backend`."""
        session = self._session
        if session.state is not SessionState.READY:
            return False
        name = key.encode()
        commands: list[tuple[bytes, OnAnswer]] = [
            (packed(b"PUBLISH", self._channel_prefix + name, payload), self._answered)
        ]
        if keep is not None:
            # Stored first: a subscriber that finds a number missing then reads what is stored.
            commands[:0] = self._storing(self._stream_prefix + name, payload, keep)
        size = sum(len(command) for command, _ in commands)
        if not session.fits(self._held_bytes + size):
            return False
        self._held_bytes += size
        self._fence.call(self._send, commands, size, key)
        return True

    def _storing(self, stream: bytes, payload: bytes, keep: Keep) -> Iterator[tuple[bytes, OnAnswer]]:
        yield packed(b"XADD", stream, b"MAXLEN", b"~", keep.messages, b"*", _FIELD, payload), self._stored
        if keep.seconds is not None:
            yield packed(b"PEXPIRE", stream, max(1, round(keep.seconds * 1000))), self._ignored

    def _send(self, commands: Sequence[tuple[bytes, OnAnswer]], size: int, key: str) -> None:
        self._held_bytes -= size
        for command, on_answer in commands:
            self._session.send(command, on_answer, key)

    def stored(self, key: str, most: int, on_result: OnStored) -> None:
        """See `Backend`; `on_result` is never called from within this call."""
        stream = self._stream_prefix + key.encode()
        command = packed(b"XREVRANGE", stream, b"+", b"-", b"COUNT", most)
        if self._session.state is SessionState.READY and self._session.fits(len(command)):
            # Behind what is held: a worker reads what it has published itself.
            self._fence.call(self._session.send, command, self._read, on_result)
        else:
            self._worker.call_later(0, on_result, None)

    def broke(self) -> None:
        """Do nothing: what is not answered is reported by `LOST`."""

    def leave(self) -> None:
        """Send what waits for subscriptions; the notice that the own members leave is behind it."""
        self._fence.remove()

    def prepare(self) -> None:
        """Do nothing first."""
        self._session.ready()

    def pushed(self, message: list[Any]) -> None:
        """Ignore a push message: nothing is subscribed here."""

    def _answered(self, answer: object, key: str) -> None:
        if answer is LOST:
            self._lost(key)
        else:
            self._stored(answer, key)

    def _stored(self, answer: object, key: str) -> None:
        # One whose answer is lost is not counted: the PUBLISH behind it is.
        if isinstance(answer, hiredis.ReplyError):
            self._report(answer)
            self._lost(key)

    def _ignored(self, answer: object, _context: object) -> None:
        """Ignore the answer: an error that matters has been reported for the command before."""

    def _read(self, answer: object, on_result: OnStored) -> None:
        if not isinstance(answer, list):
            if isinstance(answer, hiredis.ReplyError):
                self._report(answer)
            on_result(None)
            return
        payloads = [fields[1] for _, fields in reversed(answer) if len(fields) == 2 and fields[0] == _FIELD]
        on_result(payloads)

    def _report(self, error: hiredis.ReplyError) -> None:
        self._refusals.report(refusal_of(error, self._url.without_password))
