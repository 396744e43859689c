"""The state of a master as one value: what the next program continues with."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.typed_json import from_json, to_json
from reactorhost.logs import AppendHandler
from reactorhost.master.admin.control_server import ControlServer, Session
from reactorhost.master.admin.control_state import ControlState
from reactorhost.master.admin.fixed_settings import FIXED_SETTINGS, bound
from reactorhost.master.context import MasterContext
from reactorhost.master.http.sockets import EndpointState
from reactorhost.master.listen.listeners_state import ListenersState
from reactorhost.master.plan import planner_state
from reactorhost.master.plan.planner_state import PlannerState
from reactorhost.master.rundir import RunDirectory, RunDirectoryState
from reactorhost.master.stats.bus_monitor import BusMonitorState
from reactorhost.master.stats.events import EventsState
from reactorhost.master.stats.hook_error import HookError
from reactorhost.master.stats.reported_metrics import MetricsState
from reactorhost.master.stats.samples import SamplesState
from reactorhost.master.stats.service_sums import ServiceSumsState
from reactorhost.master.status_document import StatusBuilder
from reactorhost.master.workers.introductions import IntroductionsState
from reactorhost.master.workers.pool_state import PoolState

if TYPE_CHECKING:
    from reactorhost.master.http.server import HttpServer


@dataclass(frozen=True, slots=True)
class StatsState:
    """What the status document has beside the records of workers.

    Attributes:
        began: Unix and monotonic time.
        errors: text and time of the newest exception of each plugin, for versions that know no more and require it.
        hook_errors: all of it.
    """

    began: tuple[float, float]
    samples: SamplesState
    metrics: MetricsState
    bus: BusMonitorState
    shared_counters: dict[tuple[str, str], int]
    errors: dict[str, tuple[str, float]]
    events: EventsState
    service_sums: ServiceSumsState = field(default_factory=ServiceSumsState)
    hook_errors: dict[str, HookError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MasterState:
    """The state of a master that is idle.

    Attributes:
        blocked: the signals that the master blocks while it runs.
        fixed: the settings that a process keeps for its whole life.
        bound: every service's addresses, and whether TLS is used there.
        log: descriptor of the log.
        problems: what is wrong with files of the host, by path.
    """

    blocked: tuple[int, ...]
    fixed: dict[str, Any]
    bound: tuple[tuple[str, str, bool], ...]
    log: int
    rundir: RunDirectoryState
    listeners: ListenersState
    pool: PoolState
    planner: PlannerState
    introductions: IntroductionsState
    stats: StatsState
    control: ControlState
    endpoint: EndpointState | None
    problems: dict[Path, str]

    def descriptors(self) -> Iterator[int]:
        """Yield every descriptor that the next program needs."""
        # Standard error, as the log of a host in the foreground, is inherited anyway.
        if self.log > 2:
            yield self.log
        yield self.rundir.lock
        yield from self.listeners.descriptors()
        yield from self.pool.descriptors()
        yield from self.control.descriptors()
        if self.endpoint is not None:
            yield from self.endpoint.sockets


def fit_settings(settings: Settings, state: MasterState) -> Settings:
    """Return the settings with which the host continues: those of its first start where they cannot change.

    Raises:
        ReactorhostError: services or addresses are other ones than those that are bound.
    """
    if _bound(settings) != state.bound:
        what = "services and addresses cannot change in an upgrade"
        raise ReactorhostError(what, hint="use `reactorhost restart`, or upgrade with the configuration of before")
    hints = typing.get_type_hints(Settings)
    fixed = {name: from_json(hints[name], value) for name, value in state.fixed.items() if name in hints}
    return dataclasses.replace(settings, **fixed)


@dataclass(frozen=True, slots=True)
class MasterParts:
    """The parts of a master whose state is exported and restored."""

    context: MasterContext
    rundir: RunDirectory
    control: ControlServer
    endpoint: HttpServer | None
    status: StatusBuilder
    log_file: AppendHandler

    def export(self, blocked: typing.Collection[int]) -> MasterState:
        """Return the state of a master that is idle; all descriptors stay open.

        Raises:
            ReactorhostError: the host has lost its run directory.
        """
        context = self.context
        settings, monitor = context.planner.settings, context.monitor
        stats = StatsState(
            (self.status.started_at, self.status.started_monotonic),
            monitor.samples.export(),
            monitor.metrics.export(),
            context.bus.export(),
            context.shared_counters.export(),
            {plugin: (error.message, error.at) for plugin, error in monitor.errors.items()},
            context.log.export(),
            monitor.services.export(),
            monitor.errors,
        )
        return MasterState(
            tuple(sorted(blocked)),
            {name: to_json(getattr(settings, name)) for name in FIXED_SETTINGS},
            _bound(settings),
            self.log_file.descriptor,
            self.rundir.export(),
            context.listeners.export(),
            context.pool.export(context.listeners),
            planner_state.export(context.planner),
            context.introductions.export(),
            stats,
            self.control.export(),
            None if self.endpoint is None else self.endpoint.sockets.export(),
            dict(context.problems),
        )

    def restore(self, state: MasterState) -> list[Session]:
        """Continue from a state; returns the clients of the control socket in its order.

        The lock, the log, all other listeners and the scoreboard were restored where they are made.
        """
        context, stats = self.context, state.stats
        planner_state.restore(context.planner, state.planner)
        context.pool.restore(state.pool, context.listeners)
        context.introductions.restore(state.introductions)
        context.shared_counters.restore(stats.shared_counters)
        context.monitor.samples.restore(stats.samples)
        context.monitor.metrics.restore(stats.metrics)
        context.monitor.services.restore(stats.service_sums)
        context.monitor.errors.update(stats.hook_errors)
        context.bus.restore(stats.bus)
        context.log.restore(stats.events)
        context.problems.update(state.problems)
        return self.control.restore(state.control)


def _bound(settings: Settings) -> tuple[tuple[str, str, bool], ...]:
    return tuple((name, str(address), tls) for name, address, tls in bound(settings))
