"""A resolved chain adds the fewest possible frames and calls every plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.hookspecs import hookimpl
from reactorhost.api.setup_error import SetupError
from reactorhost.errors import BootError, PluginError
from reactorhost.plugins.chain import resolve, resolve_worker
from reactorhost.plugins.identity import LoadedPlugin

CONNECTION: Any = object()
Make = Callable[..., LoadedPlugin]


def _never(plugin: str, hook: str, connection: object, error: Exception) -> None:
    raise AssertionError((plugin, hook)) from error


def _depth() -> int:
    depth, frame = 0, sys._getframe(1)
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    return depth


class Errors(list[tuple[Any, ...]]):
    """The errors that `on_error` was called with."""

    def __call__(self, plugin: str, hook: str, connection: object, error: Exception) -> None:
        self.append((plugin, hook, connection, type(error)))


def test_receive_of_one_plugin_is_the_plugins_own_function(loaded: Make) -> None:
    @hookimpl
    def receive(connection: object, data: bytes) -> None: ...

    observer = loaded("observer", close=hookimpl(lambda: None))
    chain = resolve([observer, loaded("echo", receive=receive)], _never)
    assert chain.receive is receive


def test_receive_of_one_instance_is_its_bound_method(loaded: Make) -> None:
    class Echo:
        @hookimpl
        def receive(self, connection: object, data: bytes) -> None: ...

    echo = Echo()
    assert resolve([loaded("echo", echo)], _never).receive == echo.receive


@pytest.mark.parametrize("hook", ["connect", "drain", "close"])
def test_a_guarded_hook_of_one_plugin_costs_one_frame(loaded: Make, hook: str) -> None:
    depths: list[int] = []
    plugin = loaded("echo", **{hook: hookimpl(_with_arguments(hook, lambda: depths.append(_depth())))})
    here = _depth()
    getattr(resolve([plugin], _never), hook)(*_arguments(hook))
    # This frame's callee is the guard, its callee the hook, and that one calls the lambda.
    assert depths == [here + 3]


def _with_arguments(hook: str, function: Callable[[], object]) -> Callable[..., object]:
    if hook == "close":
        return lambda connection, reason: function()
    return lambda connection: function()


def _arguments(hook: str) -> tuple[Any, ...]:
    return (CONNECTION, CloseReason.PEER) if hook == "close" else (CONNECTION,)


def _no_options() -> list[object]:
    return []


def test_every_hook_is_optional(loaded: Make) -> None:
    for plugins in ([], [loaded("quiet", options=hookimpl(_no_options))]):
        chain = resolve(plugins, _never)
        chain.connect(CONNECTION)
        assert chain.receive(CONNECTION, b"x") is None
        chain.close(CONNECTION, CloseReason.PEER)
        chain.drain(CONNECTION)
        assert not chain.has_drain


def test_a_chain_has_drain_if_a_plugin_has_the_hook(loaded: Make) -> None:
    assert resolve([loaded("echo", drain=hookimpl(lambda: None))], _never).has_drain


def test_the_first_named_plugin_is_called_first_and_can_consume(loaded: Make) -> None:
    calls: list[str] = []

    def guard(data: bytes) -> object:
        calls.append("guard")
        return True if data == b"bad" else None

    def echo(connection: object, data: bytes) -> None:
        calls.append("echo")

    plugins = [loaded("guard", receive=hookimpl(guard)), loaded("echo", receive=hookimpl(echo))]
    chain = resolve(plugins, _never)
    assert chain.receive(CONNECTION, b"bad") is True
    assert chain.receive(CONNECTION, b"good") is None
    assert calls == ["guard", "guard", "echo"]


@pytest.mark.parametrize("hook", ["connect", "drain", "close"])
def test_every_plugin_is_called_although_others_raise(loaded: Make, hook: str) -> None:
    calls: list[str] = []

    def failing(name: str, error: BaseException) -> LoadedPlugin:
        def fail() -> None:
            calls.append(name)
            raise error

        return loaded(name, **{hook: hookimpl(_with_arguments(hook, fail))})

    errors = Errors()
    plugins = [failing("a", ValueError()), failing("b", SystemExit(1)), failing("c", StopIteration())]
    last = loaded("d", **{hook: hookimpl(_with_arguments(hook, lambda: calls.append("d")))})
    getattr(resolve([*plugins, last], errors), hook)(*_arguments(hook))
    assert calls == ["a", "b", "c", "d"]
    assert [(plugin, where, connection) for plugin, where, connection, _ in errors] == [
        (name, hook, CONNECTION) for name in "abc"
    ]
    assert [kind.__name__ for *_, kind in errors] == ["ValueError", "NotAnExceptionError", "StopIteration"]


def _before() -> Iterator[None]:
    if CONNECTION is not None:
        raise ValueError
    yield


def _after() -> Iterator[None]:
    yield
    raise ValueError


def _never_yields() -> Iterator[None]:
    if CONNECTION is None:
        yield


def _twice() -> Iterator[None]:
    yield
    yield


@pytest.mark.parametrize("wrapper", [_before, _after, _never_yields, _twice])
def test_a_failing_wrapper_does_not_prevent_the_close_hooks(loaded: Make, wrapper: Any) -> None:
    calls: list[object] = []
    sent: list[object] = []

    def seven(reason: object) -> int:
        calls.append(reason)
        return 7

    def outermost() -> Iterator[None]:
        sent.append((yield))

    plugins = [
        loaded("outermost", close=hookimpl(wrapper=True, tryfirst=True)(outermost)),
        loaded("failing", close=hookimpl(wrapper=True)(wrapper)),
        loaded("plain", close=hookimpl(seven)),
    ]
    errors = Errors()
    resolve(plugins, errors).close(CONNECTION, CloseReason.IDLE)
    assert calls == [CloseReason.IDLE]
    assert sent == [[7]]
    assert [(plugin, hook) for plugin, hook, *_ in errors] == [("failing", "close")]


def test_an_interrupt_is_the_error_of_the_plugin_that_raised_it(loaded: Make) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    errors: list[tuple[Any, ...]] = []
    resolve([loaded("a", connect=hookimpl(interrupt))], lambda *error: errors.append(error)).connect(CONNECTION)
    assert [(plugin, hook, str(error)) for plugin, hook, _, error in errors] == [
        ("a", "connect", "the plugin raised KeyboardInterrupt")
    ]


def _marked() -> object:
    return hookimpl(lambda: None)


def test_two_plugins_of_one_name_are_refused(loaded: Make) -> None:
    with pytest.raises(PluginError, match="two plugins are named 'a'"):
        resolve([loaded("a", connect=_marked()), loaded("a", connect=_marked())], _never)


def test_one_plugin_under_two_names_is_refused(loaded: Make) -> None:
    first = loaded("a", connect=_marked())
    with pytest.raises(PluginError, match="'a' and 'b' are the same plugin"):
        resolve([first, loaded("b", first.object)], _never)


def test_worker_start_calls_each_plugin_once_in_order(loaded: Make) -> None:
    calls: list[object] = []
    a = loaded("a", worker_start=hookimpl(lambda worker: calls.append(("a", worker))))
    b = loaded("b", worker_start=hookimpl(lambda: calls.append("b")))
    resolve_worker([a, b, a], _never).worker_start(len)
    assert calls == [("a", 1), "b"]


def test_each_plugin_gets_its_own_worker_also_inside_a_wrapper(loaded: Make) -> None:
    calls: list[tuple[str, str]] = []

    def around(worker: str) -> Iterator[None]:
        calls.append(("around", worker))
        yield

    wrapper = loaded("outer", worker_start=hookimpl(wrapper=True)(around), worker_stop=hookimpl(wrapper=True)(around))
    plain = hookimpl(lambda worker: calls.append(("plain", worker)))
    hooks = resolve_worker([loaded("inner", worker_start=plain, worker_stop=plain), wrapper], _never)
    hooks.worker_start(str)
    hooks.worker_stop(str)
    assert calls == [("around", "outer"), ("plain", "inner")] * 2


def _start_fails() -> None:
    raise OSError("no database")


def test_worker_start_may_say_in_one_sentence_what_to_change(loaded: Make) -> None:
    def fail() -> None:
        raise SetupError("the folder data is missing")

    with pytest.raises(BootError) as caught:
        resolve_worker([loaded("b", worker_start=hookimpl(fail))], _never).worker_start(str)
    assert caught.value.lines() == ["plugin b failed in worker_start: the folder data is missing"]
    assert caught.value.details is None


@pytest.mark.parametrize("wrapped", [False, True])
def test_worker_start_that_raises_fails_the_boot(loaded: Make, wrapped: bool) -> None:
    @hookimpl(wrapper=True)
    def around() -> Iterator[None]:
        return (yield)

    calls: list[str] = []
    plugins = [
        loaded("b", home=__file__, worker_start=hookimpl(_start_fails)),
        loaded("c", worker_start=hookimpl(lambda: calls.append("c"))),
    ]
    if wrapped:
        plugins.append(loaded("a", worker_start=around))
    with pytest.raises(BootError, match="plugin b failed in worker_start: OSError: no database") as caught:
        resolve_worker(plugins, _never).worker_start(str)
    assert caught.value.where == f"{__file__}:{_start_fails.__code__.co_firstlineno + 1}"
    assert 'raise OSError("no database")' in (caught.value.details or "")
    assert calls == []


def test_worker_start_that_exits_fails_the_boot(loaded: Make) -> None:
    def leave() -> None:
        sys.exit("DATABASE_URL is not set")

    with pytest.raises(BootError, match="DATABASE_URL is not set"):
        resolve_worker([loaded("a", worker_start=hookimpl(leave))], _never).worker_start(str)


def test_worker_stop_calls_every_plugin_although_others_raise(loaded: Make) -> None:
    calls: list[str] = []
    errors = Errors()

    def stop(worker: str) -> None:
        calls.append(worker)

    a = loaded("a", worker_stop=hookimpl(_start_fails))
    b = loaded("b", worker_stop=hookimpl(stop))
    resolve_worker([a, b], errors).worker_stop(str)
    assert calls == ["b"]
    assert errors == [("a", "worker_stop", None, OSError)]
