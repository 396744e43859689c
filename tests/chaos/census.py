"""Compare what a host says of itself with what the kernel says, and with what it was before."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel import accepted_ports, open_files, resident_bytes, tcp_sockets
from reactorhost.testing import LiveHost
from started import TOKEN, children, running

_MOST_GROWTH_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds: descriptors by kind, threads, and resident memory."""

    descriptors: Counter[str]
    threads: int
    resident: int


def footprint(pid: int) -> Footprint:
    """Return what a process holds now."""
    kinds = Counter(
        "file" if target.startswith("/") else target.partition(":")[0] for target in open_files(pid).values()
    )
    return Footprint(kinds, len(os.listdir(f"/proc/{pid}/task")), resident_bytes(pid))


def footprints(host: LiveHost) -> dict[str, Footprint]:
    """Return what the master and each worker hold, by name.

    Raises:
        FileNotFoundError: one of them has ended meanwhile, or has closed a descriptor.
    """
    found = {f"worker {worker['slot']}": footprint(worker["pid"]) for worker in host.workers()}
    return {"master": footprint(host.pid), **found}


def growth(now: dict[str, Footprint], before: dict[str, Footprint]) -> Iterator[str]:
    """Yield what is larger or smaller than before."""
    if now.keys() != before.keys():
        yield f"processes {sorted(now)} and not {sorted(before)}"
        return
    for name, footprint in now.items():
        old = before[name]
        if footprint.descriptors != old.descriptors:
            yield f"descriptors of {name}: {_difference(footprint.descriptors, old.descriptors)}"
        if footprint.threads != old.threads:
            yield f"{name} has {footprint.threads} threads and not {old.threads}"
        if footprint.resident > old.resident + _MOST_GROWTH_BYTES:
            yield f"{name} has {footprint.resident >> 10} KiB and not {old.resident >> 10}"


def _difference(now: Counter[str], before: Counter[str]) -> str:
    changed = {kind: now[kind] - before[kind] for kind in now | before if now[kind] != before[kind]}
    return ", ".join(f"{number:+d} {kind}" for kind, number in sorted(changed.items()))


def contradictions(host: LiveHost, document: dict[str, Any], ours: set[int]) -> Iterator[str]:
    """Yield what the status document says and the kernel does not, for a host at rest.

    Args:
        host: the host.
        document: its status.
        ours: processes of the test itself.
    """
    workers = {worker["pid"]: worker for worker in document["workers"]}
    actual = children(host.pid)
    if actual != set(workers):
        yield f"the master has the children {sorted(actual)}, and the status the workers {sorted(workers)}"
    strangers = set(running(os.environ[TOKEN])) - actual - ours - {host.pid}
    if strangers:
        yield f"processes without a master: {sorted(strangers)}"
    zombies = [pid for pid in actual if _state(pid) == "Z"]
    if zombies:
        yield f"zombies: {zombies}"
    yield from _file_contradictions(host, document)
    for pid, worker in workers.items():
        connections = len(accepted_ports(pid))
        if worker["connections"] != connections:
            yield f"worker {pid} has {connections} connections, and {worker['connections']} in the status"
    yield from _listener_contradictions(document)
    waiting = [row for row in document["listeners"] if row["depth"]]
    for name, found in {"clients in queues": waiting, "problems": document["problems"]}.items():
        if found:
            yield f"{name}: {found}"


def _file_contradictions(host: LiveHost, document: dict[str, Any]) -> Iterator[str]:
    if (host.run_dir / "master.pid").read_text().split() != [str(host.pid)]:
        yield "master.pid does not name the master"
    lines = {tuple(map(int, line.split())) for line in (host.run_dir / "workers.pid").read_text().splitlines()}
    wanted = {(worker["slot"], worker["pid"], worker["generation"]) for worker in document["workers"]}
    if lines != wanted:
        yield f"workers.pid has {sorted(lines)}, and the status {sorted(wanted)}"


def _listener_contradictions(document: dict[str, Any]) -> Iterator[str]:
    slots = len(document["slots"])
    for port in _ports(document):
        listeners = sum(sock.port == port for sock in tcp_sockets(listening=True))
        listed = sum(row["sockets"] for row in document["listeners"] if row["address"].endswith(f":{port}"))
        if not listeners == listed == slots:
            yield f"port {port}: {listeners} listeners, {listed} in the status, {slots} slots"


def _ports(document: dict[str, Any]) -> Iterator[int]:
    for service in document["services"]:
        for address in service["addresses"]:
            if not address.startswith(("unix:", "udp:")):
                yield int(address.rpartition(":")[2])


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"
