"""What the agent finds out about its own cluster by asking: KubeRay, data volumes.

Each probe returns a value; none raises, because "cannot tell" is an answer too, and a refusing one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hansa.api.memberpolicy import Dataset
from hansa.errors import HansaError, NotFound, Terminal
from hansa.grants.checks import release
from hansa.member.cluster.cluster_state import KubeRay
from hansa.ports import Cluster
from hansa.reconcile.member import data
from hansa.reconcile.member.inventory.devices import SLICES, Devices, read_devices
from hansa.reconcile.member.run_request import RESOLVER

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEPLOYMENTS = "/apis/apps/v1/deployments"
OPERATOR_LABELS = "app.kubernetes.io/name in (kuberay-operator,kuberay)"
VERSION_LABEL = "app.kubernetes.io/version"


async def find_kuberay(cluster: Cluster, floor: str, definitions: Iterable[str]) -> KubeRay:
    """Look for the definitions that work needs and for the version of KubeRay's operator."""
    try:
        found = [await cluster.get(f"{DEFINITIONS}/{name}") for name in definitions]
    except NotFound:
        return KubeRay(missing=f"KubeRay is not installed; install {floor} or newer")
    except HansaError as error:
        return KubeRay(missing=f"KubeRay cannot be looked for: {error}")
    version = await _operator_version(cluster)
    if not all(_has_token_auth(definition) for definition in found):
        return KubeRay(version, "", f"this KubeRay knows no token authentication; {_advice(floor)}")
    if release(version) and release(version) < release(floor):
        return KubeRay(version, "", f"KubeRay {version} is too old; {_advice(floor)}")
    return KubeRay(version, "", "")


def _advice(floor: str) -> str:
    return f"install {floor} or newer, its CRDs included"


async def _operator_version(cluster: Cluster) -> str:
    """Return the operator's version by its image tag or label; empty when it cannot be told."""
    try:
        page = await cluster.list(DEPLOYMENTS, labels=OPERATOR_LABELS)
    except HansaError:
        return ""
    for deployment in page.items:
        labels = deployment["metadata"].get("labels") or {}
        pod = deployment.get("spec", {}).get("template", {}).get("spec", {})
        images = [str(c.get("image", "")) for c in pod.get("containers") or ()]
        tags = [i.partition("@")[0].rpartition("/")[2].partition(":")[2] for i in images]
        for text in (*tags, str(labels.get(VERSION_LABEL, ""))):
            if release(text):
                return text.removeprefix("v")[:40]
    return ""


def _has_token_auth(definition: Mapping[str, Any]) -> bool:
    for version in definition.get("spec", {}).get("versions") or ():
        if version.get("name") == "v1":
            schema: Any = version.get("schema", {}).get("openAPIV3Schema", {})
            spec = (schema.get("properties") or {}).get("spec") or {}
            parts = (spec.get("properties") or {}).values()
            return any("authOptions" in (part.get("properties") or {}) for part in parts)
    return False


async def find_resolver(cluster: Cluster, namespace: str) -> str:
    """Return the address of the resolver that forwards nothing; empty when it cannot be told."""
    try:
        service = await cluster.get(f"/api/v1/namespaces/{namespace}/services/{RESOLVER}")
    except HansaError:
        return ""
    address = (service.get("spec") or {}).get("clusterIP")
    return "" if address in {None, "None"} else str(address)


async def find_devices(cluster: Cluster) -> dict[str, tuple[Devices, ...]] | None:
    """Return machine → cards that DRA drivers offer there; None when it cannot be told.

    A cluster without that API offers none.
    """
    try:
        return read_devices((await cluster.list(SLICES)).items)
    except NotFound:
        return {}
    except HansaError:
        return None


async def find_volumes(
    cluster: Cluster, namespace: str, datasets: Iterable[Dataset], machines: int = 1
) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
    """Return the volumes behind data sets, and why the others cannot be mounted.

    ``machines``: how many take runs.
    """
    found: dict[str, Mapping[str, Any]] = {}
    unusable: dict[str, str] = {}
    for dataset in datasets:
        try:
            spec = await _volume_spec(cluster, namespace, dataset.claim)
            why = data.unusable(spec, machines)
        except HansaError as error:
            why, spec = f"its claim {namespace}/{dataset.claim} is no help: {error}"[:500], {}
        if why:
            unusable[dataset.name] = why
        else:
            found[dataset.name] = spec
    return found, unusable


async def _volume_spec(cluster: Cluster, namespace: str, claim: str) -> Mapping[str, Any]:
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}"
    held = await cluster.get(path)
    name = (held.get("spec") or {}).get("volumeName")
    if not name or (held.get("status") or {}).get("phase") != "Bound":
        raise Terminal(f"claim {claim} is not bound to a volume", reason="Unbound")
    volume = await cluster.get(f"{data.VOLUMES}/{name}")
    spec: Mapping[str, Any] = volume.get("spec") or {}
    return spec
