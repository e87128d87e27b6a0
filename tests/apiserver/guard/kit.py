"""``hansa guard`` as a child process, and runs for it to guard."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from e2e.testbed.host.clock import wait_until
from hansa.adapters.kube.client import KubeCluster
from hansa.api.kinds import MEMBERPOLICY
from hansa.errors import NotFound
from hansa.grants.envelope import workload_name
from hansa.reconcile.member import canaries
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.contracts.contact_lease import LEASES, NAME, contact_spec, lease_path
from hansa.reconcile.member.contracts.time_limits import Contract, terms
from tests.apiserver.crds.bases import BASES
from tests.apiserver.served import Served

SYSTEM = "hansa-system"
NAMESPACES = "/api/v1/namespaces"
MARK = "hansa.dev/job-uid"


def now() -> float:
    return time.time()  # noqa: TID251  # real servers run on real time


class GuardProcess(Served):
    """One guard."""

    def __init__(self, node: str, kubeconfig: Path, log: Path, **settings: Any) -> None:
        super().__init__()
        environment = {
            "HANSA_GUARD_NODE": node,
            "HANSA_GUARD_KUBECONFIG": str(kubeconfig),
            "HANSA_GUARD_PORT": str(self.port),
            "HANSA_GUARD_BIND": "127.0.0.1",
            "HANSA_GUARD_PASS_SECONDS": "0.3",
            **{f"HANSA_GUARD_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.start("guard", environment, log)


@contextlib.contextmanager
def guarding(node: str, kubeconfig: Path, folder: Path, **settings: Any) -> Iterator[GuardProcess]:
    """Run a guard for the length of a block."""
    process = GuardProcess(node, kubeconfig, folder / "guard.log", **settings)
    try:
        wait_until(lambda: process.page("/healthz"), what="the guard to serve")
        yield process
    finally:
        assert process.end() == 0, (folder / "guard.log").read_text()


async def make_contact(admin: KubeCluster, node: str, last_s: float | None = None) -> None:
    """Have the agent have spoken with the hub."""
    spec = contact_spec(node, now() if last_s is None else last_s)
    try:
        await admin.merge(lease_path(SYSTEM, node), {"spec": spec})
    except NotFound:
        body = {"metadata": {"name": NAME.format(node)}, "spec": spec}
        await admin.create(LEASES.format(SYSTEM), body)


async def make_run(
    cluster: KubeCluster,
    node: str,
    *,
    annotations: dict[str, str] | None = None,
    until_s: float | None = None,
    **metadata: Any,
) -> str:
    """Make a run's namespace and file; returns its name."""
    uid = str(uuid.uuid4())
    name = workload_name(uid, 1)
    labels = {
        MARK: uid,
        "hansa.dev/epoch": "1",
        "hansa.dev/node": node,
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    agreed = terms(Contract(3585, 7200, now() - 60)) if annotations is None else annotations
    body = {"name": name, "labels": labels, "annotations": agreed} | metadata
    await cluster.create(NAMESPACES, {"metadata": body})
    data = alive.validity(now(), now() + 3000 if until_s is None else until_s)
    file = {"metadata": {"name": alive.NAME}, "data": data}
    await cluster.create(f"{NAMESPACES}/{name}/configmaps", file)
    return name


async def make_runs(cluster: KubeCluster, node: str, count: int) -> set[str]:
    """Make several."""
    return set(await asyncio.gather(*(make_run(cluster, node) for _ in range(count))))


async def runs_left(admin: KubeCluster) -> set[str]:
    """Return the namespaces of runs: marked, and not the one where the lock is tried."""
    page = await admin.list(NAMESPACES, labels=MARK)
    return {one["metadata"]["name"] for one in page.items} - {canaries.NAMESPACE}


NODE = "tartu"
AGENT = f"system:serviceaccount:{SYSTEM}:hansa-member"
POLICY = MEMBERPOLICY.path(name="local")


def law(**changes: Any) -> dict[str, Any]:
    policy = {key: value for key, value in BASES["MemberPolicy"].items() if key != "status"}
    return policy | {"spec": {**policy["spec"], "switch": "Open"} | changes}


async def decree(admin: KubeCluster, **changes: Any) -> None:
    await admin.apply(POLICY, law(**changes), manager="test")
