"""The files of a package, from the templates."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from string import Template

from reactorhost.scaffold.names import PackageName
from reactorhost.scaffold.variants import Variant


def files(name: PackageName, variant: Variant, host_version: str) -> Mapping[str, str]:
    """Return the text of each file by its path in the package; they require at least this version of the host."""
    values = _values(name, variant, host_version)
    of_module = "module_protocol" if variant.handler == "protocol" else "module"
    of_tests = "tests_websocket" if variant.handler == "websocket" else "tests"
    templates = {
        f"{name.module}/__init__.py": of_module,
        f"tests/test_{name.module.removeprefix('reactorhost_')}.py": of_tests,
        "pyproject.toml": "pyproject",
        "README.md": "readme",
        ".gitignore": "gitignore",
        ".github/workflows/ci.yml": "ci",
    }
    rendered = {
        path: Template(_read(f"{template}.template")).substitute(values) for path, template in templates.items()
    }
    # For type checkers: the package has types.
    return {**rendered, f"{name.module}/py.typed": ""}


def start_command(name: PackageName, variant: Variant) -> str:
    """Return the command that serves the plugin."""
    return f"reactorhost start {'websocket ' if variant.handler == 'websocket' else ''}{name.plugin}"


def talk_command(variant: Variant) -> str:
    """Return a command that sends the served plugin a message."""
    return _tables()[variant.handler]["talk"]


def talk_terminal(variant: Variant) -> str:
    """Return in which terminal this command is found."""
    # Its client is a program of the environment, the others use nc.
    return "another terminal with the same environment" if variant.handler == "websocket" else "another terminal"


def _values(name: PackageName, variant: Variant, host_version: str) -> Mapping[str, str]:
    tables = _tables()
    required = ["reactorhost"]
    if variant.handler == "websocket":
        required.append("reactorhost-websocket")
    least = ".".join(host_version.split(".")[:2])
    return {
        **tables["async" if variant.is_async else "sync"],
        **tables[variant.handler],
        "plugin": name.plugin,
        "distribution": name.distribution,
        "module": name.module,
        "dependencies": ", ".join(f'"{each}>={least}"' for each in required),
        "start": start_command(name, variant),
        "elsewhere": talk_terminal(variant),
    }


def _tables() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(_read("variants.toml"))


def _read(file: str) -> str:
    folder: Traversable = resources.files("reactorhost.scaffold") / "templates"
    return (folder / file).read_text(encoding="utf-8")
