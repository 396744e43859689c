"""Which plugin serves the clients of a service with a protocol or with streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from reactorhost import hookimpl
from reactorhost.errors import PluginError
from reactorhost.plugins.contract import scan
from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity
from reactorhost.plugins.loading import load_object
from reactorhost.plugins.protocols import ServingHandler, ServingProtocol, async_method, from_plugins

Loaded = Callable[..., LoadedPlugin]


def returning(loaded: Loaded, name: str, returned: object) -> LoadedPlugin:
    @hookimpl
    def protocol(service: str) -> object:
        assert service == "web"
        return returned

    return loaded(name, protocol=protocol)


def streaming(loaded: Loaded, name: str, called: list[Any]) -> LoadedPlugin:
    @hookimpl
    async def stream_handler(writer: Any, reader: Any) -> None:
        called.append((reader, writer))

    return loaded(name, stream_handler=stream_handler)


def test_the_plugin_that_returns_a_factory_serves(loaded: Loaded) -> None:
    other = returning(loaded, "other", None)
    serves = returning(loaded, "serves", asyncio.Protocol)
    assert from_plugins("web", [other, serves]) == ServingProtocol(serves, asyncio.Protocol)
    assert from_plugins("web", [other]) is None


def test_a_stream_handler_takes_its_arguments_in_any_order(loaded: Loaded) -> None:
    called: list[Any] = []
    plugin = streaming(loaded, "streams", called)
    serving = from_plugins("web", [plugin])
    assert isinstance(serving, ServingHandler)
    assert serving.plugin is plugin
    with pytest.raises(StopIteration):
        serving.stream_handler("reader", "writer").send(None)
    assert called == [("reader", "writer")]


def test_two_plugins_cannot_serve_one_service(loaded: Loaded) -> None:
    plugins = [streaming(loaded, "streams", []), returning(loaded, "web", asyncio.Protocol)]
    with pytest.raises(PluginError) as refused:
        from_plugins("web", plugins)
    assert refused.value.what == "service 'web' has more than one protocol or stream_handler, by web and streams"
    assert refused.value.hint == "name one of these plugins only, or let protocol return None for this service"


def test_what_cannot_be_called_is_refused(loaded: Loaded) -> None:
    instance = asyncio.Protocol()
    with pytest.raises(PluginError) as refused:
        from_plugins("web", [returning(loaded, "web", instance)])
    assert refused.value.what == f"plugin web: protocol returned {instance!r}, which cannot be called"
    assert (refused.value.where or "").startswith(__file__)


class Async(asyncio.Protocol):
    """Has a method that would never run."""

    async def data_received(self, data: bytes) -> None:  # type: ignore[override]
        """Do nothing."""


def test_a_class_with_an_async_method_is_refused(loaded: Loaded) -> None:
    with pytest.raises(PluginError) as refused:
        from_plugins("web", [returning(loaded, "web", Async)])
    assert refused.value.what == "plugin web: Async.data_received is async, but a protocol's methods are not awaited"
    assert (refused.value.where or "").startswith(__file__)
    assert async_method(asyncio.Protocol) is None


def test_a_hook_that_raises_fails_the_boot(loaded: Loaded) -> None:
    @hookimpl
    def protocol() -> object:
        raise LookupError("no such service")

    with pytest.raises(PluginError, match="plugin web failed in protocol: LookupError: no such service"):
        from_plugins("web", [loaded("web", protocol=protocol)])


@hookimpl(wrapper=True)
def wrapper() -> Any:
    return (yield)


@hookimpl
def plain() -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("name", "function", "words"),
    [
        ("protocol", wrapper, "cannot be a wrapper"),
        ("stream_handler", plain, "is not async"),
    ],
)
def test_hooks_of_another_kind_are_refused(
    loaded: Loaded, name: str, function: Callable[..., object], words: str
) -> None:
    with pytest.raises(PluginError, match=f"hook '{name}' {words}"):
        scan(PluginIdentity("web", None, None, "web"), loaded("web", **{name: function}).object)


def test_a_plugin_with_a_protocol_needs_a_loop_of_asyncio(loaded: Loaded) -> None:
    assert load_object(returning(loaded, "web", asyncio.Protocol).object, "web").awaits
