"""The slots that serve each service: those below the number that the operator sets and the plugins declare.

A service with such a limit has sockets only in the slots below it, and only workers of these slots may accept its
clients: a plugin with state in memory depends on that. Which worker may adopt the listeners of a slot therefore differs
by service. One adopter for each slot is still enough. A worker may serve every service that a worker of a higher slot
may serve, so one of the candidates can get every listener that any of them could get.

The numbers of plugins are known when a worker has loaded them. Those of slot 0 apply, from the moment when its worker
is ready: it boots alone at a start, and is the first that a reload replaces. Workers of other slots may have other code
for a while, during a reload or after a crash.

A larger number adds services to slots. The sockets are made before the slot's next worker is forked, and open when it
is ready.

A smaller number leaves open sockets in slots that may not serve the service any more. They move to a slot of their own,
a remnant, whose number is above those of all workers. It leaves as a slot does when the host is scaled down: a worker
below the limit adopts it, new clients are steered away, and it is closed when its queues are empty. The workers of the
slots that gave the sockets up close their copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reactorhost.config.service import Service
from reactorhost.config.settings import MAX_WORKERS
from reactorhost.master.plan.actions import Action, Move, Release, Steer
from reactorhost.master.plan.slot import Slot, SlotState
from reactorhost.master.plan.worker_table import WorkerTable

Declared = Mapping[str, tuple[int, str]]
"""By service: the most workers that its plugins allow, and the plugin that allows no more."""


@dataclass(frozen=True, slots=True)
class LimitsRecord:
    """The limits by service, and the plugins that allow fewer workers than the operator."""

    limits: dict[str, int]
    plugins: dict[str, str]


class ServiceLimits:
    """How many slots serve each service, `MAX_WORKERS` without a limit."""

    def __init__(self, table: WorkerTable, services: Sequence[Service]) -> None:
        self._table = table
        self._limits: dict[str, int] = {}
        self._plugins: dict[str, str] = {}
        self._set(services, {})

    def export(self) -> LimitsRecord:
        """Return the limits by which the sockets are distributed now, for another program."""
        return LimitsRecord(dict(self._limits), dict(self._plugins))

    def restore(self, record: LimitsRecord) -> None:
        """Continue with the limits that another program had, until slot 0 declares others."""
        self._limits, self._plugins = dict(record.limits), dict(record.plugins)

    def of(self, service: str) -> int:
        """Return how many slots may serve a service."""
        return self._limits[service]

    def limited(self) -> Declared:
        """Return the services whose plugins allow fewer workers than the operator."""
        return {service: (self._limits[service], plugin) for service, plugin in self._plugins.items()}

    def most(self) -> int:
        """Return how many slots may serve any service."""
        return max(self._limits.values(), default=MAX_WORKERS)

    def services_of(self, slot: int) -> frozenset[str]:
        """Return the services whose clients a worker of this slot may accept."""
        return frozenset(service for service, limit in self._limits.items() if slot < limit)

    def slots_beside(self, slot: int) -> int:
        """Return how many slots, from 0, may serve everything that this slot serves."""
        return min((limit for limit in self._limits.values() if slot < limit), default=MAX_WORKERS)

    def change(self, services: Sequence[Service], declared: Declared, retire_at: float) -> list[Action]:
        """Use these numbers from now on; returns what has to be done about the sockets.

        Sockets that are given up are closed at `retire_at`, in monotonic seconds.
        """
        before = self._limits
        self._set(services, declared)
        if self._limits == before:
            return []
        given_up: dict[str, list[Slot]] = {}
        for slot in self._table.slots.values():
            if slot.number >= MAX_WORKERS:
                continue
            served = self.services_of(slot.number)
            for service in sorted(slot.services - served):
                given_up.setdefault(service, []).append(slot)
            slot.services = served
        moves = [self._give_up(service, slots, retire_at) for service, slots in given_up.items()]
        actions: list[Action] = [*moves]
        if any(move.to is not None for move in moves):
            actions.append(Steer(self._table.leaving()))
        # Adopters were chosen, and got listeners, by the numbers of before.
        for slot in self._table.slots.values():
            if slot.adopter is not None and slot.state is not SlotState.RETIRING:
                actions.append(Release(slot.number, slot.adopter))
                slot.adopter = None
        return actions

    def _set(self, services: Sequence[Service], declared: Declared) -> None:
        allowed = {each.name: each.workers or MAX_WORKERS for each in services}
        self._plugins = {name: plugin for name, (workers, plugin) in declared.items() if workers < allowed[name]}
        self._limits = {
            name: min(workers, declared[name][0]) if name in declared else workers for name, workers in allowed.items()
        }

    def _give_up(self, service: str, slots: Sequence[Slot], retire_at: float) -> Move:
        holders = frozenset[int]().union(*(slot.holders for slot in slots))
        number = None
        if any(slot.reachable for slot in slots):
            number = max(MAX_WORKERS, max(self._table.slots) + 1)
            self._table.slots[number] = Slot(
                number, SlotState.LEAVING, frozenset({service}), retire_at=retire_at, holders=set(holders)
            )
        return Move(service, tuple(slot.number for slot in slots), number, tuple(sorted(holders)))
