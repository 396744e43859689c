"""The status document: the state of a host as the master returns it to `status`, `top` and other programs.

Seconds and bytes are plain numbers; a rate is over the last second; None means unknown, never zero. Latencies are of
sampled calls of `receive` (see docs/reference/status.md), over the last five seconds.
"""

from __future__ import annotations

from typing import TypedDict

SCHEMA = 2

CRASH_SECONDS = 3600.0
"""How long a crash stays in the document."""


class PluginStatus(TypedDict):
    """A plugin as the workers loaded it; `distribution` and `version` are None for a file or a module."""

    name: str
    distribution: str | None
    version: str | None


class ChainPluginStatus(PluginStatus):
    """A plugin in the chain of a service."""

    time_share: float | None
    """Its share of the time that the service's plugins spend on the loop, 0 to 1; None without a sample."""


class QueueStatus(TypedDict):
    """The connections that wait to be accepted, in all listening sockets of a service; None if it has none."""

    depth: int | None
    limit: int | None
    dropped: int | None
    """Connections that the kernel dropped, mostly because a queue was full."""


class ServiceStatus(TypedDict):
    """One service: the addresses that are bound, its plugins in calling order, and its clients.

    Its figures are as of the last whole second of the host's own clock.
    """

    name: str
    addresses: list[str]
    plugins: list[ChainPluginStatus]
    receives: bool | None
    """Whether a plugin of it has the hook `receive`; None before a worker has loaded them."""
    workers: int
    """How many of the wanted workers accept its clients."""
    limited_by: str | None
    """The plugin that allows fewer workers than the operator; None if none does."""
    max_connections: int
    """Open connections that these workers together may have."""
    connections: int
    """Open now, pending handshakes included."""
    totals: Totals
    rates: Rates
    latency: Latency
    queue: QueueStatus
    bus_members: int
    """Memberships of its connections in groups. Messages have no service: a plugin sends them for all its services."""


class Totals(TypedDict):
    """Sums since the start; a host's include workers that have ended. `connections` are open now."""

    connections: int
    accepted: int
    refused: int
    """Connections that a plugin ended in its `connect` hook, and failed handshakes."""
    messages: int
    """Calls of `receive`."""
    bytes_in: int
    bytes_out: int
    hook_errors: int


class LimitTotals(TypedDict):
    """How often the limits for clients took effect since the start, in all workers."""

    denied: int
    """Connections and datagrams that `allow` or `deny` refused."""
    over_address_limit: int
    """Connections that `max_connections_per_address` refused."""
    late_messages: int
    """Connections that `message_timeout` closed."""
    rate_pauses: int
    """Pauses of accepting because of `accept_rate`."""


class Rates(TypedDict):
    """Totals per second."""

    accepted: float
    refused: float
    messages: float
    bytes_in: float
    bytes_out: float
    hook_errors: float


class Latency(TypedDict):
    """Durations of `receive`; None without a sample."""

    p50_seconds: float | None
    p99_seconds: float | None
    p999_seconds: float | None
    max_seconds: float | None


class MasterStatus(TypedDict):
    """The master process."""

    pid: int
    cpu_percent: float | None
    rss_bytes: int | None
    pss_bytes: int | None
    lag_max_seconds: float
    """Longest turn of its loop in the last second."""
    descriptors: int | None


class BackendStatus(TypedDict):
    """The connection of the bus to other machines; of a host, the worst one of its workers."""

    url: str
    """The setting `bus_url`, without user, password and query."""
    state: str
    """connecting, up or down."""
    reason: str | None


class BusStatus(TypedDict):
    """What workers exchange. A host's figures are sums over its workers, of totals with those that have ended."""

    groups: int
    """Groups that have members; of a host, one with members in two workers counts twice."""
    members: int
    """Memberships of connections in groups."""
    messages_in: int
    """Messages from other workers."""
    messages_out: int
    """Messages that plugins have sent to topics, groups and refs."""
    dropped: int
    """Messages that were lost on their way to or from other workers."""
    in_per_second: float
    out_per_second: float
    dropped_per_second: float
    backend: BackendStatus | None
    """None without the setting `bus_url`, and before a worker has reported."""


class StallStatus(TypedDict):
    """The code that blocks the loop of a worker, as its watchdog found it."""

    plugin: str
    hook: str
    where: str
    """File and line, as in the log."""
    peer: str | None
    """The client that it is called for; None if it is called for none, as a timer of the worker is."""
    seconds: float
    """How long it has blocked the loop; of a moment up to a second ago while it still does."""


class BootStatus(TypedDict):
    """Which code of a plugin runs in a worker that boots."""

    step: str
    """import, configure or worker_start."""
    plugin: str
    seconds: float
    """Time in this step."""


class HoldStatus(TypedDict):
    """Why a plugin keeps a worker that drains from leaving."""

    plugin: str
    reason: str


class WorkerStatus(Totals):
    """One worker process. Seconds are counted to the moment of the document."""

    slot: int
    pid: int
    generation: int
    state: str
    """starting, ready, draining, stopping or stuck."""
    boot: BootStatus | None
    """None unless it is starting and has begun to run such code."""
    holds: list[HoldStatus]
    """What keeps it from leaving, if it drains and has nothing else to wait for."""
    uptime_seconds: float
    state_seconds: float
    """Time in this state."""
    deadline_seconds: float | None
    """Time until the master ends this state."""
    tick_age_seconds: float | None
    """Age of the last write to the scoreboard."""
    leader: bool
    """Whether it leads; at most one worker does."""
    full: bool
    """Cannot accept: it has `max_connections` connections, or no descriptors left."""
    lag_max_seconds: float | None
    """Longest turn of its loop in the last second, or the age of the present turn if that is longer."""
    silent_seconds: float | None
    """Time since its loop turned last; None below a second."""
    stall: StallStatus | None
    """What blocks its loop; None while the loop turns, and if the watchdog found no code of a plugin."""
    process_state: str | None
    """What the kernel says of a silent one: running, sleeping, disk, stopped or ended; else None."""
    cpu_percent: float | None
    """Of one processor; of a silent worker as the kernel counts it."""
    busy_percent: float | None
    """Time in which its loop did not wait; of a worker with asyncio without the time in its tasks.
    None while it is silent."""
    rss_bytes: int | None
    pss_bytes: int | None
    """Resident memory with shared pages divided among their users, some seconds old."""
    restarts: int
    """Unexpected ends of workers of its slot."""
    last_exit: str | None
    """How the last worker of its slot that ended unexpectedly exited."""
    adopted_slots: list[int]
    """Other slots whose listeners it serves."""
    rates: Rates
    latency: Latency
    bus: BusStatus | None
    """None if no worker of the host has used the bus."""


class SlotStatus(TypedDict):
    """One place for a worker."""

    slot: int
    state: str
    """ready, starting, stuck, backoff (waits before the next try), or leaving (no worker wanted, still served)."""
    restarts: int
    retry_seconds: float | None
    """Time until the next try, in back-off."""
    adopted_by: int | None
    """Process id of the neighbour that serves its listeners."""
    last_exit: str | None
    reason: str | None
    """Why it is in back-off: the error of the boot, or how the worker ended."""


class ListenerStatus(TypedDict):
    """One bound address, over its sockets: one of each slot, or one that all slots share."""

    service: str
    address: str
    sockets: int
    depth: int | None
    """Connections that wait to be accepted."""
    limit: int | None
    """The most that can wait."""
    dropped: int | None
    """Connections that the kernel dropped, mostly because the queue was full."""
    fullest_slot: int | None
    """The slot of the socket whose queue is the fullest; None if all slots share it."""
    fullest_depth: int | None
    fullest_limit: int | None


class LastError(TypedDict):
    """The newest exception in the code of a plugin."""

    message: str
    hook: str
    where: str
    """File and line of the plugin's code that raised it, or ?."""
    peer: str | None
    """The client that it happened with, if it was one."""
    slot: int
    age_seconds: float


class PluginMetricsStatus(PluginStatus):
    """One plugin, over all workers; sampled values are scaled to all calls."""

    services: list[str]
    connect_per_second: float
    receive_per_second: float
    close_per_second: float
    latency: Latency
    time_share: float | None
    """Its share of the time that plugins spend on the loop, 0 to 1; None without a sample."""
    waiting_share: float | None
    """The part of the time of its own hooks in which they await something, 0 to 1; None without a sample."""
    errors: int
    errors_per_second: float
    last_error: LastError | None
    stats: dict[str, int | float]
    """Its own metrics by name: counters, shared ones too, since the start and with workers that have ended; and sums of
    gauges."""


class EventStatus(TypedDict):
    """An event of the log and its repeats; the newest is the last."""

    id: int
    """Grows with every event: of two versions of an entry, the newer one has the larger id."""
    entry: int
    """Number of the entry, which stays when a repeat changes it."""
    time: float
    """Unix time in seconds, of the newest repeat as `fields`."""
    first_time: float
    level: str
    event: str
    fields: dict[str, str | int | float | None]
    count: int
    slots: list[int]
    """Slots of the workers that the repeats are about."""


class History(TypedDict):
    """Up to five minutes of the host, one sample a second, the newest last; all lists have the same length."""

    end: float
    """Unix time in seconds of the newest sample."""
    interval_seconds: float
    connections: list[int]
    accepted: list[float]
    messages: list[float]
    bytes_in: list[float]
    bytes_out: list[float]
    hook_errors: list[float]


class ScalingStatus(TypedDict):
    """How the number of workers follows the load; the measures are of the last second."""

    min: int
    max: int
    automatic: bool
    """False after a request for a number, until one for `auto` or a range."""
    use: float | None
    """Mean use of the workers, 0 to 1: how busy they are, or their share of `max_connections`."""
    lag_seconds: float | None
    """Longest turn of the worker in the middle."""
    queued: int | None
    """Clients that wait to be accepted."""
    reason: str | None
    """Why the number was changed last."""
    changed_seconds: float | None
    """Time since then."""


class StatusDocument(TypedDict):
    """A host at one moment."""

    schema: int
    version: str
    name: str
    pid: int
    time: float
    """Unix time in seconds of the document."""
    state: str
    """starting, running, leaving (a stop begins after drain_delay) or stopping."""
    ready: bool
    """Whether new clients should be sent to it, as the probe /readyz reports."""
    not_ready: list[str]
    """Why it is not, a sentence each."""
    generation: int
    started_at: float
    """Unix time in seconds."""
    uptime_seconds: float
    daemon: bool
    run_dir: str
    pid_file: str
    log_file: str | None
    config_file: str | None
    admin: list[str]
    """Addresses of the HTTP endpoint, with the real port."""
    backlog: int
    """Connections that each listening socket queues at most, as the kernel limits it."""
    max_connections: int
    """Open connections that all wanted workers that accept clients may have together."""
    workers_wanted: int
    workers_ready: int
    reloading: bool
    scaling: ScalingStatus | None
    """None if the number of workers does not follow the load."""
    recycled: dict[str, int]
    """Workers that were replaced because of a limit, by its setting."""
    limited: LimitTotals
    problems: list[str]
    """What is wrong with files of the host, a sentence each: removed and not made again, or replaced."""
    services: list[ServiceStatus]
    totals: Totals
    rates: Rates
    latency: Latency
    bus: BusStatus | None
    """None if the bus was never used."""
    master: MasterStatus
    slots: list[SlotStatus]
    workers: list[WorkerStatus]
    listeners: list[ListenerStatus]
    plugins: list[PluginMetricsStatus]
    events: list[EventStatus]
    """The newest 50, or those that are newer than the request's `events_since`."""
    crashes: list[EventStatus]
    """Crashes, failed boots, reloads and upgrades of the last hour, and sockets that could not be opened; likewise."""
    history: History | None
    """Only if the request has it: `{"verb": "status", "history": true}`."""
