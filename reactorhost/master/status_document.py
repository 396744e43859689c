"""The status document: reads planner, monitor, listeners and log."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from reactorhost import __version__
from reactorhost.ipc import status
from reactorhost.master.context import MasterContext
from reactorhost.master.plan import readiness
from reactorhost.master.plan.slot import Slot
from reactorhost.master.plan.worker_table import WorkerRecord
from reactorhost.master.stats.samples import latency, totals_of
from reactorhost.plugins import discovery
from reactorhost.plugins.identity import RECEIVING_HOOKS
from reactorhost.system import procfs


@dataclass(frozen=True, slots=True)
class StatusBuilder:
    """Builds the document; `started_at` is Unix time."""

    context: MasterContext
    started_at: float
    started_monotonic: float

    def document(self, *, history: bool = False) -> status.StatusDocument:
        """Return the host as it is, with the samples of the last minutes if they are wanted."""
        now = time.monotonic()
        planner, pool = self.context.planner, self.context.pool
        settings = planner.settings
        samples = self.context.monitor.samples
        rates = samples.rates()
        counters = [pool.counters(pid) for pid in pool.pids()]
        not_ready = readiness.reasons(planner)
        workers = sorted(planner.workers.values(), key=lambda each: (each.slot, each.generation, each.pid))
        adopted: dict[int, list[int]] = {}
        for slot in planner.slots.values():
            if slot.adopter is not None:
                adopted.setdefault(slot.adopter, []).append(slot.number)
        return {
            "schema": status.SCHEMA,
            "version": __version__,
            "name": settings.name,
            "pid": os.getpid(),
            "time": time.time(),
            "state": planner.state.value,
            "ready": not not_ready,
            "not_ready": not_ready,
            "generation": planner.generation,
            "started_at": self.started_at,
            "uptime_seconds": round(now - self.started_monotonic, 3),
            "daemon": settings.daemon,
            "run_dir": str(settings.run_dir),
            "pid_file": str(settings.pid_file),
            "log_file": None if settings.log_file is None else str(settings.log_file),
            "config_file": None if settings.config_file is None else str(settings.config_file),
            "admin": list(self.context.admin),
            "backlog": self.context.listeners.effective_backlog(),
            "max_connections": settings.max_connections * min(planner.scaling.target, planner.limits.most()),
            "workers_wanted": planner.scaling.target,
            "workers_ready": planner.scaling.ready_slots(),
            "reloading": planner.reload.running,
            "scaling": self._scaling(now),
            "recycled": dict(planner.recycle_limits.recycled),
            "limited": samples.limited(counters),
            "problems": list(self.context.problems.values()),
            "services": self._services(),
            "totals": samples.totals(counters),
            "rates": rates,
            "latency": samples.latency(),
            "bus": self.context.bus.host(settings.bus_url),
            "master": self._master(now),
            "slots": [self._slot(slot, now) for _, slot in sorted(planner.slots.items())],
            "workers": [self._worker(worker, adopted.get(worker.pid, []), now) for worker in workers],
            "listeners": self.context.listeners.status(),
            "plugins": self._plugins(rates, now),
            "events": self.context.log.events(),
            "history": samples.history() if history else None,
        }

    def _scaling(self, now: float) -> status.ScalingStatus | None:
        policy = self.context.planner.autoscale
        # Also while it is fixed by a request, so that the status shows what `scale auto` would do.
        limits = policy.range or self.context.planner.settings.workers_range
        if limits is None:
            return None
        load, step = policy.load if policy.range is not None else None, policy.step
        return {
            "min": limits.least,
            "max": limits.most,
            "automatic": policy.range is not None,
            "use": None if load is None else round(load.use, 3),
            "lag_seconds": None if load is None else round(load.lag_seconds, 6),
            "queued": None if load is None else load.queued,
            "reason": None if step is None else step.reason,
            "changed_seconds": None if step is None else round(now - policy.step_at, 1),
        }

    def _services(self) -> list[status.ServiceStatus]:
        loaded = self.context.pool.plugins()
        planner = self.context.planner
        limited = planner.limits.limited()
        services: list[status.ServiceStatus] = []
        for service in planner.settings.services:
            addresses = [str(group) for group in self.context.listeners.groups if group.service == service.name]
            plugins: list[status.PluginStatus] = []
            for name in map(discovery.name_of, service.plugins):
                plugin = loaded.get(name, {})
                distribution, version = plugin.get("distribution"), plugin.get("version")
                plugins.append({"name": name, "distribution": distribution, "version": version})
            hooks = {hook for each in plugins for hook in loaded.get(each["name"], {}).get("hooks", ())}
            receives = not hooks.isdisjoint(RECEIVING_HOOKS) if loaded else None
            workers = min(planner.scaling.target, planner.limits.of(service.name))
            services.append(
                {
                    "name": service.name,
                    "addresses": addresses,
                    "plugins": plugins,
                    "receives": receives,
                    "workers": workers,
                    "limited_by": limited[service.name][1] if service.name in limited else None,
                    "max_connections": planner.settings.max_connections * workers,
                }
            )
        return services

    def _master(self, now: float) -> status.MasterStatus:
        pid = os.getpid()
        return {
            "pid": pid,
            "cpu_percent": self.context.monitor.cpu_percent,
            "rss_bytes": procfs.resident_bytes(pid),
            "pss_bytes": self.context.monitor.memory.read(pid, now),
            "lag_max_seconds": round(self.context.monitor.lag_max_seconds, 6),
            "descriptors": procfs.open_descriptors(),
        }

    def _worker(self, worker: WorkerRecord, adopted: list[int], now: float) -> status.WorkerStatus:
        counters = self.context.pool.counters(worker.pid)
        slot = self.context.planner.slots.get(worker.slot)
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
            "leader": self.context.planner.leadership.leads(worker.pid),
            "full": worker.full,
            "lag_max_seconds": round(counters.lag_max_seconds, 6) if stored else None,
            "cpu_percent": self.context.monitor.samples.cpu_percent(worker.pid),
            "busy_percent": self.context.monitor.samples.busy_percent(worker.pid),
            "rss_bytes": procfs.resident_bytes(worker.pid),
            "pss_bytes": self.context.monitor.memory.read(worker.pid, now),
            "restarts": slot.restarts if slot else 0,
            "last_exit": slot.last_exit if slot else None,
            "adopted_slots": adopted,
            "rates": self.context.monitor.samples.worker_rates(worker.pid),
            "latency": self.context.monitor.samples.worker_latency(worker.pid),
            "bus": self.context.bus.worker(worker.pid, self.context.planner.settings.bus_url),
            **totals_of([counters]),
        }

    def _slot(self, slot: Slot, now: float) -> status.SlotStatus:
        return {
            "slot": slot.number,
            "state": slot.status,
            "restarts": slot.restarts,
            "retry_seconds": round(slot.backoff.until - now, 3) if slot.backoff.until > now else None,
            "adopted_by": slot.adopter,
            "last_exit": slot.last_exit,
        }

    def _plugins(self, rates: status.Rates, now: float) -> list[status.PluginMetricsStatus]:
        loaded = self.context.pool.plugins()
        samples = self.context.monitor.samples
        sums, timed = samples.plugin_sums(), samples.timed_messages()
        errors, errors_before = samples.plugin_errors(), samples.plugin_errors(ago=1)
        all_nanoseconds = sum(each.nanoseconds for each in sums.values())
        metrics, shared = self.context.monitor.metrics, self.context.shared_counters
        # The services that use each plugin, the plugins in the order of their first use.
        users: dict[str, list[str]] = {}
        for service in self.context.planner.settings.services:
            for named in service.plugins:
                users.setdefault(discovery.name_of(named), []).append(service.name)
        figures: list[status.PluginMetricsStatus] = []
        for name, services in users.items():
            plugin = loaded.get(name, {})
            hooks = plugin.get("hooks", ())
            own = sums.get(name)
            last = self.context.monitor.errors.get(name)
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
                    "last_error": last[0] if last else None,
                    "last_error_age_seconds": round(now - last[1], 1) if last else None,
                    "stats": dict(sorted({**metrics.of(name), **shared.of(name)}.items())),
                }
            )
        return figures
