"""Which code of a plugin runs while a worker boots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reactorhost.ipc.messages import BootStep

_BOOT_WORDS: Mapping[str, str] = {
    BootStep.IMPORT: "importing",
    BootStep.CONFIGURE: "configuring",
    BootStep.WORKER_START: "in worker_start of",
}


@dataclass(frozen=True, slots=True)
class BootPlace:
    """Which code of a plugin runs in a worker that boots, `since` a moment in monotonic seconds."""

    step: str
    plugin: str
    since: float

    def __str__(self) -> str:
        # A worker of another version may know other steps.
        return f"{_BOOT_WORDS.get(self.step, self.step)} {self.plugin}"
