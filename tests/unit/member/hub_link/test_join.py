"""Joining a league: what is kept, and what a hub may answer."""

import time

import pytest

from hansa.adapters.kube.config import Connection
from hansa.adapters.sealing import IdentityKey
from hansa.errors import NotFound, Retryable, Terminal
from hansa.member.hub_link import identity
from hansa.member.hub_link.join import FolderKeeper, enrol, new_identity
from tests.unit.member.hub_link.paper import HUB, PaperHub, handed, sealed, token

BEGIN_S = int(time.time())  # noqa: TID251  # `hansa join` is a command: it reads the real clock
FIRST = token(begin_s=BEGIN_S)
LASTING = token(begin_s=BEGIN_S, seconds=30 * 86_400)
THIEF = IdentityKey.generate().public_key


async def joined(hub, keeper, fresh):
    return await enrol(hub, hub.as_node, keeper, fresh, poll_s=0)


async def test_a_join_waits_through_trouble_and_keeps_its_keys(tmp_path, capsys):
    keeper, fresh = FolderKeeper(tmp_path / "id"), new_identity("tartu", HUB)
    key = fresh.key.public_key
    waiting = {"spec": {"accepted": "Pending"}, "status": {}}
    accepted = {"spec": {"accepted": "Accepted", "identityKey": key}}
    hub = PaperHub(
        NotFound("no such node"),
        Retryable("away"),
        waiting,
        waiting,
        accepted,
        sealed(FIRST, key),
        Terminal("403: no role yet"),
        handed(LASTING),
    )

    held = await joined(hub, keeper, fresh)

    assert held.token == LASTING
    assert await keeper.load() == held
    assert (tmp_path / "id" / identity.KEY).stat().st_mode & 0o777 == 0o600
    said = capsys.readouterr().out
    assert key in said
    assert fresh.signer.public_key in said
    assert said.count("has not accepted this key yet") == 1
    again = PaperHub(sealed(FIRST, key), handed(LASTING))
    assert (await joined(again, keeper, new_identity("tartu", HUB))).key_pem == fresh.key_pem


def foreign(fresh):
    key = fresh.key.public_key
    return {
        "another key is pinned": sealed(FIRST, THIEF),
        "sealed to another key": sealed(FIRST, THIEF, identityKey=key),
        "sealed for another node": sealed(FIRST, key, node="riga"),
        "another node's token": sealed(token("riga", begin_s=BEGIN_S), key),
        "a word": sealed("hello", key),
        "ended": sealed(token(begin_s=BEGIN_S - 7200), key),
        "no identity": {"spec": {"accepted": "Accepted", "identityKey": key}, "status": 7},
        "garbage": {"spec": "yes", "status": []},
        "not sealed at all": {
            "spec": {"accepted": "Accepted", "identityKey": key},
            "status": {"identity": {"key": key, "sealed": FIRST}},
        },
    }


@pytest.mark.parametrize("case", foreign(new_identity("tartu", HUB)))
async def test_what_is_not_sealed_to_its_key_is_not_taken(tmp_path, case, capsys):
    keeper, fresh = FolderKeeper(tmp_path), new_identity("tartu", HUB)
    hub = PaperHub(foreign(fresh)[case], sealed(FIRST, fresh.key.public_key), handed(LASTING))

    held = await joined(hub, keeper, fresh)

    assert held.token == LASTING
    assert hub.shown == [FIRST, LASTING]  # and nothing else was shown to anybody
    assert "Not yet:" in capsys.readouterr().out


async def test_a_rejected_join_says_so(tmp_path):
    hub = PaperHub({"spec": {"accepted": "Rejected"}})
    with pytest.raises(Terminal, match="has rejected node tartu"):
        await joined(hub, FolderKeeper(tmp_path), new_identity("tartu", HUB))


async def test_a_first_token_that_is_never_exchanged_ends_with_the_reason(tmp_path):
    fresh = new_identity("tartu", HUB)
    refusals = [Terminal("403: forbidden")] * 40
    hub = PaperHub(sealed(FIRST, fresh.key.public_key), *refusals)
    keeper = FolderKeeper(tmp_path)

    with pytest.raises(Terminal, match="could not be exchanged: 403"):
        await joined(hub, keeper, fresh)

    assert (await keeper.load()).token == identity.PENDING


async def test_an_identity_is_not_given_to_another_node(tmp_path):
    keeper = FolderKeeper(tmp_path)
    await keeper.save(new_identity("riga", HUB))
    with pytest.raises(Terminal, match="riga"):
        await joined(PaperHub(), keeper, new_identity("tartu", HUB))


async def test_a_join_that_goes_on_takes_the_new_way(tmp_path):
    """The first try may have shown that there is no way but a proxy."""
    keeper, fresh = FolderKeeper(tmp_path / "id"), new_identity("tartu", HUB)
    await keeper.save(fresh)
    key = fresh.key.public_key
    hub = PaperHub(sealed(FIRST, key), handed(LASTING))
    proxied = Connection(server="https://other.example", proxy="http://proxy:3128")

    held = await joined(hub, keeper, new_identity("tartu", proxied))

    assert (held.server, held.proxy) == ("https://other.example", "http://proxy:3128")
    assert held.connection(tmp_path).proxy == "http://proxy:3128"
    assert await keeper.load() == held
