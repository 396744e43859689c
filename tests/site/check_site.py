"""Check the built documentation site: what its pages refer to is there, and nothing comes from another host.

    python tests/site/check_site.py .docs

Links to other sites are not fetched.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]
# Made by Sphinx and the theme; these pages have no source and are in no table of contents.
_GENERATED = {"genindex.html", "py-modindex.html", "search.html"}
# The attributes by which a browser loads something, without a click.
_LOADED = {"img": "src", "link": "href", "script": "src", "source": "srcset"}
_STYLE_URL = re.compile(r"""url\(\s*['"]?([^'")]+)|@import\s+['"]([^'"]+)""")
# Markdown, directives and fields that were not interpreted.
_UNINTERPRETED = re.compile(
    r"^\s*\.\. [\w:-]+::|:(?:param|raises|returns) [^:]*:|\{(?:include|toctree|eval-rst)\}|\]\(|```", re.MULTILINE
)


class Reference(NamedTuple):
    """What an element refers to."""

    tag: str
    target: str

    def __str__(self) -> str:
        return f"<{self.tag}> {self.target}"


class Page(HTMLParser):
    """One page: its anchors, its references and its text outside of code."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.references: list[Reference] = []
        self.images: list[dict[str, str]] = []
        self.text = ""
        self._ignored: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.anchors |= {attributes[name] for name in ("id", "name") if name in attributes}
        name = "href" if tag == "a" else _LOADED.get(tag)
        # Where the page itself is: nothing is loaded from there.
        if name in attributes and attributes.get("rel") != "canonical":
            self.references.append(Reference(tag, attributes[name]))
        if tag == "img":
            self.images.append(attributes)
        if tag in ("pre", "code", "script", "style"):
            self._ignored.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._ignored and self._ignored[-1] == tag:
            self._ignored.pop()

    def handle_data(self, data: str) -> None:
        if not self._ignored:
            self.text += data


def pages_of(site: Path) -> dict[Path, Page]:
    """Read the pages of a site."""
    paths = [path for path in sorted(site.rglob("*.html")) if not {"_static", "_downloads"} & {*path.parts}]
    return {path: Page(path) for path in paths}


def problems_of_pages(pages: dict[Path, Page], site: Path) -> Iterator[str]:
    """Yield what is wrong with pages, each as one line."""
    for path, page in pages.items():
        name = path.relative_to(site)
        for reference in page.references:
            if problem := unresolved(reference, path, pages):
                yield f"{name}: {reference}: {problem}"
        yield from (f"{name}: not interpreted: {found}" for found in _UNINTERPRETED.findall(page.text))
        yield from (f"{name}: {problem}" for problem in unpaired(page))
        if "copybutton.js" not in " ".join(map(str, page.references)):
            yield f"{name}: has no copy buttons"


def problems_of_styles(site: Path) -> Iterator[str]:
    """Yield what style sheets load from other hosts."""
    for path in sorted(site.rglob("*.css")):
        for url in map("".join, _STYLE_URL.findall(path.read_text(encoding="utf-8"))):
            if urlsplit(url).netloc:
                yield f"{path.relative_to(site)}: loads {url}"


def unresolved(reference: Reference, path: Path, pages: dict[Path, Page]) -> str:
    """Return what is wrong with a reference, or nothing."""
    parts = urlsplit(reference.target)
    if parts.scheme == "data":
        return ""
    if parts.scheme or parts.netloc:
        return "" if reference.tag == "a" else "is loaded from another host"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "does not exist"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return "has no such anchor"
    return ""


def unpaired(page: Page) -> Iterator[str]:
    """Yield the images of one theme without that of the other one, and images without a text."""
    by_theme = {
        theme: [image["src"] for image in page.images if f"only-{theme}" in image.get("class", "")]
        for theme in ("light", "dark")
    }
    if by_theme["dark"] != [source.replace("-light.", "-dark.") for source in by_theme["light"]]:
        yield f"pictures differ between the themes: {by_theme}"
    for image in page.images:
        if not image.get("alt"):
            yield f"picture without a text: {image['src']}"


def missing(site: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """Yield the pages of docs/ without a page of the site, and words that are not in the search index."""
    built = {str(path.relative_to(site)) for path in pages}
    sources = {str(path.relative_to(ROOT / "docs").with_suffix(".html")) for path in (ROOT / "docs").rglob("*.md")}
    yield from (f"differ: {name}" for name in sorted(built ^ (sources | _GENERATED)))
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    yield from (
        f"not found by the search: {name}" for name in sorted(sources) if f'"{name.removesuffix(".html")}"' not in index
    )
    if '"canari"' not in index:
        yield "the search index has no words"


def main() -> int:
    """Print what is wrong; the status is 1 if anything is."""
    site = Path(sys.argv[1]).resolve()
    pages = pages_of(site)
    found = [*problems_of_pages(pages, site), *problems_of_styles(site), *missing(site, pages)]
    print("\n".join(found) or "site: every link, anchor and picture resolves")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
