"""The check of the built site finds what is wrong with a page."""

from __future__ import annotations

from pathlib import Path

import pytest

import check_site

WHOLE = """
<html><head><link rel="canonical" href="https://example.org/"><script src="_static/copybutton.js"></script></head>
<body><h1 id="top">Page</h1>{}</body></html>
"""
LIGHT = '<img alt="a" class="only-light" src="_static/a-light.svg">'
DARK = '<img alt="a" class="only-dark" src="_static/a-dark.svg">'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    static = tmp_path / "_static"
    static.mkdir()
    for name in ("copybutton.js", "a-light.svg", "a-dark.svg"):
        (static / name).touch()
    (tmp_path / "other.html").write_text(WHOLE.format('<p id="there">There</p>'))
    return tmp_path


def found(site: Path, body: str) -> list[str]:
    page = site / "page.html"
    page.write_text(WHOLE.format(body))
    return list(check_site.problems_of_pages(check_site.pages_of(site), site))


@pytest.mark.parametrize(
    "body",
    [
        '<a href="other.html#there">',
        '<a href="#top">',
        '<a href="https://example.org/gone">',
        '<img alt="a" src="_static/a-light.svg">',
        LIGHT + DARK,
        "<code>:param x: ```</code>",
    ],
)
def test_a_page_without_a_fault(site: Path, body: str) -> None:
    assert found(site, body) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="gone.html">', "<a> gone.html: does not exist"),
        ('<a href="other.html#gone">', "<a> other.html#gone: has no such anchor"),
        ('<a href="#gone">', "<a> #gone: has no such anchor"),
        ('<img alt="a" src="_static/gone.svg">', "<img> _static/gone.svg: does not exist"),
        ('<img alt="a" src="https://a.org/a.svg">', "<img> https://a.org/a.svg: is loaded from another host"),
        ('<script src="//a.org/a.js">', "<script> //a.org/a.js: is loaded from another host"),
        (
            '<link rel="stylesheet" href="https://a.org/a.css">',
            "<link> https://a.org/a.css: is loaded from another host",
        ),
        ('<img src="_static/a-light.svg">', "picture without a text: _static/a-light.svg"),
        (LIGHT, "pictures differ between the themes: {'light': ['_static/a-light.svg'], 'dark': []}"),
        ("<p>:param data: the bytes</p>", "not interpreted: :param data:"),
        ("<p>[a link](page.md)</p>", "not interpreted: ]("),
    ],
)
def test_a_fault_of_a_page_is_found(site: Path, body: str, problem: str) -> None:
    assert found(site, body) == [f"page.html: {problem}"]


def test_a_style_sheet_that_loads_from_another_host_is_found(site: Path) -> None:
    style = site / "_static" / "a.css"
    style.write_text("a { background: url(b.svg) } @import 'https://example.org/c.css';")
    assert list(check_site.problems_of_styles(site)) == ["_static/a.css: loads https://example.org/c.css"]
