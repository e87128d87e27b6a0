"""Asking a hub for a node's certificate, with what the hub's chart gives to those who join."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import Connection, from_kubeconfig
from tests.apiserver.hub.league import CLOCK, League, b64

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def request_for(name: str) -> tuple[ec.EllipticCurvePrivateKey, str]:
    """Return a new key and its request, base64."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "hansa:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"hansa:node:{name}"),
        ]
    )
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return key, b64(csr.public_bytes(serialization.Encoding.PEM))


def csr_manifest(name: str, request: str) -> dict[str, Any]:
    """Return the request as an object."""
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": request,
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        },
    }


async def join_identity(league: League) -> KubeCluster:
    """The join service account with what the chart gives it: asking for certificates."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "hansa-join"}}
    where = "/api/v1/namespaces/default/serviceaccounts"
    await league.admin.apply(f"{where}/hansa-join", account, manager="test")
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rules = [
        {
            "apiGroups": ["certificates.k8s.io"],
            "resources": ["certificatesigningrequests"],
            "verbs": ["create", "get"],
        }
    ]
    meta = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "hansa-join"}}
    await league.admin.apply(
        f"{rbac}/clusterroles/hansa-join",
        meta | {"kind": "ClusterRole", "rules": rules},
        manager="test",
    )
    binding = {
        "kind": "ClusterRoleBinding",
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "hansa-join",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "hansa-join", "namespace": "default"}],
    }
    await league.admin.apply(
        f"{rbac}/clusterrolebindings/hansa-join", meta | binding, manager="test"
    )
    token = await league.admin.create(
        f"{where}/hansa-join/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )
    admin = from_kubeconfig(league.plane.kubeconfig)
    connection = Connection(
        server=admin.server,
        ca_file=admin.ca_file,
        ca_pem=admin.ca_pem,
        token=token["status"]["token"],
    )
    return KubeCluster(connection, clock=CLOCK)
