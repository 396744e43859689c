"""Build the status document from the roster, the crew's counters and the listeners."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reactorhost import __version__
from reactorhost.config.settings import Settings
from reactorhost.master.crew import Crew
from reactorhost.master.listeners import Listeners
from reactorhost.master.roster import Member, Roster, Slot, WorkerState
from reactorhost.plugins import discovery
from reactorhost.scoreboard import Counters
from reactorhost.status import SCHEMA, PluginStatus, ServiceStatus, SlotStatus, StatusDocument, Totals, WorkerStatus

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Reporter:
    """Knows where the facts of a host are."""

    roster: Roster
    crew: Crew
    listeners: Listeners
    started_at: float
    started_monotonic: float

    def document(self, settings: Settings, now: float) -> StatusDocument:
        """Return the host as it is; `now` is monotonic."""
        workers = [self._worker(member, now) for member in self._members()]
        return {
            "schema": SCHEMA,
            "version": __version__,
            "name": settings.name,
            "pid": os.getpid(),
            "state": self.roster.mode.value,
            "generation": self.roster.generation,
            "started_at": self.started_at,
            "uptime_seconds": round(now - self.started_monotonic, 3),
            "daemon": settings.daemon,
            "run_dir": str(settings.run_dir),
            "pid_file": str(settings.pid_file),
            "log_file": None if settings.log_file is None else str(settings.log_file),
            "config_file": None if settings.config_file is None else str(settings.config_file),
            "backlog": self.listeners.effective_backlog(),
            "workers_wanted": self.roster.target,
            "workers_ready": self.roster.ready_slots(),
            "reloading": self.roster.reload is not None,
            "services": self._services(settings),
            "totals": self._totals(workers),
            "slots": [self._slot(slot, now) for _, slot in sorted(self.roster.slots.items())],
            "workers": workers,
        }

    def connections(self) -> int:
        """Return how many connections are open."""
        return sum(self.crew.counters(pid).connections for pid in self.crew.pids())

    def _members(self) -> list[Member]:
        return sorted(self.roster.members.values(), key=lambda member: (member.slot, member.generation, member.pid))

    def _services(self, settings: Settings) -> list[ServiceStatus]:
        loaded = self.crew.plugins()
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

    def _totals(self, workers: list[WorkerStatus]) -> Totals:
        past = self.crew.past
        return {
            "connections": sum(worker["connections"] for worker in workers),
            "accepted": past.accepted + sum(worker["accepted"] for worker in workers),
            "messages": past.messages + sum(worker["messages"] for worker in workers),
            "bytes_in": past.bytes_in + sum(worker["bytes_in"] for worker in workers),
            "bytes_out": past.bytes_out + sum(worker["bytes_out"] for worker in workers),
            "hook_errors": past.hook_errors + sum(worker["hook_errors"] for worker in workers),
        }

    def _worker(self, member: Member, now: float) -> WorkerStatus:
        counters = self.crew.counters(member.pid)
        return {
            "slot": member.slot,
            "pid": member.pid,
            "generation": member.generation,
            "state": member.state.value,
            "uptime_seconds": round(now - member.started_at, 3),
            "state_seconds": round(now - member.since, 3),
            "deadline_seconds": None if member.deadline is None else round(max(0.0, member.deadline - now), 3),
            "tick_age_seconds": _age(counters, now),
            "rss_bytes": _resident_bytes(member.pid),
            "adopted_slots": [slot.number for slot in self.roster.slots.values() if slot.adopter == member.pid],
            "connections": counters.connections,
            "accepted": counters.accepted,
            "messages": counters.messages,
            "bytes_in": counters.bytes_in,
            "bytes_out": counters.bytes_out,
            "hook_errors": counters.hook_errors,
        }

    def _slot(self, slot: Slot, now: float) -> SlotStatus:
        waiting = slot.not_before > now
        return {
            "slot": slot.number,
            "state": self._slot_state(slot, waiting=waiting),
            "restarts": slot.restarts,
            "retry_seconds": round(slot.not_before - now, 3) if waiting else None,
            "adopted_by": slot.adopter,
            "last_exit": slot.last_exit,
        }

    def _slot_state(self, slot: Slot, *, waiting: bool) -> str:
        if slot.leaving_since is not None:
            return "leaving"
        if self.roster.in_slot(slot.number, WorkerState.READY):
            return "ready"
        if self.roster.in_slot(slot.number, WorkerState.STARTING) or not waiting:
            return "starting"
        return "backoff"


def _age(counters: Counters, now: float) -> float | None:
    return round(max(0.0, now - counters.tick), 3) if counters.tick else None


def _resident_bytes(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_SIZE
    except (OSError, ValueError, IndexError):
        return None
