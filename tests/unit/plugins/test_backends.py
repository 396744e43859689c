"""The backend of the bus is found by the scheme of its URL, and loaded when a worker boots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from reactorhost import Worker, __version__
from reactorhost.config.settings import Layer, Origin
from reactorhost.errors import ConfigError, PluginError
from reactorhost.plugins import discovery, loading
from reactorhost.plugins.identity import PluginIdentity
from reactorhost.worker.loader import LoadedBackend

Install = Callable[..., Path]


def bus(scheme: str, target: str) -> str:
    return f"[reactorhost.bus]\n{scheme} = {target}\n"


def refused(scheme: str) -> PluginError:
    with pytest.raises(PluginError) as caught:
        loading.load_backend(scheme, __version__)
    assert caught.value.exit_status == 4
    return caught.value


def test_a_backend_is_loaded_by_its_scheme(install: Install) -> None:
    install(
        "made-bus",
        bus("made+x", "made_bus_a:make"),
        modules={"made_bus_a.py": "def make(worker, url):\n    return url\n"},
    )
    identity, factory = loading.load_backend("made+x", __version__)
    assert identity == PluginIdentity("made+x", "made-bus", "1.0", "made_bus_a:make")
    assert factory(cast("Worker", None), "made+x://h") == "made+x://h"  # type: ignore[comparison-overlap]


def test_a_backend_is_not_a_plugin_and_a_plugin_is_not_a_backend(install: Install) -> None:
    install("made-bus", bus("made", "made_bus_b:make") + "[reactorhost]\nother = made_bus_b\n")
    assert "made" not in {identity.name for identity in discovery.installed()}
    assert discovery.find("other").target == "made_bus_b"
    assert refused("other").what == "no installed distribution provides a bus for other://"


def test_an_unknown_scheme_lists_what_is_installed(install: Install) -> None:
    install("made-bus", bus("made", "made_bus_c:make"))
    hint = refused("mad").hint or ""
    assert hint.startswith("did you mean 'made'? installed: ")
    assert "made://" in hint


def test_the_hint_for_redis_is_the_path_of_its_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_entry_points", lambda group: iter(()))
    assert refused("rediss").hint == "in a clone of reactorhost: pip install ./plugins/reactorhost-redis"
    assert refused("nats").hint == "no bus is installed"


def test_two_distributions_for_one_scheme_are_refused(install: Install) -> None:
    install("made-one", bus("twice", "a:b"))
    install("made-two", bus("twice", "a:b"))
    assert "both have a bus for twice://" in refused("twice").what


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import missing_module_x", "failed to import: ModuleNotFoundError"),
        ("1 / 0", "failed to import: ZeroDivisionError"),
        ("make = 3", "is a bus, but cannot be called"),
        ("", "there is no 'make' in made_bus_d"),
    ],
)
def test_a_backend_that_cannot_be_loaded_is_refused(
    source: str, what: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(__import__("sys").modules, "made_bus_d", raising=False)
    install("made-bus", bus("made", "made_bus_d:make"), modules={"made_bus_d.py": source})
    error = refused("made")
    assert what in error.what
    assert error.what.startswith("plugin made (made-bus 1.0)")


def test_a_backend_for_another_host_version_is_refused(install: Install) -> None:
    install("made-bus", bus("made", "made_bus_e:make"), requires=["reactorhost>=99"])
    assert "requires reactorhost >=99" in refused("made").what


def loaded(make: Callable[[Worker, str], object], layer: Layer = Layer.FILE) -> LoadedBackend:
    identity = PluginIdentity("made", "made-bus", "1.0", "made:make")
    return LoadedBackend(identity, cast("loading.BackendFactory", make), "made://:secret@h", Origin(layer, "FILE:3"))


@pytest.mark.parametrize(("layer", "status"), [(Layer.FILE, 1), (Layer.FLAG, 2)])
def test_a_url_that_the_backend_refuses_is_a_problem_of_the_setting(layer: Layer, status: int) -> None:
    def make(worker: Worker, url: str) -> object:
        raise ValueError("there is no port")

    with pytest.raises(ConfigError) as caught:
        loaded(make, layer).make(cast("Worker", None))
    assert caught.value.lines() == ["bus_url: there is no port", "  where: FILE:3"]
    assert caught.value.exit_status == status


def test_any_other_error_of_a_backend_is_one_of_its_code() -> None:
    def make(worker: Worker, url: str) -> object:
        raise KeyError("x")

    with pytest.raises(PluginError, match="failed to make the bus: KeyError"):
        loaded(make).make(cast("Worker", None))


def test_the_password_is_not_in_the_repr_and_the_distribution_is_the_name() -> None:
    backend = loaded(lambda worker, url: None)
    assert "secret" not in repr(backend)
    assert backend.plugin == "made-bus"
