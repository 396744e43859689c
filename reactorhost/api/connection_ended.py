"""Operations that fail because their connection has ended."""

from __future__ import annotations

from contextvars import Context


class ConnectionEndedError(ConnectionError):
    """An operation of a connection has failed because the connection has ended.

    A hook of that connection that it ends has not failed: clients may leave at any time, and the host logs why.

    Attributes:
        variables: the context of the connection. Not the connection itself: an exception that is kept would keep it.
    """

    def __init__(self, text: str, variables: Context | None = None) -> None:
        super().__init__(text)
        self.variables = variables
