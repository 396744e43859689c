"""The tree of master and workers that `status` prints."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from reactorhost.dashboard.banner import chain
from reactorhost.dashboard.figures import duration, size
from reactorhost.status import SlotStatus, StatusDocument, WorkerStatus

_STYLES = {"starting": "cyan", "draining": "yellow", "stopping": "yellow", "backoff": "red", "leaving": "yellow"}


def tree(document: StatusDocument) -> Tree:
    """Return the host as a tree: the master, its services, its workers, and slots that have none."""
    root = Tree(_head(document), guide_style="dim")
    for service in document["services"]:
        line = Text(f"{', '.join(service['addresses'])}  {chain(service['plugins'])}")
        root.add(Text(f"service {service['name']}  ", style="dim").append_text(line))
    for slot in document["slots"]:
        workers = [worker for worker in document["workers"] if worker["slot"] == slot["slot"]]
        for worker in workers:
            root.add(_worker(worker))
        if slot["state"] in ("backoff", "leaving"):
            root.add(_slot(slot))
    return root


def _head(document: StatusDocument) -> Text:
    totals = document["totals"]
    head = Text(f"{document['name']}", style="bold")
    head.append(f"  reactorhost {document['version']}  pid {document['pid']}  ", style="not bold")
    head.append(document["state"], style="not bold" if document["state"] == "running" else "yellow")
    head.append(
        f"  up {duration(document['uptime_seconds'])}  generation {document['generation']}"
        f"  {document['workers_ready']}/{document['workers_wanted']} ready"
        f"  {totals['connections']} open  {totals['accepted']} accepted",
        style="not bold",
    )
    if totals["hook_errors"]:
        head.append(f"  {totals['hook_errors']} hook errors", style="red")
    return head


def _worker(worker: WorkerStatus) -> Text:
    line = Text(f"worker {worker['slot']}  pid {worker['pid']}  ")
    line.append(f"{worker['state']:<8}", style=_STYLES.get(worker["state"], ""))
    line.append(
        f"  gen {worker['generation']}  up {duration(worker['uptime_seconds'])}"
        f"  {worker['connections']} open  {worker['accepted']} accepted"
        f"  in {size(worker['bytes_in'])}  out {size(worker['bytes_out'])}"
    )
    if worker["rss_bytes"] is not None:
        line.append(f"  rss {size(worker['rss_bytes'])}")
    if worker["state"] in ("draining", "stopping") and worker["deadline_seconds"] is not None:
        line.append(f"  at most {duration(worker['deadline_seconds'])} more", style="yellow")
    if worker["adopted_slots"]:
        line.append(f"  serves slot {', '.join(map(str, worker['adopted_slots']))} too", style="yellow")
    return line


def _slot(slot: SlotStatus) -> Text:
    line = Text(f"slot {slot['slot']}  ").append(slot["state"], style=_STYLES[slot["state"]])
    if slot["retry_seconds"] is not None:
        line.append(f"  next try in {duration(slot['retry_seconds'])}")
    if slot["adopted_by"] is not None:
        line.append(f"  served by pid {slot['adopted_by']}")
    if slot["state"] == "backoff" and slot["last_exit"]:
        line.append(f"  last: {slot['last_exit']}")
    return line
