"""``hansa member stop`` on a real API server, with the chart's policies in force and nobody to help."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from e2e.testbed.build.binaries import Binaries
from hansa.cli.main import cli
from hansa.errors import NotFound
from tests.apiserver.charts.charted import Charted, installed
from tests.apiserver.guard.kit import (
    AGENT,
    NAMESPACES,
    NODE,
    POLICY,
    decree,
    make_run,
    make_runs,
    runs_left,
)
from tests.apiserver.member.kit import client, until

pytestmark = pytest.mark.apiserver


@pytest.fixture(scope="module")
def member(binaries: Binaries) -> Iterator[Charted]:
    with installed(binaries, "hansa-member", node=NODE) as charted:
        yield charted


@pytest.fixture
async def admin(member: Charted):
    async with client(member.plane) as cluster:
        await decree(cluster)
        yield cluster


@pytest.fixture
async def agent(member: Charted):
    async with client(member.plane, member.plane.kubeconfig_for(AGENT)) as cluster:
        yield cluster


async def run_stop(member: Charted, *options: str) -> Result:
    """Run the command in a thread: it has an event loop of its own."""
    arguments = ["member", "stop", "--kubeconfig", str(member.plane.kubeconfig), *options]
    return await asyncio.to_thread(CliRunner().invoke, cli, arguments)


async def test_all_runs_are_gone_and_the_switch_is_set(member, admin, agent):
    runs = await make_runs(agent, NODE, 20) | {await make_run(agent, "riga", annotations={})}
    shown = await run_stop(member, "--dry-run")
    assert shown.exit_code == 0
    assert "delete 21 namespaces" in shown.output
    assert await runs_left(admin) == runs
    assert (await admin.get(POLICY))["spec"]["switch"] == "Open"

    done = await run_stop(member)

    assert done.exit_code == 0, done.output
    assert "21 of 21 runs are gone" in done.output
    assert await runs_left(admin) == set()
    assert (await admin.get(POLICY))["spec"]["switch"] == "Stopped"


async def spoil(admin: Any) -> None:
    """Of the right form, and no place that exists: the agent cannot use such a policy."""
    await decree(admin, jurisdiction="EE-99")


async def forget(admin: Any) -> None:
    await admin.delete(POLICY)


POLICIES = {
    "unreadable": (spoil, "switch: Stopped is set"),
    "absent": (forget, "nothing new starts"),
}


@pytest.mark.parametrize(("change", "words"), POLICIES.values(), ids=POLICIES)
async def test_whatever_the_policy(member, admin, agent, change, words):
    await make_runs(agent, NODE, 3)
    await change(admin)
    done = await run_stop(member)
    assert done.exit_code == 0, done.output
    assert words in done.output
    assert await runs_left(admin) == set()


async def test_what_hangs_is_named(member, admin, agent):
    hangs = await make_run(agent, NODE, finalizers=["hansa.test/kept"])
    other = await make_run(agent, NODE)
    path = f"{NAMESPACES}/{hangs}"
    try:
        done = await run_stop(member, "--timeout", "5")
        assert done.exit_code == 1
        assert f"left: {hangs}: Terminating" in done.output
        assert "no pod is left" in done.output
        await until(lambda: absent(admin, other), "the other to be gone")
    finally:
        await admin.merge(path, {"metadata": {"finalizers": None}})
        await until(lambda: absent(admin, hangs), "the namespace to be gone")


async def absent(admin: Any, name: str) -> bool:
    try:
        await admin.get(f"{NAMESPACES}/{name}")
    except NotFound:
        return True
    return False


async def test_without_rights_it_says_so(member, agent):
    run = await make_run(agent, NODE)
    nobody = member.plane.kubeconfig_for("nobody")
    arguments = ["member", "stop", "--kubeconfig", str(nobody)]
    done = await asyncio.to_thread(CliRunner().invoke, cli, arguments)
    assert done.exit_code == 1
    assert "403" in done.output
    assert (await run_stop(member)).exit_code == 0
    assert run
