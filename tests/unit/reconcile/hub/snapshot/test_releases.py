"""Which release counts: signed for that epoch and node, by the key that the grant was addressed to."""

import pytest

from hansa.adapters.keys import Ed25519Signer
from hansa.grants.envelope import release_message, sign
from hansa.model.times import rfc3339
from hansa.reconcile.hub.grant_view import parse_grant
from hansa.reconcile.hub.snapshot import (
    release_verified,
)
from tests.unit.reconcile.hub.hub_objects import (
    NOW_S,
    UID,
    grant_manifest,
)
from tests.unit.reconcile.hub.snapshot.planned_jobs import node

SIGNER, OTHER = Ed25519Signer.generate(), Ed25519Signer.generate()
AT = rfc3339(NOW_S)


def release(signer=SIGNER, *, epoch=1, where="tartu", at=AT):
    message = release_message(node=where, job_uid=UID, epoch=epoch, released_at=at)
    key, signature = sign(signer, message)
    return {"epoch": epoch, "releasedAt": at, "keyId": key, "signature": signature}


KEYED = {"releaseKey": SIGNER.public_key}
RELEASES = {
    "signed": (release(), node(**KEYED), True),
    "not released": (None, node(**KEYED), False),
    "node unknown": (release(), None, False),
    "node not accepted": (release(), node(accepted="Pending", **KEYED), False),
    "node without a key": (release(), node(releaseKey=None), False),
    "another key": (release(OTHER), node(**KEYED), False),
    "another epoch": (release(epoch=2), node(**KEYED), False),
    "another node's": (release(where="riga"), node(**KEYED), False),
    "another time": (release() | {"releasedAt": rfc3339(NOW_S + 1)}, node(**KEYED), False),
}


@pytest.mark.parametrize("case", RELEASES)
def test_releases(case):
    word, view, expected = RELEASES[case]
    grant = parse_grant(grant_manifest(status={"release": word} if word else {}))

    assert release_verified(grant, view) is expected


ADDRESSED = {
    "the node is gone": (SIGNER, SIGNER.public_key, None, True),
    "the node is rejected": (SIGNER, SIGNER.public_key, node(accepted="Rejected"), True),
    "signed with another key": (OTHER, SIGNER.public_key, None, False),
    "another key, which is shown": (OTHER, OTHER.public_key, None, False),
    "no key is shown": (SIGNER, None, None, False),
}


@pytest.mark.parametrize("case", ADDRESSED)
def test_a_release_by_the_key_that_the_grant_is_addressed_to(case):
    signer, shown, view, expected = ADDRESSED[case]
    wire = grant_manifest(status={"release": release(signer) | {"publicKey": shown}})
    wire["spec"]["audience"] = SIGNER.key_id

    assert release_verified(parse_grant(wire), view) is expected
