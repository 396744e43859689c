"""What of a host needs an eye now: one sentence each, the worst first. Nothing is said of a host that is well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from reactorhost.dashboard.model.view import Key, Page, ProcessKey
from reactorhost.dashboard.text import silence_words
from reactorhost.dashboard.text.alarm_limits import FILLING, FULL, fullest_fill
from reactorhost.dashboard.text.event_sentences import sentence
from reactorhost.dashboard.text.quantities import counted, duration, number, rate, whole_seconds
from reactorhost.errors import numbers
from reactorhost.ipc.status import EventStatus, ListenerStatus, StatusDocument, WorkerStatus

_MOST_OF_A_KIND = 3
# A worker boots in less, and a plugin that loads a model is no alarm.
_LONG_BOOT_SECONDS = 10.0
_LEAST_RATE = 0.95
_SLOW_MASTER_SECONDS = 1.0
_RECENT_ERROR_SECONDS = 60.0
_RECENT_EVENT_SECONDS = 30.0
_RECENT_CRASH_SECONDS = 300.0
_RECENT_RELOAD_SECONDS = 3600.0

# What workers log of clients and hooks. Other warnings are in the state of the host for as long as they hold.
_RECENT_EVENTS = frozenset({"slow_hook_ended", "clients_refused", "accepting_paused", "accept_rate_reached"})
# The failure of an operation, and what its later success is logged as.
_FAILED = {"reload_failed": "reload_finished", "upgrade_failed": "upgraded"}


class AlertLevel(IntEnum):
    """How bad it is; the worst is the largest."""

    WARNING = 1
    """Something may go wrong soon, or went wrong and is over."""
    ERROR = 2
    """Clients notice it."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One sentence for the operator.

    Attributes:
        page: the page that shows more of it.
        target: the key of the row on that page, or None.
    """

    level: AlertLevel
    text: str
    page: Page
    target: Key | None = None

    @property
    def key(self) -> str:
        """The key of the live view that shows more of it."""
        return str(self.page.value)


def alerts(document: StatusDocument) -> list[Alert]:
    """Return the alerts of a host, the worst first."""
    found = [alert for source in _SOURCES for alert in source(document)]
    return sorted(found, key=lambda alert: -alert.level)


def _problems(document: StatusDocument) -> Iterator[Alert]:
    yield from (Alert(AlertLevel.ERROR, problem, Page.LOG) for problem in document["problems"])


def _workers(document: StatusDocument) -> Iterator[Alert]:
    """Yield the workers that do not serve."""
    workers = document["workers"]
    silent = [worker for worker in workers if silence_words.seconds_of(worker) is not None]
    silent.sort(key=lambda worker: -(silence_words.seconds_of(worker) or 0))
    # Few of them hang in different places. Many have a common cause, and must not fill the screen.
    for group in [silent] if len(silent) > _MOST_OF_A_KIND else [[worker] for worker in silent]:
        seconds = whole_seconds(silence_words.seconds_of(group[0]) or 0)
        yield _about(AlertLevel.ERROR, group, f"been silent for {seconds}", silence_words.where(group[0]))
    if stuck := [worker for worker in workers if worker["state"] == "stuck"]:
        yield _about(
            AlertLevel.ERROR, stuck, "been silent for too long and will be ended", silence_words.where(stuck[0])
        )
    booting = [each for each in workers if each["state"] == "starting" and each["state_seconds"] >= _LONG_BOOT_SECONDS]
    if booting:
        longest = max(worker["state_seconds"] for worker in booting)
        yield _about(AlertLevel.WARNING, booting, f"not become ready for {duration(longest)}")
    ready = [worker for worker in workers if worker["state"] == "ready"]
    if full := [worker for worker in ready if worker["full"]]:
        level = AlertLevel.ERROR if len(full) == len(ready) else AlertLevel.WARNING
        yield _about(level, full, "no room for another client")


def _about(level: AlertLevel, workers: Sequence[WorkerStatus], what: str, where: str = "") -> Alert:
    """Return an alert about workers; `what` follows "has", and `where` is of the first one."""
    slots = sorted({worker["slot"] for worker in workers})
    one = len(slots) == 1
    named = f"worker {slots[0]} has" if one else f"workers {numbers(slots)} have"
    of_first = "" if one or not where else f"worker {workers[0]['slot']} "
    text = f"{named} {what}" + (f": {of_first}{where}" if where else "")
    return Alert(level, text, Page.WORKERS, ProcessKey(workers[0]["slot"], workers[0]["pid"]))


def _slots(document: StatusDocument) -> Iterator[Alert]:
    waiting = [slot for slot in document["slots"] if slot["state"] == "backoff"]
    if not waiting:
        return
    first = waiting[0]
    named = f"slot {first['slot']} has" if len(waiting) == 1 else f"slots {numbers([s['slot'] for s in waiting])} have"
    why = f": {reason}" if (reason := first["reason"] or first["last_exit"]) else ""
    yield Alert(AlertLevel.ERROR, f"{named} no worker{why}", Page.WORKERS, ProcessKey(first["slot"], None))


def _readiness(document: StatusDocument) -> Iterator[Alert]:
    # While it starts or stops, the state in the title is the reason.
    if document["state"] == "running":
        for reason in document["not_ready"]:
            yield Alert(AlertLevel.ERROR, f"not ready for new clients: {reason}", Page.LOG)


def _plugins(document: StatusDocument) -> Iterator[Alert]:
    for plugin in document["plugins"]:
        error, now = plugin["last_error"], plugin["errors_per_second"] > 0
        if error is None or not (now or error["age_seconds"] < _RECENT_ERROR_SECONDS):
            continue
        when = f"{rate(plugin['errors_per_second'])} times/s" if now else f"{duration(error['age_seconds'])} ago"
        level = AlertLevel.ERROR if now else AlertLevel.WARNING
        where = f"{error['message']} ({error['hook']} at {error['where']})"
        yield Alert(level, f"plugin {plugin['name']} failed {when}: {where}", Page.PLUGINS, plugin["name"])


def _load(document: StatusDocument) -> Iterator[Alert]:
    open_now, limit = document["totals"]["connections"], document["max_connections"]
    if limit and open_now >= FULL * limit:
        yield Alert(AlertLevel.WARNING, f"{number(open_now)} of {number(limit)} connections are open", Page.SERVICES)
    # One for each service: of several addresses that with the fullest queue.
    for service in document["services"]:
        queues = [each for each in document["listeners"] if each["service"] == service["name"]]
        fullest = max(queues, key=fullest_fill, default=None)
        if fullest is not None and fullest_fill(fullest) >= FILLING:
            level = AlertLevel.ERROR if fullest_fill(fullest) >= FULL else AlertLevel.WARNING
            yield Alert(level, _queue(fullest), Page.SERVICES, service["name"])
    if (refused := document["rates"]["refused"]) >= _LEAST_RATE:
        yield Alert(AlertLevel.WARNING, f"{rate(refused)} clients/s are refused", Page.SERVICES)


def _queue(listener: ListenerStatus) -> str:
    slot = "" if listener["fullest_slot"] is None else f" for worker {listener['fullest_slot']}"
    waiting = f"{number(listener['fullest_depth'])} of at most {number(listener['fullest_limit'])}"
    return f"{waiting} clients of {listener['service']} wait to be accepted{slot}"


def _bus(document: StatusDocument) -> Iterator[Alert]:
    bus = document["bus"]
    if bus is None:
        return
    backend = bus["backend"]
    if backend is not None and backend["state"] == "down":
        why = f": {backend['reason']}" if backend["reason"] else ""
        yield Alert(AlertLevel.ERROR, f"the bus does not reach {backend['url']}{why}", Page.LOG)
    if bus["dropped_per_second"]:
        yield Alert(AlertLevel.ERROR, f"the bus loses {rate(bus['dropped_per_second'])} messages/s", Page.LOG)


def _master(document: StatusDocument) -> Iterator[Alert]:
    lag = document["master"]["lag_max_seconds"]
    if lag >= _SLOW_MASTER_SECONDS:
        yield Alert(AlertLevel.WARNING, f"the master was blocked for {duration(lag)}", Page.LOG)


def _incidents(document: StatusDocument) -> Iterator[Alert]:
    """Yield crashes of the last minutes, and failures that nothing has repaired since."""
    newest = {each["event"]: each for each in document["crashes"]}
    waiting = {slot["slot"] for slot in document["slots"] if slot["state"] == "backoff"}
    for event in newest.values():
        age = document["time"] - event["time"]
        repaired = _FAILED.get(event["event"])
        if repaired is None:
            # That a slot has no worker, and why, is an alert of its own.
            over = waiting | (_ready_since(document, age) if event["event"] == "worker_not_booted" else set())
            recent = age < _RECENT_CRASH_SECONDS and not (event["slots"] and over.issuperset(event["slots"]))
        else:
            later = [each for each in document["events"] if each["event"] == repaired and each["time"] > event["time"]]
            recent = age < _RECENT_RELOAD_SECONDS and not later
        if recent:
            yield Alert(AlertLevel.WARNING, _logged(event, age), Page.LOG)


def _ready_since(document: StatusDocument, seconds: float) -> set[int]:
    """Return the slots with a worker that has become ready in the last `seconds`."""
    ready = (worker for worker in document["workers"] if worker["state"] == "ready")
    return {worker["slot"] for worker in ready if worker["state_seconds"] <= seconds}


def _recent(document: StatusDocument) -> Iterator[Alert]:
    """Yield what workers have just logged."""
    for event in document["events"]:
        age = document["time"] - event["time"]
        if event["event"] in _RECENT_EVENTS and age < _RECENT_EVENT_SECONDS:
            yield Alert(AlertLevel.WARNING, _logged(event, age), Page.LOG)


def _logged(event: EventStatus, age: float) -> str:
    times = f", {counted(event['count'], 'time')}" if event["count"] > 1 else ""
    return f"{sentence(event)}{times}, {duration(max(0.0, age))} ago"


# In the order in which alerts of one level are shown.
_SOURCES: Sequence[Callable[[StatusDocument], Iterator[Alert]]] = (
    _workers,
    _slots,
    _readiness,
    _problems,
    _plugins,
    _load,
    _bus,
    _incidents,
    _recent,
    _master,
)
