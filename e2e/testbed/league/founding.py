"""Founds a league the way its people would: accept a node, let it join, give it its policy.

Works on any clusters that have kubectl; which provider made them does not matter.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from e2e.testbed.host.clock import PATIENCE_S, wait_until

SYSTEM = "hansa-system"
"""Namespace of hub and member agents."""
IDENTITY = f"secret/{SYSTEM}/hansa-identity"
KEYS = re.compile(r"--identity-key (\S+) --release-key (\S+)")
"""In the command that ``hansa join`` prints for the hub's admin."""


class Cluster(Protocol):
    """What founding needs of a cluster."""

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of the cluster's admin."""
        ...

    def kubectl(self, *args: str | Path, stdin: str | None = None) -> str:
        """Run kubectl and return what it printed."""
        ...

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects, server side."""
        ...


class JoinError(RuntimeError):
    """``hansa join`` failed; the message carries what it printed."""


@dataclass(frozen=True, slots=True)
class HubKey:
    """The key that signs grants."""

    private_pem: str
    public_key: str
    """Raw public key, base64: what members name in ``trustedHubs``."""


def make_hub_key() -> HubKey:
    """Make a new Ed25519 key pair."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    raw = key.public_key().public_bytes_raw()
    return HubKey(pem.decode(), base64.b64encode(raw).decode())


def namespace(name: str, **labels: str) -> dict[str, Any]:
    """Return a Namespace; ``institution=x`` becomes the label ``hansa.dev/institution: x``."""
    named = {f"hansa.dev/{key}": value for key, value in labels.items()}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": named},
    }


def with_hub_key(policy: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a MemberPolicy that trusts the hub with this public key."""
    trusted = [{"name": "hub", "publicKey": key}]
    return {**policy, "spec": {**policy["spec"], "trustedHubs": trusted}}


def bootstrap_kubeconfig(hub: Cluster, path: Path) -> Path:
    """Write the kubeconfig that the league hands to a new member: it reads nodes by name, no more."""
    config = yaml.safe_load(hub.kubeconfig.read_text(encoding="utf-8"))
    token = hub.kubectl("create", "token", "hansa-join", "-n", SYSTEM, "--duration=10m").strip()
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def join(node: str, *, hub: Cluster, member: Cluster, bootstrap: Path) -> str:
    """Let a member join: it tells its keys, the admin accepts them, it fetches its token.

    Returns the identity key.
    """
    asking = subprocess.Popen(
        [
            *(sys.executable, "-m", "hansa", "join", "--node", node),
            *("--hub-kubeconfig", str(bootstrap), "--out", IDENTITY),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"KUBECONFIG": str(member.kubeconfig)},
    )
    said: list[str] = []
    identity_key, release_key = _read_keys(asking, said)
    accept(hub, node, identity_key, release_key)
    try:
        rest, _ = asking.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        asking.kill()
        rest, _ = asking.communicate()
    if asking.returncode:
        raise JoinError(f"{node} could not join: {''.join(said)}{rest}")
    return identity_key


def accept(hub: Cluster, node: str, identity_key: str, release_key: str) -> None:
    """Accept a node as the league's admin does with ``kubectl hansa accept``."""
    keys = {"identityKey": identity_key, "releaseKey": release_key}
    spec = {"spec": {"accepted": "Accepted", **keys}}
    hub.kubectl("patch", "sovereignnode", node, "--type=merge", "-p", json.dumps(spec))


def wait_node_ready(hub: Cluster, node: str) -> None:
    """Wait until the hub says that the node may take work."""
    last = [""]

    def ready() -> bool:
        got = json.loads(hub.kubectl("get", "sovereignnode", node, "-o", "json"))
        last[0] = json.dumps(got.get("status", {}), indent=1)
        conditions = got.get("status", {}).get("conditions", ())
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    try:
        wait_until(ready, what=f"node {node} to be ready", poll_s=0.5)
    except TimeoutError as late:
        raise TimeoutError(f"{late}; its status is {last[0]}") from late


def _read_keys(asking: subprocess.Popen[str], said: list[str]) -> tuple[str, str]:
    for line in asking.stdout or ():
        said.append(line)
        if found := KEYS.search(line):
            return found.group(1), found.group(2)
    asking.wait()
    raise JoinError(f"hansa join told no keys: {''.join(said)}")
