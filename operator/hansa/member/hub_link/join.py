"""``hansa join``: make the node's keys, fetch the token that the hub seals to them, keep the result.

What is made is kept at once, so a join that was interrupted goes on with the same keys, and what the
admin was told stays true.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from hansa.adapters.clock import SystemClock
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.authorities import certificates
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import SERVICE_ACCOUNT, Connection, from_kubeconfig, with_token
from hansa.adapters.kube.proxies import checked, connect, through
from hansa.adapters.sealing import IdentityKey
from hansa.api.kinds import SOVEREIGNNODE
from hansa.errors import HansaError, NotFound, Retryable, Terminal
from hansa.member.hub_link import identity
from hansa.member.hub_link.identity import HubIdentity
from hansa.member.hub_link.tokens import AsNode, facts_of, objection, renewed
from hansa.ports import Cluster, Manifest

DEFAULT_TOKEN_S = 30 * 86_400
POLL_S = 2.0
RIGHTS_TRIES = 30
FINAL = {"NodeRejected", "BadCredentials"}
"""What no waiting for the hub's admin sets right."""


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


async def enrol(  # who asks, for whom, where it is kept, how it is tried
    hub: Cluster,
    as_node: AsNode,
    keeper: Keeper,
    fresh: HubIdentity,
    *,
    seconds: int = DEFAULT_TOKEN_S,
    poll_s: float = POLL_S,
) -> HubIdentity:
    """Join: 1. keep the keys, 2. tell them, 3. wait for a first token, 4. exchange it, 5. keep that.

    The first token is sealed by the hub to the keys that a person told its admin. ``fresh`` holds new
    keys; those of an interrupted join win over them.
    """
    begun = await keeper.load()
    way = {"server": fresh.server, "ca_pem": fresh.ca_pem, "proxy": fresh.proxy}
    held = fresh if begun is None else replace(begun, **way)
    if begun is not None and begun.node != fresh.node:
        raise Terminal(f"this place holds the identity of node {begun.node}", reason="WrongNode")
    if begun is None:
        await keeper.save(held)
    _say(_instructions(held))
    first = await _first_token(hub, held, poll_s)
    token = await _lasting_token(as_node, held.node, first, seconds, poll_s)
    joined = replace(held, token=token)
    await keeper.save(joined)
    return joined


async def _first_token(hub: Cluster, held: HubIdentity, poll_s: float) -> str:
    """Return the token sealed to our key, once there is one; say each reason to wait once."""
    said = ""
    while True:
        try:
            return sealed_token(await hub.get(SOVEREIGNNODE.path(name=held.node)), held)
        except (NotFound, Retryable, Terminal) as error:
            if isinstance(error, Terminal) and error.reason in FINAL:
                raise
            if str(error) != said:
                said = str(error)
                _say(f"Not yet: {said}")
        await asyncio.sleep(poll_s)


def sealed_token(node: Manifest, held: HubIdentity) -> str:
    """Return the token in a SovereignNode; raises ``Retryable`` while there is none for our key.

    Raises ``Terminal`` for one that is not to be used, which another may follow.
    """
    spec, status = node.get("spec"), node.get("status")
    spec, status = (part if isinstance(part, dict) else {} for part in (spec, status))
    if spec.get("accepted") == "Rejected":
        text = f"the hub's admin has rejected node {held.node}"
        raise Terminal(text, reason="NodeRejected")
    said, ours = status.get("identity"), held.key.public_key
    if spec.get("accepted") != "Accepted" or spec.get("identityKey") != ours:
        raise Retryable("the hub's admin has not accepted this key yet")
    if not isinstance(said, dict) or said.get("key") != ours:
        raise Retryable("the hub has sealed no token to this key yet")
    token = held.key.open(str(said.get("sealed", "")), node=held.node)
    wrong = objection(facts_of(token), None, node=held.node, now_s=SystemClock().now())
    if wrong:
        raise Terminal(
            f"the token that the hub sealed is not to be used: {wrong}", reason="NoToken"
        )
    return token


async def _lasting_token(
    as_node: AsNode, node: str, first: str, seconds: int, poll_s: float
) -> str:
    """Exchange the first token; the hub may need a moment to give the account its rights."""
    last: HansaError | None = None
    for _ in range(RIGHTS_TRIES):
        try:
            async with as_node(first) as hub:
                return await renewed(
                    hub,
                    as_node,
                    node=node,
                    held=first,
                    seconds=seconds,
                    now_s=SystemClock().now(),
                )
        except HansaError as error:
            last = error
        await asyncio.sleep(poll_s)
    raise Terminal(f"the first token could not be exchanged: {last}", reason="NoToken") from last


def new_identity(node: str, hub: Connection) -> HubIdentity:
    """Return an identity with new keys and no token yet."""
    return HubIdentity(
        node=node,
        server=hub.server,
        ca_pem=hub.ca_pem,
        token=identity.PENDING,
        key_pem=IdentityKey.generate().private_pem(),
        release_key_pem=Ed25519Signer.generate().private_pem().decode(),
        proxy=hub.proxy,
    )


@dataclass(frozen=True, slots=True)
class Way:
    """How a member reaches the hub for the first time, as the command line says it."""

    url: str = ""
    kubeconfig: Path | None = None
    proxy: str = ""
    authority: Path | None = None


def main(*, node: str, way: Way, out: str) -> None:
    """Run the join from the command line; ends the process with a message when it cannot."""
    try:
        asyncio.run(_join(node, _bootstrap(way), out))
    except Terminal as error:
        sys.exit(f"hansa join: {error}")


async def _join(node: str, hub: Connection, out: str) -> None:
    clock, there = SystemClock(), through(hub, os.environ)

    def as_node(token: str) -> KubeCluster:
        return KubeCluster(with_token(there, token), clock=clock, agent="hansa-join")

    async with KubeCluster(there, clock=clock, agent="hansa-join") as cluster:
        kind, _, rest = out.partition("/")
        if kind != "secret" or rest.count("/") != 1:
            await enrol(cluster, as_node, FolderKeeper(Path(out)), new_identity(node, hub))
        else:
            namespace, name = rest.split("/")
            async with KubeCluster(_own_cluster(), clock=clock, agent="hansa-join") as own:
                keeper = SecretKeeper(own, namespace, name)
                await enrol(cluster, as_node, keeper, new_identity(node, hub))
    _say(f"Joined. The identity of node {node} is in {out}; the token renews itself.")


def _bootstrap(way: Way) -> Connection:
    """Return how to reach the hub; raises ``Terminal`` where that is not said, or cannot be."""
    if way.kubeconfig is not None:
        held = from_kubeconfig(way.kubeconfig)
        found = replace(held, server=way.url.rstrip("/")) if way.url else held
    else:
        token = os.environ.get("HANSA_HUB_TOKEN", "")
        if not token or not way.url:
            raise Terminal("give --hub-kubeconfig, or --hub-url with a token in HANSA_HUB_TOKEN")
        if not _is_https(way.url):
            raise Terminal(f"--hub-url {way.url}: give https://HOST:PORT; the token goes there")
        authority = os.environ.get("HANSA_HUB_CA_FILE", "")
        found = Connection(
            server=way.url.rstrip("/"), token=token, ca_file=Path(authority) if authority else None
        )
    if way.authority is not None:
        found = replace(found, ca_file=way.authority, ca_pem="")
    found = replace(found, ca_pem=_read_authority(found), ca_file=None)
    return replace(found, proxy=checked(way.proxy)) if way.proxy else found


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and has_port


def _read_authority(hub: Connection) -> str:
    """Return the hub's authority, PEM; empty: those that the system trusts.

    Raises ``Terminal`` where it is no certificate: no hub would ever be believed.
    """
    if hub.ca_file is None and not hub.ca_pem:
        return ""
    try:
        return certificates(hub.ca_file.read_bytes() if hub.ca_file else hub.ca_pem)
    except (OSError, ValueError) as error:
        where = hub.ca_file or "the authority in the kubeconfig"
        raise Terminal(f"{where} is no certificate authority: {error}") from error


def _own_cluster() -> Connection:
    named = os.environ.get("KUBECONFIG", "")
    home = Path.home() / ".kube" / "config"
    in_pod = not named and (SERVICE_ACCOUNT / "token").exists()
    return connect(None if in_pod else Path(named or home), os.environ)


def _instructions(held: HubIdentity) -> str:
    identity_key, release_key = held.key.public_key, held.signer.public_key
    return (
        f"These are the public keys of node {held.node}.\n"
        f"Identity key: {identity_key}\n"
        f"Release key: {release_key}\n"
        "Tell both to the hub's admin by another way than this connection; they run\n"
        f"  hansa accept {held.node} --identity-key {identity_key} --release-key {release_key}\n"
        "Waiting for the answer …"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
