"""`--set NAME.key=value` and REACTORHOST_SET: values for options of plugins, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reactorhost.config.layers import Layers
from reactorhost.config.plugin_tables import note_unnamed, table_name
from reactorhost.config.plugin_values import Text
from reactorhost.config.settings import BY_NAME, Origin, Source
from reactorhost.config.values import written

_SET = BY_NAME["set"]


def given(layers: Layers, named: Iterable[str]) -> dict[str, dict[str, Text]]:
    """Return the texts by table and key, and note each that is wrong or for none of the `named` plugins.

    A flag counts before the environment, and of two for one key the later.
    """
    known = {table_name(plugin) for plugin in named}
    tables: dict[str, dict[str, Text]] = {}
    for line, origin in _lines(layers):
        place, sign, text = line.partition("=")
        # At the last dot: `my.module:object` has some of its own.
        plugin, _, key = (part.strip() for part in place.rpartition("."))
        if not (plugin and key and sign):
            # What follows the sign may be nobody's to read.
            shown = written(f"{place}=..." if sign else place)
            layers.problems.add(
                f"{origin.where} takes NAME.key=value, not {shown}", origin, f"as in {_SET.flag} echo.limit=5"
            )
            continue
        table = plugin if plugin in known else table_name(plugin)
        if table not in known:
            what = f"{origin.where} {place.strip()} is for a plugin that no service names"
            note_unnamed(what, table, known, origin, layers.problems)
            continue
        tables.setdefault(table, {})[key] = Text(text, origin)
    return tables


def _lines(layers: Layers) -> Iterator[tuple[str, Origin]]:
    # Lines and not commas: a list has commas of its own.
    for line in layers.environ.get(_SET.variable, "").split("\n"):
        if line.strip():
            yield line.lstrip(), Origin(Source.ENVIRONMENT, _SET.variable)
    flags = layers.flags.get(_SET.name)
    for text in flags if isinstance(flags, list | tuple) else ():
        yield str(text), Origin(Source.FLAG, _SET.flag)
