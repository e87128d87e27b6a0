"""The leagues of the tests: a real hub with scripted members, or a scripted hub with a real member."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from e2e.testbed.addons import second_lock
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.readiness import wait_established, wait_service_account
from e2e.testbed.host.clock import ASKED_S, wait_until
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.api.kinds import MEMBERPOLICY
from hansa.member.hub_link.join import SecretKeeper, enrol, new_identity
from hansa.member.settings import MemberSettings
from hansa.reconcile.member.run_request import RESOLVER
from tests.apiserver.hub.league import CLOCK, League
from tests.apiserver.hub.process import UNRIVALLED, HubProcess
from tests.apiserver.member.cable import Cable
from tests.apiserver.member.kit import (
    Hub,
    Member,
    client,
    holder_of,
    install,
    install_kuberay,
    machine,
    policy,
)
from tests.apiserver.shared import lent

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def running_plane(binaries: Binaries) -> Iterator[ControlPlane]:
    """An API server with its controllers, shared by the session."""
    with ControlPlane(binaries, controllers=True) as running:
        yield running


@pytest.fixture(scope="module")
def control_plane(running_plane: ControlPlane) -> Iterator[ControlPlane]:
    """An API server with its controllers and without a league: use namespaces of your own."""
    with lent(running_plane) as plane:
        yield plane


@pytest.fixture(scope="session")
def league_plane(binaries: Binaries) -> Iterator[ControlPlane]:
    """An API server with Hansa's resources for real hubs: one hub at a time leads on it."""
    with ControlPlane(binaries, controllers=True) as running:
        running.kubectl("apply", "--server-side", "-f", CRDS)
        wait_established(running)
        yield running


@pytest.fixture(scope="module")
def hub_plane(league_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The API server of real hubs, which are gone before it is cleared."""
    with lent(league_plane) as plane:
        yield plane


@pytest.fixture
async def league(hub_plane: ControlPlane):
    """The league's admin, with a pool and an institution's namespace."""
    connection = from_kubeconfig(hub_plane.kubeconfig)
    async with KubeCluster(connection, clock=CLOCK, agent="admin") as admin:
        league = League(hub_plane, admin)
        await league.found()
        yield league


@pytest.fixture(scope="module")
def hub(hub_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One hub, one a module, with the compiled kernel as it is shipped."""
    as_shipped = UNRIVALLED | {"NUMBA_DISABLE_JIT": "0"}
    process = HubProcess(hub_plane, tmp_path_factory.mktemp("hub"), "hub-a", **as_shipped)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def member_plane(running_member: ControlPlane) -> Iterator[ControlPlane]:
    """A member's cluster with two machines and KubeRay's kinds, and without a law."""
    with lent(running_member) as plane:
        yield plane


@pytest.fixture(scope="session")
def running_member(binaries: Binaries) -> Iterator[ControlPlane]:
    """The member's cluster that the session shares."""
    # The machines have no kubelet: without the grace they would be lost within a minute.
    with ControlPlane(binaries, controllers=True, node_grace_s=3600) as plane:
        install(plane, CRDS / "memberpolicies.yaml")
        install_kuberay(plane, binaries)
        second_lock.install(plane, binaries, Path("/srv"))
        for name, place in (("m1", "EE"), ("m2", "EE-79")):
            node, status = machine(name, place=place)
            plane.kubectl("apply", "-f", "-", stdin=node)
            plane.kubectl("patch", "node", name, "--subresource=status", "-p", status)
        plane.kubectl("create", "namespace", "hansa-system")
        # Its pods do not run here; the agent writes its address into those of runs.
        plane.kubectl("create", "service", "clusterip", RESOLVER, "--tcp=53", "-n", "hansa-system")
        _wait_for_controllers(plane)
        yield plane


def _wait_for_controllers(plane: ControlPlane) -> None:
    """They start after the API server; they make service accounts and let new machines take work."""
    wait_service_account(plane, "hansa-system")
    taints = "jsonpath={.items[*].spec.taints}"
    free = partial(plane.kubectl, "get", "nodes", "-o", taints)
    wait_until(lambda: not free(), what="the taints to go", poll_s=ASKED_S)


@pytest.fixture(scope="module")
def granting_plane(control_plane: ControlPlane) -> ControlPlane:
    """The API server of a hub that is scripted."""
    for kind in ("sovereignnodes", "workgrants"):
        install(control_plane, CRDS / f"{kind}.yaml")
    return control_plane


@pytest.fixture
async def granting_hub(granting_plane: ControlPlane):
    """A hub that writes signed grants for one node."""
    async with client(granting_plane) as cluster:
        hub = Hub(cluster, f"tartu-{uuid.uuid4().hex[:6]}")
        await hub.prepare()
        yield hub


@pytest.fixture
async def joined_member(
    granting_hub: Hub, granting_plane: ControlPlane, member_plane: ControlPlane
):
    """A member that has joined, by a real token that was sealed to its key."""
    hub = granting_hub
    settings = MemberSettings(
        node=hub.node,
        identity={"secret": f"identity-{hub.node}"},
        timing={
            "retry_seconds": 0.2,
            "tick_seconds": 0.2,
            "heartbeat_seconds": 0.5,
            "hub_answer_seconds": 5,
            "disconnect_seconds": 5,
        },
        serving={"health_port": 0, "bind": "127.0.0.1"},
    )
    async with client(member_plane) as cluster:
        keeper = SecretKeeper(cluster, settings.namespace, settings.identity.secret)
        cable = Cable(granting_plane.url)
        await cable.mend()
        fresh = new_identity(hub.node, replace(hub.cluster._connection, server=cable.url))
        as_node = holder_of(hub.cluster._connection)
        joining = asyncio.create_task(enrol(hub.cluster, as_node, keeper, fresh, poll_s=0.1))
        await hub.seal(fresh.key.public_key)
        joined = await joining
        hub.audience = joined.signer.key_id
        member = Member(cluster, member_plane, settings, cable)
        await member.decree(policy(hub))
        yield member
        await cluster.delete(MEMBERPOLICY.path(name="local"))
        await cable.cut()
