"""The hook `admit` of the plugins of a service, as one question about a client."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reactorhost.address import Endpoint
from reactorhost.plugins.calls import first_result
from reactorhost.plugins.guard import OnError, guarded
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Registry


def from_plugins(service: str, plugins: Sequence[LoadedPlugin], on_error: OnError) -> Callable[[Endpoint], bool] | None:
    """Return whether a client is admitted, by its address; None if no plugin of the service has the hook.

    A plugin whose hook raises an exception has not answered: the next one is called, and the last one admits.
    """
    found = [
        guarded(each.plugin.name, "admit", each.call, on_error, awaits=False)
        for each in Registry(plugins).implementations("admit")
    ]
    if not found:
        return None
    first = first_result(found, awaits=False)
    return lambda peer: first(service, peer) is not False
