"""Who this member is towards the hub: one Secret with the hub's address, the node's keys and its token.

The private keys are made here, stay in this Secret, and are never sent anywhere.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from hansa.adapters.keys import Ed25519Signer, parse_private_key
from hansa.adapters.kube.config import Connection
from hansa.adapters.sealing import IdentityKey
from hansa.errors import Conflict, Terminal
from hansa.member.hub_link.tokens import TokenFacts, facts_of
from hansa.ports import Cluster, Manifest

SERVER, NODE, CA = "server", "node", "ca.crt"
TOKEN, KEY, RELEASE_KEY = "token", "identity.key", "release.key"
PROXY = "proxy"
FIELDS = (SERVER, NODE, CA, PROXY, TOKEN, KEY, RELEASE_KEY)
MAY_BE_EMPTY = {CA, PROXY}

PENDING = "pending"
"""Stands for the token until the hub has given one."""


@dataclass(frozen=True, slots=True)
class HubIdentity:
    """What the member needs to speak to one hub; the keys are PEM."""

    node: str
    server: str
    ca_pem: str
    token: str
    key_pem: str
    release_key_pem: str
    proxy: str = ""
    """``http://host:port`` on the way to the hub; empty: as the environment says."""

    @property
    def signer(self) -> Ed25519Signer:
        """The key that signs releases."""
        return Ed25519Signer(parse_private_key(self.release_key_pem.encode()))

    @property
    def key(self) -> IdentityKey:
        """The key that opens what is sealed for this node."""
        return IdentityKey.from_pem(self.key_pem)

    @property
    def token_facts(self) -> TokenFacts:
        """What the token says; raises ``Terminal`` while there is none."""
        return facts_of(self.token)

    def values(self) -> dict[str, str]:
        """Return the fields by the names they have in a Secret or a folder."""
        return {
            SERVER: self.server,
            NODE: self.node,
            CA: self.ca_pem,
            PROXY: self.proxy,
            TOKEN: self.token,
            KEY: self.key_pem,
            RELEASE_KEY: self.release_key_pem,
        }

    def write_files(self, folder: Path) -> None:
        """Write every field as a file of mode 0600, the token last."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (SERVER, NODE, CA, PROXY, RELEASE_KEY, KEY, TOKEN):
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(self.values()[name])

    def connection(self, folder: Path) -> Connection:
        """Return a connection that reads the files in ``folder``, again whenever they change."""
        return Connection(
            server=self.server,
            ca_file=folder / CA if self.ca_pem else None,
            token_file=folder / TOKEN,
            namespace=f"hansa-node-{self.node}",
            proxy=self.proxy,
        )


def from_values(values: dict[str, str]) -> HubIdentity:
    """Return the identity in ``values``; raises ``Terminal`` naming what is missing."""
    missing = [name for name in FIELDS if name not in MAY_BE_EMPTY and not values.get(name)]
    if missing:
        raise Terminal(
            f"the identity lacks {', '.join(missing)}; remove it and run `hansa join` again",
            reason="NoIdentity",
        )
    return HubIdentity(
        node=values[NODE],
        server=values[SERVER],
        ca_pem=values.get(CA, ""),
        token=values[TOKEN],
        key_pem=values[KEY],
        release_key_pem=values[RELEASE_KEY],
        proxy=values.get(PROXY, ""),
    )


async def load(cluster: Cluster, namespace: str, name: str) -> HubIdentity:
    """Read the Secret; raises ``NotFound`` while the member has not joined, ``Terminal`` if spoilt."""
    secret = await cluster.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    try:
        held = secret.get("data") or {}
        values = {key: base64.b64decode(text).decode() for key, text in held.items()}
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Terminal(
            f"Secret {namespace}/{name} is spoilt: {error}", reason="NoIdentity"
        ) from error
    return from_values(values)


async def save(cluster: Cluster, namespace: str, name: str, identity: HubIdentity) -> None:
    """Create the Secret or replace its values."""
    collection = f"/api/v1/namespaces/{namespace}/secrets"
    body: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "hansa-member"}},
        "type": "Opaque",
        "data": _encoded(identity),
    }
    try:
        await cluster.create(collection, body)
    except Conflict:
        await update(cluster, namespace, name, identity)


async def update(cluster: Cluster, namespace: str, name: str, identity: HubIdentity) -> None:
    """Replace the values of the Secret: all the running agent may do to it."""
    path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
    await cluster.merge(path, {"data": _encoded(identity)})


def _encoded(identity: HubIdentity) -> dict[str, str]:
    return {k: base64.b64encode(v.encode()).decode() for k, v in identity.values().items()}
