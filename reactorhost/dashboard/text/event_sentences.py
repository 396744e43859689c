"""Events as sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reactorhost.dashboard.text.quantities import amount, duration, number
from reactorhost.ipc.status import EventStatus

Fields = Mapping[str, Any]


def sentence(event: EventStatus) -> str:
    """Return what happened in plain words; an event that this does not know, or not like this, as the log has it."""
    fields = event["fields"]
    words = _WORDS.get(event["event"])
    if words is not None:
        try:
            return words(fields)
        except (KeyError, TypeError, ValueError):
            # Of another version: what it says is shown, only less nicely.
            pass
    return " ".join([event["event"], *(f"{key}={value}" for key, value in fields.items())])


def _worker(fields: Fields) -> str:
    slot, pid = fields.get("slot"), fields.get("pid")
    if slot is None:
        return "a worker" if pid is None else f"worker with pid {pid}"
    return f"worker {slot}" if pid is None else f"worker {slot} (pid {pid})"


def _open(fields: Fields) -> str:
    count = int(fields["connections"])
    return f"{number(count)} connection{'' if count == 1 else 's'} open"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _stopping(fields: Fields) -> str:
    if fields.get("seconds") is None:
        return "stopping"
    return f"stopping: {_open(fields)}, at most {float(fields['seconds']):g} s"


def _draining(fields: Fields) -> str:
    generation = f", generation {fields['generation']}" if "generation" in fields else ""
    return f"{_worker(fields)} draining{generation}: {_open(fields)}, at most {duration(float(fields['seconds']))}"


def _crashed(fields: Fields) -> str:
    lost = f", {_open(fields)}" if fields.get("connections") else ""
    peak = f", peak RSS {amount(float(fields['rss_peak_bytes']))}" if fields.get("rss_peak_bytes") else ""
    return f"{_worker(fields)} crashed: {fields['how']}{lost}{peak}; restart {fields['restarts']}"


def _not_booted(fields: Fields) -> str:
    # The error names the worker once more.
    return f"{_worker(fields)} did not start: {str(fields['error']).rpartition('did not become ready: ')[2]}"


def _hook_failed(fields: Fields) -> str:
    where = f"{_worker(fields)}: " if "slot" in fields else ""
    hook = f", {fields['hook']}" if fields.get("hook") else ""
    peer = f" for {fields['peer']}" if fields.get("peer") else ""
    return f"{where}plugin {fields['plugin']}{hook}{peer}: {fields['error']}"


_WORDS: Mapping[str, Callable[[Fields], str]] = {
    "host_starting": lambda f: f"host starting, version {f['version']}, {_counted(int(f['workers']), 'worker')}",
    "host_ready": lambda f: f"host ready, {_counted(int(f['workers']), 'worker')}",
    "host_stopping": _stopping,
    "host_stopped": lambda f: "host stopped",
    "terminal_gone": lambda f: "the terminal is gone: stopping",
    "backlog_limited": lambda f: f"the kernel queues {f['effective']} connections a socket, not {f['asked']}",
    "worker_starting": lambda f: f"{_worker(f)} starting, generation {f['generation']}",
    "worker_ready": lambda f: f"{_worker(f)} ready, generation {f['generation']}",
    "worker_draining": _draining,
    "worker_exited": lambda f: f"{_worker(f)} left: {f['how']}",
    "worker_crashed": _crashed,
    "worker_killed": lambda f: f"{_worker(f)} gets {f['signal']}: {f['reason']}",
    "worker_not_booted": _not_booted,
    "worker_not_forked": lambda f: f"no worker for slot {f['slot']}: {f['error']}",
    "reload_started": lambda f: f"reload to generation {f['generation']} began",
    "reload_finished": lambda f: f"reload to generation {f['generation']} done",
    "reload_failed": lambda f: f"reload failed at slot {f['slot']}, the old worker serves on: {f['error']}",
    "scaling": lambda f: f"scaling from {f['before']} to {_counted(int(f['workers']), 'worker')}",
    "recycling": lambda f: f"{_worker(f)} is to be recycled",
    "slot_retired": lambda f: f"slot {f['slot']} retired",
    "slot_not_opened": lambda f: f"slot {f['slot']} cannot listen: {f['error']}",
    "steering_refused": lambda f: f"new connections still reach the slots that leave ({f['slots']}): {f['hint']}",
    "adoption_failed": lambda f: f"{_worker(f)} could not take over slot {f['for_slot']}: {f['reason']}",
    "accepting_paused": lambda f: f"{_worker(f)} accepts no more: {f['reason']}, {_open(f)}",
    "hook_failed": _hook_failed,
    "master_gone": lambda f: f"{_worker(f)} lost its master, {_open(f)}",
    "control_refused": lambda f: f"control socket: refused pid {f['pid']} of user {f['uid']}",
    "configuration_refused": lambda f: f"configuration refused, nothing changed: {f['error']}",
    "settings_wait_for_restart": lambda f: f"settings that need a restart changed: {f['settings']}",
    "log_not_reopened": lambda f: f"the log file cannot be opened again: {f['error']}",
    "workers_file_not_written": lambda f: f"workers.pid cannot be written: {f['error']}",
}
