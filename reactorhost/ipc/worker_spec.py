"""What a forked worker gets from its master."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from reactorhost.config.settings import Settings
from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.system.account import Account


@dataclass(frozen=True, slots=True)
class BorrowedListener:
    """A listener or UDP socket of a slot, open in master and worker; `slot` is None where all slots share it."""

    slot: int | None
    service: str
    scheme: str
    socket: socket.socket


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What one worker serves, and the resources for it.

    Attributes:
        count: the number of wanted workers.
        page: number of the worker's page of the scoreboard.
        account: the user and group to change to, or None.
        host_id: the id of the host in references to connections (`bus.refs`).
        bus_used: whether other workers use the bus.
    """

    settings: Settings
    slot: int
    generation: int
    count: int
    master_pid: int
    master_line: socket.socket
    listeners: tuple[BorrowedListener, ...]
    scoreboard: Scoreboard
    page: int
    account: Account | None
    host_id: bytes
    bus_used: bool
