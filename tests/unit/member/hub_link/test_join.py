"""Joining a league: what is kept, and what a hub may answer."""

import pytest

from hansa.adapters.kube.config import Connection
from hansa.errors import Retryable, Terminal
from hansa.member.hub_link import certificates, identity
from hansa.member.hub_link.join import FolderKeeper, enrol, new_identity


class Signer:
    """A hub that signs, denies or is away, by turns."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def create(self, path, body):
        self.asked.append((path, body))
        return body

    async def get(self, _):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"status": answer}


HUB = Connection(server="https://hub.example")
SIGNED = {"certificate": "Q0VSVA=="}


async def test_a_join_waits_through_trouble_and_keeps_its_keys(tmp_path, capsys):
    hub = Signer({}, Retryable("away"), SIGNED)
    keeper = FolderKeeper(tmp_path / "id")
    fresh = new_identity("tartu", HUB)
    joined = await enrol(hub, keeper, fresh, poll_s=0)
    assert joined.certificate_pem == "CERT"
    assert await keeper.load() == joined
    assert (tmp_path / "id" / identity.KEY).stat().st_mode & 0o777 == 0o600
    pair = certificates.load_key(fresh.key_pem)
    assert pair.fingerprint in capsys.readouterr().out
    again = await enrol(Signer(SIGNED), keeper, new_identity("tartu", HUB), poll_s=0)
    assert again.key_pem == fresh.key_pem


async def test_a_denied_join_says_so(tmp_path):
    hub = Signer({"conditions": [{"type": "Denied", "message": "wrong key"}]})
    with pytest.raises(Terminal, match="wrong key"):
        await enrol(hub, FolderKeeper(tmp_path), new_identity("tartu", HUB), poll_s=0)


async def test_an_identity_is_not_given_to_another_node(tmp_path):
    keeper = FolderKeeper(tmp_path)
    await keeper.save(new_identity("riga", HUB))
    with pytest.raises(Terminal, match="riga"):
        await enrol(Signer(), keeper, new_identity("tartu", HUB), poll_s=0)
