"""The parts of every page."""

from __future__ import annotations

from collections.abc import Mapping

from reactorhost.dashboard.model.view import Page
from reactorhost.dashboard.pages import client, clients, log, plugins, services, worker, workers
from reactorhost.dashboard.pages.page import PageParts

PAGES: Mapping[Page, PageParts] = {
    Page.WORKERS: workers.PARTS,
    Page.SERVICES: services.PARTS,
    Page.CLIENTS: clients.PARTS,
    Page.PLUGINS: plugins.PARTS,
    Page.LOG: log.PARTS,
    Page.WORKER: worker.PARTS,
    Page.CLIENT: client.PARTS,
}
