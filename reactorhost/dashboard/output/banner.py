"""The banner that `reactorhost start` prints when the host is ready."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from reactorhost.config.default_paths import selection
from reactorhost.errors import counted
from reactorhost.ipc.status import PluginStatus, ServiceStatus, StatusDocument


def banner(document: StatusDocument, stop: str | None = None) -> str:
    """Return the banner: version, pid, addresses, plugins, workers, and how to stop the host.

    `stop` is the command for that, if it is not one of the host.
    """
    rows = [("listening", _service(service, len(document["services"]))) for service in document["services"]]
    rows += [("warning", no_receive(each["name"])) for each in document["services"] if each["receives"] is False]
    rows.append(("workers", f"{document['workers_ready']} of {document['workers_wanted']} ready{_by_load(document)}"))
    total = document["workers_wanted"]
    rows += [
        ("limited", fewer_workers(each["name"], each["workers"], total, each["limited_by"]))
        for each in document["services"]
        if each["limited_by"] is not None and each["workers"] < total
    ]
    if document["log_file"]:
        rows.append(("log", document["log_file"]))
    rows.append(("stop", stop or stop_command(document)))
    title = f"reactorhost {document['version']} · {document['name']} · pid {document['pid']}"
    return "\n".join([title, *(f"  {name:<10} {value}" for name, value in rows)])


def _by_load(document: StatusDocument) -> str:
    scaling = document["scaling"]
    return "" if scaling is None else f", {scaling['min']} to {scaling['max']} as the load requires"


def chain(plugins: Sequence[PluginStatus]) -> str:
    """Return the plugins of a service in calling order, as `accesslog 0.1.0 > echo 0.1.0`."""
    return " > ".join(f"{plugin['name']} {plugin['version'] or ''}".rstrip() for plugin in plugins)


def no_receive(service: str) -> str:
    """Return the warning about a service whose plugins have no `receive`."""
    return f"no plugin of service {service!r} has the hook receive: the data of clients is discarded"


def fewer_workers(service: str, workers: int, total: int, plugin: str) -> str:
    """Return the sentence about a service that not every worker of the host serves, because of a plugin."""
    return f"service {service!r} is served by {workers} of {counted(total, 'worker')}: plugin {plugin} allows no more"


def stop_command(document: StatusDocument) -> str:
    """Return the command that stops this host, with the options that select it."""
    flags = selection(document["name"], Path(document["run_dir"]), os.environ, os.geteuid()).flags
    command = f"reactorhost stop{flags}"
    return command if document["daemon"] else f"Ctrl-C, or: {command}"


def _service(service: ServiceStatus, services: int) -> str:
    name = f"{service['name']}: " if services > 1 else ""
    return f"{name}{', '.join(service['addresses'])}  {chain(service['plugins'])}"
