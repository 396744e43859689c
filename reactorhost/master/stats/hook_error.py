"""An exception of a plugin, as the worker reported it."""

from __future__ import annotations

from dataclasses import dataclass

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.status import LastError


@dataclass(frozen=True, slots=True)
class HookError:
    """The newest exception of a plugin; `at` is when it was reported, in monotonic seconds."""

    message: str
    hook: str
    where: str
    peer: str | None
    slot: int
    at: float

    @classmethod
    def reported(cls, message: Message, slot: int, now: float) -> HookError:
        """Return the exception of a report; a worker of an earlier version reports its text only."""
        where = (message.get("hook", "?"), message.get("where", "?"))
        return cls(message["error"], *where, message.get("peer"), slot, now)

    def status(self, now: float) -> LastError:
        """Return it as the status document has it."""
        return {
            "message": self.message,
            "hook": self.hook,
            "where": self.where,
            "peer": self.peer,
            "slot": self.slot,
            "age_seconds": round(now - self.at, 1),
        }
