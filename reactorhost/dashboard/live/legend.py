"""What the words, marks, colours and columns of the live view mean, for its help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reactorhost.dashboard.model.view import Page

_Row = tuple[str, str]

STATES: Sequence[_Row] = (
    ("starting", "forked, its plugins are being loaded"),
    ("ready", "accepts clients"),
    ("leader", "ready, and runs what only one worker may run"),
    ("full", "ready, but it cannot accept: it has as many clients as it may have"),
    ("silent", "its loop has not turned for so long: code blocks it, or it is stopped"),
    ("draining", "accepts no client, and waits until its clients are gone"),
    ("stopping", "closes its clients"),
    ("stuck", "did not end in time"),
    ("backoff", "no worker: it failed, and is started again in so long"),
    ("leaving", "no worker: the slot is no longer wanted, its clients are served by another"),
)

MARKS: Sequence[_Row] = (
    ("!", "an alert, the worst first; the key at its end helps"),
    ("red, bold", "clients notice it, or it needs an eye now"),
    ("magenta", "a warning, or a state that passes"),
    ("reverse", "the selected row, the shown page"),
    ("-", "unknown; a known nothing is 0"),
    ("▼ ▲", "the column of the order, in its usual direction or reversed"),
    ("D W E C", "an event of the level debug, warning, error or critical"),
    ("×4", "an event that has happened four times"),
    ("…", "more than there is room for"),
    ("K M G", "in bytes powers of 1024, else powers of 1000"),
)

_WORKERS: Sequence[_Row] = (
    ("PID", "process id, as a tree"),
    ("SLOT", "the place of a worker among the others; its successor has the same"),
    ("GEN", "generation: the number of the reload it comes from"),
    ("UP", "time since its start"),
    ("CLIENTS", "open connections"),
    ("ACC/s", "connections accepted per second"),
    ("REF/s", "connections refused per second"),
    ("RX/s TX/s", "bytes received and sent per second"),
    ("MSG/s", "calls of receive per second"),
    ("BUS/s", "messages to and from the bus per second"),
    ("DROP/s", "messages of the bus lost per second"),
    ("ERR/s", "exceptions of plugins per second"),
    ("P50 P99 P99.9", "half, 99 %, 99.9 % of the calls of receive took at most so long"),
    ("MAX", "the longest call of receive"),
    ("LAG", "the longest turn of the loop in the last second, or the age of the present one"),
    ("CPU%", "of one processor"),
    ("BUSY%", "of the time the loop did not wait"),
    ("RSS PSS", "resident memory; with shared pages divided among the processes"),
    ("RST", "unexpected exits of workers of this slot"),
)

_SERVICES: Sequence[_Row] = (
    ("SERVICE", "name of the service"),
    ("WORKERS", "workers that serve it; 1/4 where not all workers may, !3/4 where fewer serve than should"),
    ("CLIENTS", "open connections"),
    ("ACC/s", "connections accepted per second"),
    ("MSG/s", "calls of receive per second"),
    ("RX/s TX/s", "bytes received and sent per second"),
    ("P50 P99", "half, 99 % of the calls of receive took at most so long"),
    ("ERR/s", "exceptions of plugins per second"),
    ("QUEUE", "clients that wait to be accepted"),
    ("CHAIN", "its plugins in calling order, each with its share of the time on the loop"),
    ("ADDRESSES", "where it listens"),
)

_CLIENTS: Sequence[_Row] = (
    ("PEER ADDRESS", "address of the client, of all clients of a group without their ports"),
    ("CLIENTS", "clients of the group"),
    ("AGE", "time since it connected; of a group the oldest"),
    ("IDLE", "time since it last sent or was sent anything; of a group the least"),
    ("IN/s OUT/s", "bytes read and written per second"),
    ("IN OUT", "bytes read and written in all"),
    ("QUEUED", "bytes that wait to be sent to it"),
    ("SERVICE", "the service that it is connected to"),
    ("STATE", "whether it is open or being closed"),
    ("WORKER", "slot of its worker"),
    ("ID", "its number there"),
    ("TLS", "version, server name and the subject of its certificate"),
)

_PLUGINS: Sequence[_Row] = (
    ("HOOK CHAIN", "the plugins in calling order, with their services"),
    ("connect/s", "calls of connect per second; receive/s and close/s likewise"),
    ("P50 P99", "half, 99 % of the calls of receive took at most so long, with what is awaited"),
    ("TIME%", "its share of the time on the loop"),
    ("WAIT%", "of its own time, the part in which an async hook awaits"),
    ("ERR/s", "exceptions per second"),
    ("LAST ERROR", "their number, the age of the last one, and where it was"),
    ("LISTENER", "an address, and its SERVICE"),
    ("QUEUE LIMIT", "clients that wait to be accepted by all workers, and at most"),
    ("FULLEST", "clients that wait in the fullest queue"),
    ("DROPPED", "clients that the kernel rejected because a queue was full"),
)

COLUMNS: Mapping[Page, Sequence[_Row]] = {
    Page.WORKERS: _WORKERS,
    Page.SERVICES: _SERVICES,
    Page.CLIENTS: _CLIENTS,
    Page.PLUGINS: _PLUGINS,
}
"""The columns of the pages that have tables."""
