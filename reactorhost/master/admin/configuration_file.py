"""Whether the configuration file has changed since the host read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class ConfigurationFile:
    """Compares contents and not times: a deployment writes the same file anew, or moves a link to it.

    Attributes:
        in_use: the content with which the host runs, None without a file.
    """

    path: Path | None
    in_use: bytes | None = field(init=False)

    def __post_init__(self) -> None:
        self.in_use = self.content()

    def content(self) -> bytes | None:
        """Return what is in the file now, None if it cannot be read."""
        try:
            return None if self.path is None else self.path.read_bytes()
        except OSError:
            return None

    def has_changed(self) -> bool:
        """Return whether another content is there; a file that is missing has not changed."""
        return self.content() not in (None, self.in_use)
