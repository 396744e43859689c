"""What is collected of a host: sums that survive workers, gauges of those that live, and one value for each series."""

from __future__ import annotations

import pytest

from measured_host import STARTED_AT, MeasuredHost
from reactorhost.config.worker_count import WorkerRange
from reactorhost.ipc.counters import TOTALS
from reactorhost.ipc.jsonlines import Message
from reactorhost.master.listen.slot_socket import Queue
from reactorhost.master.metrics import catalog
from reactorhost.master.metrics.catalog import Metric
from reactorhost.master.metrics.values import Values
from reactorhost.master.plan.autoscale import Load
from reactorhost.master.plan.worker_table import WorkerState
from reactorhost.system import procfs

EVERY_TOTAL = {
    catalog.ACCEPTED: "accepted",
    catalog.REFUSED: "refused",
    catalog.DENIED: "denied",
    catalog.OVER_ADDRESS_LIMIT: "over_address_limit",
    catalog.LATE_MESSAGES: "late_messages",
    catalog.RATE_PAUSES: "rate_pauses",
    catalog.ACCEPT_PAUSES: "accept_pauses",
    catalog.MESSAGES: "messages",
    catalog.RECEIVED: "bytes_in",
    catalog.SENT: "bytes_out",
    catalog.HOOK_ERRORS: "hook_errors",
    catalog.WORKER_CPU: "cpu_seconds",
    catalog.WORKER_BUSY: "busy_seconds",
}


def value(values: Values, metric: Metric, *labels: str) -> float:
    return values.numbers[metric][labels]


@pytest.mark.parametrize(("metric", "name"), EVERY_TOTAL.items(), ids=EVERY_TOTAL.values())
def test_a_counter_of_a_slot_continues_after_the_end_of_its_worker(metric: Metric, name: str) -> None:
    host = MeasuredHost(2)
    first, second = host.start()
    host.count(first, **{name: 10})
    host.count(second, **{name: 3})
    assert value(host.collect(), metric, "0") == 10
    host.count(first, **{name: 12})
    host.end(first)
    # Its page is gone; the one of the new worker is empty.
    assert value(host.collect(), metric, "0") == 12
    host.count(max(host.pool.pages), **{name: 5})
    assert value(host.collect(), metric, "0") == 17
    assert value(host.collect(), metric, "1") == 3


def test_every_counter_of_a_worker_is_collected() -> None:
    assert set(EVERY_TOTAL.values()) == {name for name in TOTALS if not name.startswith("bus_")}


def test_a_slot_that_the_host_was_scaled_below_keeps_its_counters() -> None:
    host = MeasuredHost(2)
    _, second = host.start()
    host.count(second, messages=7)
    host.planner.scaling.request(1)
    host.settle()
    host.end(second, "exit status 0")
    assert value(host.collect(), catalog.MESSAGES, "1") == 7
    assert value(host.collect(), catalog.WORKERS_WANTED) == 1


def test_workers_of_one_slot_are_added_up_or_the_worst_is_shown() -> None:
    host = MeasuredHost(1)
    (old,) = host.start()
    host.planner.reload.request()
    host.planner.begin_reload()
    host.settle()
    new = max(host.pool.pages)
    host.planner.ready(new, host.now)
    host.settle()
    assert host.planner.workers[old].state is WorkerState.DRAINING
    host.count(old, connections=3, messages=30, lag_max_seconds=0.5, tick=host.now - 0.1)
    host.count(new, connections=4, messages=40, lag_max_seconds=0.2, tick=host.now - 2.5)
    values = host.collect()
    assert value(values, catalog.CONNECTIONS, "0") == 7
    assert value(values, catalog.MESSAGES, "0") == 70
    assert value(values, catalog.WORKER_LAG, "0") == 0.5
    assert value(values, catalog.WORKER_HEARTBEAT_AGE, "0") == pytest.approx(2.5)
    assert value(values, catalog.WORKERS, "draining") == value(values, catalog.WORKERS, "ready") == 1


def test_descriptors_are_those_of_the_worker_that_has_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    host = MeasuredHost(1)
    (old,) = host.start()
    host.planner.reload.request()
    host.planner.begin_reload()
    host.settle()
    monkeypatch.setattr(procfs, "descriptors_of", lambda pid: 70 if pid == old else 20)
    assert value(host.collect(), catalog.WORKER_DESCRIPTORS, "0") == 70
    monkeypatch.setattr(procfs, "descriptors_of", lambda pid: None)
    assert catalog.WORKER_DESCRIPTORS not in host.collect().numbers


def test_a_worker_that_boots_has_no_heartbeat_yet() -> None:
    host = MeasuredHost(1)
    host.settle()
    values = host.collect()
    assert catalog.WORKER_HEARTBEAT_AGE not in values.numbers
    assert catalog.WORKER_LAG not in values.numbers
    assert value(values, catalog.HOST_STATE, "starting") == 1
    assert value(values, catalog.HOST_STATE, "running") == value(values, catalog.WORKERS_READY) == 0
    assert value(values, catalog.START_TIME) == STARTED_AT


@pytest.mark.parametrize(
    ("how", "state", "reason"),
    [
        ("exit status 0", WorkerState.DRAINING, "expected"),
        ("exit status 3", WorkerState.STARTING, "not_booted"),
        ("signal 11 (SIGSEGV)", WorkerState.READY, "crashed"),
        ("signal 6 (SIGABRT)", WorkerState.STUCK, "stuck"),
        ("signal 9 (SIGKILL), sent by the kernel: out of memory", WorkerState.READY, "out_of_memory"),
    ],
)
def test_the_reason_of_an_exit_is_counted(how: str, state: WorkerState, reason: str) -> None:
    host = MeasuredHost(2)
    first, _ = host.start()
    before = host.collect().numbers[catalog.WORKER_EXITS]
    assert set(before.values()) == {0}, "an alert on an increase needs the series before the first exit"
    host.planner.workers[first].state = state
    host.end(first, how)
    after = host.collect().numbers[catalog.WORKER_EXITS]
    assert {labels for labels, count in after.items() if count} == {(reason,)}


def test_reloads_are_counted_by_result_and_the_last_success_has_a_time() -> None:
    host = MeasuredHost(1)
    host.start()
    assert host.collect().numbers[catalog.RELOADS] == {("succeeded",): 0, ("failed",): 0}
    assert catalog.LAST_RELOAD not in host.collect().numbers
    host.log.info("reload_finished", generation=2)
    host.log.error("reload_failed", slot=0, error="it raised")
    host.log.info("reload_finished", generation=3)
    values = host.collect()
    assert values.numbers[catalog.RELOADS] == {("succeeded",): 2, ("failed",): 1}
    assert value(values, catalog.LAST_RELOAD) == host.log.events()[-1]["time"]
    assert value(values, catalog.EVENTS, "reload_finished", "info") == 2


def test_upgrades_are_counted_by_result() -> None:
    host = MeasuredHost(1)
    assert host.collect().numbers[catalog.UPGRADES] == {("succeeded",): 0, ("failed",): 0}
    host.log.info("upgraded", before="1", version="2", python_before="3.13")
    host.log.error("upgrade_failed", error="it raised")
    assert host.collect().numbers[catalog.UPGRADES] == {("succeeded",): 1, ("failed",): 1}


def test_events_are_counted_beyond_those_that_are_kept() -> None:
    host = MeasuredHost(1)
    for _ in range(1000):
        host.log.remember("error", "hook_failed", slot=0)
    assert value(host.collect(), catalog.EVENTS, "hook_failed", "error") == 1000


def test_the_host_is_ready_as_its_probe_says() -> None:
    host = MeasuredHost(2, ready_min=2)
    first, _ = host.start()
    assert value(host.collect(), catalog.READY) == 1
    host.planner.workers[first].silent = True
    assert value(host.collect(), catalog.READY) == 0
    assert value(host.collect(), catalog.WORKERS_READY) == 1


def test_the_slots_are_counted_by_state() -> None:
    host = MeasuredHost(3)
    first, *_ = host.start()
    host.planner.slots[1].adopter = first
    host.planner.slots[2].restarts = 4
    host.planner.workers[first].full = True
    values = host.collect()
    assert values.numbers[catalog.SLOTS] == {("starting",): 0, ("backoff",): 0, ("ready",): 3, ("leaving",): 0}
    assert value(values, catalog.SLOTS_ADOPTED) == value(values, catalog.WORKERS_FULL) == 1
    assert value(values, catalog.SLOT_RESTARTS, "2") == 4


def test_the_range_of_workers_is_shown_while_their_number_follows_the_load() -> None:
    host = MeasuredHost(2)
    host.start()
    assert catalog.WORKERS_MIN not in host.collect().numbers
    host.planner.autoscale.range = WorkerRange(2, 8)
    assert catalog.WORKERS_USE not in host.collect().numbers, "no sample yet"
    host.planner.autoscale.load = Load(
        2, busy=0.5, connections=0.25, lag_seconds=0.1, queued=0, cpus=1.0, cpus_usable=4
    )
    values = host.collect()
    assert [value(values, each) for each in (catalog.WORKERS_MIN, catalog.WORKERS_MAX)] == [2, 8]
    assert value(values, catalog.WORKERS_USE) == 0.5


def test_several_sockets_of_an_address_in_a_slot_are_one_series() -> None:
    host = MeasuredHost(1)
    moved = Queue(256, depth=2, limit=16, dropped=1)
    queues = [Queue(0, depth=1, limit=16, dropped=0), moved, moved, Queue(None, depth=None, limit=None, dropped=None)]
    host.listening = [("chat", "tcp://127.0.0.1:9000", queue) for queue in queues]
    values = host.collect()
    assert value(values, catalog.QUEUE_LENGTH, "chat", "tcp://127.0.0.1:9000", "0") == 1
    assert value(values, catalog.QUEUE_LENGTH, "chat", "tcp://127.0.0.1:9000", "256") == 4
    assert value(values, catalog.QUEUE_LIMIT, "chat", "tcp://127.0.0.1:9000", "256") == 32
    assert value(values, catalog.LISTENER_DROPPED, "chat", "tcp://127.0.0.1:9000", "256") == 2
    # What the kernel does not count of a unix socket is unknown, and not 0.
    assert all(labels[2] != "all" for labels in values.numbers[catalog.QUEUE_LENGTH])


def test_histograms_continue_after_the_end_of_a_worker() -> None:
    host = MeasuredHost(2, ("log", "echo"))
    first, second = host.start()
    host.received(first, 1e-5, 1e-3)
    host.received(first, 1e-5, plugin=1, errors=2)
    host.received(second, 2.0)
    host.end(first)
    host.received(max(host.pool.pages), 1e-5, plugin=1)
    values = host.collect()
    whole = values.histograms[catalog.RECEIVE_DURATION][()]
    assert (sum(whole.receive), whole.receive_nanoseconds) == (3, 2_001_010_000)
    echo = values.histograms[catalog.PLUGIN_RECEIVE_DURATION]["echo",]
    assert (sum(echo.receive), echo.receive_nanoseconds) == (2, 20_000)
    assert value(values, catalog.PLUGIN_ERRORS, "echo") == 2
    assert value(values, catalog.PLUGIN_ERRORS, "log") == 0
    assert value(values, catalog.PLUGIN_TIMED, "echo") == 2e-5


def test_a_service_keeps_what_ended_workers_have_accepted() -> None:
    host = MeasuredHost(2)
    first, second = host.start()
    (service,) = host.planner.settings.services
    assert value(host.collect(), catalog.SERVICE_ACCEPTED, service.name) == 0
    for pid in (first, second):
        host.count(pid, accepted=5, connections=2)
    host.end(first)
    assert value(host.collect(), catalog.SERVICE_ACCEPTED, service.name) == 10
    assert value(host.collect(), catalog.SERVICE_CONNECTIONS, service.name) == 2


def stats(**kinds: dict[str, dict[str, float]]) -> Message:
    return {"report": "stats", "counters": {}, "gauges": {}, **kinds}


def test_numbers_of_plugins_are_counters_or_gauges() -> None:
    host = MeasuredHost(2)
    first, second = host.start()
    for pid in (first, second):
        message = stats(counters={"echo": {"cache.hits": 5}}, gauges={"echo": {"rooms": 2}, "other": {"x": 1}})
        host.monitor.metrics.update(pid, message)
    host.context.shared_counters.requested(first, {"plugin": "echo", "name": "visitors"})
    cells = host.pool.scoreboard.shared_cells
    cells.use(0)
    cells.cells[cells.position(0, 0)] = 9
    host.end(first)
    values = host.collect()
    assert values.numbers[catalog.PLUGIN_COUNTER] == {("echo", "cache.hits"): 10, ("echo", "visitors"): 9}
    assert values.numbers[catalog.PLUGIN_GAUGE] == {("echo", "rooms"): 2}


def test_the_plugins_of_the_newest_worker_are_named() -> None:
    host = MeasuredHost(1, ("echo", "/srv/own.py"))
    host.start()
    host.pool.loaded = {"echo": {"name": "echo", "distribution": "reactorhost-echo", "version": "1.2"}}
    found = host.collect().numbers[catalog.PLUGIN_INFO]
    assert set(found) == {("echo", "reactorhost-echo", "1.2"), ("own", "", "")}


def test_a_bus_that_was_never_used_has_no_metrics() -> None:
    host = MeasuredHost(1, bus_url="redis://secret@cache:6379")
    (only,) = host.start()
    assert catalog.BUS_SENT not in host.collect().numbers
    host.count(only, bus_groups=1, bus_members=2, bus_out=30, bus_in=40, bus_dropped=5)
    host.context.bus.backend_changed(only, {"state": "down", "reason": "refused"})
    values = host.collect()
    bus = (catalog.BUS_GROUPS, catalog.BUS_MEMBERS, catalog.BUS_SENT, catalog.BUS_RECEIVED, catalog.BUS_DROPPED)
    assert [value(values, each) for each in bus] == [1, 2, 30, 40, 5]
    assert value(values, catalog.BUS_BACKEND_UP) == 0
    host.context.bus.backend_changed(only, {"state": "up", "reason": ""})
    assert value(host.collect(), catalog.BUS_BACKEND_UP) == 1
    host.end(only)
    assert value(host.collect(), catalog.BUS_SENT) == 30


def test_the_limits_of_services_and_host_are_those_of_the_wanted_workers() -> None:
    host = MeasuredHost(4, max_connections=100)
    host.start()
    values = host.collect()
    (service,) = host.planner.settings.services
    assert value(values, catalog.MAX_CONNECTIONS) == 400
    assert value(values, catalog.SERVICE_WORKERS, service.name) == 4
    assert value(values, catalog.SERVICE_MAX_CONNECTIONS, service.name) == 400


def test_the_master_itself_is_measured() -> None:
    host = MeasuredHost(1)
    host.monitor.lag_max_seconds = 0.25
    values = host.collect()
    assert value(values, catalog.MASTER_LAG) == 0.25
    assert value(values, catalog.MASTER_CPU) > 0
    assert 0 < value(values, catalog.MASTER_DESCRIPTORS) <= value(values, catalog.MASTER_MAX_DESCRIPTORS)
    assert value(values, catalog.MASTER_MEMORY) > 1 << 20
