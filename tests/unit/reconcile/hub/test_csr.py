"""The approver of node certificates: approves exactly what it should, survives anything."""

import base64
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from hansa.reconcile.hub.csr import USAGES, read_subject, rule_on

JOIN = "system:serviceaccount:hansa:hansa-join"
KEY = ec.generate_private_key(ec.SECP256R1())


def pem(*attributes, key=KEY, extension=None):
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    )
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    request = builder.sign(key, hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


CN, ORG = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME
GOOD = pem((ORG, "hansa:nodes"), (CN, "hansa:node:tartu"))
FINGERPRINT = read_subject(GOOD).fingerprint
ACCEPTED = {"accepted": "Accepted", "keyFingerprint": FINGERPRINT}
OTHER = pem(
    (ORG, "hansa:nodes"), (CN, "hansa:node:tartu"), key=ec.generate_private_key(ec.SECP256R1())
)


def csr(request=GOOD, username=JOIN, **spec):
    wire = {
        "request": request,
        "username": username,
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
    }
    return {"metadata": {"name": "x"}, "spec": wire | spec}


def san(name):
    return x509.SubjectAlternativeName([name])


CASES = {
    "first": (csr(), ACCEPTED, "Approve", "FingerprintMatches"),
    "all usages": (csr(usages=sorted(USAGES)), ACCEPTED, "Approve", "FingerprintMatches"),
    "renewal, new key": (csr(OTHER, "hansa:node:tartu"), ACCEPTED, "Approve", "Renewal"),
    "another key": (csr(OTHER), ACCEPTED, "Deny", "WrongKey"),
    "renewal by another node": (
        csr(username="hansa:node:narva"),
        ACCEPTED,
        "Deny",
        "WrongRequester",
    ),
    "by a person": (csr(username="jane"), ACCEPTED, "Deny", "WrongRequester"),
    "no such node": (csr(), None, "Wait", "UnknownNode"),
    "renewal of no node": (csr(username="hansa:node:tartu"), None, "Deny", "UnknownNode"),
    "pending": (csr(), ACCEPTED | {"accepted": "Pending"}, "Wait", "NodeNotAccepted"),
    "renewal while pending": (
        csr(username="hansa:node:tartu"),
        ACCEPTED | {"accepted": "Pending"},
        "Deny",
        "NodeNotAccepted",
    ),
    "rejected": (csr(), ACCEPTED | {"accepted": "Rejected"}, "Deny", "NodeRejected"),
    "no fingerprint": (csr(), {"accepted": "Accepted"}, "Wait", "NoFingerprint"),
    "admin's group": (
        csr(pem((ORG, "system:masters"), (CN, "hansa:node:tartu"))),
        ACCEPTED,
        "Deny",
        "WrongSubject",
    ),
    "two groups": (
        csr(pem((ORG, "hansa:nodes"), (ORG, "system:masters"), (CN, "hansa:node:tartu"))),
        ACCEPTED,
        "Deny",
        "WrongSubject",
    ),
    "no group": (csr(pem((CN, "hansa:node:tartu"))), ACCEPTED, "Deny", "WrongSubject"),
    "two names": (
        csr(pem((ORG, "hansa:nodes"), (CN, "hansa:node:tartu"), (CN, "admin"))),
        ACCEPTED,
        "Deny",
        "WrongSubject",
    ),
    "a unit": (
        csr(
            pem(
                (ORG, "hansa:nodes"),
                (CN, "hansa:node:tartu"),
                (NameOID.ORGANIZATIONAL_UNIT_NAME, "x"),
            )
        ),
        ACCEPTED,
        "Deny",
        "WrongSubject",
    ),
    "a DNS name": (
        csr(
            pem(
                (ORG, "hansa:nodes"),
                (CN, "hansa:node:tartu"),
                extension=san(x509.DNSName("kubernetes")),
            )
        ),
        ACCEPTED,
        "Deny",
        "WrongExtensions",
    ),
    "an address": (
        csr(
            pem(
                (ORG, "hansa:nodes"),
                (CN, "hansa:node:tartu"),
                extension=san(x509.IPAddress(ipaddress.ip_address("10.0.0.1"))),
            )
        ),
        ACCEPTED,
        "Deny",
        "WrongExtensions",
    ),
    "to be a CA": (
        csr(
            pem(
                (ORG, "hansa:nodes"),
                (CN, "hansa:node:tartu"),
                extension=x509.BasicConstraints(ca=True, path_length=None),
            )
        ),
        ACCEPTED,
        "Deny",
        "WrongExtensions",
    ),
    "server auth": (
        csr(usages=["client auth", "server auth"]),
        ACCEPTED,
        "Deny",
        "WrongUsages",
    ),
    "no usage": (csr(usages=[]), ACCEPTED, "Deny", "WrongUsages"),
    "garbage from the joiner": (csr("AAAA"), ACCEPTED, "Deny", "Malformed"),
    "another signer": (
        csr(signerName="kubernetes.io/kube-apiserver-client-kubelet"),
        ACCEPTED,
        "Ignore",
        "",
    ),
    "somebody else's": (
        csr(pem((ORG, "lab"), (CN, "jane")), "jane"),
        ACCEPTED,
        "Ignore",
        "",
    ),
    "decided": (csr() | {"status": {"conditions": [{"type": "Denied"}]}}, ACCEPTED, "Ignore", ""),
}


@pytest.mark.parametrize("case", CASES)
def test_rulings(case):
    request, node, verdict, reason = CASES[case]

    ruling = rule_on(request, {"tartu": node} if node else {}, join_user=JOIN)

    assert (ruling.verdict, ruling.reason) == (verdict, reason)
    assert (ruling.message != "") == (verdict != "Ignore")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "request": st.sampled_from([GOOD, OTHER])
        | JSON
        | st.binary(max_size=80).map(lambda data: base64.b64encode(data).decode()),
        "username": st.sampled_from([JOIN, "hansa:node:tartu", "hansa:node:narva"]) | JSON,
        "signerName": st.just("kubernetes.io/kube-apiserver-client") | JSON,
        "usages": st.lists(st.sampled_from([*USAGES, "server auth"])) | JSON,
    },
)


@given(FIELDS, JSON, st.sampled_from(["Accepted", "Pending", "Rejected", None]) | JSON)
def test_nothing_but_the_two_good_kinds_is_ever_approved(spec, status, accepted):
    node = {"accepted": accepted, "keyFingerprint": FINGERPRINT}

    ruling = rule_on({"spec": spec, "status": status}, {"tartu": node}, join_user=JOIN)

    if ruling.verdict == "Approve":
        assert accepted == "Accepted"
        assert (spec["request"], spec["username"]) in {
            (GOOD, JOIN),
            (GOOD, "hansa:node:tartu"),
            (OTHER, "hansa:node:tartu"),
        }
        assert "server auth" not in spec["usages"]


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="ascii"))
def test_a_request_changed_anywhere_is_not_another_ones(position, letter):
    changed = GOOD[:position] + letter + GOOD[position + 1 :]

    subject = read_subject(changed)

    assert subject is None or subject == read_subject(GOOD)
