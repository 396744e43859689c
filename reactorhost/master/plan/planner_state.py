"""The records of a planner as a value, for a program that continues to supervise the same workers.

Operations are not part of it: the caller waits until none runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from reactorhost.config.settings import Settings
from reactorhost.config.worker_count import WorkerRange
from reactorhost.master.plan.autoscale import AutoscaleRecord
from reactorhost.master.plan.leadership import LeadershipRecord
from reactorhost.master.plan.planner import HostState, Planner
from reactorhost.master.plan.recycle_limits import RecycleRecord
from reactorhost.master.plan.service_limits import LimitsRecord
from reactorhost.master.plan.slot import Backoff, Slot
from reactorhost.master.plan.worker_table import WorkerRecord


@dataclass(frozen=True, slots=True)
class PlannerState:
    """See `Planner`.

    Attributes:
        configured: the setting `workers`, a number and a range.
        target: how many are wanted now.
    """

    configured: tuple[int, WorkerRange | None]
    target: int
    generation: int
    slots: tuple[Slot, ...]
    workers: tuple[WorkerRecord, ...]
    limits: LimitsRecord
    leadership: LeadershipRecord
    avoided: tuple[int, ...]
    recycling: RecycleRecord
    recycling_backoff: Backoff
    autoscale: AutoscaleRecord


def is_idle(planner: Planner) -> bool:
    """Say whether the host runs and no operation is under way whose client waits for its end."""
    runs = planner.state is HostState.RUNNING
    return runs and not (planner.reload.running or planner.reload.requested or planner.recycling.running)


def export(planner: Planner) -> PlannerState:
    """Return the records of a planner that is idle."""
    return PlannerState(
        _configured(planner.settings),
        planner.scaling.target,
        planner.generation,
        tuple(planner.slots.values()),
        tuple(planner.workers.values()),
        planner.limits.export(),
        planner.leadership.export(),
        planner.overload.avoided,
        planner.recycle_limits.export(),
        planner.recycling.backoff,
        planner.autoscale.export(),
    )


def restore(planner: Planner, state: PlannerState) -> None:
    """Let a new planner continue from these records."""
    planner.state = HostState.RUNNING
    planner.generation = state.generation
    # An operator may have scaled the host: only a setting that was changed since counts.
    if _configured(planner.settings) == state.configured:
        planner.scaling.request(state.target)
        planner.autoscale.restore(state.autoscale)
    elif planner.settings.workers_range is not None:
        planner.scaling.request(planner.settings.workers_range.nearest(state.target))
    planner.slots.update((slot.number, slot) for slot in state.slots)
    planner.table.restore(state.workers)
    planner.limits.restore(state.limits)
    planner.leadership.restore(state.leadership)
    planner.overload.avoided = state.avoided
    planner.recycle_limits.restore(state.recycling)
    planner.recycling.backoff = state.recycling_backoff


def _configured(settings: Settings) -> tuple[int, WorkerRange | None]:
    return settings.workers, settings.workers_range
