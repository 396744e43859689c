"""Status documents of hosts of any size, for tests of what draws them."""

from __future__ import annotations

import itertools
import math
from typing import Any

from reactorhost.ipc.status import (
    BusStatus,
    EventStatus,
    History,
    LastError,
    Latency,
    ListenerStatus,
    PluginMetricsStatus,
    Rates,
    ScalingStatus,
    ServiceStatus,
    SlotStatus,
    StatusDocument,
    Totals,
    WorkerStatus,
)

NOON = 1_795_435_477.0
"""Default time of the documents."""

_ids = itertools.count(1)

LATENCY: Latency = {"p50_seconds": 11e-6, "p99_seconds": 119e-6, "p999_seconds": 1.2e-3, "max_seconds": 4.1e-3}
UNKNOWN_LATENCY: Latency = {"p50_seconds": None, "p99_seconds": None, "p999_seconds": None, "max_seconds": None}


def totals(connections: int) -> Totals:
    return {
        "connections": connections,
        "accepted": 3_000_000,
        "refused": 12,
        "messages": 40_000_000,
        "bytes_in": 16 << 30,
        "bytes_out": 16 << 30,
        "hook_errors": 3,
    }


def rates(scale: float = 1.0) -> Rates:
    return {
        "accepted": 38.0 * scale,
        "refused": 0.0,
        "messages": 23_600.0 * scale,
        "bytes_in": 5_450_000.0 * scale,
        "bytes_out": 5_240_000.0 * scale,
        "hook_errors": 0.0,
    }


def worker(slot: int, pid: int, state: str = "ready", **fields: object) -> WorkerStatus:
    made: dict[str, Any] = {
        "slot": slot,
        "pid": pid,
        "generation": 7,
        "state": state,
        "boot": None,
        "holds": [],
        "uptime_seconds": 270_000.0 - slot,
        "state_seconds": 269_999.0,
        "deadline_seconds": None,
        "tick_age_seconds": 0.1,
        "leader": False,
        "full": False,
        "lag_max_seconds": 140e-6 + slot * 11e-6,
        "silent_seconds": None,
        "stall": None,
        "process_state": None,
        "cpu_percent": 71.0 + slot % 7,
        "busy_percent": 64.0 + slot % 7,
        "rss_bytes": 44_500_000 + slot * 100_000,
        "pss_bytes": 8_000_000 + slot * 10_000,
        "restarts": 0,
        "last_exit": None,
        "adopted_slots": [],
        "connections": 1550 + slot,
        "accepted": 400_000,
        "refused": 0,
        "messages": 5_000_000,
        "bytes_in": 2 << 30,
        "bytes_out": 2 << 30,
        "hook_errors": 0,
        "rates": rates(1 + slot / 100),
        "latency": LATENCY,
        "bus": None,
    }
    made.update(fields)
    return made  # type: ignore[return-value]  # every field is there


def bus(scale: int = 1, backend: str | None = None, reason: str | None = None) -> BusStatus:
    return {
        "groups": 31 * scale,
        "members": 1_240 * scale,
        "messages_in": 2_400_000 * scale,
        "messages_out": 812_000 * scale,
        "dropped": 0,
        "in_per_second": 1_520.0 * scale,
        "out_per_second": 507.0 * scale,
        "dropped_per_second": 0.0,
        "backend": None if backend is None else {"url": "redis://cache:6379", "state": backend, "reason": reason},
    }


def scaling(**fields: object) -> ScalingStatus:
    made: dict[str, Any] = {
        "min": 2,
        "max": 16,
        "automatic": True,
        "use": 0.612,
        "lag_seconds": 0.0021,
        "queued": 0,
        "reason": None,
        "changed_seconds": None,
    }
    made.update(fields)
    return made  # type: ignore[return-value]  # every field is there


def on_bus(made: StatusDocument, backend: str | None = None, reason: str | None = None) -> StatusDocument:
    """Return the document with a bus that every worker uses."""
    for each in made["workers"]:
        each["bus"] = bus(1, backend, reason)
    made["bus"] = bus(len(made["workers"]), backend, reason)
    return made


def slot(number: int, state: str = "ready", **fields: object) -> SlotStatus:
    made: dict[str, Any] = {
        "slot": number,
        "state": state,
        "restarts": 0,
        "retry_seconds": None,
        "adopted_by": None,
        "last_exit": None,
        "reason": None,
    }
    made.update(fields)
    return made  # type: ignore[return-value]  # every field is there


def client_row(**fields: object) -> dict[str, Any]:
    """Return a row of the list of connections, without the fields that only some lists have."""
    return {
        "id": 17,
        "pid": 4243,
        "slot": 0,
        "service": "default",
        "peer": "127.0.0.1:53422",
        "age_seconds": 65.0,
        "idle_seconds": 0.5,
        "bytes_in": 10,
        "bytes_out": 2048,
        "queued_bytes": 900,
        "state": "open",
        **fields,
    }


def listener(sockets: int, **fields: object) -> ListenerStatus:
    made: dict[str, Any] = {
        "service": "default",
        "address": "tcp://0.0.0.0:9000",
        "sockets": sockets,
        "depth": 0,
        "limit": 1024 * sockets,
        "dropped": 0,
        "fullest_slot": 0,
        "fullest_depth": 0,
        "fullest_limit": 1024,
    }
    made.update(fields)
    return made  # type: ignore[return-value]  # every field is there


def service(name: str, **fields: object) -> ServiceStatus:
    made: dict[str, Any] = {
        "name": name,
        "addresses": ["tcp://0.0.0.0:9000"],
        "plugins": [
            {"name": "accesslog", "distribution": "reactorhost-accesslog", "version": "0.2.1", "time_share": 0.125},
            {"name": "echo", "distribution": "reactorhost-echo", "version": "0.1.0", "time_share": 0.875},
        ],
        "receives": True,
        "workers": 4,
        "limited_by": None,
        "max_connections": 40_000,
        "connections": 6200,
        "totals": totals(6200),
        "rates": rates(6.27),
        "latency": LATENCY,
        "queue": {"depth": 0, "limit": 4096, "dropped": 0},
        "bus_members": 0,
    }
    made.update(fields)
    return made  # type: ignore[return-value]  # every field is there


def plugin(name: str, version: str | None, **fields: object) -> PluginMetricsStatus:
    made: dict[str, Any] = {
        "name": name,
        "distribution": f"reactorhost-{name}",
        "version": version,
        "services": ["default"],
        "connect_per_second": 236.0,
        "receive_per_second": 148_000.0,
        "close_per_second": 231.0,
        "latency": LATENCY,
        "time_share": 0.5,
        "waiting_share": 0.0,
        "errors": 0,
        "errors_per_second": 0.0,
        "last_error": None,
        "stats": {},
    }
    made.update(fields)
    return made  # type: ignore[return-value]  # every field is there


def last_error(message: str, **fields: object) -> LastError:
    made: dict[str, Any] = {
        "message": message,
        "hook": "receive",
        "where": "echo.py:15",
        "peer": "10.1.2.3:40112",
        "slot": 2,
        "age_seconds": 5.0,
    }
    made.update(fields)
    return made  # type: ignore[return-value]  # every field is there


def event(seconds_ago: float, name: str, level: str = "info", **fields: object) -> EventStatus:
    number = next(_ids)
    return {
        "id": number,
        "entry": number,
        "time": NOON - seconds_ago,
        "first_time": NOON - seconds_ago,
        "level": level,
        "event": name,
        "fields": fields,  # type: ignore[typeddict-item]  # a test's own fields
        "count": 1,
        "slots": [fields["slot"]] if isinstance(fields.get("slot"), int) else [],  # type: ignore[list-item]  # it is one
    }


def repeated(newest: EventStatus, count: int, slots: list[int], first_ago: float) -> EventStatus:
    """Return an entry of which `newest` is the last repeat."""
    return {**newest, "count": count, "slots": slots, "first_time": NOON - first_ago}


def history(samples: int = 300, end: float = NOON) -> History:
    wave = [
        140_000 * (1.2 + math.sin(second / 17) + 0.2 * math.sin(second / 3)) / 2.2
        for second in range(int(end) - samples + 1, int(end) + 1)
    ]
    return {
        "end": end,
        "interval_seconds": 1.0,
        "connections": [9638] * samples,
        "accepted": [236.0] * samples,
        "messages": wave,
        "bytes_in": [value * 230 for value in wave],
        "bytes_out": [value * 230 for value in wave],
        "hook_errors": [0.0] * samples,
    }


def document(count: int = 8, /, **fields: object) -> StatusDocument:
    """Return the document of a host whose workers all serve; `fields` replace those of the document."""
    everybody = [worker(number, 4243 + number) for number in range(count)]
    made: dict[str, Any] = {
        "schema": 2,
        "version": "0.1.0",
        "name": "default",
        "pid": 4242,
        "time": NOON,
        "state": "running",
        "ready": True,
        "not_ready": [],
        "generation": 7,
        "started_at": NOON - 273_600,
        "uptime_seconds": 273_600.0,
        "daemon": True,
        "run_dir": "/run/reactorhost/default",
        "pid_file": "/run/reactorhost/default/master.pid",
        "log_file": None,
        "config_file": None,
        "admin": [],
        "backlog": 1024,
        "max_connections": max(65_536, 8_192 * count),
        "workers_wanted": count,
        "workers_ready": count,
        "reloading": False,
        "scaling": None,
        "recycled": {
            "max_age": 0,
            "max_rss": 0,
            "max_connections_per_worker": 0,
            "max_messages_per_worker": 0,
        },
        "limited": {"denied": 0, "over_address_limit": 0, "late_messages": 0, "rate_pauses": 0},
        "problems": [],
        "services": [
            service(
                "default",
                workers=count,
                max_connections=count * 10_000,
                connections=sum(each["connections"] for each in everybody),
            )
        ],
        "totals": totals(sum(each["connections"] for each in everybody)),
        "rates": rates(6.27),
        "latency": LATENCY,
        "bus": None,
        "master": {
            "pid": 4242,
            "cpu_percent": 1.6,
            "rss_bytes": 24_800_000,
            "pss_bytes": 9_000_000,
            "lag_max_seconds": 90e-6,
            "descriptors": 31,
        },
        "slots": [slot(number) for number in range(count)],
        "workers": everybody,
        "listeners": [listener(count)],
        "plugins": [
            plugin("accesslog", "0.2.1", time_share=0.14),
            plugin(
                "echo",
                "0.1.0",
                time_share=0.86,
                errors=3,
                last_error=last_error("ValueError: no such room", age_seconds=7860.0),
            ),
        ],
        "events": [
            event(400.0, "reload_started", generation=7),
            event(390.0, "reload_finished", generation=7),
        ],
        "crashes": [],
        "history": None,
    }
    made.update(fields)
    return made  # type: ignore[return-value]  # every field is there


def troubled(**fields: object) -> StatusDocument:
    """Return the document of eight slots: one worker draining, one starting, one stuck, one slot in back-off."""
    made = document(8)
    workers = made["workers"]
    workers[2].update({"state": "stuck", "lag_max_seconds": None, "tick_age_seconds": 31.0, "cpu_percent": 100.0})
    workers[5].update({"state": "draining", "generation": 6, "connections": 315, "deadline_seconds": 3000.0})
    workers[5]["rates"] = rates(0.19)
    starting = worker(
        5,
        4311,
        "starting",
        uptime_seconds=1.2,
        state_seconds=1.2,
        connections=0,
        rates=rates(0.0),
        latency=UNKNOWN_LATENCY,
        restarts=3,
        pss_bytes=None,
        tick_age_seconds=None,
        lag_max_seconds=None,
    )
    workers[6:7] = [starting]
    made["slots"][6] = slot(
        6,
        "backoff",
        restarts=3,
        retry_seconds=4.0,
        adopted_by=4243,
        last_exit="signal 11 (SIGSEGV)",
        reason="signal 11 (SIGSEGV)",
    )
    made["workers_ready"] = 6
    made["listeners"][0].update({"depth": 400, "fullest_slot": 3, "fullest_depth": 400})
    made["rates"]["hook_errors"] = 2.0
    made["events"] += [
        event(
            6.0,
            "worker_crashed",
            "error",
            slot=6,
            pid=4249,
            how="signal 11 (SIGSEGV)",
            last_turn="0.1s ago",
            connections=1547,
            rss_peak_bytes=48_000_000,
            restarts=3,
        ),
        event(2.0, "worker_starting", slot=5, pid=4311, generation=7),
        event(1.0, "worker_draining", slot=5, pid=4248, generation=6, connections=308, seconds=3600.0),
    ]
    made.update(fields)  # type: ignore[typeddict-item]  # a test's own fields
    return made
