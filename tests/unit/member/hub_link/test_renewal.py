"""When a certificate is renewed, and what is kept when that fails."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hansa.adapters.kube.config import Connection
from hansa.errors import Retryable, Terminal
from hansa.member.duties import RENEW_CHECK_S, Renewal
from hansa.member.hub_link import certificates, identity
from hansa.member.hub_link.join import new_identity
from hansa.member.settings import MemberSettings

BEGIN_S, LIFETIME_S = 1_800_000_000, 1_000_000
SETTINGS = MemberSettings(node="tartu", identity={"renew_fraction": 0.6})


def certificate(begin_s: int, name: str = "tartu") -> str:
    """Return a certificate that is valid from ``begin_s`` for the lifetime, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begin, end = (datetime.fromtimestamp(at, UTC) for at in (begin_s, begin_s + LIFETIME_S))
    built = x509.CertificateBuilder(
        issuer_name=subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=begin,
        not_valid_after=end,
    ).sign(key, hashes.SHA256())
    return built.public_bytes(serialization.Encoding.PEM).decode()


class Hub:
    """Signs, denies or is away."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    async def create(self, path, body):
        assert path == certificates.REQUESTS
        self.asked.append(body)

    async def get(self, _):
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"status": self.answer}


class Own:
    """Keeps the Secret."""

    def __init__(self):
        self.kept = []

    async def merge(self, path, body):
        self.kept.append((path, body["data"]))


def signed(pem):
    return {"certificate": base64.b64encode(pem.encode()).decode()}


def renewal(folder, *, at_s, spread=0.0, answer=None):
    """Return a renewal whose clock says ``at_s`` seconds after the certificate's beginning."""
    after = certificate(BEGIN_S + LIFETIME_S)
    context = SimpleNamespace(
        settings=SETTINGS,
        clock=SimpleNamespace(now=lambda: BEGIN_S + at_s),
        jitter=lambda: spread,
        hub=Hub(answer or signed(after)),
        own=Own(),
        dirty=SimpleNamespace(set=lambda: None),
    )
    fresh = new_identity("tartu", Connection(server="https://hub.example"))
    held = identity.from_values(fresh.values() | {identity.CERTIFICATE: certificate(BEGIN_S)})
    return Renewal(context, held, folder), context, after


DUE = {
    "new": (0, 0.0, False),
    "not begun, by a clock that is behind": (-600, 0.0, False),
    "a second early": (599_999, 0.0, False),
    "on the second": (600_000, 0.0, True),
    "spread: nobody before his turn": (549_999, 1.0, False),
    "spread: a twentieth of the lifetime earlier": (550_000, 1.0, True),
    "spread: half of it": (575_000, 0.5, True),
    "spread: half of it, a second early": (574_999, 0.5, False),
    "ended already": (LIFETIME_S + 1, 0.0, True),
}


@pytest.mark.parametrize(("at_s", "spread", "due"), DUE.values(), ids=DUE)
async def test_a_certificate_is_renewed_when_it_is_due_and_not_before(tmp_path, at_s, spread, due):
    subject, context, after = renewal(tmp_path, at_s=at_s, spread=spread)
    before = subject.held

    await subject.check()

    assert len(context.hub.asked) == len(context.own.kept) == int(due)
    assert subject.held.certificate_pem == (after if due else before.certificate_pem)
    assert (subject.held.key_pem == before.key_pem) is not due
    assert subject.held.release_key_pem == before.release_key_pem


async def test_the_new_certificate_is_kept_and_put_where_the_client_reads_it(tmp_path):
    subject, context, after = renewal(tmp_path, at_s=600_000)

    await subject.check()
    await subject.check()

    assert len(context.hub.asked) == 1, "the new one is not due"
    ((path, data),) = context.own.kept
    assert path.endswith("/secrets/hansa-identity")
    assert base64.b64decode(data[identity.CERTIFICATE]).decode() == after
    assert (tmp_path / identity.CERTIFICATE).read_text() == after
    assert (tmp_path / identity.KEY).read_text() == subject.held.key_pem
    assert subject.end_s == BEGIN_S + 2 * LIFETIME_S


async def test_a_refused_renewal_keeps_what_there_is_and_asks_again_with_another_key(tmp_path):
    denied = {"conditions": [{"type": "Denied", "message": "rejected"}]}
    subject, context, _ = renewal(tmp_path, at_s=600_000, answer=denied)
    before = subject.held

    for _ in range(2):
        with pytest.raises(Terminal, match="rejected"):
            await subject.check()

    assert (subject.held, context.own.kept) == (before, [])
    assert len({body["spec"]["request"] for body in context.hub.asked}) == 2


async def test_what_cannot_be_kept_is_not_used(tmp_path):
    subject, context, _ = renewal(tmp_path, at_s=600_000)
    before = subject.held

    async def away(*_):
        raise Retryable("our own API server is away")

    context.own.merge = away
    with pytest.raises(Retryable):
        await subject.check()

    assert subject.held == before
    assert not (tmp_path / identity.CERTIFICATE).exists()


PAUSES = {
    "long before": (0, RENEW_CHECK_S),
    "soon": (600_000 - 20, 20),
    "in a moment": (600_000 - 0.01, 1.0),
    "overdue: the hub is away": (600_001, RENEW_CHECK_S),
}


@pytest.mark.parametrize(("at_s", "pause_s"), PAUSES.values(), ids=PAUSES)
def test_it_looks_again_when_it_is_due_and_never_in_a_hurry(tmp_path, at_s, pause_s):
    subject, _, _ = renewal(tmp_path, at_s=at_s)

    assert subject.pause_s() == pytest.approx(pause_s)
