"""Every metric of a host: name, kind, labels and description. docs/reference/metrics.md has the same table.

Names follow the conventions of Prometheus: base units, and `_total` at the end of a counter. Labels name what lasts: a
slot and not a process, so that a reload adds no series.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """How the value of a metric is read."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `name` is that of its samples, of a histogram without `_bucket`, `_sum` and `_count`."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"reactorhost_{name}_total", Kind.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"reactorhost_{name}", Kind.GAUGE, text, labels)


# The host.

BUILD_INFO = Metric(
    "reactorhost_build_info", Kind.INFO, "Always 1; the labels say what runs.", ("name", "version", "python_version")
)
START_TIME = _gauge("start_time_seconds", "Unix time of the start.")
HOST_STATE = _gauge("host_state", "1 for the state that the host is in, 0 for the others.", "state")
READY = _gauge("ready", "1 if new clients should be sent to the host.")
GENERATION = _gauge("generation", "Number of the last reload that a worker became ready with.")
PROBLEMS = _gauge("problems", "Files of the host that were removed or replaced.")
EVENTS = _counter(
    "events", "Events of the log: of the master from level info up, of workers from warning up.", "event", "level"
)
RELOADS = _counter("reloads", "Reloads that ended.", "result")
RELOAD_RUNNING = _gauge("reload_running", "1 while a reload is in progress.")
UPGRADES = _counter("upgrades", "Upgrades that ended.", "result")
LAST_RELOAD = _gauge("last_reload_success_timestamp_seconds", "Unix time of the end of the last successful reload.")

# Slots and workers.

WORKERS_WANTED = _gauge("workers_wanted", "Workers that the host should have.")
WORKERS_READY = _gauge("workers_ready", "Wanted slots with a ready worker whose loop turns.")
WORKERS_MIN = _gauge("workers_min", "Lower end of the range in which the number of workers follows the load.")
WORKERS_MAX = _gauge("workers_max", "Upper end of this range.")
WORKERS_USE = _gauge("workers_use_ratio", "Mean use of the workers, 0 to 1, which the number follows.")
WORKERS = _gauge("workers", "Worker processes by state.", "state")
WORKERS_FULL = _gauge("workers_full", "Workers that cannot accept: at max_connections, or without descriptors.")
SLOTS = _gauge("slots", "Slots by state.", "state")
SLOTS_ADOPTED = _gauge("slots_adopted", "Slots whose sockets a worker of another slot serves.")
SLOT_RESTARTS = _counter("slot_restarts", "Workers of a slot that crashed or did not boot.", "slot")
WORKER_EXITS = _counter("worker_exits", "Workers that ended, by reason.", "reason")
WORKERS_RECYCLED = _counter(
    "workers_recycled", "Workers that were replaced because of a limit, by its setting.", "limit"
)
WORKER_CPU = _counter("worker_cpu_seconds", "Processor time of the workers of a slot.", "slot")
WORKER_BUSY = _counter("worker_busy_seconds", "Time in which the loops of the workers of a slot did not wait.", "slot")
WORKER_MEMORY = _gauge("worker_resident_memory_bytes", "Resident memory of the workers of a slot.", "slot")
WORKER_DESCRIPTORS = _gauge("worker_open_fds", "Open descriptors of a worker.", "slot")
WORKER_LAG = _gauge("worker_loop_lag_seconds", "Longest turn of a worker's loop in the last second.", "slot")
WORKER_HEARTBEAT_AGE = _gauge("worker_heartbeat_age_seconds", "Age of a worker's last heartbeat.", "slot")

# Traffic.

CONNECTIONS = _gauge("connections", "Open connections.", "slot")
MAX_CONNECTIONS = _gauge("max_connections", "Limit of open connections over all wanted workers.")
ACCEPTED = _counter("connections_accepted", "Connections accepted.", "slot")
REFUSED = _counter("connections_refused", "Connections that were refused, or failed before the connect hook.", "slot")
ACCEPT_PAUSES = _counter("accept_pauses", "Pauses of accepting because descriptors or memory ran out.", "slot")
DENIED = _counter("clients_denied", "Connections and datagrams that allow or deny refused.", "slot")
OVER_ADDRESS_LIMIT = _counter(
    "clients_over_address_limit", "Connections that max_connections_per_address refused.", "slot"
)
LATE_MESSAGES = _counter("late_messages", "Connections that message_timeout closed.", "slot")
RATE_PAUSES = _counter("accept_rate_pauses", "Pauses of accepting because of accept_rate.", "slot")
MESSAGES = _counter("messages", "Calls of receive, including datagrams.", "slot")
RECEIVED = _counter("received_bytes", "Bytes received.", "slot")
SENT = _counter("sent_bytes", "Bytes that the kernel accepted for sending.", "slot")
HOOK_ERRORS = _counter("hook_errors", "Exceptions in hooks and timers of plugins.", "slot")
RECEIVE_DURATION = Metric(
    "reactorhost_receive_duration_seconds", Kind.HISTOGRAM, "Duration of receive through all plugins; sampled."
)

# Services and listeners.

SERVICE_WORKERS = _gauge("service_workers", "Wanted workers that accept the clients of a service.", "service")
SERVICE_ACCEPTED = _counter("service_connections_accepted", "Connections that a service has accepted.", "service")
SERVICE_CONNECTIONS = _gauge("service_connections", "Open connections of a service.", "service")
SERVICE_MAX_CONNECTIONS = _gauge(
    "service_max_connections", "Limit of open connections over the workers of a service.", "service"
)
SERVICE_REFUSED = _counter("service_connections_refused", "Connections of a service that were refused.", "service")
SERVICE_MESSAGES = _counter("service_messages", "Calls of receive in a service.", "service")
SERVICE_RECEIVED = _counter("service_received_bytes", "Bytes received from the clients of a service.", "service")
SERVICE_SENT = _counter("service_sent_bytes", "Bytes sent to the clients of a service.", "service")
SERVICE_HOOK_ERRORS = _counter("service_hook_errors", "Exceptions of plugins for a service's clients.", "service")
SERVICE_RECEIVE_DURATION = Metric(
    "reactorhost_service_receive_duration_seconds",
    Kind.HISTOGRAM,
    "Duration of receive through the plugins of a service; sampled.",
    ("service",),
)
_LISTENER = ("service", "address", "slot")
QUEUE_LENGTH = _gauge("listener_queue_length", "Connections that wait to be accepted.", *_LISTENER)
QUEUE_LIMIT = _gauge("listener_queue_limit", "Connections that can wait to be accepted.", *_LISTENER)
LISTENER_DROPPED = _counter("listener_dropped", "Connections or datagrams that the kernel dropped.", *_LISTENER)

# Plugins.

PLUGIN_INFO = Metric(
    "reactorhost_plugin_info",
    Kind.INFO,
    "Always 1; the labels say what the newest ready worker has loaded.",
    ("plugin", "distribution", "version"),
)
PLUGIN_ERRORS = _counter("plugin_errors", "Exceptions in hooks and timers of a plugin.", "plugin")
PLUGIN_TIMED = _counter("plugin_timed_seconds", "Time on the loop in a plugin's timed hooks; sampled.", "plugin")
PLUGIN_WAITED = _counter("plugin_waited_seconds", "Time that a plugin's timed async hooks awaited; sampled.", "plugin")
PLUGIN_RECEIVE_DURATION = Metric(
    "reactorhost_plugin_receive_duration_seconds",
    Kind.HISTOGRAM,
    "Duration of a plugin's own part of receive; sampled.",
    ("plugin",),
)
PLUGIN_COUNTER = _counter("plugin_counter", "Counters and shared counters of a plugin.", "plugin", "name")
PLUGIN_GAUGE = _gauge("plugin_gauge", "What a plugin's stats hook returns, summed over workers.", "plugin", "name")

# The bus.

BUS_GROUPS = _gauge("bus_groups", "Groups that have members, each counted once for each worker with members.")
BUS_MEMBERS = _gauge("bus_members", "Memberships of connections in groups.")
BUS_SENT = _counter("bus_sent_messages", "Messages that plugins have published, or sent to groups and refs.")
BUS_RECEIVED = _counter("bus_received_messages", "Messages from other workers.")
BUS_DROPPED = _counter("bus_dropped_messages", "Messages of the bus that were dropped.")
BUS_BACKEND_UP = _gauge("bus_backend_up", "1 while every worker is connected to the backend of the bus.")

# The master.

MASTER_CPU = _counter("master_cpu_seconds", "Processor time of the master.")
MASTER_MEMORY = _gauge("master_resident_memory_bytes", "Resident memory of the master.")
MASTER_LAG = _gauge("master_loop_lag_seconds", "Longest turn of the master's loop in the last second.")
MASTER_DESCRIPTORS = _gauge("master_open_fds", "Open descriptors of the master.")
MASTER_MAX_DESCRIPTORS = _gauge("master_max_fds", "Limit of open descriptors of the master.")

CATALOG: tuple[Metric, ...] = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))
"""All of them, in the order in which they are shown."""
