"""Check the contents of the built archives; run by the session `wheels`."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGES = {
    "reactorhost": {"reactorhost", "README.md", "CHANGELOG.md", "LICENSE"},
    "reactorhost_accesslog": {"reactorhost_accesslog", "README.md", "tests"},
    "reactorhost_asgi": {"reactorhost_asgi", "README.md", "tests"},
    "reactorhost_chat": {"reactorhost_chat", "README.md", "tests"},
    "reactorhost_echo": {"reactorhost_echo", "README.md", "tests"},
    "reactorhost_redis": {"reactorhost_redis", "README.md", "tests"},
    "reactorhost_websocket": {"reactorhost_websocket", "README.md", "tests"},
}
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
        tops = {name.split("/")[0] for name in names}
        expect(f"{package} wheel", {top for top in tops if not top.endswith(".dist-info")}, {package})
        if f"{package}/py.typed" not in names:
            raise SystemExit(f"{package} wheel has no py.typed: its types would be ignored")
        print(f"{package}: sdist and wheel hold what they should ({len(names)} files)")


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
