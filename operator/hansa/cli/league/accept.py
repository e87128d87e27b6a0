"""``hansa accept``: the league's half of the double opt-in."""

from __future__ import annotations

import re
from collections.abc import Mapping

import click

from hansa.api.kinds import SOVEREIGNNODE
from hansa.api.meta import P256_POINT, PUBLIC_KEY
from hansa.cli.access import Access, with_access
from hansa.cli.display import say
from hansa.cli.league.naming import NodeName
from hansa.errors import Terminal
from hansa.ports import Cluster

IDENTITY_KEY = re.compile(P256_POINT)
RELEASE_KEY = re.compile(PUBLIC_KEY)


@click.command
@click.argument("node", type=NodeName())
@click.option("--identity-key", required=True, help="What `hansa join` printed, base64.")
@click.option("--release-key", required=True, help="What `hansa join` printed beside it, base64.")
@click.option("--replace", is_flag=True, help="Pin other keys than those pinned now.")
@with_access
def accept(node: str, identity_key: str, release_key: str, replace: bool, access: Access) -> None:  # noqa: FBT001  # click passes options by name
    """Accept NODE into the league and pin its keys.

    Compare both with the institution by another way than the one they came by: whoever holds the
    first key is the node, and the second signs that its work has ended. Pinning another identity key
    ends all tokens of the node.
    """
    if not IDENTITY_KEY.fullmatch(identity_key):
        raise click.UsageError("--identity-key must be a P-256 point in base64: 44 characters")
    if not RELEASE_KEY.fullmatch(release_key):
        raise click.UsageError("--release-key must be 32 bytes in base64: 43 characters and '='")
    keys = {"identityKey": identity_key, "releaseKey": release_key}
    access.ask(lambda cluster: _accept(cluster, node, keys, replace=replace))
    say(f"{node} is accepted; its token will be sealed to {identity_key}.")


async def _accept(cluster: Cluster, node: str, keys: Mapping[str, str], *, replace: bool) -> None:
    path = SOVEREIGNNODE.path(name=node)
    spec = (await cluster.get(path))["spec"]
    for name, key in keys.items():
        if spec.get(name) not in {None, key} and not replace:
            raise Terminal(f"{node} is pinned to {spec[name]}; give --replace to pin another key")
    await cluster.merge(path, {"spec": {"accepted": "Accepted", **keys}})
