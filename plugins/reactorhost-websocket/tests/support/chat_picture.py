"""Make the picture of the chat page: `chat_picture.py FOLDER`. It needs Chromium."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from chat_pages import converse
from chromium import Chromium
from reactorhost.testing import LiveHost

_WIDTH, _HEIGHT = 640, 380


def main(folder: Path) -> None:
    """Write `websocket-chat.png`."""
    arguments = ("--plugin", "websocket", "--plugin", "chat", "--workers", "2")
    with tempfile.TemporaryDirectory() as place, LiveHost(Path(place), *arguments) as host, Chromium() as browser:
        _, shown = converse(browser, host.address()[1])
        (folder / "websocket-chat.png").write_bytes(shown.page.picture(_WIDTH, _HEIGHT))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
