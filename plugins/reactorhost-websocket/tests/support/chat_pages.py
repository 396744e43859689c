"""Two people on the chat page of the documentation, in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

from chromium import Chromium, Page

PAGE = Path(__file__).parents[4] / "docs" / "examples" / "websocket_chat.html"


class ChatPage:
    """The page of one person."""

    def __init__(self, browser: Chromium, port: int) -> None:
        self.page: Page = browser.open(f"{PAGE.as_uri()}?server=ws://127.0.0.1:{port}/")
        self.until_shown("* Welcome! You are guest")

    @property
    def shown(self) -> str:
        """The lines of the page."""
        return str(self.page.run("lines.innerText"))

    def types(self, line: str) -> None:
        """Type a line, and press the button."""
        self.page.run(_typing(line))

    def until_shown(self, words: str, times: int = 1) -> None:
        """Wait until the page shows words, so many times."""
        self.page.until(f"lines.innerText.split({json.dumps(words)}).length > {times}")

    def types_until_shown(self, line: str, other: ChatPage) -> None:
        """Type a line every half second until another page shows it.

        While workers are replaced, a page may be connecting once more, and the worker of the one may not know the
        client of the other yet.
        """
        timer = self.page.run(f"setInterval(() => {{ {_typing(line)} }}, 500)")
        other.until_shown(f": {line}")
        self.page.run(f"clearInterval({timer})")


def _typing(line: str) -> str:
    return f"text.value = {json.dumps(line)}; document.querySelector('button').click();"


def converse(browser: Chromium, port: int) -> tuple[ChatPage, ChatPage]:
    """Let two people talk, and return their pages, on which all of it is shown."""
    ada, max_ = ChatPage(browser, port), ChatPage(browser, port)
    for person, name in ((ada, "ada"), (max_, "max")):
        person.types(f"/name {name}")
        person.until_shown(f"* You are {name} now.")
    ada.until_shown("is now max.")
    ada.types("Hello from a browser!")
    max_.until_shown("ada: Hello from a browser!")
    max_.types("Schöne Grüße zurück, over a WebSocket")
    ada.until_shown("max: Schöne Grüße zurück, over a WebSocket")
    ada.types("<b>And this is text, not HTML.</b>")
    max_.until_shown("ada: <b>And this is text, not HTML.</b>")
    return ada, max_
