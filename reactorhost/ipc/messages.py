"""What master and worker say to each other, one JSON object a line (`reactorhost.ipc.jsonlines`).

An order carries `order` and its fields, a report carries `report` and its fields; descriptors ride along where told.
"""

from __future__ import annotations

import enum


class Order(enum.StrEnum):
    """From master to worker."""

    SERVE = "serve"
    """Accept from the listeners borrowed at the fork."""
    ADOPT = "adopt"
    """Accept for another slot too: `slot`, `listeners` (`service` and `scheme` of each descriptor that comes along)."""
    RELEASE = "release"
    """Leave the listeners of `slot` to others."""
    DRAIN = "drain"
    """Accept no more and leave when the connections ended, at most `seconds` from now; `final`: nobody else will
    accept, so take first what waits in the queues."""
    CONNECTIONS = "connections"
    """List the connections under the number `request`."""
    REOPEN = "reopen"
    """Open the log file again."""


class Report(enum.StrEnum):
    """From worker to master."""

    READY = "ready"
    """Booted, and speaking from inside its loop: `plugins`."""
    FAILED = "failed"
    """Could not boot: `status` (an exit status), `what`, `where`, `hint`, `details`."""
    LEAVING = "leaving"
    """Was told by a signal to leave: `seconds` at most until it does."""
    RELEASED = "released"
    """Closed its copies of the listeners of `slot`: was told to, or drains."""
    HOOK_FAILED = "hook_failed"
    """A hook raised: `plugin`, `error`; at most once a second for each plugin."""
    STATS = "stats"
    """Numbers of plugins that changed: `counters` and `gauges`, each by plugin and name; at most once a second."""
    CONNECTIONS = "connections"
    """Some rows of the list `request`; `last` on the last of them."""


Values = dict[str, int | float]
"""Metrics of one plugin by name."""

MAX_METRICS = 50
"""Metrics of one plugin in one worker: counters and gauges together."""
