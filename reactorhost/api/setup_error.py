"""What a plugin raises when the operator has to change something."""

from __future__ import annotations


class SetupError(ValueError):
    """A plugin cannot start with its options, or in its surroundings; the text says what to change.

    Raised in `options`, `configure` or `worker_start`, it is shown without a traceback. In `configure` it may name an
    option: then it is reported as any wrong value of this option is, with file and line. If it has a cause, code that
    the option names has failed, and the traceback of the cause is shown. An `ExceptionGroup` of several, raised in
    `configure`, reports all of them.

    Attributes:
        option: name of an option of the plugin, or None.
        hint: what to do about it, or None.
    """

    # The name by which plugins import it.
    __module__ = "reactorhost"

    def __init__(self, what: str, *, option: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.option = option
        self.hint = hint
