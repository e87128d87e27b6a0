"""``hansa join``: make the node's keys, ask the hub for a certificate, keep the result.

What is made is kept at once, so a join that was interrupted goes on with the same key and the
fingerprint the admin was told stays true.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from hansa.adapters.clock import SystemClock
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import SERVICE_ACCOUNT, Connection, connect, from_kubeconfig
from hansa.errors import NotFound, Terminal
from hansa.member.hub_link import certificates, identity
from hansa.member.hub_link.identity import HubIdentity
from hansa.ports import Cluster

DEFAULT_CERTIFICATE_S = 30 * 86_400
PENDING = "pending"
"""Stands for the certificate until the hub has signed it."""


class Keeper(Protocol):
    """Where the identity is kept."""

    async def load(self) -> HubIdentity | None:
        """Return what an earlier, interrupted join kept."""
        ...

    async def save(self, held: HubIdentity) -> None:
        """Keep it."""
        ...


class SecretKeeper:
    """Keeps the identity in a Secret of the member's own cluster."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        """``name``: the Secret's."""
        self._cluster, self._namespace, self._name = cluster, namespace, name

    async def load(self) -> HubIdentity | None:
        """Return the Secret's identity, or None when there is no Secret."""
        try:
            return await identity.load(self._cluster, self._namespace, self._name)
        except NotFound:
            return None

    async def save(self, held: HubIdentity) -> None:
        """Write the Secret."""
        await identity.save(self._cluster, self._namespace, self._name, held)


class FolderKeeper:
    """Keeps the identity as files, for whoever makes the Secret by other means."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is made with mode 0700."""
        self._folder = folder

    async def load(self) -> HubIdentity | None:
        """Return the folder's identity, or None when it holds none."""
        found = {n: (self._folder / n) for n in identity.FIELDS if (self._folder / n).exists()}
        if identity.KEY not in found:
            return None
        return identity.from_values({name: path.read_text() for name, path in found.items()})

    async def save(self, held: HubIdentity) -> None:
        """Write the files."""
        held.write_files(self._folder)


async def enrol(
    hub: Cluster,
    keeper: Keeper,
    fresh: HubIdentity,
    *,
    seconds: int = DEFAULT_CERTIFICATE_S,
    poll_s: float = certificates.POLL_S,
) -> HubIdentity:
    """Join: 1. keep the keys, 2. ask, 3. tell a person the fingerprint, 4. wait, 5. keep the answer.

    ``fresh`` holds new keys; those of an interrupted join win over them.
    """
    begun = await keeper.load()
    held = fresh if begun is None else replace(begun, server=fresh.server, ca_pem=fresh.ca_pem)
    if begun is not None and begun.node != fresh.node:
        raise Terminal(f"this place holds the identity of node {begun.node}", reason="WrongNode")
    if begun is None:
        await keeper.save(held)
    pair = certificates.load_key(held.key_pem)
    await certificates.submit(hub, certificates.request_manifest(held.node, pair, seconds=seconds))
    _say(_instructions(held, pair.fingerprint))
    name = certificates.request_name(held.node, pair)
    certificate = await certificates.wait_for(hub, name, poll_s=poll_s)
    joined = replace(held, certificate_pem=certificate)
    await keeper.save(joined)
    return joined


def new_identity(node: str, hub: Connection) -> HubIdentity:
    """Return an identity with new keys and no certificate yet."""
    return HubIdentity(
        node=node,
        server=hub.server,
        ca_pem=hub.ca_pem or (hub.ca_file.read_text() if hub.ca_file else ""),
        certificate_pem=PENDING,
        key_pem=certificates.new_key().private_pem,
        release_key_pem=Ed25519Signer.generate().private_pem().decode(),
    )


def main(*, node: str, hub_url: str, hub_kubeconfig: Path | None, out: str) -> None:
    """Run the join from the command line; ends the process with a message when it cannot."""
    try:
        asyncio.run(_join(node, _bootstrap(hub_url, hub_kubeconfig), out))
    except Terminal as error:
        sys.exit(f"hansa join: {error}")


async def _join(node: str, hub: Connection, out: str) -> None:
    clock = SystemClock()
    async with KubeCluster(hub, clock=clock, agent="hansa-join") as cluster:
        kind, _, rest = out.partition("/")
        if kind != "secret" or rest.count("/") != 1:
            await enrol(cluster, FolderKeeper(Path(out)), new_identity(node, hub))
        else:
            namespace, name = rest.split("/")
            async with KubeCluster(_own_cluster(), clock=clock, agent="hansa-join") as own:
                keeper = SecretKeeper(own, namespace, name)
                await enrol(cluster, keeper, new_identity(node, hub))
    _say(f"Joined. The identity of node {node} is in {out}; the certificate renews itself.")


def _bootstrap(hub_url: str, hub_kubeconfig: Path | None) -> Connection:
    if hub_kubeconfig is not None:
        held = from_kubeconfig(hub_kubeconfig)
        return replace(held, server=hub_url.rstrip("/")) if hub_url else held
    token = os.environ.get("HANSA_HUB_TOKEN", "")
    if not token or not urlsplit(hub_url).hostname:
        raise Terminal("give --hub-kubeconfig, or --hub-url with a token in HANSA_HUB_TOKEN")
    authority = os.environ.get("HANSA_HUB_CA_FILE", "")
    return Connection(
        server=hub_url.rstrip("/"), token=token, ca_file=Path(authority) if authority else None
    )


def _own_cluster() -> Connection:
    named = os.environ.get("KUBECONFIG", "")
    home = Path.home() / ".kube" / "config"
    in_pod = not named and (SERVICE_ACCOUNT / "token").exists()
    return connect(None if in_pod else Path(named or home), os.environ)


def _instructions(held: HubIdentity, fingerprint: str) -> str:
    key = held.signer.public_key
    return (
        f"Asked the hub to sign the key of node {held.node}.\n"
        f"Fingerprint: {fingerprint}\n"
        f"Release key: {key}\n"
        "Tell both to the hub's admin by another way than this connection; they run\n"
        f"  hansa accept {held.node} --fingerprint {fingerprint} --release-key {key}\n"
        "Waiting for the answer …"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
