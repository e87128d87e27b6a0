"""``hansa release-result``: a data owner lets a result go that waits at the member, or refuses."""

from __future__ import annotations

from pathlib import Path

import click

from hansa.adapters.keys import Ed25519Signer
from hansa.cli.access import Access, with_access
from hansa.cli.display import say, show_table
from hansa.errors import NotFound, Terminal
from hansa.grants import held_result, held_secret
from hansa.grants.envelope import sign
from hansa.grants.held_secret import Kept
from hansa.ports import Cluster, Manifest

SHOWN = """Result of {job}, epoch {epoch}, for {institution}; data: {data}; kept until {until}.
{bytes} bytes, {digest}:
{result}"""


@click.command
@click.argument("run", default="")
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The owner's private key, as `hansa keygen` made it; without it the result is shown.",
)
@click.option("--refuse", is_flag=True, help="Have the result deleted; needs no key.")
@click.option("--namespace", default="hansa-system", show_default=True, help="The agent's.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_access
def release_result(
    run: str, access: Access, namespace: str, *, key: Path | None, refuse: bool, yes: bool
) -> None:
    """Show the result of RUN that waits at this member, and sign its release.

    Without RUN all that wait are listed. The member gives a result out when an owner of each data
    set whose exports say OnRelease has signed; no hub can.
    """
    secret = access.ask(lambda cluster: _read(cluster, namespace))
    if not run:
        _list(secret)
        return
    kept = held_secret.read(secret, run)
    if kept is None:
        raise Terminal(f"no result of {run} waits here; without RUN all that do are listed")
    say(_shown(kept))
    patch = _answer(kept, key, refuse=refuse)
    if patch is None:
        return
    if not yes:
        click.confirm("Delete it?" if refuse else "Sign its release?", abort=True)
    access.ask(lambda cluster: cluster.merge(held_secret.path(namespace), patch))
    say("refused" if refuse else "signed; the agent gives it out when all owners have")


def _answer(kept: Kept, key: Path | None, *, refuse: bool) -> Manifest | None:
    if refuse and key is not None:
        raise Terminal("give --key or --refuse, not both")
    if refuse:
        return held_secret.refusal(kept.held)
    if key is None:
        return None
    key_id, signature = sign(Ed25519Signer.from_file(key), held_result.message(kept.held))
    return held_secret.signature(kept.held, key_id, signature)


async def _read(cluster: Cluster, namespace: str) -> Manifest:
    try:
        return await cluster.get(held_secret.path(namespace))
    except NotFound:
        return {}


def _list(secret: Manifest) -> None:
    kept = [(run, held_secret.read(secret, run)) for run in held_secret.runs(secret)]
    rows = [
        (run, f"{one.held.job.namespace}/{one.held.job.name}", one.held.institution, one.held.until)
        if one is not None
        else (run, "spoilt", "", "")
        for run, one in kept
    ]
    show_table("results that wait", ("run", "job", "for", "until"), rows)


def _shown(kept: Kept) -> str:
    held = kept.held
    return SHOWN.format(
        job=f"{held.job.namespace}/{held.job.name}",
        epoch=held.epoch,
        institution=held.institution,
        data=", ".join(held.datasets) or "none",
        until=held.until,
        bytes=held.bytes,
        digest=held.digest,
        result=kept.result,
    )
