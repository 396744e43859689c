"""Check what the extension `plain_markdown` makes of Markdown, on a site of a few lines."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from sphinx.application import Sphinx

EXTENSIONS = Path(__file__).parents[2] / "docs" / "_ext"
CONFIGURATION = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = ["myst_parser", "plain_markdown"]
myst_heading_anchors = 2
"""
FILES = {
    "README.md": "# Outside\n\n[guide](docs/guide.md)\n",
    "plugins/reactorhost-echo/README.md": (
        "# Echo\n\n[host](../../README.md), [guide](../../docs/guide.md#second), [test](tests/test_echo.py)\n"
    ),
    "plugins/reactorhost-echo/tests/test_echo.py": "",
    "docs/conf.py": CONFIGURATION,
    "docs/index.md": "# Inside\n\n```{toctree}\nguide\nplugins/echo\n```\n",
    "docs/plugins/echo.md": "```{include} ../../plugins/reactorhost-echo/README.md\n:relative-docs: ../..\n```\n",
    "docs/guide.md": """\
# Guide

- [First](#first), and [second](#second)

[host](../README.md), [plugin](../plugins/reactorhost-echo/README.md#echo)

<picture><source media="(prefers-color-scheme: dark)" srcset="a-dark.svg"><img
alt="a picture" src="a-light.svg"></picture>

## First

- [Second](#second) comes later

## Second
""",
    "docs/a-light.svg": "<svg/>",
    "docs/a-dark.svg": "<svg/>",
}


def main() -> None:
    """Build the site and look at its pages.

    Raises:
        AssertionError: they are not what they should be.
    """
    with tempfile.TemporaryDirectory(prefix="reactorhost-site-") as folder:
        root = Path(folder)
        for name, text in FILES.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        site = root / "site"
        app = Sphinx(root / "docs", root / "docs", site, root / "cache", "html", status=None, exception_on_warning=True)
        app.build()
        guide = (site / "guide.html").read_text()
        echo = (site / "plugins" / "echo.html").read_text()
    body = guide.partition('<section id="guide">')[2].partition('<div class="sphinxsidebar"')[0]
    links = re.findall(r'<a class="reference internal" href="([^"]+)"', body)
    # The list of the page's own headings is left out; one with other words stays.
    assert links == ["index.html", "plugins/echo.html#echo", "#second"], links
    images = re.findall(r'<img alt="a picture" class="(only-\w+)" src="_images/(\S+)"', body)
    assert images == [("only-light", "a-light.svg"), ("only-dark", "a-dark.svg")], images
    for link in ("../index.html", "../guide.html#second"):
        assert f'<a class="reference internal" href="{link}"' in echo, link
    assert re.search(r'<a class="reference download internal" download="" href="../_downloads/\w+/test_echo.py"', echo)
    print("plain_markdown: links, pictures and lists are what they should be")


if __name__ == "__main__":
    main()
