"""What the ledger reads and writes on the hub: the nodes' prices in, what projects have spent out."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from hansa.accounting.examination import Terms
from hansa.accounting.tariff import Tariff
from hansa.api.kinds import PROJECT
from hansa.api.meta import API_VERSION
from hansa.api.sovereignnode import SovereignNodeSpec
from hansa.errors import Conflict, NotFound, Terminal
from hansa.ledger.receipts.hub_view import HubView
from hansa.ports import Cluster, Manifest
from hansa.reconcile.hub.charging.project_status import project_status
from hansa.reconcile.hub.charging.projects import parse_project
from hansa.reconcile.hub.charging.tariffs import tariff_of

log = logging.getLogger(__name__)
MANAGER = "hansa-ledger"


class PricesAndBudgets:
    """What was read last holds while the hub is away."""

    def __init__(self, cluster: Cluster, hub: HubView, *, currency: str, skew_ms: int) -> None:
        """Prices are the nodes' in ``hub``."""
        self._cluster = cluster
        self._hub = hub
        self._currency = currency
        self._skew_ms = skew_ms
        self._tariffs: dict[str, tuple[Mapping[str, Any], Tariff | None]] = {}
        """Node → its spec as it was read last, and its prices. A node that left has receipts on their way."""
        self.budgets: Mapping[str, tuple[int, int]] = {}
        """Project → (spent, limit), in micros."""

    def terms(self, now_ms: int) -> Terms | None:
        """Return what is agreed at a moment; None before the nodes were read.

        Of a node that left, or cannot be read now, the last prices hold: what it earned is still to be
        booked.
        """
        if not self._hub.synced:
            return None
        for node in self._hub.nodes():
            name, spec = node["metadata"]["name"], node["spec"]
            if name not in self._tariffs or self._tariffs[name][0] != spec:
                before = self._tariffs.get(name, (None, None))[1]
                self._tariffs[name] = spec, _tariff(name, spec) or before
        tariffs = {name: tariff for name, (_, tariff) in self._tariffs.items() if tariff}
        return Terms(now_ms, frozenset({self._currency}), tariffs, self._skew_ms)

    async def tell(self, spent: Mapping[tuple[str, str], int], now_s: float) -> None:
        """Write into each Project what it has spent. ``spent``: (project, currency) → micros."""
        by_project: dict[str, dict[str, int]] = defaultdict(dict)
        for (project, currency), micros in spent.items():
            by_project[project][currency] = micros
        budgets: dict[str, tuple[int, int]] = {}
        for thing in (await self._cluster.list(PROJECT.path())).items:
            meta = thing["metadata"]
            name = f"{meta['namespace']}/{meta['name']}"
            status = project_status(thing, by_project[name], now_s, self._currency)
            if status is not None:
                await self._apply(meta, status)
            budgets[name] = _budget(thing, by_project[name], self._currency)
        self.budgets = budgets

    async def _apply(self, meta: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        path = PROJECT.path(meta["namespace"], meta["name"]) + "/status"
        body = {
            "apiVersion": API_VERSION,
            "kind": PROJECT.name,
            "metadata": {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
            "status": status,
        }
        try:
            await self._cluster.apply(path, body, manager=MANAGER)
        except (Conflict, NotFound, Terminal) as error:
            # Deleted or made anew since it was listed, or the hub refuses it: no other waits for it.
            log.warning("project not told", extra={"project": meta["name"], "error": str(error)})


def _tariff(name: str, spec: Mapping[str, Any]) -> Tariff | None:
    try:
        return tariff_of(name, SovereignNodeSpec.model_validate(spec))
    except ValidationError as error:
        log.warning("node not readable", extra={"node": name, "error": str(error)[:300]})
        return None


def _budget(thing: Manifest, spent: Mapping[str, int], currency: str) -> tuple[int, int]:
    project = parse_project(thing)
    return spent.get(project.currency or currency, 0), project.limit_micros
