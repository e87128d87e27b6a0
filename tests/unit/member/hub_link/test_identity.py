"""The Secret with the node's keys: what is missing or spoilt is named."""

import base64

import pytest

from hansa.errors import NotFound, Terminal
from hansa.member.hub_link import identity
from hansa.member.hub_link.identity import HubIdentity


def identity_of(**values):
    fields = {"node": "tartu", "server": "https://hub.example", "ca_pem": "CA"}
    pems = {"token": "TOKEN", "key_pem": "KEY", "release_key_pem": "RELEASE"}
    return HubIdentity(**fields | pems | values)


class Secrets:
    """A cluster that holds one Secret, or none."""

    def __init__(self, data=None):
        self.data = data

    async def get(self, path):
        if self.data is None:
            raise NotFound(path)
        return {"data": self.data}

    async def create(self, _, body):
        self.data = body["data"]


def test_what_is_missing_is_named():
    with pytest.raises(Terminal, match=r"identity\.key"):
        identity.from_values(identity_of(key_pem="").values())


async def test_what_was_saved_is_loaded():
    secrets = Secrets()
    await identity.save(secrets, "hansa-system", "hansa-identity", identity_of())
    assert await identity.load(secrets, "hansa-system", "hansa-identity") == identity_of()


SPOILT = {"not base64": "x", "not text": base64.b64encode(b"\xff").decode()}


@pytest.mark.parametrize("value", SPOILT.values(), ids=SPOILT.keys())
async def test_a_spoilt_secret_is_named(value):
    with pytest.raises(Terminal, match="Secret hansa-system/hansa-identity is spoilt"):
        await identity.load(Secrets({"identity.key": value}), "hansa-system", "hansa-identity")
