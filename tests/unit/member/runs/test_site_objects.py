"""What the agent's namespace holds for all runs; what is missing or unfit is told by its setting."""

from __future__ import annotations

import pytest

from hansa.errors import Terminal
from hansa.member.runs.site_objects import SiteObjects
from hansa.reconcile.member.platform.pod_settings import PodSettings
from hansa.reconcile.member.platform.proxy import Proxy
from tests.unit.member.small_cluster import SmallCluster

CORE = "/api/v1/namespaces/here"
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
KEYS = {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30=", "more": "eA=="}}  # fmt: skip


def site(**objects):
    cluster = SmallCluster(0.0)
    for name, body in objects.items():
        plural = "configmaps" if name == "ca" else "secrets"
        cluster.put(f"{CORE}/{plural}/{name}", {"metadata": {"name": name}, **body})
    return SiteObjects(cluster, "here")


async def test_credentials_are_read_and_nothing_beside_them():
    found = await site(harbor=KEYS).pull_secrets(PodSettings(image_pull_secrets=("harbor",)))
    assert found == {"harbor": {**KEYS, "data": {".dockerconfigjson": "e30="}}}


UNFIT = {
    "not there": ({}, "runs.imagePullSecrets names harbor, which is not there"),
    "of another type": ({"harbor": {"type": "Opaque", "data": {"x": "eA=="}}}, "kubectl create secret docker-registry harbor"),
    "empty": ({"harbor": {"type": "kubernetes.io/dockercfg"}}, "holds no registry credentials"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNFIT)
async def test_unfit_credentials_are_told(name):
    objects, words = UNFIT[name]
    with pytest.raises(Terminal, match=words):
        await site(**objects).pull_secrets(PodSettings(image_pull_secrets=("harbor",)))


async def test_authorities_are_read():
    trusting = PodSettings(proxy=Proxy(authorities="ca"))
    assert await site(ca={"data": {"ca.crt": PEM}}).authorities(trusting) == PEM
    assert await site().authorities(PodSettings()) == ""
    with pytest.raises(Terminal, match=r"no PEM under ca\.crt"):
        await site(ca={"data": {"ca.crt": "x"}}).authorities(trusting)
