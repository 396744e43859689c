"""How docstrings of the code become entries of the Python API."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon.docstring import GoogleDocstring

# All other classes are made by the host.
_MADE_BY_PLUGINS = {
    "reactorhost.Option",
    "reactorhost.SetupError",
    *(f"reactorhost.framing.{name}" for name in ("Delimited", "Fixed", "FramingError", "LengthPrefixed", "Lines")),
}


def sections_of(_app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Convert the sections (`Args:`, `Raises:`) of a docstring."""
    # As a property, what stands before a colon would become its type.
    kind: Any = "function" if what in ("attribute", "data", "property") else what
    lines[:] = GoogleDocstring(lines, what=kind, name=name, obj=obj, options=options).lines()


def without_constructor(
    _app: Sphinx, what: str, name: str, _obj: object, _options: Any, signature: str | None, _returns: str | None
) -> tuple[str, None] | None:
    """Hide the arguments of classes that plugins do not make."""
    if signature is None or what not in ("class", "exception") or name in _MADE_BY_PLUGINS:
        return None
    return "", None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both with autodoc."""
    app.connect("autodoc-process-docstring", sections_of)
    app.connect("autodoc-process-signature", without_constructor)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
