"""The databases: keys with their values and times of expiry, and which clients watch them.

A value is `bytes` for a string, `dict` for a hash, `deque` for a list, and `set` for a set. Nothing here reads a clock:
`now` is set before commands run, so that all commands of one batch see the same time.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from reactorhost_redisserver.replies import ReplyError

if TYPE_CHECKING:
    from reactorhost_redisserver.waits import Wait

Hash = dict[bytes, bytes]
List = deque[bytes]
Set = set[bytes]
Value = bytes | Hash | List | Set

KEY_BYTES = 130
"""What a key is counted as for `max_memory`, beside its own bytes and those of its value."""
FIELD_BYTES = 100
"""The same for a field of a hash."""
ELEMENT_BYTES = 60
"""The same for an element of a list."""
MEMBER_BYTES = 100
"""The same for a member of a set."""

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
# A heap entry of a key whose expiry has changed stays until it is due, or until most entries are of that kind.
_FEW_ENTRIES = 1000


class Watcher(Protocol):
    """A client that has sent WATCH."""

    def changed(self) -> None:
        """Remember that a watched key has changed."""


def cost(value: Value) -> int:
    """Return the bytes that a value counts for `max_memory`."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(len, value)) + sum(map(len, value.values())) + FIELD_BYTES * len(value)
    return element_bytes(value) if isinstance(value, deque) else member_bytes(value)


def element_bytes(elements: Collection[bytes]) -> int:
    """Return the bytes that elements of a list count for `max_memory`."""
    return sum(map(len, elements)) + ELEMENT_BYTES * len(elements)


def member_bytes(members: Collection[bytes]) -> int:
    """Return the bytes that members of a set count for `max_memory`."""
    return sum(map(len, members)) + MEMBER_BYTES * len(members)


class Keyspace:
    """All databases of a server.

    Attributes:
        now: Unix time in milliseconds.
        changes: how often a value has changed, from the beginning.
        used: the bytes of all keys and values, as they count for `max_memory`.
        expired: how many keys have expired.
        hits: how often a key that is read was there.
        misses: how often it was not.
        ready: keys that a client waits for, and that began to exist.
    """

    def __init__(self, databases: int = 16) -> None:
        self.now = 0
        self.changes = 0
        self.used = 0
        self.expired = 0
        self.hits = 0
        self.misses = 0
        self.ready: list[tuple[Database, bytes]] = []
        self.databases = [Database(self, index) for index in range(databases)]
        self._expiries: list[tuple[int, int, bytes]] = []

    @property
    def count(self) -> int:
        """How many keys there are."""
        return sum(len(each.values) for each in self.databases)

    def expiry_set(self, database: Database, key: bytes, at: int) -> None:
        """Remember when a key is to be removed."""
        heapq.heappush(self._expiries, (at, database.index, key))
        if len(self._expiries) > _FEW_ENTRIES + 2 * sum(len(each.expires) for each in self.databases):
            self._expiries = [(at, each.index, key) for each in self.databases for key, at in each.expires.items()]
            heapq.heapify(self._expiries)

    def expire(self, most: int) -> int:
        """Remove keys that have expired, at most so many; returns how many entries were looked at."""
        for looked_at in range(most):
            if not self._expiries or self._expiries[0][0] > self.now:
                return looked_at
            at, index, key = heapq.heappop(self._expiries)
            if self.databases[index].expires.get(key) == at:
                self.databases[index].expire(key)
        return most

    def swap(self, one: int, other: int) -> None:
        """Exchange the contents of two databases."""
        first, second = self.databases[one], self.databases[other]
        for database in (first, second):
            database.touch_all()
        first.values, second.values = second.values, first.values
        first.expires, second.expires = second.expires, first.expires
        self._expiries = [(at, each.index, key) for each in self.databases for key, at in each.expires.items()]
        heapq.heapify(self._expiries)
        for database in (first, second):
            database.touch_all()
            self.ready += [(database, key) for key in database.wanted if key in database.values]
        self.changes += 1

    def clear(self) -> None:
        """Remove everything, without a change: the state is about to be replaced."""
        for database in self.databases:
            database.values.clear()
            database.expires.clear()
        self._expiries.clear()
        self.used = 0


class Database:
    """The keys of one database.

    Attributes:
        values: values by key. Read by `find`, which respects the expiry.
        expires: when a key expires, in Unix milliseconds.
        wanted: by key what waits for a list, in the order in which it came.
    """

    __slots__ = ("_watchers", "expires", "index", "keyspace", "values", "wanted")

    def __init__(self, keyspace: Keyspace, index: int) -> None:
        self.keyspace = keyspace
        self.index = index
        self.values: dict[bytes, Value] = {}
        self.expires: dict[bytes, int] = {}
        self.wanted: dict[bytes, dict[Wait, None]] = {}
        self._watchers: dict[bytes, dict[Watcher, None]] = {}

    def find(self, key: bytes) -> Value | None:
        """Return the value of a key."""
        if self.expires and self.expires.get(key, self.keyspace.now) < self.keyspace.now:
            self.expire(key)
        return self.values.get(key)

    def read(self, key: bytes) -> Value | None:
        """Return the value of a key for a command that only reads."""
        value = self.find(key)
        if value is None:
            self.keyspace.misses += 1
        else:
            self.keyspace.hits += 1
        return value

    def string(self, key: bytes) -> bytes | None:
        """Return a string, which must not be of another type."""
        value = self.find(key)
        if value is not None and type(value) is not bytes:
            raise ReplyError(WRONG_TYPE)
        return value

    def hash(self, key: bytes) -> Hash | None:
        """Return a hash, which must not be of another type."""
        value = self.find(key)
        if value is not None and not isinstance(value, dict):
            raise ReplyError(WRONG_TYPE)
        return value

    def elements(self, key: bytes) -> List | None:
        """Return a list, which must not be of another type."""
        value = self.find(key)
        if value is not None and not isinstance(value, deque):
            raise ReplyError(WRONG_TYPE)
        return value

    def members(self, key: bytes) -> Set | None:
        """Return a set, which must not be of another type."""
        value = self.find(key)
        if value is not None and not isinstance(value, set):
            raise ReplyError(WRONG_TYPE)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key, and keep its expiry."""
        old = self.values.get(key)
        if old is None:
            self.keyspace.used += KEY_BYTES + len(key) + len(value)
        else:
            self.keyspace.used += len(value) - (len(old) if isinstance(old, bytes) else cost(old))
        self.values[key] = value
        self.keyspace.changes += 1
        if self._watchers:
            self.touch(key)

    def set(self, key: bytes, value: bytes) -> None:
        """Set the value of a key, without an expiry."""
        self.put(key, value)
        if self.expires:
            self.expires.pop(key, None)

    def store(self, key: bytes, value: Value, expires_at: int | None) -> None:
        """Set a key that does not exist."""
        self.values[key] = value
        if key in self.wanted:
            self.keyspace.ready.append((self, key))
        self.keyspace.used += KEY_BYTES + len(key) + cost(value)
        self.changed(key)
        if expires_at is not None:
            self.expire_at(key, expires_at)

    def pop(self, key: bytes, elements: List, count: int, *, left: bool) -> Sequence[bytes]:
        """Remove elements from one end of a list, and the list with its last one; returns them."""
        pop = elements.popleft if left else elements.pop
        removed = [pop() for _ in range(min(count, len(elements)))]
        self.shrunk(key, elements, removed)
        return removed

    def shrunk(self, key: bytes, elements: List, removed: Sequence[bytes]) -> None:
        """Handle that elements were removed from a list, which does not exist without one."""
        if removed:
            self.changed(key, -element_bytes(removed))
        if not elements:
            self.remove(key)

    def changed(self, key: bytes, used: int = 0) -> None:
        """Handle that a value has changed, which now uses so many bytes more."""
        self.keyspace.used += used
        self.keyspace.changes += 1
        if self._watchers:
            self.touch(key)

    def remove(self, key: bytes) -> Value | None:
        """Remove a key, and return its value."""
        value = self.values.pop(key, None)
        if value is not None:
            self.expires.pop(key, None)
            self.changed(key, -KEY_BYTES - len(key) - cost(value))
        return value

    def expire(self, key: bytes) -> None:
        """Remove a key because its time has passed."""
        self.keyspace.expired += 1
        self.remove(key)

    def expire_at(self, key: bytes, at: int) -> None:
        """Set when an existing key expires."""
        self.expires[key] = at
        self.keyspace.expiry_set(self, key, at)

    def persist(self, key: bytes) -> bool:
        """Remove the expiry of a key."""
        return self.expires.pop(key, None) is not None

    def live_keys(self) -> Iterator[bytes]:
        """Return the keys that have not expired, in no order."""
        now, expires = self.keyspace.now, self.expires
        return (key for key in self.values if expires.get(key, now) >= now)

    def clear(self) -> int:
        """Remove all keys, and return how many there were."""
        self.touch_all()
        count = len(self.values)
        self.keyspace.used -= sum(KEY_BYTES + len(key) + cost(value) for key, value in self.values.items())
        self.keyspace.changes += count
        self.values.clear()
        self.expires.clear()
        return count

    def watch(self, key: bytes, watcher: Watcher) -> None:
        """Notify a client of the next change of a key."""
        self._watchers.setdefault(key, {})[watcher] = None

    def unwatch(self, key: bytes, watcher: Watcher) -> None:
        """Notify a client no more."""
        watchers = self._watchers.get(key, {})
        watchers.pop(watcher, None)
        if not watchers:
            self._watchers.pop(key, None)

    def touch(self, key: bytes) -> None:
        """Notify the clients that watch a key."""
        for watcher in self._watchers.get(key, ()):
            watcher.changed()

    def touch_all(self) -> None:
        """Notify the clients that watch a key that exists."""
        for key in self._watchers:
            if key in self.values:
                self.touch(key)
