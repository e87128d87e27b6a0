"""That a node has accepted a job, as its grant says it: the job itself says so a minute later."""

from __future__ import annotations

from typing import Any

from tests.apiserver.hub.league import League, condition_of


async def accepted(league: League, name: str) -> dict[str, Any]:
    """Wait until a node has accepted a job; return the job."""

    def fits(grants: list[dict[str, Any]]) -> bool:
        own = [grant for grant in grants if grant["spec"]["job"]["name"] == name]
        return any(condition_of(grant, "Accepted").get("status") == "True" for grant in own)

    await league.sees(league.grants, fits, f"{name} is accepted")
    return await league.job(name)
