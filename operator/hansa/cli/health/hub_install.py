"""What a hub is made of: its Deployment and pods, its signing key, its admission policies.

Each of these can be missing while the league's objects look healthy: what they say was written before.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hansa.adapters.keys import Ed25519Signer, parse_private_key
from hansa.adapters.kube.client import KubeCluster
from hansa.cli.health.finding import Finding
from hansa.cli.health.hub_lease import LEASE, ask_for_hub
from hansa.errors import HansaError, NotFound, Terminal
from hansa.ports import Manifest

PODS_OF_HUB = "app.kubernetes.io/name=hansa-hub"
DEPLOYMENTS = "/apis/apps/v1/deployments"
PODS = "/api/v1/pods"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
HUB_POLICIES = (
    "aijob-size.hansa.dev",
    "aijobs.hansa.dev",
    "known-fields.aijobs.hansa.dev",
    "known-fields.computepools.hansa.dev",
    "known-fields.projects.hansa.dev",
    "known-fields.sovereignnodes.hansa.dev",
    "workgrants.hansa.dev",
    "hansa-institutions",
    "hansa-aijob-namespaces",
    "hansa-hub-confined",
    "hansa-hub-bindings",
    "hansa-hub-roles",
    "hansa-hub-clusterroles",
    "hansa-hub-jobs",
    "hansa-node-tokens",
    "hansa-project-members",
    "hansa-node-confined",
    "hansa-ledger-confined",
    "hansa-ledger-audits",
    "hansa-audits",
)
"""What the chart installs; a test compares."""
_LEASE_SETTING = "HANSA_HUB_LEADERSHIP__LEASE"
_RESTORE = "`helm upgrade --reset-then-reuse-values` of the hub's chart brings it back"


async def examine_hub(cluster: KubeCluster) -> list[Finding]:
    """Return what there is to say of the hub that is installed here; never raises."""
    try:
        deployments = (await cluster.list(DEPLOYMENTS, labels=PODS_OF_HUB)).items
        pods = (await cluster.list(PODS, labels=PODS_OF_HUB)).items
    except HansaError as error:
        deployments, pods = [], []
        seen = [Finding("Hub's pods", None, str(error))]
    else:
        # The main hub's first; other leaders' are named after it.
        deployments = sorted(deployments, key=lambda one: str(one["metadata"]["name"]))
        each = [[one] for one in deployments] or [[]]
        seen = [deployment_finding(one, pods) for one in each]
    deployment = deployments[0] if deployments else {}
    return [
        *seen,
        await ask_for_hub(cluster, lease_name(deployment)),
        *([await _key(cluster, deployment)] if deployment else []),
        await _policies(cluster),
    ]


def lease_name(deployment: Manifest) -> str:
    """Return the name of the Lease that this Deployment's replicas ask for."""
    rows = _container(deployment).get("env") or ()
    return next((row["value"] for row in rows if row["name"] == _LEASE_SETTING), LEASE)


def deployment_finding(deployments: Iterable[Manifest], pods: Iterable[Manifest]) -> Finding:
    """Return whether the hub's replicas are up, and of which image; why they wait, if they do."""
    name, deployment = "Hub's pods", next(iter(deployments), None)
    if deployment is None:
        return Finding(name, good=False, detail="not installed; helm install hansa-hub brings them")
    wanted = deployment["spec"].get("replicas", 1)
    ready = (deployment.get("status") or {}).get("readyReplicas", 0)
    image = _container(deployment).get("image", "")
    waits = sorted(set(_waits(pods)))
    what = f"{deployment['metadata'].get('name', '')} {ready} of {wanted} ready, image {image}"
    told = "; ".join([what.lstrip(), *waits])
    return Finding(name, good=wanted > 0 and ready >= wanted, detail=told)


def _container(deployment: Manifest) -> Mapping[str, Any]:
    template = (deployment.get("spec") or {}).get("template") or {}
    rows = (template.get("spec") or {}).get("containers") or ()
    return next((row for row in rows if row["name"] == "hub"), {})


def _waits(pods: Iterable[Manifest]) -> Iterator[str]:
    for pod in pods:
        status = pod.get("status") or {}
        for row in status.get("containerStatuses") or ():
            waiting = (row.get("state") or {}).get("waiting")
            if waiting:
                yield f"{waiting.get('reason', 'waits')}: {waiting.get('message', '')}".rstrip(": ")
        for row in status.get("conditions") or ():
            if row["type"] == "PodScheduled" and row["status"] == "False":
                yield f"{row.get('reason', 'not scheduled')}: {row.get('message', '')}"


async def _key(cluster: KubeCluster, deployment: Manifest) -> Finding:
    name = "Hub's signing key"
    volumes = deployment["spec"]["template"]["spec"].get("volumes") or ()
    secret = next((v["secret"]["secretName"] for v in volumes if v["name"] == "signing-key"), "")
    space = deployment["metadata"]["namespace"]
    where = f"secret/{space}/{secret}"
    try:
        found = await cluster.get(f"/api/v1/namespaces/{space}/secrets/{secret}")
    except NotFound:
        return Finding(name, good=False, detail=f"{where} is not there; `hansa keygen` makes a key")
    except HansaError as error:
        return Finding(name, None, str(error))
    return key_finding(where, found.get("data") or {})


def key_finding(where: str, data: Mapping[str, str]) -> Finding:
    """Return whether a Secret's ``data`` holds a key that signs grants."""
    name, file = "Hub's signing key", "ed25519.pem"
    try:
        pem = base64.b64decode(data.get(file, ""), validate=True)
        signer = Ed25519Signer(parse_private_key(pem))
    except (Terminal, binascii.Error):
        detail = f"{where} holds no Ed25519 key under {file}; `hansa keygen` makes one"
        return Finding(name, good=False, detail=detail)
    return Finding(name, good=True, detail=f"{where}, key id {signer.key_id}")


async def _policies(cluster: KubeCluster) -> Finding:
    try:
        policies = (await cluster.list(POLICIES)).items
        bindings = (await cluster.list(BINDINGS)).items
    except HansaError as error:
        return Finding("Admission policies", None, str(error))
    return policies_finding(policies, bindings)


def policies_finding(policies: Iterable[Manifest], bindings: Iterable[Manifest]) -> Finding:
    """Return whether every policy of the hub's chart is there, fails closed and is bound to deny."""
    there = {policy["metadata"]["name"]: policy for policy in policies}
    denied = {
        binding["spec"]["policyName"]
        for binding in bindings
        if "Deny" in (binding["spec"].get("validationActions") or ())
    }
    faults = [
        f"{name} {fault}"
        for name in HUB_POLICIES
        for fault in _faults(there.get(name), name in denied)
    ]
    if len(faults) == len(HUB_POLICIES) and not there.keys() & set(HUB_POLICIES):
        faults = ["none of the hub's is installed"]
    told = "; ".join([*faults, _RESTORE]) if faults else f"all {len(HUB_POLICIES)} in force"
    return Finding("Admission policies", good=not faults, detail=told)


def _faults(policy: Manifest | None, is_bound: bool) -> Iterator[str]:  # noqa: FBT001  # one of two facts
    if policy is None:
        yield "is missing"
        return
    if policy["spec"].get("failurePolicy", "Fail") != "Fail":
        yield "does not fail closed"
    if not is_bound:
        yield "is not bound to deny"
    checked = (policy.get("status") or {}).get("typeChecking") or {}
    if checked.get("expressionWarnings"):
        yield "does not type-check on this server"
