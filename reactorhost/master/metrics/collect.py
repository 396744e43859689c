"""Collect the values of a scrape from the parts of the master; only reads.

Sums over the workers of a slot include those that ended, and start from the pages of the scoreboard: a worker that
crashes or is replaced makes no counter fall.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from collections import Counter
from collections.abc import Iterable

from reactorhost import __version__
from reactorhost.ipc.counters import Timings
from reactorhost.master.context import MasterContext
from reactorhost.master.listen.slot_socket import Queue
from reactorhost.master.metrics import catalog
from reactorhost.master.metrics.values import Values
from reactorhost.master.plan import readiness
from reactorhost.master.plan.planner import HostState
from reactorhost.master.plan.slot import Slot, SlotState
from reactorhost.master.plan.worker_table import WorkerState
from reactorhost.master.stats.ended_workers import ExitReason, add_timings, plugin_timings
from reactorhost.master.workers.exit_report import Sample
from reactorhost.plugins import discovery
from reactorhost.system import procfs

_TOTALS = (
    (catalog.ACCEPTED, "accepted"),
    (catalog.REFUSED, "refused"),
    (catalog.ACCEPT_PAUSES, "accept_pauses"),
    (catalog.DENIED, "denied"),
    (catalog.OVER_ADDRESS_LIMIT, "over_address_limit"),
    (catalog.LATE_MESSAGES, "late_messages"),
    (catalog.RATE_PAUSES, "rate_pauses"),
    (catalog.MESSAGES, "messages"),
    (catalog.RECEIVED, "bytes_in"),
    (catalog.SENT, "bytes_out"),
    (catalog.HOOK_ERRORS, "hook_errors"),
    (catalog.WORKER_CPU, "cpu_seconds"),
    (catalog.WORKER_BUSY, "busy_seconds"),
)
_SERVICE_NUMBERS = (
    (catalog.SERVICE_CONNECTIONS, "connections"),
    (catalog.SERVICE_ACCEPTED, "accepted"),
    (catalog.SERVICE_REFUSED, "refused"),
    (catalog.SERVICE_MESSAGES, "messages"),
    (catalog.SERVICE_RECEIVED, "bytes_in"),
    (catalog.SERVICE_SENT, "bytes_out"),
    (catalog.SERVICE_HOOK_ERRORS, "hook_errors"),
)
_SLOT_STATES = tuple(dict.fromkeys(Slot(0, state=state).status for state in SlotState))
_RESULTS = (
    (catalog.RELOADS, "succeeded", "reload_finished", "info"),
    (catalog.RELOADS, "failed", "reload_failed", "error"),
    (catalog.UPGRADES, "succeeded", "upgraded", "info"),
    (catalog.UPGRADES, "failed", "upgrade_failed", "error"),
)


def collect(context: MasterContext, started_at: float, now: float) -> Values:
    """Return all values of this moment; `started_at` is Unix time, `now` monotonic."""
    values = Values()
    samples = context.pool.samples(now)
    _host(values, context, started_at)
    _slots(values, context)
    _workers(values, context, samples, now)
    _services(values, context)
    _listeners(values, context.listeners.queues())
    _plugins(values, context, samples)
    _bus(values, context, samples)
    _master(values, context)
    return values


def _host(values: Values, context: MasterContext, started_at: float) -> None:
    planner, log = context.planner, context.log
    values.set(catalog.BUILD_INFO, 1, planner.settings.name, __version__, platform.python_version())
    values.set(catalog.START_TIME, started_at)
    for state in HostState:
        values.set(catalog.HOST_STATE, planner.state is state, state.value)
    values.set(catalog.READY, not readiness.reasons(planner))
    values.set(catalog.GENERATION, planner.generation)
    values.set(catalog.PROBLEMS, len(context.problems))
    for (event, level), count in log.counts.items():
        values.set(catalog.EVENTS, count, event, level)
    for metric, result, event, level in _RESULTS:
        values.set(metric, log.counts[event, level], result)
    values.set(catalog.RELOAD_RUNNING, planner.reload.running)
    values.set(catalog.LAST_RELOAD, log.newest.get("reload_finished"))


def _slots(values: Values, context: MasterContext) -> None:
    planner = context.planner
    values.set(catalog.WORKERS_WANTED, planner.scaling.target)
    values.set(catalog.WORKERS_READY, readiness.serving_slots(planner))
    if (limits := planner.autoscale.range) is not None:
        values.set(catalog.WORKERS_MIN, limits.least)
        values.set(catalog.WORKERS_MAX, limits.most)
        if (load := planner.autoscale.load) is not None:
            values.set(catalog.WORKERS_USE, load.use)
    by_state = Counter(slot.status for slot in planner.slots.values())
    for state in _SLOT_STATES:
        values.set(catalog.SLOTS, by_state[state], state)
    values.set(catalog.SLOTS_ADOPTED, sum(slot.adopter is not None for slot in planner.slots.values()))
    for slot in planner.slots.values():
        values.set(catalog.SLOT_RESTARTS, slot.restarts, slot.number)


def _workers(values: Values, context: MasterContext, samples: dict[int, Sample], now: float) -> None:
    planner, ended = context.planner, context.monitor.samples.ended
    by_state = Counter(worker.state for worker in planner.workers.values())
    for state in WorkerState:
        values.set(catalog.WORKERS, by_state[state], state)
    values.set(catalog.WORKERS_FULL, sum(worker.full for worker in planner.workers.values()))
    most = min(planner.scaling.target, planner.limits.most())
    values.set(catalog.MAX_CONNECTIONS, planner.settings.max_connections * most)
    for reason in ExitReason:
        values.set(catalog.WORKER_EXITS, ended.exits[reason], reason)
    for limit, count in planner.recycle_limits.recycled.items():
        values.set(catalog.WORKERS_RECYCLED, count, limit)
    for number, past in ended.slots.items():
        for metric, name in _TOTALS:
            values.set(metric, getattr(past, name), number)
    receive = Timings()
    add_timings(receive, ended.receive, *(sample.timings[0] for sample in samples.values()))
    values.set_histogram(catalog.RECEIVE_DURATION, receive)
    for worker in planner.workers.values():
        counters, slot = samples[worker.pid].counters, worker.slot
        for metric, name in _TOTALS:
            values.add(metric, getattr(counters, name), slot)
        values.add(catalog.CONNECTIONS, counters.connections, slot)
        values.add(catalog.WORKER_MEMORY, procfs.resident_bytes(worker.pid), slot)
        values.raise_to(catalog.WORKER_DESCRIPTORS, procfs.descriptors_of(worker.pid), slot)
        if counters.tick:
            # Before its first turn a worker has stored nothing.
            values.raise_to(catalog.WORKER_LAG, counters.lag_max_seconds, slot)
            values.raise_to(catalog.WORKER_HEARTBEAT_AGE, max(0.0, now - counters.tick), slot)


def _services(values: Values, context: MasterContext) -> None:
    planner, sums = context.planner, context.monitor.services
    for position, service in enumerate(planner.settings.services):
        workers = min(planner.scaling.target, planner.limits.of(service.name))
        values.set(catalog.SERVICE_WORKERS, workers, service.name)
        counters = sums.counters(position)
        for metric, name in _SERVICE_NUMBERS:
            values.set(metric, getattr(counters, name), service.name)
        values.set_histogram(catalog.SERVICE_RECEIVE_DURATION, sums.timings(position), service.name)
        values.set(catalog.SERVICE_MAX_CONNECTIONS, planner.settings.max_connections * workers, service.name)


def _listeners(values: Values, queues: Iterable[tuple[str, str, Queue]]) -> None:
    for service, address, queue in queues:
        # A service with fewer workers has several sockets of one address in a slot (service_limits.py).
        labels = service, address, "all" if queue.slot is None else queue.slot
        values.add(catalog.QUEUE_LENGTH, queue.depth, *labels)
        values.add(catalog.QUEUE_LIMIT, queue.limit, *labels)
        values.add(catalog.LISTENER_DROPPED, queue.dropped, *labels)


def _plugins(values: Values, context: MasterContext, samples: dict[int, Sample]) -> None:
    loaded, ended = context.pool.plugins(), context.monitor.samples.ended
    timings: dict[str, list[Timings]] = {}
    for sample in samples.values():
        for name, each in plugin_timings(sample):
            timings.setdefault(name, []).append(each)
    services = context.planner.settings.services
    for name in {discovery.name_of(named): None for service in services for named in service.plugins}:
        plugin = loaded.get(name, {})
        values.set(catalog.PLUGIN_INFO, 1, name, plugin.get("distribution") or "", plugin.get("version") or "")
        total = Timings()
        add_timings(total, ended.plugins.get(name, Timings()), *timings.get(name, ()))
        values.set(catalog.PLUGIN_ERRORS, total.errors, name)
        values.set(catalog.PLUGIN_TIMED, total.nanoseconds / 1e9, name)
        values.set(catalog.PLUGIN_WAITED, total.waiting_nanoseconds / 1e9, name)
        values.set_histogram(catalog.PLUGIN_RECEIVE_DURATION, total, name)
        metrics = context.monitor.metrics
        for counter, number in {**metrics.counters(name), **context.shared_counters.of(name)}.items():
            values.set(catalog.PLUGIN_COUNTER, number, name, counter)
        for gauge, number in metrics.gauges(name).items():
            values.set(catalog.PLUGIN_GAUGE, number, name, gauge)


def _bus(values: Values, context: MasterContext, samples: dict[int, Sample]) -> None:
    counters = {pid: sample.counters for pid, sample in samples.items()}
    reading = context.bus.read(context.planner.settings.bus_url, counters)
    if reading is None:
        # No plugin uses it.
        return
    bus = reading.host
    values.set(catalog.BUS_GROUPS, bus["groups"])
    values.set(catalog.BUS_MEMBERS, bus["members"])
    values.set(catalog.BUS_SENT, bus["messages_out"])
    values.set(catalog.BUS_RECEIVED, bus["messages_in"])
    values.set(catalog.BUS_DROPPED, bus["dropped"])
    if bus["backend"] is not None:
        values.set(catalog.BUS_BACKEND_UP, bus["backend"]["state"] == "up")


def _master(values: Values, context: MasterContext) -> None:
    values.set(catalog.MASTER_CPU, time.process_time())
    values.set(catalog.MASTER_MEMORY, procfs.resident_bytes(os.getpid()))
    values.set(catalog.MASTER_LAG, context.monitor.lag_max_seconds)
    values.set(catalog.MASTER_DESCRIPTORS, procfs.open_descriptors())
    values.set(catalog.MASTER_MAX_DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
