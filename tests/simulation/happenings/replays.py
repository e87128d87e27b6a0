"""A hub's store in which old grants turn up again: put back by hand, from a backup, or by who holds it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from hansa.api.kinds import WORKGRANT
from hansa.api.meta import NODE_NAMESPACE_PREFIX
from hansa.errors import HansaError
from hansa.ports import Manifest
from tests.simulation.league import GRANT_VALIDITY_S, SITES
from tests.simulation.servers.objects import copied

if TYPE_CHECKING:
    from tests.simulation.league import League

COLLECTION = WORKGRANT.path()
SHARES = (0.0, 0.4)
"""Of the hub's grants, how many turn up again: a seed draws one."""
LATEST_S = 1.2 * GRANT_VALIDITY_S


class Replays:
    """Puts grants that the hub made back where they were, or where another node reads, while they are valid."""

    def __init__(self, league: League, rng: np.random.Generator, until_s: float) -> None:
        """``until_s``: when the faults are over, in the loop's time; none is put back later."""
        self._league, self._rng, self._until_s = league, rng, until_s
        self._share = float(rng.choice(SHARES))
        self.count = 0
        league.hub_server.observers.append(self._seen)

    def _seen(self, change: str, collection: str, thing: Manifest) -> None:
        if collection == COLLECTION and change == "ADDED" and self._rng.random() < self._share:
            loop, delay_s = asyncio.get_running_loop(), LATEST_S * self._rng.random()
            if loop.time() + delay_s < self._until_s:
                loop.call_later(delay_s, self._replay, copied(thing))

    def _replay(self, grant: Manifest) -> None:
        meta, namespace = grant["metadata"], grant["metadata"]["namespace"]
        if self._rng.random() < 0.2:
            namespace = NODE_NAMESPACE_PREFIX + str(self._rng.choice(list(SITES)))
        kept = {name: value for name, value in meta.items() if name in ("name", "labels")}
        body = {**grant, "metadata": {**kept, "namespace": namespace}}
        body.pop("status", None)
        try:
            self._league.hub_server.create(WORKGRANT.path(namespace), body).send(None)
        except StopIteration:
            self.count += 1
        except HansaError:
            return  # it is there still
