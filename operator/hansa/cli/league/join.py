"""``hansa join``: the member's half of the double opt-in."""

from __future__ import annotations

from pathlib import Path

import click

from hansa.cli.lazy import load
from hansa.cli.league.naming import NodeName


@click.command
@click.option(
    "--node",
    required=True,
    type=NodeName(),
    help="Name of this institution's SovereignNode on the hub.",
)
@click.option("--hub-url", default="", help="URL of the hub's API server.")
@click.option(
    "--hub-kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Bootstrap kubeconfig the league handed out; may only read nodes.",
)
@click.option(
    "--proxy",
    default="",
    metavar="http://HOST:PORT",
    help="Proxy on the way to the hub, kept with the identity; else HTTPS_PROXY and NO_PROXY count.",
)
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Certificate authority of the hub's API server, PEM; nothing else is believed.",
)
@click.option(
    "--out",
    required=True,
    help="Where keys and token go: secret/NAMESPACE/NAME, or a folder.",
)
def join(
    *, node: str, hub_url: str, hub_kubeconfig: Path | None, proxy: str, ca: Path | None, out: str
) -> None:
    """Make the node's keys and fetch the token that the hub seals to them.

    The private keys never leave this cluster. The command prints their public halves: tell them to
    the hub's admin by another way, who runs ``hansa accept`` with what this command prints.
    """
    if not hub_url and hub_kubeconfig is None:
        raise click.UsageError(
            "give --hub-kubeconfig, or --hub-url with a token in HANSA_HUB_TOKEN"
        )
    way = load("hansa.member.hub_link.join:Way")(hub_url, hub_kubeconfig, proxy, ca)
    load("hansa.member.hub_link.join:main")(node=node, way=way, out=out)
