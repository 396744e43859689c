"""Whether the plugins of a service admit a client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reactorhost import Endpoint, hookimpl
from reactorhost.errors import PluginError
from reactorhost.plugins.admitting import from_plugins
from reactorhost.plugins.contract import scan
from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity

Loaded = Callable[..., LoadedPlugin]
PEER = Endpoint("192.0.2.7", 4711)


def answering(loaded: Loaded, name: str, answer: Any) -> LoadedPlugin:
    @hookimpl
    def admit(peer: Endpoint, service: str) -> object:
        assert (service, peer) == ("web", PEER)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return loaded(name, admit=admit)


@pytest.mark.parametrize(
    ("answers", "admitted"),
    [
        ([None], True),
        ([True], True),
        ([False], False),
        ([None, False], False),
        ([True, False], True),
        ([None, None, True], True),
        ([ValueError(), False], False),
        ([ValueError()], True),
    ],
)
def test_the_first_plugin_that_decides_decides(loaded: Loaded, answers: list[object], admitted: bool) -> None:
    failures: list[tuple[object, ...]] = []
    plugins = [answering(loaded, f"plugin{number}", answer) for number, answer in enumerate(answers)]
    admits = from_plugins("web", plugins, lambda *failure: failures.append(failure))
    assert admits
    assert admits(PEER) is admitted
    errors = [answer for answer in answers if isinstance(answer, Exception)]
    assert failures == [("plugin0", "admit", "web", error) for error in errors]


def test_without_the_hook_nothing_is_called(loaded: Loaded) -> None:
    @hookimpl
    def receive() -> None: ...

    assert from_plugins("web", [loaded("plugin", receive=receive)], lambda *_: None) is None


def test_the_hook_is_no_wrapper() -> None:
    class Plugin:
        @hookimpl(wrapper=True)
        def admit(self) -> Any:
            return (yield)

    with pytest.raises(PluginError, match="hook 'admit' cannot be a wrapper") as raised:
        scan(PluginIdentity("plugin", None, None, "plugin"), Plugin())
    assert raised.value.hint == "return None to let the next plugin decide"
