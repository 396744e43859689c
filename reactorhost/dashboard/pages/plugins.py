"""The page of the plugins: the hook chain, their errors, their metrics, and the listening sockets."""

from __future__ import annotations

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.pages.page import text_page
from reactorhost.dashboard.tables.listener_table import listener_table
from reactorhost.dashboard.tables.plugin_table import hook_chain, last_error, plugin_metrics
from reactorhost.dashboard.text.line import EMPTY, Line, line
from reactorhost.dashboard.text.wrapping import wrapped


def plugins_page(snapshot: Snapshot, _view: View, width: int) -> list[Line]:
    """Return the tables of the plugins and of the listening sockets."""
    failed = [plugin for plugin in snapshot.body["plugins"] if plugin["last_error"] is not None]
    lines = hook_chain(snapshot.body, width)
    # Once more on lines of its own: the last column of the table has room for its beginning only.
    for plugin in failed:
        lines += wrapped(line(f"{plugin['name']}: ", last_error(plugin)), width, indent=2)
    if metrics := plugin_metrics(snapshot.body["plugins"], width):
        lines += [EMPTY, *metrics]
    return [*lines, EMPTY, *listener_table(snapshot.body["listeners"], width)]


PARTS = text_page(plugins_page)
