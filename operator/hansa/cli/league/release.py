"""``hansa release``: an institution that lost its hall frees its jobs by hand.

The same signed word that the member agent gives by itself. Without it the hub waits until each job's
unattended time has run out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from hansa.adapters.clock import SystemClock
from hansa.adapters.keys import Ed25519Signer
from hansa.api.kinds import SOVEREIGNNODE, WORKGRANT
from hansa.api.meta import JOB_NAME_LABEL, JOB_NAMESPACE_LABEL
from hansa.cli.access import Access, with_access
from hansa.cli.display import say, show_table
from hansa.cli.league.naming import NodeName
from hansa.errors import NotFound, Terminal
from hansa.ports import Clock, Cluster, Manifest
from hansa.reconcile.fencing import sign_release
from hansa.reconcile.hub.node_access import namespace_of
from hansa.reconcile.member import grant_status
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.grant_status import Stamp

WARNING = (
    "You sign that nothing of these runs is left at {node}. If that is wrong, a job may run twice."
)


@click.command
@click.argument("node", type=NodeName())
@click.option(
    "--key",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The node's release key: release.key of the Secret that `hansa join` made.",
)
@click.option("--job", "jobs", multiple=True, help="NAMESPACE/NAME; default: all jobs at the node.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_access
def release(node: str, key: Path, jobs: tuple[str, ...], yes: bool, access: Access) -> None:  # noqa: FBT001  # click passes options by name
    """Sign that nothing runs any more at NODE, for an institution whose cluster is gone.

    The hub then grants these jobs elsewhere at once, instead of waiting for their unattended time.
    """
    signer, clock = Ed25519Signer.from_file(key), SystemClock()
    held = access.ask(lambda cluster: _held(cluster, node, signer, set(jobs)))
    if not held:
        say(f"{node} holds none of these jobs.")
        return
    show_table(f"held by {node}", ("job", "epoch"), [(_job(g), _epoch(g)) for g in held])
    say(WARNING.format(node=node))
    if not yes:
        click.confirm("Sign?", abort=True)
    access.ask(lambda cluster: _release(cluster, clock, signer, held))
    say(f"released: {len(held)}")


async def _held(
    cluster: Cluster, node: str, signer: Ed25519Signer, jobs: set[str]
) -> list[Manifest]:
    page = await cluster.list(WORKGRANT.path(namespace_of(node)))
    is_pinned = await _pinned(cluster, node) == signer.public_key
    theirs = list(_unreleased(page.items))
    grants = [g for g in theirs if is_pinned or g["spec"].get("audience") == signer.key_id]
    if not grants and (theirs or not is_pinned):
        raise Terminal(
            f"--key is not the release key that is pinned for {node}, nor is anything that {node} holds"
            " addressed to it; the hub would not obey"
        )
    unknown = sorted(jobs - {_job(grant) for grant in grants})
    if unknown:
        raise Terminal(f"{node} holds no {unknown[0]}; without --job all it holds are listed")
    return [grant for grant in grants if not jobs or _job(grant) in jobs]


async def _pinned(cluster: Cluster, node: str) -> str:
    """Return the key that is pinned for a node; empty where the node has left the league."""
    try:
        return str((await cluster.get(SOVEREIGNNODE.path(name=node)))["spec"].get("releaseKey"))
    except NotFound:
        return ""


def _unreleased(grants: list[Manifest]) -> Iterator[Manifest]:
    for grant in sorted(grants, key=lambda grant: (_job(grant), _epoch(grant))):
        told = grant_status.reported(grant)
        if not told.released and told.accepted is not False:
            yield grant


async def _release(
    cluster: Cluster, clock: Clock, signer: Ed25519Signer, grants: list[Manifest]
) -> None:
    for grant in grants:
        now_s, spec, meta = clock.now(), grant["spec"], grant["metadata"]
        node, uid = spec["node"], spec["job"]["uid"]
        word = sign_release(signer, node=node, job_uid=uid, epoch=_epoch(grant), now_s=now_s)
        stamp = Stamp(now_s, int((grant.get("status") or {}).get("policyGeneration", 0)))
        patch = grant_status.released(grant, EndReason.OUT_OF_BAND, word, stamp)
        patch["metadata"] = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        await cluster.merge(WORKGRANT.path(meta["namespace"], meta["name"]) + "/status", patch)


def _job(grant: Manifest) -> str:
    labels = grant["metadata"].get("labels") or {}
    return f"{labels.get(JOB_NAMESPACE_LABEL, '')}/{labels.get(JOB_NAME_LABEL, '')}"


def _epoch(grant: Manifest) -> int:
    return int(grant["spec"]["epoch"])
