"""Every distribution of the repository says the same about itself, and `reactorhost[all]` has all of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = sorted((ROOT / "plugins").glob("*/pyproject.toml"))
SAME = ("license", "license-files", "authors", "requires-python", "dynamic", "urls")


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


HOST = read(ROOT / "pyproject.toml")


def test_all_is_every_plugin_and_every_extra() -> None:
    extras = HOST["project"]["optional-dependencies"]
    named = [re.split(r"[><=;]", line)[0] for line in extras["all"]]
    others = ",".join(sorted(extras.keys() - {"all"}))
    assert sorted(named) == sorted([f"reactorhost[{others}]", *(path.parent.name for path in PLUGINS)])


def test_the_group_that_builds_has_what_a_build_requires() -> None:
    # `build --no-isolation` uses the environment of the session.
    assert set(HOST["build-system"]["requires"]) <= set(HOST["dependency-groups"]["wheels"])


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.parent.name)
def test_a_plugin_is_described_like_the_host(path: Path) -> None:
    project, host = read(path)["project"], HOST["project"]
    assert project["name"] == path.parent.name
    assert {key: project.get(key) for key in SAME} == {key: host[key] for key in SAME}
    shared = {line for line in host["classifiers"] if line.startswith(("Development", "Operating", "Programming"))}
    assert {*shared, "Typing :: Typed"} <= set(project["classifiers"])
    assert read(path)["build-system"] == HOST["build-system"]
    assert any(line.startswith("reactorhost>=") for line in project["dependencies"])


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.parent.name)
def test_a_plugin_has_license_types_and_readme(path: Path) -> None:
    assert (path.parent / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (path.parent / path.parent.name.replace("-", "_") / "py.typed").is_file()
    assert (path.parent / "README.md").read_text(encoding="utf-8").startswith(f"# {path.parent.name}\n")
