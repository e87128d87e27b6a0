"""``hansa accept``: the league's half of the double opt-in."""

from __future__ import annotations

import re

import click

from hansa.api.kinds import SOVEREIGNNODE
from hansa.cli.access import Access, with_access
from hansa.cli.display import say
from hansa.errors import Terminal
from hansa.ports import Cluster

FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")


@click.command
@click.argument("node")
@click.option("--fingerprint", required=True, help="What `hansa join` printed: sha256:…")
@click.option("--replace", is_flag=True, help="Pin another key than the one pinned now.")
@with_access
def accept(node: str, fingerprint: str, replace: bool, access: Access) -> None:  # noqa: FBT001  # click passes options by name
    """Accept NODE into the league and pin its key.

    Compare the fingerprint with the institution by another way than the one it came by: whoever
    holds that key is the node.
    """
    if not FINGERPRINT.fullmatch(fingerprint):
        raise click.UsageError("--fingerprint must be sha256: and 64 hexadecimal digits")
    access.ask(lambda cluster: _accept(cluster, node, fingerprint, replace=replace))
    say(f"{node} is accepted; its certificate request will be signed for {fingerprint}.")


async def _accept(cluster: Cluster, node: str, fingerprint: str, *, replace: bool) -> None:
    path = SOVEREIGNNODE.path(name=node)
    pinned = (await cluster.get(path))["spec"].get("keyFingerprint")
    if pinned not in {None, fingerprint} and not replace:
        raise Terminal(f"{node} is pinned to {pinned}; give --replace to pin another key")
    await cluster.merge(path, {"spec": {"accepted": "Accepted", "keyFingerprint": fingerprint}})
