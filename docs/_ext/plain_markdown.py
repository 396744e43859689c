"""What the site needs so that its pages stay plain Markdown, which GitHub shows as well.

- A link to a file outside of docs/ leads to the page that includes this file, such as `../README.md` to the first page,
  or to a copy of the file.
- A list of the headings of its own page is left out: the theme shows them beside the page.
- The language of a block may be one that GitHub knows and Pygments does not.
- `<picture>` with a source for dark mode becomes two images that follow the theme of the page, not the browser's.
"""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

_INCLUDED = {
    "../README": "index",
    "../CONTRIBUTING": "contributing/index",
    "../CHANGELOG": "release-notes",
}
_PLUGIN = re.compile(r"\.\./plugins/reactorhost-(\w+)/README")


def page_of(document: str) -> str:
    """Return the page that shows a Markdown file, both relative to docs/ and without suffix."""
    if found := _PLUGIN.fullmatch(document):
        return f"plugins/{found[1]}"
    return _INCLUDED.get(document, document)


class LinksToOtherFiles(SphinxTransform):
    """Point links to files outside of docs/ at the page that includes the file, or at the file itself."""

    default_priority = 500

    def apply(self, **_: Any) -> None:
        """Change the references of MyST, which has not resolved them yet."""
        for reference in list(self.document.findall(addnodes.pending_xref)):
            if reference["reftype"] != "myst":
                continue
            target = reference["reftarget"]
            if reference["refdomain"] == "doc":
                # Of a file outside of docs/ MyST has the absolute path.
                reference["reftarget"] = page_of(os.path.relpath(self.env.srcdir / target, self.env.srcdir))
            # What a file includes has links from the place of the included file.
            elif reference.source and (file := Path(reference.source).parent / target).is_file():
                here = self.env.doc2path(self.env.docname).parent
                download = addnodes.download_reference(reftarget=os.path.relpath(file, here))
                download.extend(reference.children)
                reference.replace_self(download)


class ListsOfOwnHeadings(SphinxTransform):
    """Remove lists of links to the same page, which have no other words than `and`."""

    # Later than the parser, earlier than the transforms that resolve the links.
    default_priority = 500

    def apply(self, **_: Any) -> None:
        """Remove them from the sections that they introduce."""
        for section in self.document.findall(nodes.section):
            for found in [child for child in section.children if isinstance(child, nodes.bullet_list)]:
                links = list(found.findall(nodes.reference))
                words = set(re.findall(r"\w+", found.astext()))
                words -= {word for link in links for word in re.findall(r"\w+", link.astext())}
                if links and all("id_link" in link for link in links) and words <= {"and"}:
                    section.remove(found)


class _Picture(HTMLParser):
    """Collects the attributes of the elements in a `<picture>`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: dict[str, dict[str, str]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the attributes by the element's name."""
        self.elements[tag] = {name: value or "" for name, value in attrs}


class PicturesInTwoThemes(SphinxTransform):
    """Replace `<picture>` by two images, of which the theme shows one."""

    # Before the images are collected, which is done with priority 880 and more.
    default_priority = 500

    def apply(self, **_: Any) -> None:
        """Replace the raw HTML, of which each tag is a node in the paragraph."""
        for paragraph in list(self.document.findall(nodes.paragraph)):
            html = paragraph.astext()
            if html.startswith("<picture>"):
                paragraph.replace_self(_images(_Picture(html).elements))


def _images(elements: dict[str, dict[str, str]]) -> list[nodes.Node]:
    uris = {"light": elements["img"]["src"], "dark": elements["source"]["srcset"]}
    alt = elements["img"]["alt"]
    return [nodes.image(uri=uri, alt=alt, classes=[f"only-{theme}"]) for theme, uri in uris.items()]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transforms and the languages."""
    app.add_lexer("haproxy", TextLexer)
    app.add_transform(LinksToOtherFiles)
    app.add_transform(ListsOfOwnHeadings)
    app.add_transform(PicturesInTwoThemes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
