"""A host under load: rounds of random actions, then rest, in which everything must be as it should."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from census import Footprint, contradictions, footprints, growth
from chaos_actions import STALL_SECONDS, Actions
from chaos_plan import Step
from chaos_plugins import configuration, write_sources
from chaos_report import Report
from host_log import Event, HostLog
from judge import Kill, verdict
from pki import Pki
from reactorhost.testing import LiveHost
from swarm_process import SwarmProcess

WORKERS = 3
_SETTLE_SECONDS = 60.0
_TURN_SECONDS = 0.02
_HELD_CONNECTIONS = 20
_PROBE_SECONDS = 10.0
_AGREEMENT_SECONDS = 20.0
# Of requests that an action foils, such as a reload with a broken plugin. 2: a worker that has ended meanwhile.
_STATUSES = (0, 1, 3, 4)
_STATUSES_OF = {"recycle": (*_STATUSES, 2), "a second start": (6,)}
_LATE = "still stopping after its deadline"
_ENDED_ALONE = ("worker_crashed", "worker_killed")
_ENDS = ("worker_exited", "worker_crashed", "worker_not_booted")


class ViolationError(AssertionError):
    """Something that must never happen, or must happen and did not; the message says what."""


class ChaoticHost:
    """One host under load, and everything that watches it.

    Attributes:
        live: the host itself.
        report: what has been done so far.
    """

    def __init__(self, folder: Path, seed: int, journal: Path) -> None:
        self._folder = folder
        self._seed = seed
        self._journal = journal
        self._stack = ExitStack()
        self._before: dict[str, Footprint] = {}
        self._ready: set[int] = set()
        self.report = Report()

    def __enter__(self) -> Self:
        folder, stack = self._folder, self._stack
        write_sources(folder)
        pki = Pki(folder)
        config = folder / "host.toml"
        config.write_text(configuration(folder, pki.issue("server", "localhost")))
        log_path = folder / "host.log"
        settings = ["--stall-timeout", f"{STALL_SECONDS}s", "--retire-delay", "0.5", "--drain-timeout", "60s"]
        settings += ["--log-file", str(log_path), "--log-format", "json", "--workers", str(WORKERS)]
        settings += ["--max-connections-per-worker", "400", "--max-age", "60s", "--admin", "tcp://127.0.0.1:0"]
        self.live = stack.enter_context(LiveHost(folder, "--config", str(config), *settings))
        self._log = HostLog(log_path)
        stack.callback(self._log.close)
        self._actions = Actions(self.live, folder, self._log, log_path)
        stack.callback(self._actions.close)
        self._swarm = stack.enter_context(SwarmProcess(self.live, folder, pki.authority, self._seed))
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def round(self, plan: Iterable[Step]) -> None:
        """Carry out steps under load, and check everything in the rest that follows.

        Raises:
            ViolationError: something is not as it should be.
        """
        self._write({"round": self.report.rounds})
        self._swarm.order("resume")
        begun = time.monotonic()
        for step in plan:
            self._turn_until_moment(begun + step.at)
            note = self._actions.perform(step)
            self.report.actions[step.action] += 1
            self._write(asdict(step))
            self._write({"note": f"{time.strftime('%H:%M:%S', time.gmtime())} {note}"})
        self._rest()
        self.report.rounds += 1

    def finish(self) -> Report:
        """End the swarm and the host, and return what the run did."""
        self._swarm.order("stop")
        self._wait(lambda: self._swarm.stopped, "the end of the clients")
        self.report.counts = self._swarm.counts
        self._judge()
        if (status := self.live.stop()) != 0:
            raise ViolationError(f"the host ended with exit status {status}")
        self._judge()
        return self.report

    def _turn(self) -> None:
        self._swarm.wait(_TURN_SECONDS)
        self._actions.turn()
        if (status := self.live.process.poll()) is not None:
            raise ViolationError(f"the master ended with exit status {status}\n{self.live.log()}")
        hanging = [each for each in self._swarm.failures if each["error"] == "hang"]
        if hanging:
            raise ViolationError(f"clients without an answer: {hanging}")

    def _turn_until_moment(self, moment: float) -> None:
        self._turn_until(lambda: time.monotonic() >= moment)

    def _turn_until(self, holds: Callable[[], object]) -> None:
        while not holds():
            self._turn()

    def _wait(self, holds: Callable[[], object], what: str, seconds: float = _SETTLE_SECONDS) -> None:
        deadline = time.monotonic() + seconds

        def late() -> bool:
            if time.monotonic() > deadline:
                raise ViolationError(f"{what} did not come in {seconds:g} s")
            return False

        self._turn_until(lambda: holds() or late())

    def _rest(self) -> None:
        """Let the host come to rest, and check it."""
        actions = self._actions
        actions.undo()
        self._wait(lambda: not actions.unfinished(), f"the reply to {actions.unfinished()}")
        self._settle("rest after the actions")
        self._request("scale", workers=WORKERS)
        # Either may have failed meanwhile, for want of descriptors, or with code that was broken.
        self._request("reopen")
        self._request("reload")
        self._swarm.order("pause")
        self._wait(lambda: self._swarm.paused, "the end of the clients")
        document = self._settle("rest without clients")
        self._judge()
        # Whatever happens from here on has no cause before; process ids are used again too.
        actions.forget()
        self._compare(document)

    def _request(self, verb: str, **fields: object) -> None:
        """Make a request that must succeed."""
        known = len(self._actions.requests.replies)
        self._actions.requests.send(verb, **fields)
        self._wait(lambda: len(self._actions.requests.replies) > known, f"the reply to {verb}")
        name, reply = self._actions.requests.replies[-1]
        if reply["status"] != 0:
            raise ViolationError(f"{name} on a host at rest: {reply}")

    def _settle(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def settled() -> bool:
            # The control socket may have been removed a moment ago.
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                found.update(self.live.status())
            if not found:
                return False
            workers = [worker["state"] for worker in found["workers"]]
            return (
                not found["reloading"]
                and workers == ["ready"] * found["workers_wanted"]
                and [slot["state"] for slot in found["slots"]] == ["ready"] * found["workers_wanted"]
            )

        try:
            self._wait(settled, what)
        except ViolationError as error:
            shown = {key: found.get(key) for key in ("reloading", "workers_wanted", "workers", "slots")}
            raise ViolationError(f"{error}: {shown}") from None
        return found

    def _compare(self, document: dict[str, Any]) -> None:
        """Compare the status with the kernel, with connections and without, and with the first round."""
        self._hold_connections()
        self._agrees(lambda: list(contradictions(self.live, self.live.status(), {os.getpid(), self._swarm.pid})))
        self._agrees(self._probe_problems)
        now = footprints(self.live)
        if self._before:
            self._agrees(lambda: list(growth(footprints(self.live), self._before)))
        self._before = self._before or now
        self.report.footprints = now

    def _probe_problems(self) -> list[str]:
        (address,) = self.live.status()["admin"]
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        problems = []
        for path in ("/livez", "/readyz", "/metrics", "/status"):
            with closing(http.client.HTTPConnection(host, int(port), timeout=_PROBE_SECONDS)) as probe:
                probe.request("GET", path)
                if (response := probe.getresponse()).status != http.HTTPStatus.OK:
                    problems.append(f"{path}: {response.status} {response.read()!r}")
        return problems

    def _hold_connections(self) -> None:
        with ExitStack() as stack:
            for _ in range(_HELD_CONNECTIONS):
                client = stack.enter_context(self.live.connect("plain"))
                client.recv(100)
            self._agrees(lambda: list(contradictions(self.live, self.live.status(), {os.getpid(), self._swarm.pid})))
            if (count := self.live.status()["totals"]["connections"]) != _HELD_CONNECTIONS:
                raise ViolationError(f"{count} connections in the status, and {_HELD_CONNECTIONS} clients")

    def _agrees(self, problems: Callable[[], list[str]]) -> None:
        """Check that there are no problems, once the numbers of a moment ago have been replaced."""
        last: list[str] = []

        def none_left() -> bool:
            last[:] = problems()
            return not last

        try:
            self._wait(none_left, "agreement", _AGREEMENT_SECONDS)
        except ViolationError:
            raise ViolationError("\n".join(last)) from None

    def _judge(self) -> None:
        """Check the lost clients, the replies and the log since the last time."""
        self._judge_log()
        explained, unexplained = verdict(self._swarm.failures, self._actions.causes)
        self._swarm.failures.clear()
        self.report.explained += explained
        if unexplained:
            raise ViolationError("lost without a reason:\n" + "\n".join(map(str, unexplained)))
        wrong = [
            (name, reply)
            for name, reply in self._actions.requests.replies
            if reply["status"] not in _STATUSES_OF.get(name, _STATUSES)
        ]
        if wrong:
            raise ViolationError(f"replies: {wrong}")
        self._actions.requests.replies.clear()
        if "Traceback" in (errors := self.live.log()):
            raise ViolationError(f"on standard error:\n{errors}")

    def _judge_log(self) -> None:
        causes = self._actions.causes
        unexpected = []
        for event in self._log.events():
            late = event.name == "worker_killed" and self._is_late(event)
            if event.name == "worker_ready":
                self._ready.add(event.fields["pid"])
            if event.name in _ENDED_ALONE:
                pid = event.fields["pid"]
                if pid not in self._actions.touched and not late:
                    unexpected.append(event)
                causes.add_kill(Kill(pid, event.moment))
            if event.name in _ENDS:
                causes.add_end(event.fields["pid"], event.moment)
                self._ready.discard(event.fields["pid"])
            if event.level in ("error", "critical") and event.name not in causes.expected_events and not late:
                unexpected.append(event)
        if unexpected:
            raise ViolationError("unexpected in the log:\n" + "\n".join(str(event.fields) for event in unexpected))

    def _is_late(self, event: Event) -> bool:
        """Say whether a worker that was to end was killed for a deadline that it could not keep.

        It has passed while all processes were stopped, or while the worker still booted, without any client.
        """
        pid = event.fields["pid"]
        return event.fields.get("reason") == _LATE and (pid in self._actions.frozen or pid not in self._ready)

    def _write(self, line: dict[str, Any]) -> None:
        with self._journal.open("a") as journal:
            journal.write(json.dumps(line) + "\n")
