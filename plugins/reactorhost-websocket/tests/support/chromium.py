"""A headless Chromium, driven by its own protocol (CDP) over a WebSocket."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

DEADLINE_SECONDS = 30.0
PROGRAM = shutil.which("chromium")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it cannot have one as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--remote-debugging-port=0",
)


def require_chromium() -> None:
    """Skip the test if Chromium does not start; where CI has installed it, fail."""
    # Without its libraries, as an interrupted installation leaves it, even this fails.
    if PROGRAM is None or subprocess.run([PROGRAM, "--version"], capture_output=True, check=False).returncode:
        reason = "chromium is not installed, or does not start: apt-get install chromium"
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail(reason)
        pytest.skip(reason)


class Chromium:
    """One browser with a profile of its own."""

    def __init__(self) -> None:
        require_chromium()
        self._folder = tempfile.TemporaryDirectory(prefix="reactorhost-chromium-", ignore_cleanup_errors=True)
        self._ids = itertools.count(1)
        self._connected = contextlib.ExitStack()

    def __enter__(self) -> Self:
        assert PROGRAM is not None
        folder = Path(self._folder.name)
        # In a session of its own: it starts a dozen processes.
        self._process = subprocess.Popen(
            [PROGRAM, *_FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "HOME": str(folder)},
        )
        try:
            port, path = self._address(folder / "DevToolsActivePort")
            control = connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None)
            self._control = self._connected.enter_context(control)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        try:
            # It ends its own processes then, some of which are in sessions of their own, perhaps before it answers.
            with contextlib.suppress(ConnectionClosed):
                self.call("Browser.close")
            self._connected.close()
            self._process.wait(DEADLINE_SECONDS)
        finally:
            self._end()

    def open(self, url: str) -> Page:
        """Return a new page, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        page.load(url)
        return page

    def call(self, method: str, session: str | None = None, **parameters: object) -> dict[str, Any]:
        """Return the result of a command of the protocol."""
        number = next(self._ids)
        command = {"id": number, "method": method, "params": parameters}
        self._control.send(json.dumps(command if session is None else {**command, "sessionId": session}))
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            answer = json.loads(self._control.recv(timeout=max(0.0, deadline - time.monotonic())))
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _address(self, file: Path) -> tuple[str, str]:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            # The second line is written at once with the first.
            lines = file.read_text().splitlines() if file.exists() else []
            if len(lines) == 2:
                return lines[0], lines[1]
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("chromium has not started")
            time.sleep(0.02)

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._folder.cleanup()


class Page:
    """A page of a browser."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Return the result of a command to this page."""
        return self._browser.call(method, self._session, **parameters)

    def load(self, url: str) -> None:
        """Load a page, and return when it is complete."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page; that of a promise when it is resolved."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description", found))
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until an expression is true in the page."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not self.run(condition):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not true in the page: {condition}")
            time.sleep(0.02)

    def picture(self, width: int, height: int) -> bytes:
        """Return a PNG of what the page shows in a window of this size."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
