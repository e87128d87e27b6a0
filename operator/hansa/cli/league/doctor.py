"""``hansa doctor``: what a platform team should know before it blames Hansa.

Each check answers with a finding, never an exception; the command fails when any finding is bad.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Literal

import click

from hansa.adapters.kube.client import KubeCluster
from hansa.api.kinds import KINDS, MEMBERPOLICY, Kind
from hansa.api.meta import GROUP
from hansa.cli.access import Access, with_access
from hansa.cli.display import Section, show, with_output
from hansa.cli.health.finding import Finding
from hansa.cli.health.hub_install import examine_hub
from hansa.errors import HansaError, NotFound
from hansa.member.cluster.cluster_state import KubeRay
from hansa.member.cluster.probes import find_devices, find_kuberay
from hansa.member.settings import Limits as MemberLimits
from hansa.reconcile.member.inventory.devices import Devices, with_devices
from hansa.reconcile.member.inventory.machine import read_machine
from hansa.reconcile.member.inventory.stock import named, told
from hansa.reconcile.workloads import WORKLOADS

Side = Literal["hub", "member"]
KUBERNETES_FLOOR = (1, 30)
"""ValidatingAdmissionPolicy and CEL in CRDs are stable from here."""
_RELEASE = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")

RIGHTS: dict[Side, tuple[tuple[str, str, str], ...]] = {
    "hub": (
        ("list", GROUP, "sovereignnodes"),
        ("patch", GROUP, "sovereignnodes"),
        ("create", GROUP, "computepools"),
        ("create", GROUP, "aijobs"),
    ),
    "member": (
        ("list", "", "nodes"),
        ("create", "", "namespaces"),
        ("create", "networking.k8s.io", "networkpolicies"),
        *(("create", one.resource.group, one.resource.plural) for one in WORKLOADS),
        ("update", GROUP, "memberpolicies"),
    ),
}


@click.command
@click.option(
    "--side",
    type=click.Choice(["hub", "member"]),
    required=True,
    help="What this cluster is, or is to become.",
)
@with_output
@with_access
def doctor(side: Side, output: str, access: Access) -> None:
    """Check versions, kinds, your rights and the clock.

    On a hub also its pods and image, its Lease, its signing key and its admission policies; on a
    member KubeRay and the machines. Exits with 1 when anything is bad; what you may not look at is
    unknown, which is not bad.
    """
    findings = access.ask(lambda cluster: examine(cluster, side))
    rows = [finding.cells for finding in findings]
    show([Section(f"{side} at the chosen context", ("CHECK", "RESULT", "DETAIL"), rows)], output)
    if any(finding.good is False for finding in findings):
        sys.exit(1)


async def examine(cluster: KubeCluster, side: Side) -> list[Finding]:
    """Return every finding; raises only when the API server cannot be reached at all."""
    findings = [_version((await cluster.get("/version")).get("gitVersion", "")), _clock(cluster)]
    wanted = [kind for kind in KINDS if kind.cluster == side]
    findings += [finding async for finding in _kinds(cluster, wanted)]
    findings += [await _right(cluster, *right) for right in RIGHTS[side]]
    if side == "hub":
        findings += await examine_hub(cluster)
    else:
        floor = MemberLimits().kuberay_floor
        found = await find_kuberay(cluster, floor, [one.resource.definition for one in WORKLOADS])
        findings += [kuberay_finding(found), await _machines(cluster)]
    return findings


async def _machines(cluster: KubeCluster) -> Finding:
    """Return what the agent says of its machines or, before there is one, what it would by default."""
    name = "Machines"
    try:
        with contextlib.suppress(NotFound):
            law = await cluster.get(MEMBERPOLICY.path(name="local"))
            for row in (law.get("status") or {}).get("conditions") or ():
                if row["type"] == "MachinesUnderstood":
                    return Finding(name, row["status"] == "True", row["message"] or "all counted")
        page = await cluster.list("/api/v1/nodes")
    except HansaError as error:
        return Finding(name, good=False, detail=str(error))
    return machines_finding(page.items, await find_devices(cluster) or {})


def machines_finding(
    nodes: Iterable[Mapping[str, Any]], devices: Mapping[str, tuple[Devices, ...]]
) -> Finding:
    """Return what of a cluster's Nodes is not understood, by the default settings.

    ``devices``: machine → cards that DRA drivers offer there.
    """
    machines = (with_devices(one, devices.get(one.name, ())) for one in map(read_machine, nodes))
    trouble = named(told(machines))
    return Finding("Machines", not trouble, trouble or "all understood")


def release(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, or nothing.

    >>> release("v1.30.4+k3s1")
    (1, 30, 4)
    """
    found = _RELEASE.search(text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def _dotted(numbers: Iterable[int]) -> str:
    return ".".join(map(str, numbers))


def _version(text: str) -> Finding:
    good = release(text) >= KUBERNETES_FLOOR
    need = "" if good else f"; upgrade to {_dotted(KUBERNETES_FLOOR)} or newer"
    return Finding("Kubernetes", good, f"{text}{need}")


def _clock(cluster: KubeCluster) -> Finding:
    skew_s = cluster.server_time_skew_s
    if skew_s is None:
        return Finding("Clock", good=False, detail="the API server sends no Date header")
    good = abs(skew_s) <= MemberLimits().clock_skew_seconds
    need = "" if good else "; set this machine's or the server's clock (NTP)"
    return Finding("Clock", good, f"the API server is {skew_s:+.0f} s from this machine{need}")


async def _kinds(cluster: KubeCluster, wanted: Iterable[Kind]) -> AsyncIterator[Finding]:
    for kind in wanted:
        try:
            await cluster.list(kind.path())
        except NotFound:
            detail = f"not installed; helm install hansa-{kind.cluster} brings it"
            yield Finding(kind.name, good=False, detail=detail)
        except HansaError as error:
            yield Finding(kind.name, good=False, detail=str(error))
        else:
            yield Finding(kind.name, good=True, detail="served")


async def _right(cluster: KubeCluster, verb: str, group: str, resource: str) -> Finding:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": resource}},
    }
    name = f"may {verb} {resource}"
    try:
        answer = await cluster.create(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body
        )
    except HansaError as error:
        return Finding(name, good=False, detail=str(error))
    good = bool(answer.get("status", {}).get("allowed"))
    return Finding(name, good, "yes" if good else "no; install with a context that may")


def kuberay_finding(found: KubeRay) -> Finding:
    """Return what the member itself would say of this KubeRay."""
    known = found.version or "installed; its version cannot be told from the operator's image"
    return Finding("KubeRay", not found.trouble, found.trouble or known)
