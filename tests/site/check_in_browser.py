"""Check what scripts do on the built site, in Chromium: search, copying, the switch of themes.

PYTHONPATH=plugins/reactorhost-websocket/tests/support python tests/site/check_in_browser.py .docs
"""

from __future__ import annotations

import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chromium import Chromium, Page

# Those with the widest tables and code.
_WIDE = ("index.html", "reference/settings.html", "reference/commands.html", "reference/api.html", "benchmarks.html")
_CLICK = "document.querySelector('{}').click()"
_NOTE_COPIES = "document.addEventListener('copy', () => { window.copied = document.activeElement.value })"
_SHOWN = (
    "[...document.querySelectorAll('img.only-light, img.only-dark')]"
    ".filter(each => each.offsetWidth).map(each => each.className)"
)
_OTHER_HOSTS = (
    "performance.getEntriesByType('resource').map(each => each.name).filter(each => !each.startsWith(location.origin))"
)
_FOUND = "[...document.querySelectorAll('#search-results a')].some(each => each.href.includes('{}'))"
_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(site: str) -> Iterator[str]:
    """Serve the site on a free port; the value is its URL."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def use(page: Page, url: str) -> None:
    """Use the site as its readers do.

    Raises:
        AssertionError: it does not do what it should.
        TimeoutError: it does nothing.
    """
    page.run(_NOTE_COPIES)
    # A browser copies only for a user.
    page.call("Runtime.evaluate", expression=_CLICK.format(".highlight-console .copybtn"), userGesture=True)
    expect(page.run("window.copied"), "reactorhost start ./echo.py")
    shown = {}
    for _ in range(3):
        page.run(_CLICK.format(".content-icon-container .theme-toggle"))
        shown[page.run("document.body.dataset.theme")] = page.run(_SHOWN)
    expect(shown, {"dark": ["only-dark"], "light": ["only-light"], "auto": ["only-light"]})
    expect(page.run(_OTHER_HOSTS), [])
    page.load(f"{url}/search.html?q=canary")
    page.until(_FOUND.format("glossary.html#canary"))
    page.call("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=False)
    for name in _WIDE:
        page.load(f"{url}/{name}")
        page.until(f"location.pathname === '/{name}' && document.readyState === 'complete'")
        expect((name, page.run(_OVERFLOW)), (name, 0))


def expect(found: object, expected: object) -> None:
    """Compare two values."""
    if found != expected:
        raise AssertionError(f"{found!r} is not {expected!r}")


def main() -> None:
    """Run the check, where there is a browser."""
    try:
        with served(sys.argv[1]) as url, Chromium() as browser:
            use(browser.open(f"{url}/index.html"), url)
    except pytest.skip.Exception as skipped:
        print(f"site: not checked in a browser: {skipped}")
    else:
        print("site: search, copying and themes work in a browser")


if __name__ == "__main__":
    main()
