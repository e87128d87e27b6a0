"""A hub that turns: no answer, no event and no signed grant of its ends, stalls or bloats the agent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.testbed.cluster.controlplane import ControlPlane
from tests.apiserver.fuzz.rounds import TIMING, Figures, play, turned
from tests.apiserver.fuzz.spoiling import ANSWERS, LISTS, WATCHES
from tests.apiserver.member.agent_process import AgentProcess
from tests.apiserver.member.kit import Hub, Member, until
from tests.hostile import Random

pytestmark = pytest.mark.apiserver
SECONDS = float(os.environ.get("HANSA_FUZZ_SECONDS", "25"))
ROUNDS = int(os.environ.get("HANSA_FUZZ_ROUNDS", "1"))
LEASE_S = 30
SLOWER = 1 if SECONDS >= 60 else 4
"""Short rounds are CI's, where other tests keep the processors busy: a long one has the machine for itself."""
MOST_MIB_MORE = 400.0
"""Over half as much again as in quiet: a list of hostile grants in its most wasteful form."""
LOG_BYTES_A_SECOND = 8_000.0
EVENTS_A_SECOND = 1.2


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_an_agent_outlives_a_hub_that_turns(  # noqa: PLR0917  # fixtures
    granting_hub: Hub,
    granting_plane: ControlPlane,
    joined_member: Member,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    number: int,
    lot: int,
):
    seed = lot + number
    print(f"HANSA_SEED={seed} HANSA_FUZZ_SECONDS={SECONDS:.0f}")  # noqa: T201  # how to replay
    figures = Figures(seed, SECONDS)
    before = await events_of(joined_member)
    async with turned(granting_hub, granting_plane, joined_member, Random(seed)) as proxy:
        agent = AgentProcess(joined_member, "agent", tmp_path, LEASE_S, **TIMING)
        try:
            await until(lambda: agent.works, "the agent to be at work")
            await play(granting_hub, joined_member, proxy, agent, figures)
            figures.events = len(await events_of(joined_member) - before)
        finally:
            record_property("hostile hub", figures.line())
            print(figures.line())  # noqa: T201  # where it fails this is what there is
            print(agent.log.read_text(errors="replace")[-6000:])  # noqa: T201  # and this
            agent.kill()
    judge(figures)


def judge(figures: Figures) -> None:
    """Hold the figures against what is promised."""
    assert figures.agent_deaths == 0
    assert figures.traces == 0
    assert figures.stop_s <= 30 * SLOWER
    assert figures.redirects_followed == 0
    assert figures.slowest_probe_s < 5 * SLOWER
    assert figures.own_lease_age_s < LEASE_S
    assert figures.rss_peak_mib < 1.5 * figures.rss_quiet_mib + MOST_MIB_MORE
    assert figures.log_bytes < 100_000 + LOG_BYTES_A_SECOND * figures.seconds
    assert figures.page_bytes < 100_000
    assert figures.events < 150 + EVENTS_A_SECOND * figures.seconds
    assert figures.hostile_grants > 5 * SECONDS / SLOWER
    assert figures.cpu_s < SLOWER * (0.1 * figures.hostile_grants + figures.seconds)
    assert sum(figures.spoilt.values()) > 2 * SECONDS / SLOWER


async def events_of(member: Member) -> set[str]:
    """Return the uids of what agents made this API server keep: earlier ones met the same server."""
    page = await member.cluster.list("/apis/events.k8s.io/v1/events")
    ours = (one for one in page.items if one.get("reportingController") == "hansa.dev/member")
    return {one["metadata"]["uid"] for one in ours}


def test_every_way_to_spoil_is_named_once():
    assert not set(LISTS) & set(WATCHES)
    assert set(ANSWERS) < set(LISTS)
