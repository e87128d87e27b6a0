"""When a token is renewed, and what is kept when that fails."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest

from hansa.adapters.kube.config import Connection
from hansa.errors import Retryable, Terminal
from hansa.member.duties import RENEW_CHECK_S, Renewal
from hansa.member.hub_link import identity
from hansa.member.hub_link.join import new_identity
from hansa.member.settings import MemberSettings
from tests.unit.member.hub_link.paper import PaperHub, handed, token

BEGIN_S, LIFETIME_S = 1_800_000_000, 1_000_000
SETTINGS = MemberSettings(node="tartu", identity={"renew_fraction": 0.6})
BEFORE = token(begin_s=BEGIN_S, seconds=LIFETIME_S)
AFTER = token(begin_s=BEGIN_S + LIFETIME_S, seconds=LIFETIME_S)


class Own:
    """Keeps the Secret."""

    def __init__(self):
        self.kept = []

    async def merge(self, path, body):
        self.kept.append((path, body["data"]))


def renewal(folder, *, at_s, spread=0.0, answers=(), users=None):
    """Return a renewal whose clock says ``at_s`` seconds after the token's beginning."""
    hub = PaperHub(*(answers or [handed(AFTER)]), users=users)
    context = SimpleNamespace(
        settings=SETTINGS,
        clock=SimpleNamespace(now=lambda: BEGIN_S + at_s),
        jitter=lambda: spread,
        hub=hub,
        own=Own(),
        dirty=SimpleNamespace(set=lambda: None),
        renewal_trouble="",
    )
    fresh = new_identity("tartu", Connection(server="https://hub.example"))
    held = identity.from_values(fresh.values() | {identity.TOKEN: BEFORE})
    return Renewal(context, held, folder, hub.as_node), context


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
async def test_a_token_is_renewed_when_it_is_due_and_not_before(tmp_path, at_s, spread, due):
    subject, context = renewal(tmp_path, at_s=at_s, spread=spread)
    before = subject.held

    await subject.check()

    assert len(context.hub.asked) == len(context.own.kept) == int(due)
    assert subject.held.token == (AFTER if due else BEFORE)
    assert subject.held.key_pem == before.key_pem
    assert subject.held.release_key_pem == before.release_key_pem


async def test_the_new_token_is_kept_and_put_where_the_client_reads_it(tmp_path):
    subject, context = renewal(tmp_path, at_s=600_000)

    await subject.check()
    await subject.check()

    assert len(context.hub.asked) == 1, "the new one is not due"
    ((path, data),) = context.own.kept
    assert path.endswith("/secrets/hansa-identity")
    assert base64.b64decode(data[identity.TOKEN]).decode() == AFTER
    assert (tmp_path / identity.TOKEN).read_text() == AFTER
    assert subject.end_s == BEGIN_S + 2 * LIFETIME_S
    assert context.renewal_trouble == ""


REFUSED = {
    "a word": (handed("hello"), None),
    "a certificate": ({"status": {"certificate": "hello"}}, None),
    "another node's": (handed(token("riga", begin_s=BEGIN_S + LIFETIME_S)), None),
    "ended": (handed(token(begin_s=BEGIN_S - 3600)), None),
    "forged": (handed(AFTER), {AFTER: "system:anonymous"}),
    "no right": (Terminal("403 Forbidden"), None),
    "away": (Retryable("away"), None),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_refused_changes_nothing_but_what_people_are_told(tmp_path, case):
    answer, users = REFUSED[case]
    subject, context = renewal(tmp_path, at_s=600_000, answers=[answer, handed(AFTER)], users=users)
    before = subject.held

    await subject.check()

    assert (subject.held, context.own.kept) == (before, [])
    assert not (tmp_path / identity.TOKEN).exists()
    assert "the hub gave no usable token" in context.renewal_trouble

    context.hub.users.clear()
    await subject.check()

    assert subject.held.token == AFTER
    assert context.renewal_trouble == ""


async def test_what_cannot_be_kept_is_not_used(tmp_path):
    subject, context = renewal(tmp_path, at_s=600_000)
    before = subject.held

    async def away(*_):
        raise Retryable("our own API server is away")

    context.own.merge = away
    with pytest.raises(Retryable):
        await subject.check()

    assert subject.held == before
    assert not (tmp_path / identity.TOKEN).exists()


PAUSES = {
    "long before": (0, RENEW_CHECK_S),
    "soon": (600_000 - 20, 20),
    "in a moment": (600_000 - 0.01, 1.0),
    "overdue: the hub is away": (600_001, RENEW_CHECK_S),
}


@pytest.mark.parametrize(("at_s", "pause_s"), PAUSES.values(), ids=PAUSES)
def test_it_looks_again_when_it_is_due_and_never_in_a_hurry(tmp_path, at_s, pause_s):
    subject, _ = renewal(tmp_path, at_s=at_s)

    assert subject.pause_s() == pytest.approx(pause_s)
