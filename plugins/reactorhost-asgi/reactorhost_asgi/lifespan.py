"""The lifespan of an ASGI application: it is started before the first client, and stopped after the last.

Source: the ASGI specification, "Lifespan Protocol" 2.0. The application runs as one task for the whole time; startup
and shutdown are messages that it receives, and answers.
"""

from __future__ import annotations

import asyncio
from typing import Any

from reactorhost import Worker
from reactorhost_asgi.application import Application

_ANSWERS = {f"lifespan.{phase}.{how}" for phase in ("startup", "shutdown") for how in ("complete", "failed")}
_RAISE_SECONDS = 1.0


class LifespanError(Exception):
    """The application has refused to start or to stop, or has ended without an answer."""


class Lifespan:
    """Starts and stops one ASGI application.

    Attributes:
        state: what the application has put into `scope["state"]`; each request gets a copy.
    """

    def __init__(self, application: Application, worker: Worker, *, required: bool) -> None:
        self.state: dict[str, Any] = {}
        self._application = application
        self._worker = worker
        self._required = required
        self._messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Start the application.

        Raises:
            LifespanError: it has refused or called `sys.exit`, or lifespan is required and it has ended without an
                answer; with what it has raised as the cause.
        """
        self._task = asyncio.get_running_loop().create_task(self._run(), name="lifespan")
        if await self._answered("startup"):
            return
        raised = _raised(self._task)
        if isinstance(raised, LifespanError):
            raise raised
        why = f"{type(raised).__name__}: {raised}" if raised else "it has ended without an answer"
        if self._required:
            raise LifespanError(f"the application has failed in its startup: {why}") from raised
        # An application that knows only requests fails on any other scope: ASGI leaves it no other way to say so.
        self._worker.log.info("lifespan_unsupported error=%r", why)

    async def shutdown(self) -> None:
        """Stop the application, if it was started and still runs.

        Raises:
            LifespanError: it has failed. The cause is what it has raised.
        """
        if self._task is None or self._task.done():
            return
        if not await self._answered("shutdown") and (raised := _raised(self._task)):
            raise LifespanError("the application has failed in its shutdown") from raised

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
            # As for a request, which has the connection too.
            "extensions": {"reactorhost": {"worker": self._worker}},
        }
        try:
            await self._application(scope, self._messages.get, self._send)
        # A task would raise it out of the loop.
        except SystemExit as error:
            raise LifespanError(f"the application has called sys.exit({error.code!r})") from error

    async def _answered(self, phase: str) -> bool:
        """Send the message of a phase, and return whether the application has answered before it ended.

        Raises:
            LifespanError: it has answered that the phase failed.
        """
        assert self._task is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._messages.put_nowait({"type": f"lifespan.{phase}"})
        await asyncio.wait((self._answer, self._task), return_when=asyncio.FIRST_COMPLETED)
        if not self._answer.done():
            return False
        answer = self._answer.result()
        if answer["type"] == f"lifespan.{phase}.complete":
            return True
        # As a rule it then raises what has made it fail.
        await asyncio.wait((self._task,), timeout=_RAISE_SECONDS)
        # Frameworks send a whole traceback, which the cause has as well.
        *_, text = str(answer.get("message", "")).strip().splitlines() or ["without a message"]
        raise LifespanError(f"the application has failed in its {phase}: {text}") from _raised(self._task)

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind not in _ANSWERS or self._answer is None or self._answer.done():
            raise RuntimeError(f"the application sends {kind!r}, which is not expected now")
        self._answer.set_result(message)


def _raised(task: asyncio.Task[None]) -> BaseException | None:
    return None if not task.done() or task.cancelled() else task.exception()
