"""The number of workers that the plugins of a service require at most."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reactorhost import hookimpl
from reactorhost.errors import PluginError
from reactorhost.plugins.contract import scan
from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity
from reactorhost.plugins.worker_limit import WorkerLimit, from_plugins

Loaded = Callable[..., LoadedPlugin]


def declaring(loaded: Loaded, name: str, returned: object) -> LoadedPlugin:
    @hookimpl
    def service_workers(service: str) -> object:
        assert service == "web"
        return returned

    return loaded(name, service_workers=service_workers)


@pytest.mark.parametrize(
    ("returned", "limit"),
    [
        ((), None),
        ((None,), None),
        ((4, None, 1, 2), WorkerLimit(1, "plugin2")),
        ((3, 3), WorkerLimit(3, "plugin0")),
    ],
)
def test_the_smallest_number_of_all_plugins_applies(
    loaded: Loaded, returned: tuple[object, ...], limit: WorkerLimit | None
) -> None:
    plugins = [declaring(loaded, f"plugin{number}", each) for number, each in enumerate(returned)]
    assert from_plugins("web", plugins) == limit


@pytest.mark.parametrize("returned", [0, -1, True, 1.0, "1"])
def test_anything_else_than_a_number_of_workers_is_refused(loaded: Loaded, returned: object) -> None:
    with pytest.raises(PluginError) as refused:
        from_plugins("web", [declaring(loaded, "chat", returned)])
    assert refused.value.what == f"plugin chat: service_workers returned {returned!r}"
    assert refused.value.hint == "return a whole number from 1, or None for no limit"
    assert (refused.value.where or "").startswith(__file__)


def test_a_hook_that_raises_fails_the_boot(loaded: Loaded) -> None:
    @hookimpl
    def service_workers() -> int:
        raise LookupError("no such service")

    with pytest.raises(PluginError, match="plugin chat failed in service_workers: LookupError: no such service"):
        from_plugins("web", [loaded("chat", service_workers=service_workers)])


def test_a_wrapper_is_refused(loaded: Loaded) -> None:
    @hookimpl(wrapper=True)
    def service_workers() -> object:
        return (yield)

    with pytest.raises(PluginError, match="hook 'service_workers' cannot be a wrapper"):
        scan(PluginIdentity("chat", None, None, "chat"), loaded("chat", service_workers=service_workers).object)
