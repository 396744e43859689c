"""A plugin that breaks the contract is refused with an error, its line and a hint."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import pluggy
import pytest

from reactorhost.api import hookspecs
from reactorhost.api.hookspecs import hookimpl
from reactorhost.errors import PluginError
from reactorhost.plugins.contract import HOOKS, scan
from reactorhost.plugins.identity import PluginIdentity

IDENTITY = PluginIdentity("echo", "reactorhost-echo", "0.1.0", "reactorhost_echo")


def _module(**attributes: object) -> types.ModuleType:
    module = types.ModuleType("reactorhost_echo")
    vars(module).update(attributes)
    return module


def _refusal(plugin: object) -> PluginError:
    with pytest.raises(PluginError) as caught:
        scan(IDENTITY, plugin)
    assert caught.value.what.startswith("plugin echo (reactorhost-echo 0.1.0)")
    return caught.value


def _line(function: Callable[..., object]) -> str:
    return f"{__file__}:{function.__code__.co_firstlineno}"


def test_the_hooks_are_those_of_the_contract() -> None:
    assert HOOKS == {
        "admit": ("service", "peer"),
        "connect": ("connection",),
        "receive": ("connection", "data"),
        "eof": ("connection",),
        "close": ("connection", "reason"),
        "drain": ("connection",),
        "worker_start": ("worker",),
        "worker_stop": ("worker",),
        "leader_start": ("worker",),
        "leader_stop": ("worker",),
        "joined": ("worker", "group", "member"),
        "left": ("worker", "group", "member"),
        "gap": ("worker", "group", "recovered"),
        "framing": ("service",),
        "framings": (),
        "protocol": ("service",),
        "stream_handler": ("reader", "writer"),
        "service_workers": ("service",),
        "options": (),
        "configure": ("config", "services"),
        "commands": ("cli",),
        "stats": (),
    }


def test_every_hook_of_the_contract_documents_its_result() -> None:
    for name in HOOKS:
        documentation = inspect.getdoc(getattr(hookspecs, name)) or ""
        assert "Returns:" in documentation, name
        assert all(f"{argument}:" in documentation for argument in HOOKS[name]), name


def test_functions_of_a_module_are_hooks_with_the_arguments_they_name() -> None:
    @hookimpl
    def receive(data: object, connection: object) -> None: ...

    @hookimpl(specname="close", tryfirst=True)
    def leave() -> None: ...

    hooks = scan(IDENTITY, _module(receive=receive, leave=leave, other=len))
    assert [(hook.name, hook.arguments, hook.function) for hook in hooks] == [
        ("close", (), leave),
        ("receive", ("data", "connection"), receive),
    ]


def test_methods_of_an_instance_are_hooks_however_they_are_bound() -> None:
    class Plugin:
        @hookimpl
        def receive(this, connection: object, data: object) -> None: ...  # noqa: N805 - any name will do

        @staticmethod
        @hookimpl
        def connect(connection: object) -> None: ...

        @hookimpl
        @staticmethod
        def drain(connection: object) -> None: ...

        @classmethod
        @hookimpl
        def close(cls, reason: object) -> None: ...

        @hookimpl
        @classmethod
        def worker_stop(cls, worker: object) -> None: ...

    hooks = {hook.name: hook for hook in scan(IDENTITY, Plugin())}
    assert {name: hook.arguments for name, hook in hooks.items()} == {
        "receive": ("connection", "data"),
        "connect": ("connection",),
        "drain": ("connection",),
        "close": ("reason",),
        "worker_stop": ("worker",),
    }
    for hook in hooks.values():
        hook.function(*hook.arguments)


def test_properties_of_a_plugin_are_not_run() -> None:
    class Plugin:
        @property
        def expensive(self) -> object:
            raise AssertionError("was run")

        @hookimpl
        def receive(self, data: object) -> None: ...

    assert [hook.name for hook in scan(IDENTITY, Plugin())] == ["receive"]


def test_a_lazy_object_in_a_module_is_not_evaluated() -> None:
    class Lazy:
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(f"{name} was asked for")

    @hookimpl
    def receive(data: object) -> None: ...

    assert len(scan(IDENTITY, _module(receive=receive, lazy=Lazy()))) == 1


def test_an_unknown_hook_is_refused_with_its_line() -> None:
    @hookimpl
    def recieve(connection: object, data: object) -> None: ...

    error = _refusal(_module(recieve=recieve))
    assert "unknown hook 'recieve'" in error.what
    assert error.where == _line(recieve)
    assert error.hint == "did you mean 'receive'?"


def test_an_unknown_hook_without_a_similar_name_lists_the_hooks() -> None:
    error = _refusal(_module(zzz=hookimpl(lambda: None)))
    assert error.hint is not None
    assert "connect, receive, eof, close, drain" in error.hint


def test_an_unknown_hook_that_is_optional_is_ignored() -> None:
    @hookimpl(optionalhook=True)
    def from_the_future(connection: object, whatever: object = 1) -> None: ...

    @hookimpl
    def receive(data: object) -> None: ...

    assert [hook.name for hook in scan(IDENTITY, _module(f=from_the_future, receive=receive))] == ["receive"]


def test_an_unknown_argument_is_refused() -> None:
    @hookimpl
    def receive(conection: object, data: object) -> None: ...

    error = _refusal(_module(receive=receive))
    assert "hook 'receive' has an unknown argument 'conection'" in error.what
    assert (error.where, error.hint) == (_line(receive), "did you mean 'connection'?")


def test_an_argument_of_another_hook_is_unknown() -> None:
    @hookimpl
    def connect(connection: object, data: object) -> None: ...

    assert _refusal(_module(connect=connect)).hint == "the arguments of connect are: connection"


@pytest.mark.parametrize(("argument", "hook"), [("worker", "worker_start"), ("config", "configure")])
def test_the_hint_for_what_only_a_hook_of_the_worker_has_names_that_hook(argument: str, hook: str) -> None:
    receives = {
        "worker": hookimpl(lambda connection, data, worker: None, specname="receive"),
        "config": hookimpl(lambda connection, data, config: None, specname="receive"),
    }
    error = _refusal(_module(receive=receives[argument]))
    assert f"unknown argument {argument!r}" in error.what
    assert error.hint == f"keep the {argument} in a {hook}({argument}) hook, and use it here"


def _defaulted(connection: object, data: object = b"") -> None: ...
def _keyword_only(connection: object, *, data: object) -> None: ...
def _star(*arguments: object) -> None: ...
def _double_star(connection: object, **arguments: object) -> None: ...


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (_defaulted, "a default value for 'data'"),
        (_keyword_only, "keyword-only arguments"),
        (_star, "star arguments"),
        (_double_star, "star arguments"),
    ],
)
def test_arguments_that_pluggy_would_not_pass_are_refused(function: Any, what: str) -> None:
    error = _refusal(_module(receive=hookimpl(function)))
    assert what in error.what
    assert error.where == _line(function)
    assert "connection, data" in (error.hint or "")


def test_a_decorated_hook_has_the_arguments_of_the_function_inside() -> None:
    def logged(function: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(function)
        def call(*arguments: object) -> object:
            return function(*arguments)

        return call

    @hookimpl
    @logged
    def receive(data: object) -> None: ...

    assert scan(IDENTITY, _module(receive=receive))[0].arguments == ("data",)


def test_a_plugin_with_unmarked_hooks_is_refused_with_a_hint() -> None:
    def receive(connection: object, data: object) -> None: ...
    def close(connection: object) -> None: ...

    error = _refusal(_module(receive=receive, close=close))
    assert "no hook: receive, close are not marked" in error.what
    assert error.where == _line(receive)
    assert error.hint == "mark hooks with @hookimpl"


def _own(function: Any, module: str = "reactorhost_echo") -> Any:
    function.__module__ = module
    return function


@hookimpl
def _marked(connection: object) -> None: ...


@pytest.mark.parametrize("module", ["reactorhost_echo", "reactorhost_echo.handlers"])
def test_a_function_of_the_plugin_that_only_lacks_its_mark_is_refused(module: str) -> None:
    def receive(connection: object, data: object) -> None: ...
    async def close(connection: object) -> None: ...

    error = _refusal(_module(connect=_marked, receive=_own(receive, module)))
    assert error.what.endswith(": receive is not marked with @hookimpl")
    assert (error.where, error.hint) == (
        _line(receive),
        "mark it, or rename it if it is not a hook, for example _receive",
    )
    error = _refusal(_module(connect=_marked, close=_own(close, module), receive=_own(receive, module)))
    assert error.what.endswith(": receive, close are not marked with @hookimpl")


@pytest.mark.parametrize("bind", [lambda function: function, staticmethod, classmethod])
def test_a_method_of_the_plugin_that_only_lacks_its_mark_is_refused(bind: Callable[..., Any]) -> None:
    def receive(self: object, data: object) -> None: ...

    hooks = {"connect": hookimpl(lambda self: None), "receive": bind(_own(receive)), "__module__": "reactorhost_echo"}
    error = _refusal(type("Plugin", (), hooks)())
    assert error.what.endswith(": receive is not marked with @hookimpl")
    assert error.where == _line(receive)


def test_what_another_module_defines_needs_no_mark() -> None:
    def close() -> None: ...

    class Library:
        def receive(self) -> None: ...

        @property
        def options(self) -> object:
            raise AssertionError("was run")

    class Plugin(Library):
        connect = staticmethod(_marked)
        stats = 5

    Plugin.__module__ = "reactorhost_echo"
    # `reactorhost_echoes` begins with the name of the plugin's module, but is not in it.
    for module in ("asyncpg", "reactorhost_echoes"):
        assert (
            len(scan(IDENTITY, _module(connect=_marked, close=_own(close, module), receive=len, _receive=close))) == 1
        )
    assert len(scan(IDENTITY, Plugin())) == 1


def test_a_method_without_self_is_refused() -> None:
    class Shifted:
        @hookimpl
        def receive(connection, data: object) -> None: ...  # noqa: N805

    class Empty:
        @hookimpl
        def connect() -> None: ...  # type: ignore[misc]

    for plugin, name in ((Shifted(), "receive"), (Empty(), "connect")):
        error = _refusal(plugin)
        assert error.what.endswith(f"hook {name!r} has no self")
        assert error.hint == "add self as the first argument of the method"


def test_a_plugin_without_hooks_is_refused_with_a_list_of_hooks() -> None:
    error = _refusal(_module(__file__="/somewhere.py", receive=5))
    assert error.what.endswith("has no hook")
    assert error.where == "/somewhere.py"
    assert "@hookimpl" in (error.hint or "")


def test_a_mark_of_another_project_is_ignored() -> None:
    @pluggy.HookimplMarker("pytest")
    def receive(connection: object, data: object) -> None: ...

    assert _refusal(_module(receive=receive)).hint == "mark hooks with @hookimpl"


class _Callable:
    def __call__(self, connection: object) -> None: ...


@pytest.mark.parametrize(
    ("thing", "kind"),
    [
        (hookimpl(_Callable()), "_Callable"),
        (hookimpl(functools.partial(_defaulted)), "partial"),
        (hookimpl(type("Handler", (), {})), "type"),
    ],
)
def test_a_marked_object_that_is_not_a_function_is_refused(thing: object, kind: str) -> None:
    error = _refusal(_module(receive=thing))
    assert f"'receive' is marked with @hookimpl but is a {kind}" in error.what


def test_a_marked_property_is_refused() -> None:
    class Plugin:
        @property
        @hookimpl
        def receive(self) -> object:
            raise AssertionError("was run")

    assert "is a property" in _refusal(Plugin()).what


def test_a_wrapper_of_the_old_style_is_refused() -> None:
    @hookimpl(hookwrapper=True)
    def receive() -> Iterator[None]:
        yield

    assert _refusal(_module(receive=receive)).hint == "use wrapper=True"


def test_a_wrapper_that_does_not_yield_is_refused() -> None:
    error = _refusal(_module(receive=hookimpl(wrapper=True)(lambda data: None)))
    assert "wrapper=True but does not yield" in error.what


def test_a_generator_that_is_not_a_wrapper_is_refused() -> None:
    @hookimpl
    def receive(data: object) -> Iterator[None]:
        yield

    error = _refusal(_module(receive=receive))
    assert "yields" in error.what
    assert error.hint == "use wrapper=True, or do not yield"


def test_hooks_called_from_the_loop_can_be_async() -> None:
    def made(name: str) -> Callable[..., object]:
        @hookimpl(specname=name)
        async def hook() -> None: ...

        return hook

    names = ("connect", "receive", "close", "drain", "worker_start", "worker_stop")
    hooks = scan(IDENTITY, _module(**{name: made(name) for name in names}))
    assert {found.name for found in hooks if found.awaits} == set(names)


@pytest.mark.parametrize("name", ["options", "configure", "framing", "stats", "commands"])
def test_hooks_called_outside_of_the_loop_cannot_be_async(name: str) -> None:
    async def hook() -> None: ...

    error = _refusal(_module(**{name: hookimpl(hook)}))
    assert f"hook {name!r} is async, but is called outside of the event loop" in error.what
    assert error.hint == "write a plain function"


def test_async_generators_and_async_wrappers_are_refused() -> None:
    async def generates() -> Any:
        yield

    async def wraps() -> None: ...

    for module in (
        _module(close=hookimpl(generates)),
        _module(close=hookimpl(generates, wrapper=True)),
        _module(close=hookimpl(wraps, wrapper=True)),
    ):
        error = _refusal(module)
        assert "is an async generator or an async wrapper" in error.what
        assert error.hint == "write a plain generator; the hooks that it wraps may be async"
