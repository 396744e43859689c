"""Read `--set NAME.key=value` and REACTORHOST_SET: options of plugins, given as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reactorhost.config.layers import Layers
from reactorhost.config.option_sources import OptionText
from reactorhost.config.plugin_names import name_of
from reactorhost.config.plugin_tables import report_unnamed
from reactorhost.config.settings import BY_NAME, Layer, Origin
from reactorhost.config.values import written

_SET = BY_NAME["set"]


def read(layers: Layers, named: Iterable[str]) -> dict[str, dict[str, OptionText]]:
    """Return the texts by table and key; report each that is malformed or for none of the `named` plugins.

    A flag overrides the environment, and a later flag an earlier one.
    """
    known = {name_of(plugin) for plugin in named}
    tables: dict[str, dict[str, OptionText]] = {}
    for line, origin in _lines(layers):
        place, sign, text = line.partition("=")
        # At the last dot: `my.module:object` contains dots.
        plugin, _, key = (part.strip() for part in place.rpartition("."))
        if not (plugin and key and sign):
            # The value may be a secret.
            shown = written(f"{place}=..." if sign else place)
            layers.problems.add(
                f"{origin.where} must be NAME.key=value, not {shown}", origin, f"for example {_SET.flag} echo.limit=5"
            )
            continue
        table = plugin if plugin in known else name_of(plugin)
        if table not in known:
            what = f"{origin.where} {place.strip()} is for a plugin that no service uses"
            report_unnamed(what, table, known, origin, layers.problems)
            continue
        tables.setdefault(table, {})[key] = OptionText(text, origin)
    return tables


def _lines(layers: Layers) -> Iterator[tuple[str, Origin]]:
    # One line an option, not separated by commas: a list contains commas.
    for line in layers.environ.get(_SET.variable, "").split("\n"):
        if line.strip():
            yield line.lstrip(), Origin(Layer.ENVIRONMENT, _SET.variable)
    flags = layers.flags.get(_SET.name)
    for text in flags if isinstance(flags, list | tuple) else ():
        yield str(text), Origin(Layer.FLAG, _SET.flag)
