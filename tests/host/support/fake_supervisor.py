"""A supervisor without processes, for tests of the planner."""

from __future__ import annotations

import json
import random

from leading_workers import LeadingWorkers
from planner_settings import host_settings
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.typed_json import from_json, to_json
from reactorhost.master.plan import planner_state
from reactorhost.master.plan.actions import Action, Count, Drain, Lead, Spawn
from reactorhost.master.plan.planner import Exit, ExitKind, Planner
from reactorhost.master.plan.worker_table import WorkerState


class FakeSupervisor:
    """Carries out the planner's actions without processes."""

    def __init__(self, workers: int = 2, **services: int | None) -> None:
        self.now = 100.0
        self.planner = Planner(host_settings(workers, **services), random.Random(1))
        self.pids = iter(range(1000, 100_000))
        self.done: list[Action] = []
        self.led: list[Lead] = []
        self.counted: list[Count] = []
        self.leading = LeadingWorkers(self.planner)

    def settle(self) -> list[Action]:
        """Act until the planner returns nothing; returns what was done, but for what `led` and `counted` collect."""
        done: list[Action] = []
        for _ in range(50):
            wanted = self.planner.decide(self.now)
            if not wanted:
                self.done += done
                return done
            for action in wanted:
                match action:
                    case Lead():
                        self.led.append(action)
                        self.leading.of[action.pid].orders.append(action)
                        continue
                    case Count():
                        self.counted.append(action)
                        continue
                    case Spawn():
                        self.planner.forked(next(self.pids), action.slot, action.generation, self.now)
                    case Drain():
                        self.leading.of[action.pid].orders.append(action)
                done.append(action)
        raise AssertionError(f"the planner never settles: {done[-5:]}")

    def declare(self, **services: int | None) -> list[Action]:
        """Let the worker of slot 0 report what its plugins allow; returns what was done."""
        declared = {name: (workers, "chat") for name, workers in services.items() if workers is not None}
        done = self.planner.limits_declared(declared, self.now)
        self.done += done
        return [*done, *self.settle()]

    def expire(self, seconds: float) -> list[Action]:
        """Let time pass, and look at the deadlines."""
        self.now += seconds
        expired = self.planner.expire(self.now)
        for action in expired:
            if isinstance(action, Drain):
                self.leading.of[action.pid].orders.append(action)
        return expired

    def starting(self, slot: int) -> int:
        """Return the process that boots in a slot."""
        return self.planner.table.in_slot(slot, WorkerState.STARTING)[-1].pid

    def ready(self, slot: int) -> int:
        """Let the process that boots in a slot become ready."""
        pid = self.starting(slot)
        self.planner.ready(pid, self.now)
        self.settle()
        return pid

    def end(self, pid: int) -> Exit | None:
        """Let a process end."""
        self.leading.end(pid)
        return self.planner.exited(pid, "exit status 1", ReactorhostError("exit status 1"), self.now)

    def exit(self, pid: int) -> ExitKind:
        """Let a worker end."""
        ended = self.end(pid)
        assert ended is not None
        return ended.kind

    def silence(self, *pids: int) -> list[Action]:
        """Let the loops of these workers stand still, and those of all others turn; returns what was done."""
        heartbeats = {pid: self.now - 1.0 if pid in pids else self.now for pid in self.planner.workers}
        self.planner.table.note_heartbeats(heartbeats, self.now)
        return self.settle()

    def start_reload(self) -> None:
        """Start a reload."""
        self.planner.reload.request()
        assert self.planner.begin_reload()

    def hand_over(self) -> None:
        """Let the planner of another program continue with the records of an idle one."""
        assert planner_state.is_idle(self.planner)
        state = json.loads(json.dumps(to_json(planner_state.export(self.planner))))
        planner = Planner(self.planner.settings, random.Random(1))
        planner_state.restore(planner, from_json(planner_state.PlannerState, state))
        self.planner = self.leading.planner = planner

    def running(self) -> list[int]:
        """Boot every slot; returns their processes."""
        self.settle()
        pids = [self.ready(0)]
        pids += [self.ready(slot) for slot in range(1, self.planner.scaling.target)]
        self.done.clear()
        return pids
