"""Check the contents of the built archives; run by the session `wheels`."""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from pathlib import Path

HOST = {"reactorhost", "man", "README.md", "CHANGELOG.md", "LICENSE"}
PLUGINS = (
    "reactorhost_accesslog",
    "reactorhost_asgi",
    "reactorhost_chat",
    "reactorhost_echo",
    "reactorhost_guard",
    "reactorhost_proxy",
    "reactorhost_redis",
    "reactorhost_redisserver",
    "reactorhost_websocket",
)
PACKAGES = {"reactorhost": HOST} | {name: {name, "README.md", "LICENSE", "tests"} for name in PLUGINS}
# What a wheel installs beside the package.
DATA = {"reactorhost": {"share/man/man1/reactorhost.1"}}
# hatchling adds these to every source archive.
ALWAYS = {"pyproject.toml", "PKG-INFO", ".gitignore"}


def main(dist: Path) -> None:
    """Check every archive in a folder.

    Raises:
        SystemExit: one of them is wrong, or missing.
    """
    for package, expected in PACKAGES.items():
        with tarfile.open(one(dist, f"{package}-*.tar.gz")) as archive:
            found = {name.split("/")[1] for name in archive.getnames() if "/" in name} - ALWAYS
        expect(f"{package} sdist", found, expected)
        with zipfile.ZipFile(one(dist, f"{package}-*.whl")) as wheel:
            names = wheel.namelist()
            check_description(package, wheel)
        tops = {name.split("/")[0] for name in names}
        expect(f"{package} wheel", {top for top in tops if not top.endswith((".dist-info", ".data"))}, {package})
        if f"{package}/py.typed" not in names:
            raise SystemExit(f"{package} wheel has no py.typed: its types would be ignored")
        if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
            raise SystemExit(f"{package} wheel has no license file")
        data = {name.partition(".data/data/")[2] for name in names if ".data/" in name}
        expect(f"{package} wheel's data", data, DATA.get(package, set()))
        print(f"{package}: sdist and wheel hold what they should ({len(names)} files)")


def check_description(package: str, wheel: zipfile.ZipFile) -> None:
    """Check that what the package index shows has no links to files, which are not there."""
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    text = wheel.read(name).decode()
    relative = re.findall(r"\]\((?!https?://|#)[^)]*|src(?:set)?=\"(?!https://)[^\"]*", text)
    if relative or not text.partition("\n\n")[2].strip():
        raise SystemExit(f"{package} has no description for the package index, or one with relative links: {relative}")


def one(dist: Path, pattern: str) -> Path:
    """Return the only file of that pattern."""
    files = list(dist.glob(pattern))
    if len(files) != 1:
        raise SystemExit(f"{dist} has {len(files)} files {pattern}, not one")
    return files[0]


def expect(what: str, found: set[str], expected: set[str]) -> None:
    """Compare two sets of names."""
    if found != expected:
        raise SystemExit(f"{what} holds {sorted(found)}, not {sorted(expected)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
