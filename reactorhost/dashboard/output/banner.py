"""The banner: a few lines once a host is ready."""

from __future__ import annotations

import os

from reactorhost.ipc.status import PluginStatus, ServiceStatus, StatusDocument


def banner(document: StatusDocument) -> str:
    """Return what a starter reads: version, pid, addresses, plugins, workers, how to stop."""
    rows = [("listening", _service(service, len(document["services"]))) for service in document["services"]]
    rows.append(("workers", f"{document['workers_ready']} of {document['workers_wanted']} ready"))
    if document["log_file"]:
        rows.append(("log", document["log_file"]))
    rows.append(("stop", how_to_stop(document)))
    title = f"reactorhost {document['version']} · {document['name']} · pid {document['pid']}"
    return "\n".join([title, *(f"  {name:<10} {value}" for name, value in rows)])


def chain(plugins: list[PluginStatus]) -> str:
    """Return a plugin chain as `accesslog 0.1.0 > echo 0.1.0`."""
    return " > ".join(f"{plugin['name']} {plugin['version'] or ''}".rstrip() for plugin in plugins)


def how_to_stop(document: StatusDocument) -> str:
    """Return the command that stops this host, with what is needed to find it."""
    command = "reactorhost stop"
    if document["name"] != "default":
        command += f" --name {document['name']}"
    if os.path.basename(document["run_dir"]) != document["name"]:
        command += f" --run-dir {document['run_dir']}"
    return command if document["daemon"] else f"Ctrl-C, or: {command}"


def _service(service: ServiceStatus, services: int) -> str:
    name = f"{service['name']}: " if services > 1 else ""
    return f"{name}{', '.join(service['addresses'])}  {chain(service['plugins'])}"
