"""The files of every variant. The session `wheels` installs and tests the packages."""

from __future__ import annotations

import ast
import tomllib
import types
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from reactorhost.plugins.identity import description
from reactorhost.plugins.loading import load_object
from reactorhost.scaffold.names import PackageName
from reactorhost.scaffold.rendering import files, start_command, talk_command, talk_terminal
from reactorhost.scaffold.variants import VARIANTS, Variant

NAME = PackageName("my-game")
MODULE = "reactorhost_my_game/__init__.py"
every_variant = pytest.mark.parametrize(
    "variant", VARIANTS, ids=lambda variant: f"{variant.handler}{'-async' * variant.is_async}"
)


def rendered(variant: Variant) -> Mapping[str, str]:
    return files(NAME, variant, "1.23.4")


def project(variant: Variant) -> dict[str, Any]:
    return tomllib.loads(rendered(variant)["pyproject.toml"])


@every_variant
def test_a_package_has_these_files_and_no_placeholder(variant: Variant) -> None:
    assert sorted(rendered(variant)) == [
        ".github/workflows/ci.yml",
        ".gitignore",
        "README.md",
        "pyproject.toml",
        MODULE,
        "reactorhost_my_game/py.typed",
        "tests/test_my_game.py",
    ]
    for path, text in rendered(variant).items():
        assert "$" not in text.replace("${{ matrix.python }}", ""), path
        assert text == "" or (text.endswith("\n") and not text.endswith("\n\n")), path


@every_variant
def test_the_code_is_python_and_fits_its_own_line_length(variant: Variant) -> None:
    for path, text in rendered(variant).items():
        if path.endswith(".py"):
            ast.parse(text)
            assert max(map(len, text.splitlines())) <= project(variant)["tool"]["ruff"]["line-length"]


@every_variant
def test_the_plugin_loads_and_has_one_handler_that_is_async_if_wanted(variant: Variant) -> None:
    module = types.ModuleType("reactorhost_my_game")
    exec(rendered(variant)[MODULE], vars(module))
    plugin = load_object(module.Plugin, "my-game")
    handler = "protocol" if variant.handler == "protocol" else "receive"
    framing = {"framing"} - {"framing" * (variant.handler in {"bytes", "protocol", "websocket"})}
    assert set(plugin.hooks) == {"configure", "options", handler, *framing}
    assert [option.name for option in plugin.options] == ["upper"]
    assert plugin.awaits is (variant.is_async or variant.handler == "protocol")
    # What `reactorhost plugins my-game` shows.
    assert description(plugin) == project(variant)["project"]["description"]


@every_variant
def test_pip_finds_the_plugin_and_what_it_requires(variant: Variant) -> None:
    described = project(variant)["project"]
    assert described["name"] == "reactorhost-my-game"
    assert described["entry-points"] == {"reactorhost": {"my-game": "reactorhost_my_game:Plugin"}}
    required = ["reactorhost>=1.23"]
    if variant.handler == "websocket":
        required.append("reactorhost-websocket>=1.23")
    assert described["dependencies"] == required


@every_variant
def test_the_readme_and_the_workflow_have_the_commands_of_the_package(variant: Variant) -> None:
    texts = rendered(variant)
    readme, start = texts["README.md"], start_command(NAME, variant)
    assert f"\n{start}\n" in readme
    assert f"`{start} --reload` loads the code again" in readme
    assert f"In {talk_terminal(variant)}:\n\n```console\n{talk_command(variant)}\n" in readme
    workflow = yaml.safe_load(texts[".github/workflows/ci.yml"])
    commands = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    extras = set(project(variant)["project"]["optional-dependencies"])
    assert commands[0] == "pip install -e '.[test,check]'"
    assert {"test", "check"} == extras
    assert commands[1:] == ["ruff format --check .", "ruff check .", "mypy", "pytest"]
