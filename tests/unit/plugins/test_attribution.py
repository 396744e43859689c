"""The plugin at fault is found from a traceback, and the plugin whose code runs from a stack."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from reactorhost.api.hookspecs import hookimpl
from reactorhost.plugins.attribution import Attribution
from reactorhost.plugins.chain import Chain, resolve, resolve_worker
from reactorhost.plugins.identity import LoadedPlugin

CONNECTION: Any = object()
Make = Callable[..., LoadedPlugin]


def _never(plugin: str, hook: str, connection: object, error: Exception) -> None:
    raise AssertionError((plugin, hook)) from error


def _marked() -> object:
    return hookimpl(lambda: None)


def _twice() -> Iterator[None]:
    yield
    yield


def _plugin_at_fault(chain: Chain) -> str:
    with pytest.raises(ZeroDivisionError) as caught:
        chain.receive(CONNECTION, b"x")
    return chain.plugin_of(caught.value)


def _fails(data: bytes) -> None:
    _divide()


def _divide() -> None:
    _ = 1 / 0


def _passes(data: bytes) -> None: ...


def test_plugin_of_finds_the_plugin_whose_hook_raised(loaded: Make) -> None:
    a, b = loaded("a", receive=hookimpl(_passes)), loaded("b", receive=hookimpl(_fails))
    assert _plugin_at_fault(resolve([a, b], _never)) == "b"
    assert _plugin_at_fault(resolve([b, a], _never)) == "b"


def test_plugin_of_finds_the_plugin_of_a_decorated_hook(loaded: Make) -> None:
    @hookimpl
    @functools.wraps(_fails)
    def receive(*arguments: Any) -> None:
        _divide()

    assert (
        _plugin_at_fault(resolve([loaded("a", receive=hookimpl(_passes)), loaded("b", receive=receive)], _never)) == "b"
    )


def test_plugin_of_distinguishes_instances_of_one_class(loaded: Make) -> None:
    class Limit:
        def __init__(self, fails: bool) -> None:
            self.fails = fails

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]  # as a dataclass has it

        @hookimpl
        def receive(self, data: bytes) -> None:
            if self.fails:
                _divide()

    for fails in ((True, False), (False, True)):
        plugins = [loaded("a", Limit(fails[0])), loaded("b", Limit(fails[1]))]
        assert _plugin_at_fault(resolve(plugins, _never)) == ("a" if fails[0] else "b")


def test_plugin_of_finds_the_wrapped_plugin_and_not_the_wrapper(loaded: Make) -> None:
    @hookimpl(wrapper=True)
    def around() -> Iterator[None]:
        return (yield)

    plugins = [loaded("a", receive=around), loaded("b", receive=hookimpl(_fails)), loaded("c", receive=_passes_marked)]
    assert _plugin_at_fault(resolve(plugins, _never)) == "b"


_passes_marked = hookimpl(lambda data: None)


def test_plugin_of_finds_a_wrapper_that_yields_twice(loaded: Make) -> None:
    wrapper = hookimpl(wrapper=True)(_twice)
    chain = resolve([loaded("a", receive=_passes_marked), loaded("b", receive=wrapper)], _never)
    with pytest.raises(RuntimeError, match="yielded twice") as caught:
        chain.receive(CONNECTION, b"x")
    assert chain.plugin_of(caught.value) == "b"


def test_plugin_of_finds_code_outside_of_hooks_by_its_file(loaded: Make) -> None:
    plugins = [loaded("a", home="/nowhere", connect=_marked()), loaded("b", home=__file__, connect=_marked())]
    hooks = resolve_worker(plugins, _never)
    with pytest.raises(ZeroDivisionError) as caught:
        _divide()
    assert hooks.attribution.plugin_of(caught.value) is plugins[1]


def test_plugin_of_prefers_the_hook_over_the_file_of_code_that_it_called(loaded: Make) -> None:
    plugins = [loaded("a", receive=hookimpl(_fails)), loaded("b", home=__file__, connect=_marked())]
    assert _plugin_at_fault(resolve(plugins, _never)) == "a"


def test_without_a_traceback_only_a_single_plugin_is_found(loaded: Make) -> None:
    a, b = loaded("a", connect=_marked()), loaded("b", connect=_marked())
    assert resolve([a, b], _never).plugin_of(ValueError()) == "?"
    assert resolve([a], _never).plugin_of(ValueError()) == "a"


def _located(attribution: Attribution, frame: FrameType) -> tuple[str, str | None, str] | None:
    found = attribution.locate(frame, {_called_back.__code__: "timer"})
    return None if found is None else (found.plugin, found.hook, found.where)


def _called_back(function: Callable[[], FrameType]) -> FrameType:
    return function()


def _here() -> FrameType:
    return sys._getframe()


def _hook() -> FrameType:
    return _here()


def test_locate_returns_the_innermost_hook_of_a_stack(loaded: Make) -> None:
    a, b = loaded("a", connect=hookimpl(_hook)), loaded("b", home=__file__, connect=_marked())
    attribution = resolve_worker([a, b], _never).attribution
    assert _located(attribution, _hook()) == ("a", "connect", f"{__file__}:{_here.__code__.co_firstlineno + 1}")


def test_locate_without_a_hook_returns_the_plugin_of_the_innermost_file(loaded: Make) -> None:
    plugins = [loaded("a", home="/nowhere", connect=_marked()), loaded("b", home=__file__, connect=_marked())]
    attribution = resolve_worker(plugins, _never).attribution
    where = f"{__file__}:{_here.__code__.co_firstlineno + 1}"
    assert _located(attribution, _here()) == ("b", None, where)
    assert _located(attribution, _called_back(_here)) == ("b", "timer", where)


@pytest.mark.parametrize("folder", ["/srv/shop", "/venv/lib/python3/site-packages/flask"])
def test_locate_shows_the_line_of_an_application_and_not_of_a_library(loaded: Make, folder: str) -> None:
    plugins = [loaded("a", home="/nowhere", connect=_marked()), loaded("b", home=__file__, connect=_marked())]
    application: dict[str, Any] = {"sys": sys}
    exec(compile("def view():\n    return sys._getframe()\n", f"{folder}/app.py", "exec"), application)
    frame = _called_back(application["view"])
    line = _called_back.__code__.co_firstlineno + 1
    where = "/srv/shop/app.py:2" if "shop" in folder else f"{__file__}:{line}"
    assert _located(resolve_worker(plugins, _never).attribution, frame) == ("b", "timer", where)


def test_locate_finds_no_plugin_for_foreign_code_unless_the_host_called_it_back(loaded: Make) -> None:
    a, b = loaded("a", connect=_marked()), loaded("b", connect=_marked())
    two, one = (resolve_worker(plugins, _never).attribution for plugins in ([a, b], [a]))
    assert _located(two, _here()) is _located(one, _here()) is None
    where = f"{__file__}:{_here.__code__.co_firstlineno + 1}"
    assert _located(two, _called_back(_here)) == ("?", "timer", where)
    assert _located(one, _called_back(_here)) == ("a", "timer", where)
