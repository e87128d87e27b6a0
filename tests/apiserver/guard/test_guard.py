"""The guard with the rights its chart gives it, on a real API server: what it ends, and what it may not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import KubectlError
from hansa.adapters.kube.client import KubeCluster
from hansa.errors import NotFound, Terminal
from hansa.model.times import rfc3339
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.contracts.contact_lease import lease_path
from tests.apiserver.charts.charted import SYSTEM, Charted, installed
from tests.apiserver.guard.kit import (
    AGENT,
    NAMESPACES,
    NODE,
    POLICY,
    decree,
    guarding,
    make_contact,
    make_run,
    make_runs,
    now,
    runs_left,
)
from tests.apiserver.member.kit import client, install_kuberay, until

pytestmark = pytest.mark.apiserver

GUARD = f"system:serviceaccount:{SYSTEM}:hansa-guard"


@pytest.fixture(scope="module")
def member(binaries: Binaries) -> Iterator[Charted]:
    with installed(binaries, "hansa-member", node=NODE) as charted:
        install_kuberay(charted.plane, binaries)
        yield charted


@pytest.fixture
async def admin(member: Charted):
    """An admin's client on a member with an open policy and no runs, and a hub heard just now."""
    async with client(member.plane) as cluster:
        await decree(cluster)
        await make_contact(cluster, NODE)
        yield cluster
        for name in await runs_left(cluster):
            await cluster.merge(f"{NAMESPACES}/{name}", {"metadata": {"finalizers": None}})
            await cluster.delete(f"{NAMESPACES}/{name}")
        await until(lambda: no_runs(cluster), "runs of this test to be gone")


async def no_runs(cluster: KubeCluster) -> bool:
    return not await runs_left(cluster)


@pytest.fixture
async def agent(member: Charted):
    """The agent's account: only it may mark a namespace."""
    async with client(member.plane, member.plane.kubeconfig_for(AGENT)) as cluster:
        yield cluster


@pytest.fixture
def guard(member: Charted, tmp_path: Path):
    """A guard with its own account, at work, with a short grace."""
    kubeconfig = member.plane.kubeconfig_for(GUARD)
    with guarding(NODE, kubeconfig, tmp_path, grace_seconds=1) as process:
        yield process


async def stop(_: Charted, admin: KubeCluster) -> None:
    await decree(admin, switch="Stopped")


async def stop_beside_a_law_nobody_can_read(_: Charted, admin: KubeCluster) -> None:
    """The code has the right form and is no place: the agent cannot use such a policy."""
    await decree(admin, switch="Stopped", jurisdiction="EE-99", legalControl=["EE-99"])


async def stop_by_an_unknown_word(member: Charted, admin: KubeCluster) -> None:
    """A later version of the policy's definition may know words that this guard does not."""
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/switch/enum/-"
    patch = json.dumps([{"op": "add", "path": path, "value": "Halt"}])
    member.kubectl("patch", "crd", "memberpolicies.hansa.dev", "--type=json", "-p", patch)

    async def accepted() -> bool:
        try:
            await decree(admin, switch="Halt")
        except Terminal:
            return False
        return True

    await until(accepted, "the definition to be in force")


async def delete_the_policy(_: Charted, admin: KubeCluster) -> None:
    await admin.delete(POLICY)


# How the member says stop; how many runs there are.
STOPS = {
    "stopped": (stop, 50),
    "stopped beside a law that cannot be read": (stop_beside_a_law_nobody_can_read, 5),
    "an unknown word": (stop_by_an_unknown_word, 5),
    "the policy deleted": (delete_the_policy, 5),
}


@pytest.mark.parametrize(("stops", "count"), STOPS.values(), ids=STOPS)
async def test_all_runs_are_gone_and_nothing_else(member, admin, agent, guard, stops, count):  # noqa: PLR0917  # fixtures
    runs = await make_runs(agent, NODE, count)
    runs.add(await make_run(agent, "riga", annotations={"hansa.dev/granted-at": "soon"}))
    await until(lambda: guard.page("/readyz") == "ok", "the guard to see")
    assert await runs_left(admin) == runs
    await stops(member, admin)
    await until(lambda: no_runs(admin), "all runs to be gone")
    assert {"default", SYSTEM, "hansa-canary"} <= {
        one["metadata"]["name"] for one in (await admin.list(NAMESPACES)).items
    }
    # The last namespace may be gone before the guard has read the answer to its deletion.
    counted = f'hansa_guard_stops_total{{reason="Stopped"}} {len(runs)}.0'
    await until(lambda: counted in guard.page("/metrics"), counted)


@pytest.mark.usefixtures("guard")
async def test_one_that_cannot_go_keeps_no_other(member, admin, agent):
    """One hangs in Terminating, one the API server will not delete at all."""
    hangs = await make_run(agent, NODE, finalizers=["hansa.test/kept"])
    kept = await make_run(agent, NODE)
    member.apply(*refusing_to_delete(kept))
    await until(lambda: refused(member, kept), "the policy to be in force")
    others = await make_runs(agent, NODE, 10)
    await stop(member, admin)
    await until(lambda: gone(admin, others), "the others to be gone")
    assert await runs_left(admin) == {hangs, kept}
    member.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "kept")
    await until(lambda: gone(admin, {kept}), "the last one to be gone")


def refusing_to_delete(name: str) -> list[dict[str, Any]]:
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["DELETE"],
        "resources": ["namespaces"],
    }
    api = "admissionregistration.k8s.io/v1"
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": f"request.name != '{name}'"}],
    }
    binding = {"policyName": "kept", "validationActions": ["Deny"]}
    return [
        {"apiVersion": api, "kind": kind, "metadata": {"name": "kept"}, "spec": body}
        for kind, body in (
            ("ValidatingAdmissionPolicy", spec),
            ("ValidatingAdmissionPolicyBinding", binding),
        )
    ]


def refused(member: Charted, name: str) -> bool:
    try:
        member.kubectl("delete", "namespace", name, "--dry-run=server")
    except KubectlError:
        return True
    return False


async def gone(admin: KubeCluster, names: set[str]) -> bool:
    return not names & await runs_left(admin)


@pytest.mark.usefixtures("guard")
async def test_what_ran_out_ends_and_nothing_else(admin, agent):
    lives = await make_run(agent, NODE)
    theirs = await make_run(agent, "riga")
    spoilt = await make_run(agent, NODE, annotations={})
    stale = await make_run(agent, NODE, until_s=now() - 1)
    await until(lambda: gone(admin, {stale}), "the one whose pods were told to end")
    assert {lives, theirs, spoilt} <= await runs_left(admin)


async def test_a_restarted_guard_knows_how_old_the_contact_is(member, admin, agent, tmp_path):
    run, spoilt = await make_run(agent, NODE), await make_run(agent, NODE, annotations={})
    await make_contact(admin, NODE, now() - 50)
    with guarding(NODE, member.plane.kubeconfig_for(GUARD), tmp_path):
        await until(lambda: gone(admin, {spoilt}), "the one without terms")
        assert run in await runs_left(admin)
    await admin.delete(lease_path(SYSTEM, NODE))
    # Granted a minute ago: without any contact, its contract of 50 s is over.
    short = {"hansa.dev/unattended-limit-seconds": "50", "hansa.dev/max-runtime-seconds": "7200"}
    short["hansa.dev/granted-at"] = rfc3339(now() - 60)
    alone = await make_run(agent, NODE, annotations=short)
    with guarding(NODE, member.plane.kubeconfig_for(GUARD), tmp_path, grace_seconds=1):
        await until(lambda: gone(admin, {alone}), "the one whose contract is over")
        assert run in await runs_left(admin)


@pytest.mark.usefixtures("guard")
async def test_pods_are_told_that_they_may_live_while_the_hub_is_heard(admin, agent):
    run = await make_run(agent, NODE, until_s=now() + 600)
    path = f"{NAMESPACES}/{run}/configmaps/{alive.NAME}"

    async def told() -> bool:
        until_s = alive.read_until(await admin.get(path))
        return until_s is not None and until_s > now() + 3400

    await until(told, "a longer life")


@pytest.mark.usefixtures("guard")
async def test_two_guards_do_not_hinder_each_other(member, admin, agent, tmp_path):
    runs = await make_runs(agent, NODE, 10)
    with guarding(NODE, member.plane.kubeconfig_for(GUARD), tmp_path):
        await stop(member, admin)
        await until(lambda: gone(admin, runs), "all runs to be gone")


async def test_what_the_guard_may_not(member, admin, agent):
    run = await make_run(agent, NODE)
    async with client(member.plane, member.plane.kubeconfig_for(GUARD)) as guard:
        for name in ("hansa-canary", SYSTEM):
            with pytest.raises(Exception, match="only runs of the league"):
                await guard.delete(f"{NAMESPACES}/{name}?dryRun=All")
        pod = {"metadata": {"name": "other"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        await admin.create(f"{NAMESPACES}/default/pods", pod)
        with pytest.raises(Exception, match="only runs of the league"):
            await guard.delete(f"{NAMESPACES}/default/pods")
        await admin.delete(f"{NAMESPACES}/default/pods/other")
        body = {"metadata": {"name": alive.NAME}, "data": {"until": "1 0"}}
        await admin.create(f"{NAMESPACES}/default/configmaps", body)
        with pytest.raises(Exception, match="only runs of the league"):
            await guard.merge(f"{NAMESPACES}/default/configmaps/{alive.NAME}", {"data": {"x": "y"}})
        await admin.delete(f"{NAMESPACES}/default/configmaps/{alive.NAME}")
        for path in (
            "/api/v1/configmaps",
            f"{NAMESPACES}/{run}/secrets",
            f"{NAMESPACES}/{SYSTEM}/secrets",
            "/api/v1/pods",
        ):
            with pytest.raises(Exception, match="403"):
                await guard.list(path)
        with pytest.raises(Exception, match="403"):
            await guard.merge(POLICY, {"spec": {"switch": "Open"}})
        with pytest.raises(NotFound):
            await guard.get(f"/apis/ray.io/v1/namespaces/{run}/rayjobs/{run}")
