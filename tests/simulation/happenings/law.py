"""Members that change their law in mid-work, and what holds whatever they change it to.

A run that the law no longer lets in does not begin, and one that it stops does not go on, once
an agent has had the time to hear of it: a watch event may be swallowed, so up to its next relist.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from hansa.api.kinds import MEMBERPOLICY
from hansa.ports import Manifest

if TYPE_CHECKING:
    from tests.simulation.invariants import LiveRun
    from tests.simulation.league import League

HEARD_WITHIN_S = 420.0
"""A relist of 300 s, up to a quarter later, a tick, a grace period, and namespaces that end late."""
LONGEST_S = 1200.0
STRANGER = "A" * 43 + "="
CHANGES: dict[str, dict[str, Any]] = {
    "one tenant": {"tenants": ["clinic"]},
    "other tenants": {"tenants": ["harbour"]},
    "other hub": {"trustedHubs": [{"name": "league", "publicKey": STRANGER}]},
    "other registry": {"imageRegistries": ["elsewhere.local/"]},
    "fewer jobs": {"maxConcurrentJobs": 1},
    "little lent": {"lending": [{"gpuClass": "nvidia-l40s", "maxGpus": 1}]},
}
STOPS = ("one tenant", "other tenants", "other hub", "other registry")
"""Changes that a run does not survive: docs/reference/policy-changes.md."""


class Laws:
    """Each member's law as it stands, since when, and who may run under it."""

    def __init__(self, league: League, rng: np.random.Generator) -> None:
        self._league, self._rng = league, rng
        self._standing: dict[str, tuple[str, float]] = {}
        """Site → the change that stands there, and since when."""
        self._before: dict[str, Manifest] = {}

    async def change(self, site: str) -> float:
        """Change a member's law; return how long that is to last."""
        path, server = MEMBERPOLICY.path(name="local"), self._league.servers[site]
        now_s = asyncio.get_running_loop().time()
        if site in self._standing:
            return 0.0
        name = str(self._rng.choice(list(CHANGES)))
        spec = (await server.get(path))["spec"]
        self._before[site] = {field: spec.get(field) for field in CHANGES[name]}
        self._standing[site] = (name, now_s)
        await server.merge(path, {"spec": CHANGES[name]})
        return LONGEST_S * self._rng.random()

    async def change_back(self, site: str) -> None:
        """Put the law back as it was."""
        if self._standing.pop(site, None) is not None:
            path = MEMBERPOLICY.path(name="local")
            await self._league.servers[site].merge(path, {"spec": self._before.pop(site)})

    def forbids(self, site: str, tenant: str) -> str:
        """Return what has forbidden a tenant's runs at a site for so long that all know; empty if nothing."""
        name, since_s = self._standing.get(site, ("", 0.0))
        known = asyncio.get_running_loop().time() - since_s >= HEARD_WITHIN_S
        return name if known and name in STOPS and not _lets_in(name, tenant) else ""

    def stops(self, run: LiveRun) -> str:
        """Return the same of a run that goes on, where its agent and its machine were there all the while."""
        now_s, machine = asyncio.get_running_loop().time(), self._league.machines[run.site]
        there_s = max(self._league.programs[run.site].since_s, machine.cut_until_s)
        return self.forbids(run.site, run.tenant) if now_s - there_s >= HEARD_WITHIN_S else ""


def _lets_in(name: str, tenant: str) -> bool:
    return tenant in CHANGES[name].get("tenants", ())
