"""``kubectl hansa receipts``: what a job's runs used, as their members signed it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack

import click
import orjson

from hansa.api.kinds import MEMBERPOLICY, SOVEREIGNNODE
from hansa.api.meta import UID
from hansa.cli.access import Access, with_access
from hansa.cli.display import FORMATS, Section, plain, save, show, with_output
from hansa.cli.jobs.naming import job_path
from hansa.errors import Terminal
from hansa.grants.envelope import key_id
from hansa.ports import Cluster, Manifest
from hansa.receipts.bundle import Bundle, BundledReceipt, Disputed
from hansa.receipts.envelope import digest, peek, read_envelope
from hansa.receipts.work_receipt import WorkReceipt

if TYPE_CHECKING:
    from hansa.adapters.kube.client import KubeCluster


class _Where(TypedDict):
    namespace: str
    at_member: str
    database: str | None
    log: Path | None
    index: Path | None


class _Found(NamedTuple):
    bundle: Bundle
    doubtful: Sequence[str] = ()
    """Runs of the job on which nobody should rely."""


COLUMNS = (
    *("NODE", "NUMBER", "RUN", "PART", "FROM", "TO", "GPU SECONDS", "CPU MILLISECONDS", "JOULES"),
    *("END", "SIGNATURES"),
)
PAGES = re.compile(r"hansa-receipts-[0-9]+")
TOLD = "hansa-receipts-told"
"""What the ledger has handed the member, as its agent keeps it."""


@click.command
@click.argument("job")
@click.option("-n", "--namespace", default="", help="Namespace of the job; default: the context's.")
@click.option(
    "--at-member",
    metavar="NAMESPACE",
    default="",
    help="Read what a member keeps, in its agent's namespace; the context is the member's, and JOB a uid.",
)
@click.option(
    "--database",
    envvar="HANSA_LEDGER_DATABASE__URL",
    help="Read what the ledger keeps, at this URL of its database; JOB is NAMESPACE/NAME or a uid.",
)
@click.option(
    "--log",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --database: folder of the transparency log, for the proof of each receipt.",
)
@click.option(
    "--index",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --log: the log's index of leaves; default: leaves.db beside its folder.",
)
@click.option(
    "--bundle",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write them into a file that `hansa verify` checks.",
)
@with_output
@with_access
def receipts(
    job: str, file: Path | None, output: str, access: Access, **where: Unpack[_Where]
) -> None:
    """List the receipts of JOB's runs, a name on the hub or a uid.

    On the hub these are receipts on their way: what the ledger has taken, it keeps (--database), with
    its countersignatures and disputes. A member keeps all that it signed, for as long as there is room.
    """
    bundle, doubtful = _found(job, access, where)
    if file is not None:
        save(file, bundle.model_dump_json(by_alias=True, exclude_none=True).encode())
        click.echo(f"{len(bundle.receipts)} receipts written to {file}")
        return
    if output in FORMATS:
        listed = Section("Receipts", COLUMNS, [*rows(bundle)])
        show([listed, Section("Doubtful runs", lines=doubtful)], output)
        return
    for line in (*lines(bundle), *map(doubt, doubtful)):
        click.echo(plain(line))


def doubt(run: str) -> str:
    """Return what to say of a run on which nobody should rely."""
    return f"run {run}: Doubtful, its node was found to have cheated, in it or in another run"


def _found(job: str, access: Access, where: _Where) -> _Found:
    at_member, database, space = where["at_member"], where["database"], where["namespace"]
    if where["index"] and not where["log"]:
        raise Terminal("--index belongs to a log: name its folder with --log too")
    if at_member and where["log"]:
        raise Terminal(
            "--log is the ledger's and --at-member the member's: ask one after the other"
        )
    if at_member and not re.fullmatch(UID, job):
        raise Terminal(
            f"a member knows jobs by uid, which `kubectl get aijob {job} -o yaml` tells at the hub"
        )
    if at_member:
        return _Found(access.ask(lambda cluster: _of_member(cluster, job, at_member)))
    if database:
        # Imported here: who asks a cluster needs no database.
        from hansa.cli.receipts.kept import kept_bundle  # noqa: PLC0415

        name = f"{space}/{job}" if space else job
        return _Found(*kept_bundle(name, database, where["log"], where["index"]))
    if where["log"]:
        raise Terminal("--log and --index are the ledger's: name its --database too")
    return access.ask(lambda cluster: _of_hub(cluster, job, space))


async def _of_hub(cluster: KubeCluster, job: str, namespace: str) -> _Found:
    uid, runs = job, ()
    if not re.fullmatch(UID, job):
        thing = await cluster.get(job_path(job, namespace, cluster.namespace))
        uid = str(thing["metadata"]["uid"])
        runs = ((thing.get("status") or {}).get("assurance") or {}).get("doubtful") or ()
    nodes = (await cluster.list(SOVEREIGNNODE.path())).items
    found = (one for node in nodes for one in _outbox(node))
    pinned = [str((node.get("spec") or {}).get("releaseKey") or "") for node in nodes]
    return _Found(_bundle(uid, found, pinned), tuple(map(str, runs)))


async def _of_member(cluster: Cluster, uid: str, namespace: str) -> Bundle:
    maps = (await cluster.list(f"/api/v1/namespaces/{namespace}/configmaps")).items
    found = (
        line
        for one in maps
        if PAGES.fullmatch(one["metadata"]["name"])
        for line in (one.get("data") or {}).values()
    )
    policy = await cluster.get(MEMBERPOLICY.path(name="local"))
    hubs = (policy.get("spec") or {}).get("trustedHubs") or ()
    made = _bundle(uid, found, [str(hub.get("publicKey") or "") for hub in hubs])
    told = next((one.get("data") or {} for one in maps if one["metadata"]["name"] == TOLD), {})
    return made.model_copy(update={"receipts": tuple(_with_told(made.receipts, told))})


def _with_told(
    receipts: Iterable[BundledReceipt], told: Mapping[str, str]
) -> Iterator[BundledReceipt]:
    """Add what the ledger has handed this member: what it disputes, and the proof of the newest receipt."""
    proved = orjson.loads(told.get("proved") or "{}")
    disputes: dict[str, list[Disputed]] = {}
    for key, line in told.items():
        if key != "proved":
            row = orjson.loads(line)
            said = Disputed(fault=row["fault"], field=row["field"], message=row["message"])
            disputes.setdefault(row["digest"], []).append(said)
    for one in receipts:
        name = digest(one.envelope)
        proof = proved.get("proof") if proved.get("digest") == name else None
        differences = tuple(disputes.get(name, ()))
        yield one.model_copy(update={"proof": proof, "differences": differences})


def _outbox(node: Manifest) -> Iterator[object]:
    yield from ((node.get("status") or {}).get("receipts") or {}).get("outbox") or ()


def _bundle(uid: str, found: Iterable[object], public_keys: Iterable[str]) -> Bundle:
    envelopes = [envelope for one in found if (envelope := read_envelope(one)) is not None]
    mine = [
        (receipt.work.node, receipt.sequence, envelope)
        for envelope in envelopes
        if (receipt := peek(envelope)) is not None and receipt.work.job_uid == uid
    ]
    mine.sort(key=lambda row: row[:2])
    return Bundle(
        receipts=tuple(BundledReceipt(envelope=envelope) for *_, envelope in mine),
        keys={key_id(base64.b64decode(key)): key for key in public_keys if key},
    )


def lines(bundle: Bundle) -> Iterator[str]:
    """Yield a receipt a line, in words; what is signed falsely is found by `hansa verify`."""
    if not bundle.receipts:
        yield "no receipts here: none was signed yet, or the ledger has taken them"
    for bundled in bundle.receipts:
        receipt = peek(bundled.envelope)
        if receipt is not None:
            yield _line(receipt, signatures=len(bundled.envelope.signatures))


def rows(bundle: Bundle) -> Iterator[tuple[object, ...]]:
    """Yield the same for programs."""
    for bundled in bundle.receipts:
        receipt = peek(bundled.envelope)
        if receipt is not None:
            used = receipt.usage
            yield (
                *(receipt.work.node, receipt.sequence, receipt.work.epoch, receipt.part),
                *(receipt.start, receipt.end, used.gpu_seconds, used.cpu_milliseconds),
                *(used.energy_joules, receipt.end_reason, len(bundled.envelope.signatures)),
            )


def _line(receipt: WorkReceipt, *, signatures: int) -> str:
    used = receipt.usage
    energy = "" if used.energy_joules is None else f", {used.energy_joules} J"
    end = f", the last: {receipt.end_reason}" if receipt.last else ""
    both = ", countersigned" if signatures > 1 else ""
    return (
        f"{receipt.work.node} {receipt.sequence}: run {receipt.work.epoch}, part {receipt.part},"
        f" {receipt.start} to {receipt.end}, {used.gpu_seconds} GPU-seconds,"
        f" {used.cpu_milliseconds // 1000} CPU-seconds{energy}{end}{both}"
    )
