"""Capacity probes in a small league, and what came of them."""

from __future__ import annotations

import json
from typing import Any

from hansa.api.kinds import SOVEREIGNNODE
from hansa.ledger.settings import Probes
from tests.unit.ledger.audits.small_league import SmallLeague

DAY_S = 86_400
PROBING = Probes(
    namespace="hospital",
    pool="league",
    image="registry.example/ray@sha256:" + "a" * 64,
    size=64,
    every_seconds=20 * DAY_S,
    retry_seconds=100,
    patience_seconds=300,
)


def closed(league: SmallLeague, node: str) -> list[dict[str, Any]]:
    """What became of a node's probes, the last one last."""
    words = [word for _, word in league.audits._parts.book.words("Probed")]
    return [word.body for word in words if word.body["node"] == node]


def why(league: SmallLeague, node: str) -> str:
    """What the league tells a node that it lacks."""
    thing = league.hub.objects[SOVEREIGNNODE.path(name=node)]
    return str(thing["status"]["assurance"]["why"])


async def is_probed(league: SmallLeague, node: str, times: int = 1) -> dict[str, Any]:
    await league.until(lambda: len(closed(league, node)) >= times)
    await league.tick()
    return closed(league, node)[times - 1]


def probes_of(league: SmallLeague, node: str) -> list[dict[str, Any]]:
    return [
        thing
        for path, thing in league.hub.objects.items()
        if "/aijobs/probe-" in path and thing["spec"]["audit"] == {"node": node}
    ]


def forged(_: dict[str, Any]) -> str:
    """The right form and nothing computed."""
    return json.dumps({"backend": "torch", "tags": "A" * 84 + "AA=="})
