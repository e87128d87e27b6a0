"""Jobs larger than a hub reads, there before the policy against them: nobody else's work waits."""

import asyncio

import pytest

from hansa.adapters.kube.client import OWN
from hansa.api.kinds import AIJOB
from tests.apiserver.hub.league import condition_of
from tests.apiserver.hub.process import UNRIVALLED, HubProcess

pytestmark = pytest.mark.apiserver

HUGE = {
    "entrypoint": ["python", *["ä" * 4096] * 63],
    "env": [{"name": f"A{i}", "value": "€" * 4096} for i in range(40)],
}
EACH_BYTES = 63 * 4096 * 2 + 40 * 4096 * 3
MANY = OWN.answer // EACH_BYTES + 3


async def test_more_than_a_hub_reads_at_once_stops_nobody(league, hub_plane, tmp_path):
    names = [f"huge-{i}" for i in range(MANY)]
    made = [await league.submit(name, **HUGE) for name in names]
    hub = HubProcess(hub_plane, tmp_path, "hub-b", **UNRIVALLED)
    try:
        await hub.ready()
        async with league.node("tallinn", "finish"):
            await league.submit("study")
            await league.job_becomes("study", "Succeeded")
            huge = await league.job_becomes(names[0], "Placed", "False", "Misconfigured")
            await asyncio.gather(*(league.admin.delete(AIJOB.path("clinic", n)) for n in names))
            left = await league.sees(
                lambda: league.admin.list(AIJOB.path("clinic")),
                lambda page: len(page.items) == 1,
                "the large jobs are gone",
            )
    finally:
        hub.stop()

    assert "bytes, at most" in condition_of(huge, "Placed")["message"]
    assert huge["spec"] == made[0]["spec"]
    assert [job["metadata"]["name"] for job in left.items] == ["study"]
