"""What the agent's namespace holds for all runs; what is missing or unfit is told by its setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.testbed.cluster.pki import Authority
from hansa.errors import Terminal
from hansa.member.runs.site_objects import SiteObjects
from hansa.reconcile.member.platform.pod_settings import PodSettings
from hansa.reconcile.member.platform.proxy import Proxy
from tests.unit.member.small_cluster import SmallCluster

CORE = "/api/v1/namespaces/here"
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


TRUSTING = PodSettings(proxy=Proxy(authorities="ca"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> tuple[str, str]:
    """Its certificate and its key, PEM."""
    made = Authority(tmp_path_factory.mktemp("pki"), name="uni").identity
    return Path(made.cert).read_text(), Path(made.key).read_text()


@pytest.mark.parametrize("key", ["ca.crt", "ca-bundle.crt"])
async def test_authorities_are_read(authority, key):
    """OpenShift writes its bundle into ConfigMaps that ask for it, by a name of its own."""
    pem, secret = authority
    told = await site(ca={"data": {key: f"# ours\r\n{pem}{secret}"}}).authorities(TRUSTING)
    assert told == pem.replace("\r", "")
    assert await site().authorities(PodSettings()) == ""


NO_AUTHORITIES = {
    "a text": ({"data": {"ca.crt": "x"}}, r"under ca\.crt: there is no certificate"),
    "bytes": ({"binaryData": {"ca.crt": "MIIBAAAA"}}, "-inform der"),
    "another key": ({"data": {"bundle.pem": "x"}}, r"neither ca\.crt nor ca-bundle\.crt"),
    "nothing": ({}, r"neither ca\.crt nor ca-bundle\.crt"),
    "cut off": ({"data": {"ca.crt": "-----BEGIN CERTIFICATE-----\nMII"}}, "cut off"),
}


@pytest.mark.parametrize("name", NO_AUTHORITIES)
async def test_what_is_no_authority_ends_the_making_of_runs(name):
    body, words = NO_AUTHORITIES[name]
    with pytest.raises(Terminal, match=words):
        await site(ca=body).authorities(TRUSTING)
