"""The bus over Redis: one connection for what is received, and one for what is published and stored.

The names of the server, with the default prefix:

    reactorhost:KEY          channel of a key; with another database than 0, reactorhost@DATABASE:KEY
    reactorhost:kept:KEY     stream with the stored payloads of a key

Redis separates streams by database, but not channels: their names do it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence

from reactorhost import Worker
from reactorhost.bus import BackendLink, BackendState, Keep
from reactorhost_redis.fence import Fence
from reactorhost_redis.publisher import Publisher
from reactorhost_redis.redis_url import RedisUrl
from reactorhost_redis.refusals import RefusalLog
from reactorhost_redis.session import Session, SessionState
from reactorhost_redis.subscriber import Subscriber


class RedisBackend:
    """The bus of one worker over one server."""

    # Set by `start`; nothing is called before.
    _link: BackendLink

    def __init__(self, worker: Worker, url: RedisUrl) -> None:
        """Make the parts, without a connection.

        Raises:
            ValueError: a file of TLS cannot be used.
        """
        self._worker = worker
        self._state = BackendState.CONNECTING
        self._reason = ""
        refusals = RefusalLog(worker.log, worker.now)
        tls = _tls_context(url) if url.uses_tls else None
        name = f"reactorhost-{worker.slot}-{worker.pid}"
        database = f"@{url.database}" if url.database else ""
        channels = f"{url.prefix}{database}:".encode()
        streams = f"{url.prefix}:kept:".encode()
        self._publishing = Session(worker, url, tls, f"{name}-commands", refusals, self._session_changed)
        self._subscribing = Session(
            worker, url, tls, f"{name}-pubsub", refusals, self._session_changed, self._may_subscribe
        )
        fence = Fence()
        self._publisher = Publisher(worker, self._publishing, url, (channels, streams), fence, refusals, self._lost_one)
        self._subscriber = Subscriber(worker, self._subscribing, channels, fence, self._received)
        self._publishing.user = self._publisher
        self._subscribing.user = self._subscriber
        self._lost: dict[str, int] = {}
        # Whether something may have been missed since the link was last notified of UP, and what has arrived meanwhile.
        self._interrupted = False
        self._held: list[tuple[str, bytes]] = []
        self._most_held_bytes = url.max_queue
        self._held_bytes = 0

    def start(self, link: BackendLink) -> None:
        """See `Backend`."""
        self._link = link
        link.state_changed(BackendState.CONNECTING)
        self._publishing.start()

    def publish(self, key: str, payload: bytes, keep: Keep | None) -> bool:
        """See `Backend`."""
        return self._publisher.publish(key, payload, keep)

    def subscribe(self, pattern: str) -> None:
        """See `Backend`."""
        self._subscriber.subscribe(pattern)

    def unsubscribe(self, pattern: str) -> None:
        """See `Backend`."""
        self._subscriber.unsubscribe(pattern)

    def stored(self, key: str, most: int, on_result: Callable[[Sequence[bytes] | None], object]) -> None:
        """See `Backend`."""
        self._publisher.stored(key, most, on_result)

    def stop(self) -> None:
        """See `Backend`."""
        self._publishing.stop()
        self._subscribing.stop()

    def _received(self, key: str, payload: bytes) -> None:
        if not self._interrupted:
            self._link.received(key, payload)
        # What does not fit is missing behind the rest, and noticed by its number.
        elif self._held_bytes + len(payload) <= self._most_held_bytes:
            self._held.append((key, payload))
            self._held_bytes += len(payload)

    def _lost_one(self, key: str) -> None:
        # Reported together: a connection that breaks loses all that is not answered.
        if not self._lost:
            self._worker.call_later(0, self._report_lost)
        self._lost[key] = self._lost.get(key, 0) + 1

    def _report_lost(self) -> None:
        lost, self._lost = self._lost, {}
        self._link.lost(tuple(lost), sum(lost.values()))

    def _may_subscribe(self) -> bool:
        return self._publishing.state is SessionState.READY

    def _session_changed(self, reason: str) -> None:
        publishing, subscribing = self._publishing.state, self._subscribing.state
        if publishing is subscribing is SessionState.READY:
            self._change(BackendState.UP, "")
            self._deliver_held()
        elif publishing is SessionState.READY and subscribing is SessionState.WAITING and not reason:
            # Second, so that the link is notified of UP as soon as messages arrive, and can read what is stored.
            self._subscribing.start()
        elif reason:
            self._interrupted = self._interrupted or subscribing is not SessionState.READY
            self._change(BackendState.DOWN, reason)

    def _deliver_held(self) -> None:
        # After UP: the link then notifies of what is missing, once and before these.
        held, self._held = self._held, []
        self._held_bytes = 0
        self._interrupted = False
        for key, payload in held:
            self._link.received(key, payload)

    def _change(self, state: BackendState, reason: str) -> None:
        if (state, reason) != (self._state, self._reason):
            self._state, self._reason = state, reason
            self._link.state_changed(state, reason)


def _tls_context(url: RedisUrl) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=url.ca)
    except OSError as error:
        raise ValueError(f"the file of the option ca, {url.ca}, cannot be used: {error.strerror or error}") from error
    if url.certificate is not None:
        try:
            context.load_cert_chain(url.certificate, url.key)
        except OSError as error:
            what = f"the client certificate {url.certificate} cannot be used: {error.strerror or error}"
            raise ValueError(what) from error
    return context
