"""The settings of a running host, as `config show --running` compares them with its configuration."""

from __future__ import annotations

from typing import Any

from reactorhost.config.setting_rows import rows
from reactorhost.master.admin.fixed_settings import FIXED_SETTINGS
from reactorhost.master.plan.planner import Planner
from reactorhost.plugins import option_text


def settings_report(planner: Planner) -> dict[str, Any]:
    """Return the reply to the verb `settings`.

    Options are reported with their secrets: only the user of the host is answered, and the command hides them.
    """
    settings = planner.settings
    return {
        "settings": [row._asdict() for row in rows(settings)],
        "options": [each._asdict() for each in option_text.values(settings)],
        "plugins": list(dict.fromkeys(named for service in settings.services for named in service.plugins)),
        "fixed": list(FIXED_SETTINGS),
        "workers": str(planner.autoscale.range or planner.scaling.target),
    }
