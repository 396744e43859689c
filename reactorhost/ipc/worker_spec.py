"""What the master gives a worker on its way."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from reactorhost.config.settings import Settings
from reactorhost.ipc.scoreboard import Scoreboard


@dataclass(frozen=True, slots=True)
class BorrowedListener:
    """A listening socket of the slot, open in master and worker; `slot` is None where all slots share it."""

    slot: int | None
    service: str
    scheme: str
    socket: socket.socket


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What one worker is to serve, and with what."""

    settings: Settings
    slot: int
    generation: int
    master_pid: int
    master_line: socket.socket
    listeners: tuple[BorrowedListener, ...]
    scoreboard: Scoreboard
    page: int
    account: tuple[int, int, str] | None
