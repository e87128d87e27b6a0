"""What the agent makes of what it finds: KubeRay, data volumes."""

from dataclasses import dataclass

import pytest

from hansa.api.memberpolicy import Dataset
from hansa.errors import NotFound, Retryable, Terminal
from hansa.member.cluster import probes
from hansa.reconcile.member.inventory.devices import SLICES as SLICES_PATH
from tests.residency_kit import EVERYWHERE


class Shelf:
    """A cluster that answers from a table: path → object or error."""

    def __init__(self, **answers):
        self.answers = answers

    async def get(self, path):
        found = self.answers.get(path, NotFound(path))
        if isinstance(found, Exception):
            raise found
        return found

    async def list(self, path, **_):
        return (await self.get(path))["page"]


@dataclass
class Items:
    items: list


def kuberay(image="kuberay/operator:v1.6.1", *, auth=True, labels=None):
    field = {"authOptions": {"type": "object"}} if auth else {}
    schema = {"properties": {"spec": {"properties": {"rayClusterSpec": {"properties": field}}}}}
    version = {"name": "v1", "schema": {"openAPIV3Schema": schema}}
    pod = {"template": {"spec": {"containers": [{"image": image}]}}}
    deployment = {"metadata": {"labels": labels or {}}, "spec": pod}
    return Shelf(
        **{
            f"{probes.DEFINITIONS}/rayjobs.ray.io": {
                "spec": {"versions": [{"name": "v1alpha1"}, version]}
            },
            probes.DEPLOYMENTS: {"page": Items([deployment])},
        }
    )


KUBERAYS = {
    "good": (kuberay(), "1.6.1", "", ""),
    "behind a port": (kuberay("reg:5000/op:v1.6.1@sha256:0"), "1.6.1", "", ""),
    "by label": (kuberay("op@sha256:0", labels={probes.VERSION_LABEL: "1.6.0"}), "1.6.0", "", ""),
    "untold": (kuberay("op@sha256:0"), "", "", ""),
    "too old": (kuberay("op:v1.4.0"), "1.4.0", "", "too old"),
    "no token": (kuberay(auth=False), "1.6.1", "", "no token authentication"),
    "missing": (Shelf(), "", "not installed", ""),
    "silent": (
        Shelf(**{f"{probes.DEFINITIONS}/rayjobs.ray.io": Retryable("x")}),
        "",
        "cannot be looked for",
        "",
    ),
    "no right to list": (
        Shelf(**(kuberay().answers | {probes.DEPLOYMENTS: Terminal("403")})),
        "",
        "",
        "",
    ),
}


@pytest.mark.parametrize("case", KUBERAYS.values(), ids=KUBERAYS.keys())
async def test_kuberay(case):
    cluster, version, missing, too_old = case
    found = await probes.find_kuberay(cluster, "1.5.1", ["rayjobs.ray.io"])
    assert found.version == version
    assert missing in found.missing
    assert too_old in found.too_old
    assert bool(found.trouble) is bool(missing or too_old)


CLAIM = "/api/v1/namespaces/hansa-system/persistentvolumeclaims/scans"
VOLUME = "/api/v1/persistentvolumes/pv"
NFS = {"nfs": {"server": "s", "path": "/"}, "accessModes": ["ReadOnlyMany"]}
BOUND = {"spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}
VOLUMES = {
    "good": ({CLAIM: BOUND, VOLUME: {"spec": NFS}}, ""),
    "no claim": ({}, "is no help"),
    "not bound": ({CLAIM: BOUND | {"status": {"phase": "Pending"}}}, "is not bound"),
    "no volume": ({CLAIM: BOUND}, "is no help"),
    "no answer": ({CLAIM: Retryable("away")}, "away"),
}


@pytest.mark.parametrize("case", VOLUMES.values(), ids=VOLUMES.keys())
async def test_a_data_set_without_a_usable_volume_says_why(case):
    answers, words = case
    dataset = Dataset(name="scans", claim="scans", jurisdiction="EE", residency=EVERYWHERE)
    found, unusable = await probes.find_volumes(Shelf(**answers), "hansa-system", [dataset])
    assert (set(found), set(unusable)) == ((set(), {"scans"}) if words else ({"scans"}, set()))
    assert words in unusable.get("scans", "")


SERVICE = "/api/v1/namespaces/hansa-system/services/hansa-resolver"
RESOLVERS = {
    "one": ({SERVICE: {"spec": {"clusterIP": "10.96.0.53"}}}, "10.96.0.53"),
    "without an address": ({SERVICE: {"spec": {"clusterIP": "None"}}}, ""),
    "not served yet": ({SERVICE: {"spec": {}}}, ""),
    "none": ({}, ""),
    "cannot be asked": ({SERVICE: Retryable("busy")}, ""),
    "may not be asked": ({SERVICE: Terminal("no")}, ""),
}


@pytest.mark.parametrize("case", RESOLVERS)
async def test_where_the_resolver_of_shut_in_runs_is(case):
    answers, expected = RESOLVERS[case]

    assert await probes.find_resolver(Shelf(**answers), "hansa-system") == expected


H100S = {
    "spec": {
        "driver": "gpu.nvidia.com",
        "nodeName": "m",
        "pool": {"name": "m", "generation": 1},
        "devices": [{"name": "gpu-0", "attributes": {"productName": {"string": "H100"}}}],
    }
}
# What the API server answers; machines with cards (None: it cannot be told).
SLICES = {
    "cards": ({SLICES_PATH: {"page": Items([H100S])}}, {"m"}),
    "no such API": ({}, set()),
    "no right": ({SLICES_PATH: Terminal("403")}, None),
    "silent": ({SLICES_PATH: Retryable("x")}, None),
}


@pytest.mark.parametrize("case", SLICES)
async def test_devices(case):
    answers, machines = SLICES[case]

    found = await probes.find_devices(Shelf(**answers))

    assert (None if found is None else found.keys()) == machines
