"""What a worker publishes and stores: PUBLISH, and for keys with history a bounded stream beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from reactorhost import Worker
from reactorhost.bus import Keep
from reactorhost_redis.commands import packed
from reactorhost_redis.redis_url import RedisUrl
from reactorhost_redis.refusals import RefusalLog, refusal_of
from reactorhost_redis.session import LOST, Session, SessionState

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
        refusals: RefusalLog,
        lost: Callable[[str], object],
    ) -> None:
        self._worker = worker
        self._session = session
        self._url = url
        self._channel_prefix, self._stream_prefix = names
        self._refusals = refusals
        self._lost = lost

    def publish(self, key: str, payload: bytes, keep: Keep | None) -> bool:
        """See `Backend`."""
        session = self._session
        if session.state is not SessionState.READY:
            return False
        name = key.encode()
        command = packed(b"PUBLISH", self._channel_prefix + name, payload)
        if keep is None:
            if not session.fits(len(command)):
                return False
            session.send(command, self._answered, key)
            return True
        stream = self._stream_prefix + name
        add = packed(b"XADD", stream, b"MAXLEN", b"~", keep.messages, b"*", _FIELD, payload)
        if not session.fits(len(add) + len(command)):
            return False
        # Stored first: a subscriber that finds a number missing then reads what is stored.
        session.send(add, self._answered, key)
        if keep.seconds is not None:
            milliseconds = max(1, round(keep.seconds * 1000))
            session.send(packed(b"PEXPIRE", stream, milliseconds), self._ignored)
        session.send(command, self._answered, key)
        return True

    def stored(self, key: str, most: int, on_result: OnStored) -> None:
        """See `Backend`; `on_result` is never called from within this call."""
        stream = self._stream_prefix + key.encode()
        command = packed(b"XREVRANGE", stream, b"+", b"-", b"COUNT", most)
        if self._session.state is SessionState.READY and self._session.fits(len(command)):
            self._session.send(command, self._read, on_result)
        else:
            self._worker.call_later(0, on_result, None)

    def prepare(self) -> None:
        """Do nothing first."""
        self._session.ready()

    def pushed(self, message: list[Any]) -> None:
        """Ignore a push message: nothing is subscribed here."""

    def _answered(self, answer: object, key: str) -> None:
        if answer is LOST:
            self._lost(key)
        elif isinstance(answer, hiredis.ReplyError):
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
