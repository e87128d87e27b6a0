"""The testbed's control plane is the real thing: it authenticates, signs and audits."""

import base64
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from e2e.testbed.cluster.audit import read_events
from e2e.testbed.cluster.controlplane import ControlPlane, KubectlError
from e2e.testbed.cluster.readiness import wait_service_account
from e2e.testbed.host.clock import wait_until

pytestmark = pytest.mark.apiserver


def test_client_certificates_carry_user_and_groups(control_plane: ControlPlane):
    kubeconfig = control_plane.kubeconfig_for("jane", ["league-admins"])

    said = json.loads(
        control_plane.kubectl("--kubeconfig", kubeconfig, "auth", "whoami", "-o", "json")
    )

    assert said["status"]["userInfo"]["username"] == "jane"
    assert "league-admins" in said["status"]["userInfo"]["groups"]


def test_a_stranger_may_do_nothing(control_plane: ControlPlane):
    kubeconfig = control_plane.kubeconfig_for("stranger")

    with pytest.raises(KubectlError, match=r"stranger.*cannot list"):
        control_plane.kubectl("--kubeconfig", kubeconfig, "get", "pods")


def test_an_approved_request_is_signed(control_plane: ControlPlane):
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(_csr("signed-by-the-testbed")))
    control_plane.kubectl("certificate", "approve", "signed-by-the-testbed")

    wait_until(
        lambda: control_plane.kubectl(
            "get", "csr", "signed-by-the-testbed", "-o", "jsonpath={.status.certificate}"
        ),
        what="the certificate",
    )


def test_pod_creations_are_audited_whole(control_plane: ControlPlane):
    control_plane.kubectl("create", "namespace", "audited")
    wait_service_account(control_plane, "audited")
    control_plane.kubectl("-n", "audited", "run", "seen", "--image=example.invalid/x")

    def written():
        return [
            e["requestObject"]["spec"]["containers"][0]["image"]
            for e in read_events(control_plane.audit_log)
            if e["objectRef"].get("namespace") == "audited" and e["objectRef"]["resource"] == "pods"
        ]

    wait_until(written, what="the pod in the audit log")
    assert written() == ["example.invalid/x"]


def _csr(name: str) -> dict:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "member")])
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    )
    pem = request.public_bytes(serialization.Encoding.PEM)
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
            "expirationSeconds": 3600,
        },
    }
