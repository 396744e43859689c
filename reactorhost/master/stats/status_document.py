"""The status document: reads planner, monitor, listeners and log."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from reactorhost import __version__
from reactorhost.config.settings import Settings
from reactorhost.ipc.status import (
    SCHEMA,
    MasterStatus,
    PluginMetricsStatus,
    PluginStatus,
    Rates,
    ServiceStatus,
    SlotStatus,
    StatusDocument,
    Totals,
    WorkerStatus,
)
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.plan.planner import Planner
from reactorhost.master.plan.slot import Slot
from reactorhost.master.plan.worker_table import WorkerRecord
from reactorhost.master.stats.events import EventRing
from reactorhost.master.stats.monitor import Monitor
from reactorhost.master.stats.samples import latency
from reactorhost.master.workers.pool import WorkerPool
from reactorhost.plugins import discovery
from reactorhost.system import procfs


@dataclass(frozen=True, slots=True)
class StatusBuilder:
    """Builds the document; `started_at` is Unix time."""

    planner: Planner
    pool: WorkerPool
    monitor: Monitor
    listeners: Listeners
    log: EventRing
    started_at: float
    started_monotonic: float

    def document(self, settings: Settings, now: float, *, history: bool = False) -> StatusDocument:
        """Return the host as it is; `now` is monotonic."""
        samples = self.monitor.samples
        rates = samples.rates()
        return {
            "schema": SCHEMA,
            "version": __version__,
            "name": settings.name,
            "pid": os.getpid(),
            "time": time.time(),
            "state": self.planner.state.value,
            "generation": self.planner.generation,
            "started_at": self.started_at,
            "uptime_seconds": round(now - self.started_monotonic, 3),
            "daemon": settings.daemon,
            "run_dir": str(settings.run_dir),
            "pid_file": str(settings.pid_file),
            "log_file": None if settings.log_file is None else str(settings.log_file),
            "config_file": None if settings.config_file is None else str(settings.config_file),
            "backlog": self.listeners.effective_backlog(),
            "max_connections": settings.max_connections * self.planner.scaling.target,
            "workers_wanted": self.planner.scaling.target,
            "workers_ready": self.planner.scaling.ready_slots(),
            "reloading": self.planner.reload.running,
            "services": self._services(settings),
            "totals": self._totals(),
            "rates": rates,
            "latency": samples.latency(),
            "master": self._master(now),
            "slots": [self._slot(slot, now) for _, slot in sorted(self.planner.slots.items())],
            "workers": self._workers(now),
            "listeners": self.listeners.status(),
            "plugins": self._plugins(settings, rates, now),
            "events": self.log.events(),
            "history": samples.history() if history else None,
        }

    def _services(self, settings: Settings) -> list[ServiceStatus]:
        loaded = self.pool.plugins()
        services: list[ServiceStatus] = []
        for service in settings.services:
            addresses = [str(group) for group in self.listeners.groups if group.service == service.name]
            names = [discovery.name_of(named) for named in service.plugins]
            plugins: list[PluginStatus] = [
                {
                    "name": name,
                    "distribution": loaded.get(name, {}).get("distribution"),
                    "version": loaded.get(name, {}).get("version"),
                }
                for name in names
            ]
            services.append({"name": service.name, "addresses": addresses, "plugins": plugins})
        return services

    def _totals(self) -> Totals:
        live = [self.pool.counters(pid) for pid in self.pool.pids()]
        totals = self.monitor.samples.totals(live)
        return {
            "connections": sum(each.connections for each in live),
            "accepted": totals["accepted"],
            "refused": totals["refused"],
            "messages": totals["messages"],
            "bytes_in": totals["bytes_in"],
            "bytes_out": totals["bytes_out"],
            "hook_errors": totals["hook_errors"],
        }

    def _master(self, now: float) -> MasterStatus:
        pid = os.getpid()
        return {
            "pid": pid,
            "cpu_percent": self.monitor.cpu_percent,
            "rss_bytes": procfs.resident_bytes(pid),
            "pss_bytes": self.monitor.memory.read(pid, now),
            "lag_max_seconds": round(self.monitor.lag_max_seconds, 6),
            "descriptors": procfs.open_descriptors(),
        }

    def _workers(self, now: float) -> list[WorkerStatus]:
        records = sorted(self.planner.workers.values(), key=lambda each: (each.slot, each.generation, each.pid))
        return [self._worker(record, now) for record in records]

    def _worker(self, worker: WorkerRecord, now: float) -> WorkerStatus:
        counters = self.pool.counters(worker.pid)
        slot = self.planner.slots.get(worker.slot)
        # Before its first turn a worker has stored nothing.
        stored = counters.tick > 0
        return {
            "slot": worker.slot,
            "pid": worker.pid,
            "generation": worker.generation,
            "state": worker.state.value,
            "uptime_seconds": round(now - worker.started_at, 3),
            "state_seconds": round(now - worker.since, 3),
            "deadline_seconds": None if worker.deadline is None else round(max(0.0, worker.deadline - now), 3),
            "tick_age_seconds": round(max(0.0, now - counters.tick), 3) if stored else None,
            "lag_max_seconds": round(counters.lag_max_seconds, 6) if stored else None,
            "cpu_percent": self.monitor.samples.cpu_percent(worker.pid),
            "rss_bytes": procfs.resident_bytes(worker.pid),
            "pss_bytes": self.monitor.memory.read(worker.pid, now),
            "restarts": slot.restarts if slot else 0,
            "last_exit": slot.last_exit if slot else None,
            "adopted_slots": [each.number for each in self.planner.slots.values() if each.adopter == worker.pid],
            "rates": self.monitor.samples.worker_rates(worker.pid),
            "latency": self.monitor.samples.worker_latency(worker.pid),
            "connections": counters.connections,
            "accepted": counters.accepted,
            "refused": counters.refused,
            "messages": counters.messages,
            "bytes_in": counters.bytes_in,
            "bytes_out": counters.bytes_out,
            "hook_errors": counters.hook_errors,
        }

    def _slot(self, slot: Slot, now: float) -> SlotStatus:
        waiting = slot.backoff.until > now
        return {
            "slot": slot.number,
            "state": slot.status,
            "restarts": slot.restarts,
            "retry_seconds": round(slot.backoff.until - now, 3) if waiting else None,
            "adopted_by": slot.adopter,
            "last_exit": slot.last_exit,
        }

    def _plugins(self, settings: Settings, rates: Rates, now: float) -> list[PluginMetricsStatus]:
        loaded = self.pool.plugins()
        samples = self.monitor.samples
        sums, timed = samples.plugin_sums(), samples.timed_messages()
        errors, errors_before = samples.plugin_errors(), samples.plugin_errors(ago=1)
        all_nanoseconds = sum(each.nanoseconds for each in sums.values())
        figures: list[PluginMetricsStatus] = []
        for name, services in self._users(settings).items():
            plugin = loaded.get(name, {})
            hooks = plugin.get("hooks", ())
            own = sums.get(name)
            last = self.monitor.errors.get(name)
            figures.append(
                {
                    "name": name,
                    "distribution": plugin.get("distribution"),
                    "version": plugin.get("version"),
                    "services": services,
                    "connect_per_second": rates["accepted"] if "connect" in hooks else 0.0,
                    "receive_per_second": round(rates["messages"] * own.calls / timed, 1) if own and timed else 0.0,
                    "close_per_second": samples.closed_rate() if "close" in hooks else 0.0,
                    "latency": latency(own.receive if own else ()),
                    "time_share": own.nanoseconds / all_nanoseconds if own and all_nanoseconds else None,
                    "errors": errors.get(name, 0),
                    "errors_per_second": float(max(0, errors.get(name, 0) - errors_before.get(name, 0))),
                    "last_error": last.text if last else None,
                    "last_error_age_seconds": round(now - last.at, 1) if last else None,
                    "stats": self.monitor.metrics.of(name),
                }
            )
        return figures

    def _users(self, settings: Settings) -> dict[str, list[str]]:
        """Return the plugins in the order of their first use, and the services that use each."""
        users: dict[str, list[str]] = {}
        for service in settings.services:
            for named in service.plugins:
                users.setdefault(discovery.name_of(named), []).append(service.name)
        return users
