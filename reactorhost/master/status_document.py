"""The status document: reads planner, monitor, listeners and log."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from reactorhost import __version__
from reactorhost.ipc import status
from reactorhost.ipc.boot_place import BootPlace
from reactorhost.ipc.counters import Counters
from reactorhost.ipc.stall import Stall
from reactorhost.master.context import MasterContext
from reactorhost.master.listen.queue_readings import sum_of_known
from reactorhost.master.plan import readiness
from reactorhost.master.plan.slot import Slot
from reactorhost.master.plan.worker_table import WorkerRecord
from reactorhost.master.stats.bus_monitor import BusReading
from reactorhost.master.stats.samples import latency, worker_totals
from reactorhost.plugins import discovery
from reactorhost.plugins.identity import RECEIVING_HOOKS
from reactorhost.system import procfs


@dataclass(frozen=True, slots=True)
class StatusBuilder:
    """Builds the document; `started_at` is Unix time."""

    context: MasterContext
    started_at: float
    started_monotonic: float

    def document(self, *, history: bool = False, events_since: int | None = None) -> status.StatusDocument:
        """Return the host as it is, with the samples of the last minutes if they are wanted.

        Of events, those are in it that are newer than `events_since`, or the newest ones.
        """
        now = time.monotonic()
        planner, pool = self.context.planner, self.context.pool
        settings = planner.settings
        samples = self.context.monitor.samples
        rates = samples.rates()
        counters_by_pid = {pid: pool.counters(pid) for pid in pool.pids()}
        counters = list(counters_by_pid.values())
        listeners = self.context.listeners.status()
        not_ready = readiness.reasons(planner)
        workers = sorted(planner.workers.values(), key=lambda each: (each.slot, each.generation, each.pid))
        adopted: dict[int, list[int]] = {}
        for slot in planner.slots.values():
            if slot.adopter is not None:
                adopted.setdefault(slot.adopter, []).append(slot.number)
        # The rows and the figures of the host are of one reading, or they would not add up.
        bus = self.context.bus.read(settings.bus_url, counters_by_pid)
        rows = [
            self._worker(worker, counters_by_pid[worker.pid], adopted.get(worker.pid, []), bus, now)
            for worker in workers
        ]
        # From the rows, so that no document counts a worker that it calls silent.
        serving = {row["slot"] for row in rows if row["state"] == "ready" and row["silent_seconds"] is None}
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
            "workers_ready": len(serving.intersection(planner.scaling.wanted())),
            "reloading": planner.reload.running,
            "scaling": self._scaling(now),
            "recycled": dict(planner.recycle_limits.recycled),
            "limited": samples.limited(counters),
            "problems": list(self.context.problems.values()),
            "services": self._services(listeners),
            "totals": samples.totals(counters),
            "rates": rates,
            "latency": samples.latency(),
            "bus": None if bus is None else bus.host,
            "master": self._master(now),
            "slots": [self._slot(slot, now) for _, slot in sorted(planner.slots.items())],
            "workers": rows,
            "listeners": listeners,
            "plugins": self._plugins(rates, now),
            "events": self.context.log.events(events_since),
            "crashes": self.context.log.crashes(events_since),
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

    def _services(self, listeners: Sequence[status.ListenerStatus]) -> list[status.ServiceStatus]:
        loaded = self.context.pool.plugins()
        planner = self.context.planner
        limited = planner.limits.limited()
        sums = self.context.monitor.services
        services: list[status.ServiceStatus] = []
        for position, service in enumerate(planner.settings.services):
            addresses = [str(group) for group in self.context.listeners.groups if group.service == service.name]
            names = [discovery.name_of(each) for each in service.plugins]
            plugins = [
                status.ChainPluginStatus(
                    name=name,
                    distribution=loaded.get(name, {}).get("distribution"),
                    version=loaded.get(name, {}).get("version"),
                    time_share=share,
                )
                for name, share in zip(names, sums.time_shares(position, len(names)), strict=True)
            ]
            hooks = {hook for each in plugins for hook in loaded.get(each["name"], {}).get("hooks", ())}
            receives = not hooks.isdisjoint(RECEIVING_HOOKS) if loaded else None
            workers = min(planner.scaling.target, planner.limits.of(service.name))
            counters = sums.counters(position)
            totals = worker_totals(counters)
            services.append(
                {
                    "name": service.name,
                    "addresses": addresses,
                    "plugins": plugins,
                    "receives": receives,
                    "workers": workers,
                    "limited_by": limited[service.name][1] if service.name in limited else None,
                    "max_connections": planner.settings.max_connections * workers,
                    "connections": totals["connections"],
                    "totals": totals,
                    "rates": sums.rates(position),
                    "latency": sums.latency(position),
                    "queue": _queue([each for each in listeners if each["service"] == service.name]),
                    "bus_members": counters.bus_members,
                }
            )
        return services

    def _master(self, now: float) -> status.MasterStatus:
        pid = os.getpid()
        return {
            "pid": pid,
            "cpu_percent": self.context.monitor.cpu_percent,
            "rss_bytes": procfs.resident_bytes(pid),
            "pss_bytes": self.context.monitor.proportional.read(pid, now),
            "lag_max_seconds": round(self.context.monitor.lag_max_seconds, 6),
            "descriptors": procfs.open_descriptors(),
        }

    def _worker(
        self, worker: WorkerRecord, counters: Counters, adopted: list[int], bus: BusReading | None, now: float
    ) -> status.WorkerStatus:
        monitor = self.context.monitor
        slot = self.context.planner.slots.get(worker.slot)
        # Before its first turn a worker has stored nothing.
        stored = counters.tick > 0
        silent, stall = counters.silent_seconds(now), self.context.pool.stall(worker.pid)
        if silent is None:
            cpu_percent, busy_percent = monitor.samples.load(worker.pid)
        else:
            # What its page has is of the time before: it says nothing of the turn that lasts.
            cpu_percent, busy_percent = monitor.silent.cpu_percent(worker.pid), None
        return {
            "slot": worker.slot,
            "pid": worker.pid,
            "generation": worker.generation,
            "state": worker.state.value,
            "boot": _boot(worker.boot, now),
            "holds": [{"plugin": each.plugin, "reason": each.reason} for each in worker.holds],
            "uptime_seconds": round(now - worker.started_at, 3),
            "state_seconds": round(now - worker.since, 3),
            "deadline_seconds": None if worker.deadline is None else round(max(0.0, worker.deadline - now), 3),
            "tick_age_seconds": round(max(0.0, now - counters.tick), 3) if stored else None,
            "leader": self.context.planner.leadership.leads(worker.pid),
            "full": worker.full,
            "lag_max_seconds": round(counters.lag_seconds(now), 6) if stored else None,
            "silent_seconds": None if silent is None else round(silent, 1),
            "stall": None if stall is None else _stall(stall, now),
            "process_state": None if silent is None else procfs.state(worker.pid),
            "cpu_percent": cpu_percent,
            "busy_percent": busy_percent,
            "rss_bytes": monitor.resident.read(worker.pid, now),
            "pss_bytes": monitor.proportional.read(worker.pid, now),
            "restarts": slot.restarts if slot else 0,
            "last_exit": slot.last_exit if slot else None,
            "adopted_slots": adopted,
            "rates": monitor.samples.worker_rates(worker.pid),
            "latency": monitor.samples.worker_latency(worker.pid),
            "bus": None if bus is None else bus.workers[worker.pid],
            **worker_totals(counters),
        }

    def _slot(self, slot: Slot, now: float) -> status.SlotStatus:
        return {
            "slot": slot.number,
            "state": slot.status,
            "restarts": slot.restarts,
            "retry_seconds": round(slot.backoff.until - now, 3) if slot.backoff.until > now else None,
            "adopted_by": slot.adopter,
            "last_exit": slot.last_exit,
            "reason": slot.reason if slot.status == "backoff" else None,
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
            error = self.context.monitor.errors.get(name)
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
                    "waiting_share": _part(own.waiting_nanoseconds, own.nanoseconds) if own else None,
                    "errors": errors.get(name, 0),
                    "errors_per_second": float(max(0, errors.get(name, 0) - errors_before.get(name, 0))),
                    "last_error": None if error is None else error.status(now),
                    "stats": dict(sorted({**metrics.of(name), **shared.of(name)}.items())),
                }
            )
        return figures


def _part(some: int, others: int) -> float | None:
    return round(some / (some + others), 4) if some or others else None


def _queue(listeners: Sequence[status.ListenerStatus]) -> status.QueueStatus:
    return {
        "depth": sum_of_known(each["depth"] for each in listeners),
        "limit": sum_of_known(each["limit"] for each in listeners),
        "dropped": sum_of_known(each["dropped"] for each in listeners),
    }


def _stall(stall: Stall, now: float) -> status.StallStatus:
    seconds = round(now - stall.since, 1)
    return {"plugin": stall.plugin, "hook": stall.hook, "where": stall.where, "peer": stall.peer, "seconds": seconds}


def _boot(place: BootPlace | None, now: float) -> status.BootStatus | None:
    if place is None:
        return None
    return {"step": place.step, "plugin": place.plugin, "seconds": round(now - place.since, 1)}
