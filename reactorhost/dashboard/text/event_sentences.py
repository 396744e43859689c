"""Events of the log as sentences for the screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reactorhost.dashboard.text.quantities import amount, counted, duration, number
from reactorhost.errors import numbers
from reactorhost.ipc.stall import place
from reactorhost.ipc.status import EventStatus

Fields = Mapping[str, Any]

# A number of the newest of several workers would be taken for that of all.
_OF_ONE_WORKER = frozenset({"pid", "connections", "restarts", "rss_peak_bytes"})


def sentence(event: EventStatus) -> str:
    """Return a sentence for an event; an unknown event is returned in the form of the log, `name key=value`.

    Of an event with repeats it is about the newest; it names all workers if they are several.
    """
    fields: Fields = event["fields"]
    if len(event["slots"]) > 1:
        fields = {**{key: value for key, value in fields.items() if key not in _OF_ONE_WORKER}, "slots": event["slots"]}
    template = _SENTENCES.get(event["event"])
    if template is not None:
        try:
            return template(fields)
        except (KeyError, TypeError, ValueError):
            # The host, or the recording, is of another version and has other fields: fall back to the log's form.
            pass
    return " ".join([event["event"], *(f"{key}={value}" for key, value in event["fields"].items())])


def _worker(fields: Fields) -> str:
    if "slots" in fields:
        return f"workers {numbers(fields['slots'])}"
    slot, pid = fields.get("slot"), fields.get("pid")
    if slot is None:
        return "a worker" if pid is None else f"worker with pid {pid}"
    return f"worker {slot}" if pid is None else f"worker {slot} (pid {pid})"


def _slot(fields: Fields) -> str:
    return f"slots {numbers(fields['slots'])}" if "slots" in fields else f"slot {fields['slot']}"


def _open(fields: Fields) -> str:
    return f"{counted(int(fields['connections']), 'connection')} open"


def _workers(fields: Fields) -> str:
    return counted(int(fields["workers"]), "worker")


def _stopping(fields: Fields) -> str:
    if fields.get("seconds") is None:
        return "stopping"
    return f"stopping: {_open(fields)}, at most {float(fields['seconds']):g} s"


def _draining(fields: Fields) -> str:
    generation = f", generation {fields['generation']}" if "generation" in fields else ""
    still = f": {_open(fields)}" if "connections" in fields else ""
    return f"{_worker(fields)} draining{generation}{still}, at most {duration(float(fields['seconds']))}"


def _crashed(fields: Fields) -> str:
    lost = f", {_open(fields)}" if fields.get("connections") else ""
    peak = f", peak RSS {amount(float(fields['rss_peak_bytes']))}" if fields.get("rss_peak_bytes") else ""
    restart = f"; restart {fields['restarts']}" if "restarts" in fields else ""
    reason, where = fields.get("reason") or "", _place(fields)
    # The reason may have the place already.
    where = "" if where and where in reason else where
    why = f", ended by the master: {reason}" if reason else ""
    return f"{_worker(fields)} crashed{where}: {fields['how']}{why}{lost}{peak}{restart}"


def _place(fields: Fields) -> str:
    if "where" not in fields:
        return ""
    return f" in {place(fields['plugin'], fields['hook'], fields['where'], fields.get('peer'))}"


def _paused(fields: Fields) -> str:
    still = f", {_open(fields)}" if "connections" in fields else ""
    return f"{_worker(fields)} paused accepting: {fields['reason']}{still}"


def _not_booted(fields: Fields) -> str:
    # The error begins with the worker, which the sentence has named already.
    return f"{_worker(fields)} did not start: {str(fields['error']).rpartition('did not become ready: ')[2]}"


def _reload_failed(fields: Fields) -> str:
    # A host of an earlier version does not log it.
    serving = f" ({fields['serving']})" if "serving" in fields else ""
    return f"reload failed at {_slot(fields)}{serving}: {fields['error']}"


def _limit(fields: Fields) -> str:
    setting, value, limit = str(fields["reason"]), float(fields["value"]), float(fields["limit"])
    show = {"max_age": duration, "max_rss": amount}.get(setting, number)
    return f"{setting}, {show(value)} of {show(limit)}"


def _not_reopened(fields: Fields) -> str:
    if "slot" in fields:
        return f"{_worker(fields)} keeps the old log file: {fields['error']}"
    return f"cannot reopen the log file: {fields['error']}"


def _hook_failed(fields: Fields) -> str:
    where = f"{_worker(fields)}: " if "slot" in fields else ""
    hook = f", {fields['hook']}" if fields.get("hook") else ""
    peer = f" for {fields['peer']}" if fields.get("peer") else ""
    place = f" ({fields['where']})" if fields.get("where") else ""
    return f"{where}plugin {fields['plugin']}{hook}{peer}: {fields['error']}{place}"


def _slow(fields: Fields) -> str:
    hook = "" if fields["hook"] == "?" else f".{fields['hook']}"
    return f"{_worker(fields)} held by {fields['plugin']}{hook}"


def _held(fields: Fields, so_far: str = "") -> str:
    # Of several, the client is that of the newest, which need not be the longest.
    if "longest_seconds" in fields:
        return f"up to {duration(float(fields['longest_seconds']))}"
    client = f", client {fields['peer']}" if fields.get("peer") else ""
    return f"{duration(float(fields['seconds']))}{so_far}{client}"


_SENTENCES: Mapping[str, Callable[[Fields], str]] = {
    "host_starting": lambda f: f"host starting, version {f['version']}, {_workers(f)}",
    "host_ready": lambda f: f"host ready, {_workers(f)}",
    "host_stopping": _stopping,
    "host_leaving": lambda f: f"stop requested, begins in {float(f['seconds']):g} s: {_open(f)}",
    "host_stopped": lambda f: "host stopped",
    "terminal_gone": lambda f: "the terminal hung up, stopping",
    "service_manager_lost": lambda f: f"the service manager is not notified: {f['error']}",
    "stored_sockets_dropped": lambda f: f"closed {counted(int(f['count']), 'socket')} of before, {f['used']} continue",
    "socket_store_full": lambda f: f"the service manager keeps no more than {f['limit']} descriptors",
    "socket_not_used": lambda f: f"no service uses the socket {f['socket']} that was passed: {f['address']}",
    "admin_exposed": lambda f: f"the HTTP endpoint on {f['address']}: {f['hint']}",
    "backlog_limited": lambda f: f"the kernel limits the backlog to {f['effective']} (requested: {f['asked']})",
    "worker_starting": lambda f: f"{_worker(f)} starting, generation {f['generation']}",
    "worker_ready": lambda f: f"{_worker(f)} ready, generation {f['generation']}",
    "worker_draining": _draining,
    "worker_held": lambda f: f"{_worker(f)} kept from leaving by {f['plugin']}: {f['reason']}",
    "hold_abandoned": lambda f: f"{_worker(f)} left although {f['plugin']} held it: {f['reason']}",
    "leader_changed": lambda f: f"{_worker(f)} leads: {f['reason']}",
    "worker_exited": lambda f: f"{_worker(f)} exited: {f['how']}",
    "worker_crashed": _crashed,
    "service_workers_limited": lambda f: (
        f"service {f['service']} is served by at most {_workers(f)}: plugin {f['plugin']} allows no more"
    ),
    "workers_missing": lambda f: f"only {f['ready']} of {f['wanted']} workers are ready",
    "worker_blocked": lambda f: f"{_worker(f)} blocked for {f['seconds']} s{_place(f)}",
    "worker_unblocked": lambda f: f"{_worker(f)} no longer blocked",
    "worker_killed": lambda f: f"{f['signal']} sent to {_worker(f)}: {f['reason']}",
    "worker_not_booted": _not_booted,
    "worker_not_forked": lambda f: f"cannot fork a worker for {_slot(f)}: {f['error']}",
    "reload_started": lambda f: f"reload to generation {f['generation']} started",
    "code_changed": lambda f: f"changed on disk, needs a restart: {f['modules']}",
    "reload_finished": lambda f: f"reload to generation {f['generation']} done",
    "reload_failed": _reload_failed,
    "upgrade_started": lambda f: f"upgrade: checking the installation of {f['interpreter']}",
    "upgraded": lambda f: f"the master has version {f['version']} now, {f['before']} before",
    "upgrade_failed": lambda f: f"upgrade failed, the host continues as it was: {f['error']}",
    "files_changed": lambda f: f"changed on disk: {f['files']}",
    "source_watch_ended": lambda f: f"the watch of source files has ended: {f['hint']}",
    "scaling": lambda f: f"scaling from {f['before']} to {_workers(f)}",
    "scaled_by_load": lambda f: f"scaling from {f['before']} to {_workers(f)}: {f['reason']}",
    "recycling": lambda f: f"recycling {_worker(f)}",
    "worker_recycled": lambda f: f"{_worker(f)} replaced: {_limit(f)}",
    "worker_not_recycled": lambda f: f"{_worker(f)} serves on in spite of {f['reason']}: {f['error']}",
    "action_failed": lambda f: f"an action failed ({f['action']}): {f['error']}",
    "slot_retired": lambda f: f"{_slot(f)} retired",
    "slot_not_opened": lambda f: f"{_slot(f)} cannot listen: {f['error']}",
    "steering_refused": lambda f: f"the kernel still sends connections to retiring slots ({f['slots']}): {f['hint']}",
    "adoption_failed": lambda f: f"{_worker(f)} could not adopt slot {f['for_slot']}: {f['reason']}",
    "accepting_paused": _paused,
    "clients_refused": lambda f: f"{_worker(f)} refuses clients: {f['reason']}",
    "slow_hook": lambda f: f"{_slow(f)} at {f['where']}, for {_held(f, ' so far')}",
    "slow_hook_ended": lambda f: f"{_slow(f)} for {_held(f)}",
    "hook_failed": _hook_failed,
    "hook_cancel_ignored": lambda f: f"{_worker(f)}: an async hook for {f['peer']} did not end when it was cancelled",
    "stats_invalid": lambda f: f"{_worker(f)}: stats of plugin {f['plugin']} cannot be used: {f['reason']}",
    "introductions_delayed": lambda f: f"the workers cannot be connected to each other yet: {f['reason']}",
    "bus_backend_down": lambda f: f"the bus has lost the other machines: {f['reason']}",
    "bus_backend_up": lambda f: "the bus reaches the other machines again",
    "bus_messages_dropped": lambda f: f"{counted(int(f['count']), 'message')} of the bus lost, see the log",
    "shared_counter_refused": lambda f: (
        f"the host has {f['limit']} shared counters, plugin {f['plugin']} cannot share {f['counter']}"
    ),
    "master_gone": lambda f: f"{_worker(f)} lost its master, {_open(f)}",
    "leftover_killed": lambda f: f"killed pid {f['pid']}, a worker of the previous master: {f['reason']}",
    "file_restored": lambda f: f"made {f['path']} again, because it was removed",
    "file_lost": lambda f: str(f["error"]),
    "client_disconnected": lambda f: f"disconnected client {f['peer']} of service {f['service']}, as requested",
    "control_client_disconnected": lambda f: f"disconnected a control client, idle for {float(f['idle_seconds']):g} s",
    "control_refused": lambda f: f"control socket: refused pid {f['pid']} of user {f['uid']}",
    "configuration_refused": lambda f: f"configuration refused, nothing changed: {f['error']}",
    "directory_not_entered": lambda f: f"cannot enter the directory of the start, {f['path']}: {f['error']}",
    "settings_wait_for_restart": lambda f: f"changed settings that need a restart: {f['settings']}",
    "log_not_reopened": _not_reopened,
    "workers_file_not_written": lambda f: str(f["error"]),
}
