"""Messages, one JSON object a line, and the fields of those between master and worker.

An order has a field `order`, a report has a field `report`; the other fields are listed below.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator
from typing import Any

Message = dict[str, Any]

_LONGEST_LINE = 4 * 1024 * 1024


class Order(enum.StrEnum):
    """From master to worker."""

    SERVE = "serve"
    """Accept from the listeners borrowed at the fork."""
    ADOPT = "adopt"
    """Accept for another slot too: `slot`, `listeners` (`service` and `scheme` of each attached descriptor).

    With `slot` None: from new unix sockets, each in place of the one whose file had the same path.
    """
    RELEASE = "release"
    """Close the listeners of `slot`; another worker accepts from them."""
    DRAIN = "drain"
    """Accept nothing more and leave when the connections have ended, at most `seconds` from now. `final`: no other
    worker will accept, so accept first what is queued."""
    MOVE = "move"
    """The sockets of `service` in `slots` belong to the slot `to` now, null if they are gone; this worker closes its
    copies. If its own slot is one of them, it closes the socket that all slots share too."""
    REFUSE = "refuse"
    """Refuse the clients of `services` while this worker is full; no other worker has room for them either."""
    LEAD = "lead"
    """Be the leader: `since` and `since_unix`, up to when earlier leaders have started the jobs of the host."""
    COUNT = "count"
    """`count`: the number of wanted workers."""
    CONNECTIONS = "connections"
    """List connections under the number `request`: `query`, the fields of a `ConnectionQuery`."""
    DISCONNECT = "disconnect"
    """Close the connection `id`, and report under the number `request`."""
    REOPEN = "reopen"
    """Write the log to the attached descriptor from now on, and report under the number `request`."""
    USE_BUS = "use_bus"
    """Begin to use the bus, as another worker has done."""
    INTRODUCE = "introduce"
    """The attached descriptor is a socket to the worker `pid`. `late`: messages between the two were lost before."""
    ALL_INTRODUCED = "all_introduced"
    """Every worker that used the bus before this one is introduced."""
    SHARED_COUNTER = "shared_counter"
    """The counter `name` of `plugin` has the `row` of cells, or null if the host has none left."""


class Report(enum.StrEnum):
    """From worker to master."""

    BOOTING = "booting"
    """Is about to run code of a plugin while it boots: `step` (of `BootStep`), `plugin`."""
    READY = "ready"
    """Booted, the event loop turns, and the members of other workers are known: `plugins`, and `service_workers`: by
    service, the most workers that its plugins allow and the plugin that allows no more."""
    FAILED = "failed"
    """Boot failed: `status` (an exit status), `what`, `where`, `hint`, `details`."""
    LEAVING = "leaving"
    """A signal makes the worker leave within `seconds`. `waits`: it serves until it is ordered to drain."""
    FULL = "full"
    """`full`: whether accepting is paused, by `max_connections` or for lack of descriptors."""
    RELEASED = "released"
    """Closed its copies of the sockets of `slot`, after an order or because it drains; `refused`: it had no free
    descriptors for them."""
    STEPPED_DOWN = "stepped_down"
    """Does not lead, or does not any more, because it leaves: `until` and `until_unix`, up to when it has started the
    jobs of the host."""
    HELD = "held"
    """Drains, and only plugins keep it from leaving: `holds`, with `plugin` and `reason` of each; empty when that has
    ended. After the deadline and `worker_stop`: those that were in vain."""
    HOOK_FAILED = "hook_failed"
    """A hook raised an exception: `plugin`, `hook`, `error`, `where`, of a connection also `peer` and `connection`; at
    most once a second for each plugin."""
    EVENT = "event"
    """A warning or an error that the worker has logged, of a few kinds at most four times a second: `level`, `event`,
    `fields`."""
    STATS = "stats"
    """Changed metrics of plugins: `counters` and `gauges`, each by plugin and name; at most once a second."""
    CONNECTIONS = "connections"
    """Some rows of the list `request`; `last` on the last of them. `matched` and `total`: how many connections of the
    worker the query matches so far, and how many it has."""
    DISCONNECTED = "disconnected"
    """Carried out the order `request`: `service` and `peer` of the connection, both null if it is gone."""
    SOURCES = "sources"
    """Imported source files, for `reload_on_change`: `files`, a signature by path; each is reported once."""
    BUS_BACKEND = "bus_backend"
    """The connection of the bus to other machines has changed: `state` (of `BackendState`), `reason`."""
    SHARED_COUNTER = "shared_counter"
    """A plugin has a new shared counter: `plugin`, `name`. The order of the same name answers."""
    REOPENED = "reopened"
    """Carried out the order `request`; `error` is a text, or null if the log is written to the new file."""
    USES_BUS = "uses_bus"
    """Uses the bus from now on: a plugin does, or another worker."""
    NOT_INTRODUCED = "not_introduced"
    """The order to introduce the worker `pid` came without its descriptor."""


class BootStep(enum.StrEnum):
    """Which code of a plugin runs in a worker that boots; the values are public, in the status document."""

    IMPORT = "import"
    CONFIGURE = "configure"
    WORKER_START = "worker_start"


Values = dict[str, int | float]
"""Metrics of one plugin by name."""

MAX_METRICS = 50
"""Metrics of one plugin in one worker: counters and gauges together."""


class MessageDecoder:
    """Splits received bytes into messages; `incomplete` was received before."""

    def __init__(self, incomplete: bytes = b"") -> None:
        self._incomplete = bytearray(incomplete)

    @property
    def incomplete(self) -> bytes:
        """The bytes of a line whose end has not arrived."""
        return bytes(self._incomplete)

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that these bytes complete.

        Raises:
            ConnectionError: a line is not a JSON object, or is too long.
        """
        self._incomplete += data
        # Stored before the first message is yielded: the receiver of a message may stop reading at any of them.
        *lines, self._incomplete = self._incomplete.split(b"\n")
        for line in lines:
            yield _decoded(line)
        if len(self._incomplete) > _LONGEST_LINE:
            raise ConnectionAbortedError(f"the peer sent a line of more than {_LONGEST_LINE} bytes")


def _decoded(line: bytes | bytearray) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        # RecursionError: some thousand nested brackets. UnicodeDecodeError is a ValueError.
        message = None
    if not isinstance(message, dict):
        raise ConnectionAbortedError(f"the peer sent a line that is not a JSON object: {bytes(line[:40])!r}")
    return message
