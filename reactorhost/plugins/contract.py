"""Check a plugin against the hook specifications, more strictly than pluggy, and report the first violation.

Nothing here runs the plugin's code: attributes are looked up statically, arguments are read from the code object.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from pluggy import HookimplOpts

from reactorhost.api import hookspecs
from reactorhost.api.hookspecs import PROJECT
from reactorhost.errors import PluginError, did_you_mean
from reactorhost.plugins import name_hints
from reactorhost.plugins.identity import PluginIdentity

_MARK = f"{PROJECT}_impl"
_COMPUTED = (property, functools.cached_property, functools.partial)


def _arguments(function: types.FunctionType) -> tuple[str, ...]:
    return function.__code__.co_varnames[: function.__code__.co_argcount]


HOOKS: Mapping[str, tuple[str, ...]] = {
    name: _arguments(spec) for name, spec in vars(hookspecs).items() if hasattr(spec, f"{PROJECT}_spec")
}
"""The hooks and the names of their arguments, in the order of `hookspecs`."""


LOOP_HOOKS = ("leader_start", "leader_stop", "joined", "left", "gap")
"""The hooks of the worker itself that are called while its event loop runs."""

ASYNC_HOOKS = frozenset(
    {"connect", "receive", "close", "drain", "stream_handler", "worker_start", "worker_stop", *LOOP_HOOKS}
)
"""The hooks that may be coroutine functions, because they are called from a worker's event loop."""


UNMARKED = HookimplOpts(
    wrapper=False, hookwrapper=False, optionalhook=False, tryfirst=False, trylast=False, specname=None
)
"""The options of a hook that needs no `@hookimpl`."""


@dataclass(frozen=True, slots=True, eq=False)
class Hook:
    """One hook function of a plugin, bound; `arguments` are the names of its arguments, in its own order."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    options: HookimplOpts

    @property
    def wraps(self) -> bool:
        """Return whether it is a wrapper: a generator around the other implementations."""
        return self.options["wrapper"]

    @property
    def awaits(self) -> bool:
        """Return whether it is a coroutine function."""
        return inspect.iscoroutinefunction(self.function)


def scan(identity: PluginIdentity, plugin: object) -> tuple[Hook, ...]:
    """Return the hooks of a plugin, in the order in which pluggy would register them.

    Raises:
        PluginError: a hook violates the specifications or is not marked, or there is no hook.
    """
    hooks = tuple(_hooks(identity, plugin))
    if hooks:
        _refuse_unmarked(identity, plugin)
    else:
        _refuse_hookless(identity, plugin)
    return hooks


def source_of(function: Callable[..., object]) -> str | None:
    """Return `FILE:LINE` of a function."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else None


def _hooks(identity: PluginIdentity, plugin: object) -> Iterator[Hook]:
    # Sorted by name, as pluggy registers hooks: with `specname` a plugin may have one hook several times.
    for attribute in dir(plugin):
        static = inspect.getattr_static(plugin, attribute, None)
        options = _mark(static)
        if options is None:
            continue
        kind = type(static)
        if not isinstance(_function_in(static), types.FunctionType) or issubclass(kind, _COMPUTED):
            what = f"plugin {identity}: {attribute!r} is marked with @hookimpl but is a {kind.__name__}"
            raise PluginError(what, hint="mark a function or a method with @hookimpl")
        name = options["specname"] or attribute
        # pluggy's `optionalhook` is for hooks of later versions of the host: unknown ones are ignored.
        if name in HOOKS or not options["optionalhook"]:
            function = getattr(plugin, attribute)
            yield Hook(name, function, _arguments_of(identity, name, function, options), options)


def _mark(static: object) -> HookimplOpts | None:
    for holder in (static, _function_in(static)):
        options: HookimplOpts | None = inspect.getattr_static(holder, _MARK, None)
        if isinstance(options, dict):
            return options
    return None


def _function_in(static: object) -> object:
    # By type() and not isinstance(): a lazy proxy in a module may run code to answer isinstance().
    kind = type(static)
    if issubclass(kind, staticmethod | classmethod | types.MethodType):
        return static.__func__  # type: ignore[attr-defined]  # the line above made sure
    if issubclass(kind, property):
        return static.fget  # type: ignore[attr-defined]
    if issubclass(kind, functools.cached_property | functools.partial):
        return static.func  # type: ignore[attr-defined]
    return static


def _refuse_hookless(identity: PluginIdentity, plugin: object) -> NoReturn:
    functions = _unmarked(plugin)
    if not functions:
        holders = list(_classes_with_hooks(plugin))
        if holders:
            where, hint = getattr(plugin, "__file__", None), name_hints.for_object_in(identity.target, holders[0])
            have = "has" if len(holders) == 1 else "have"
            what = f"plugin {identity} has no hook, but its {' and '.join(holders)} {have}"
            raise PluginError(what, where=where, hint=hint)
        hint = f"mark a function with @hookimpl; the hooks are {', '.join(HOOKS)}"
        raise PluginError(f"plugin {identity} has no hook", where=getattr(plugin, "__file__", None), hint=hint)
    names = ", ".join(functions)
    where = source_of(next(iter(functions.values())))
    what = f"plugin {identity} has no hook: {names} {'is' if len(functions) == 1 else 'are'} not marked"
    raise PluginError(what, where=where, hint="mark hooks with @hookimpl")


def only_class_with_hooks(module: types.ModuleType) -> type | None:
    """Return the class that a module without hooks of its own means, or None if something else could be meant."""
    names = list(_classes_with_hooks(module))
    values = vars(module).values()
    if len(names) != 1 or any(map(_mark, values)) or _unmarked(module):
        return None
    found: type = vars(module)[names[0]]
    # By type() and not isinstance(), as in `_function_in`. An instance may be meant, and was made in another way.
    return None if any(type(value) is found for value in values) else found


def _classes_with_hooks(plugin: object) -> Iterator[str]:
    """Yield the names of a module's own classes that have hooks."""
    if isinstance(plugin, types.ModuleType):
        for name, value in vars(plugin).items():
            if type(value) is type and value.__module__ == plugin.__name__ and any(map(_mark, vars(value).values())):
                yield name


def _refuse_unmarked(identity: PluginIdentity, plugin: object) -> None:
    """Raise a PluginError if the plugin's own code has a function with the name of a hook but without the mark."""
    home = plugin.__name__ if isinstance(plugin, types.ModuleType) else type(plugin).__module__
    # Not those of other modules: `from asyncpg import connect` and the `close` of a base class are rarely hooks.
    own = {
        name: function
        for name, function in _unmarked(plugin).items()
        if f"{function.__module__}.".startswith(f"{home}.")
    }
    if own:
        first, where = next(iter(own)), source_of(next(iter(own.values())))
        what = f"plugin {identity}: {', '.join(own)} {'is' if len(own) == 1 else 'are'} not marked with @hookimpl"
        raise PluginError(what, where=where, hint=f"mark it, or rename it if it is not a hook, for example _{first}")


def _unmarked(plugin: object) -> dict[str, types.FunctionType]:
    """Return the functions of a plugin that have the name of a hook but not the mark."""
    unmarked = {}
    for name in HOOKS:
        static = inspect.getattr_static(plugin, name, None)
        function = _function_in(static)
        if isinstance(function, types.FunctionType) and not issubclass(type(static), _COMPUTED) and not _mark(static):
            unmarked[name] = function
    return unmarked


def _arguments_of(
    identity: PluginIdentity, name: str, function: Callable[..., Any], options: HookimplOpts
) -> tuple[str, ...]:
    """Return the names of a marked function's arguments, or raise a PluginError for the first violation."""
    if name not in HOOKS:
        hint = did_you_mean(name, HOOKS) or f"the hooks are {', '.join(HOOKS)}"
        raise PluginError(f"plugin {identity}: unknown hook {name!r}", where=source_of(function), hint=hint)
    for rule in (*_rules(name, function, options), *_argument_rules(name, function)):
        if rule.violated:
            what = f"plugin {identity}: hook {name!r} {rule.what}"
            raise PluginError(what, where=source_of(function), hint=rule.hint)
    names = _arguments(_plain(function))
    return names[1:] if isinstance(function, types.MethodType) else names


class _Rule(NamedTuple):
    """A rule about hook functions: whether one violates it, what is wrong then, and how to correct it."""

    violated: object
    what: str
    hint: str


def _rules(name: str, function: Callable[..., Any], options: HookimplOpts) -> Iterator[_Rule]:
    """Yield the rules about the kind of function."""
    wraps, awaits = options["wrapper"], inspect.iscoroutinefunction(function)
    yields = inspect.isgeneratorfunction(function)
    outside = awaits and name not in ASYNC_HOOKS
    yield _Rule(outside, "is async, but is called outside of the event loop", "write a plain function")
    hint = "write a plain generator; the hooks that it wraps may be async"
    async_wrapper = inspect.isasyncgenfunction(function) or (wraps and awaits)
    yield _Rule(async_wrapper, "is an async generator or an async wrapper", hint)
    yield _Rule(options["hookwrapper"], "is an old-style hookwrapper", "use wrapper=True")
    yield _Rule(name == "stream_handler" and not awaits, "is not async", "write async def stream_handler(...)")
    one = name in ("protocol", "stream_handler")
    yield _Rule(wraps and one, "cannot be a wrapper", "one plugin serves the clients of a service")
    hint = "yield once, where the wrapped hooks run"
    yield _Rule(wraps and not yields, "has wrapper=True but does not yield", hint)
    yield _Rule(wraps and name == "stats", "cannot be a wrapper", "return the metrics of the plugin itself")
    yield _Rule(wraps and name == "service_workers", "cannot be a wrapper", "return the number of the plugin itself")
    yield _Rule(wraps and name == "admit", "cannot be a wrapper", "return None to let the next plugin decide")
    yield _Rule(wraps and name == "framings", "cannot be a wrapper", "return the framings of the plugin itself")
    hint = "use wrapper=True, or do not yield"
    yield _Rule(yields and not wraps, "yields, so calling it does nothing", hint)


def _argument_rules(name: str, function: Callable[..., Any]) -> Iterator[_Rule]:
    """Yield the rules about its arguments."""
    plain = _plain(function)
    code, names = plain.__code__, _arguments(plain)
    yield _Rule(lacks_self(function, HOOKS[name]), "has no self", "add self as the first argument of the method")
    hint = f"use any of the arguments {', '.join(HOOKS[name])}, each without a default"
    yield _Rule(code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS), "has star arguments", hint)
    yield _Rule(code.co_kwonlyargcount, "has keyword-only arguments", hint)
    # pluggy passes such an argument from version 1.7 on, and leaves it out before: both are supported.
    if plain.__defaults__:
        yield _Rule(True, f"has a default value for {names[-len(plain.__defaults__)]!r}", hint)
    known = ", ".join(HOOKS[name]) or "none"
    # Only for an unknown name: the hint imports difflib, which a worker does not have from the fork.
    for each in names[1:] if isinstance(function, types.MethodType) else names:
        if each not in HOOKS[name]:
            hint = kept_hint(each) or did_you_mean(each, HOOKS[name]) or f"the arguments of {name} are: {known}"
            yield _Rule(True, f"has an unknown argument {each!r}", hint)


def lacks_self(function: Callable[..., Any], arguments: tuple[str, ...]) -> bool:
    """Return whether a method's first argument, which is bound to the instance, is missing or is one of `arguments`."""
    if not isinstance(function, types.MethodType):
        return False
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or code.co_flags & inspect.CO_VARARGS:
        return False
    return not code.co_argcount or code.co_varnames[0] in arguments


def kept_hint(argument: str) -> str | None:
    """Return what to do about an argument that only a hook of the worker has, or None for any other."""
    for hook in ("worker_start", "configure"):
        if argument in HOOKS[hook]:
            return f"keep the {argument} in a {hook}({argument}) hook, and use it here"
    return None


def _plain(function: Callable[..., Any]) -> types.FunctionType:
    """Return the function below decorators and a binding."""
    unwrapped = inspect.unwrap(function)
    plain = unwrapped.__func__ if isinstance(unwrapped, types.MethodType) else unwrapped
    assert isinstance(plain, types.FunctionType)
    return plain
