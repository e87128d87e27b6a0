"""The hub's side of a receipt: it signs what agrees with its own record, and names what does not.

What the hub knows by itself is the grant and when it learnt of things: no word of the member's is
needed for it. How a run ended it was told by the member, before its last receipt: both have to say the same. Times may differ by the skew allowed and by how late news travelled; nothing else may. Nothing is held behind the moment
at which the hub heard that the run had ended, nor for longer than its job allowed.
Where they disagree both versions are kept: the envelope as it came, and the difference beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hansa.api.node.receipts import ReceiptEnvelope as Envelope
from hansa.model.times import rfc3339
from hansa.ports import Signer
from hansa.receipts.envelope import Opened, cosign
from hansa.receipts.work_receipt import Price, Work, WorkReceipt, held_until_s


@dataclass(frozen=True, slots=True)
class Ending:
    """How the hub saw a run end."""

    reason: str
    """Why, as its member told."""
    result_digest: str = ""
    """SHA-256 of the result that its owner was told; empty: none was."""
    held: bool = False
    """Whether a result waits at the member for its release, or did."""
    cancelled: bool = False
    """Whether the hub had asked to stop it."""
    told_s: int | None = None
    """When the hub heard of it, in seconds since the Unix epoch; None: nobody knows."""


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """What the hub granted and saw, in words of its own. Times in seconds since the Unix epoch."""

    node: str
    node_key: str
    institution: str
    project: str
    """Empty: none."""
    job_uid: str
    epoch: int
    spec_digest: str
    image_digest: str
    data_sets: tuple[str, ...]
    jurisdiction: str
    gpu_classes: tuple[str, ...]
    """Any of which the grant allows; none: it asks for no GPUs."""
    gpus: int
    cpu_millis: int
    price: Price | None
    """By the tariff that was valid when the run began; None: the hub knows none."""
    granted_s: int
    over_s: int | None = None
    """When it is over at the latest, by what was granted; None: the record does not tell."""
    accepted_by_s: int | None = None
    """Until when it could be accepted; None: the record does not tell."""
    league: str | None = None
    """Key of the hub that granted it; None: the record does not tell."""
    purpose: str | None = None
    """Purpose by which the data was released to it; empty: none was asked for; None: not told."""
    ending: Ending | None = None
    """None: the hub has not seen it end."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which the two disagree."""

    field: str
    member: str
    hub: str


def differences(
    receipt: WorkReceipt, record: GrantRecord, *, skew_s: float
) -> tuple[Difference, ...]:
    """Return everything in which a receipt departs from the hub's record; nothing: they agree."""
    return (
        *_of_work(receipt.work, record),
        *_of_time(receipt, record, skew_s),
        *_of_end(receipt, record.ending),
    )


def countersign(
    opened: Opened, record: GrantRecord, *, signer: Signer, skew_s: float
) -> Envelope | tuple[Difference, ...]:
    """Return the envelope with the hub's signature, or in what the hub does not agree."""
    found = differences(opened.receipt, record, skew_s=skew_s)
    return found or cosign(opened.envelope, signer)


def _of_work(work: Work, record: GrantRecord) -> Iterator[Difference]:
    classes = work.gpu_class in record.gpu_classes if record.gpus else work.gpu_class is None
    price = record.price is None or work.price == record.price
    league, purpose = record.league in {None, work.league}, record.purpose in {None, work.purpose}
    for field, member, hub, agree in (
        ("node", work.node, record.node, None),
        ("nodeKey", work.node_key, record.node_key, None),
        ("institution", work.institution, record.institution, None),
        ("project", work.project or "", record.project, None),
        ("jobUid", work.job_uid, record.job_uid, None),
        ("epoch", work.epoch, record.epoch, None),
        ("specDigest", work.spec_digest, record.spec_digest, None),
        ("imageDigest", work.image_digest, record.image_digest, None),
        ("dataSets", sorted(work.data_sets), sorted(record.data_sets), None),
        ("jurisdiction", work.jurisdiction, record.jurisdiction, None),
        ("gpuClass", work.gpu_class, record.gpu_classes, classes),
        ("gpus", work.gpus, record.gpus, None),
        ("cpuMillis", work.cpu_millis, record.cpu_millis, None),
        ("price", work.price, record.price, price),
        ("league", work.league, record.league, league),
        ("purpose", work.purpose, record.purpose, purpose),
    ):
        if not (member == hub if agree is None else agree):
            yield Difference(field, str(member), str(hub))


def _of_time(receipt: WorkReceipt, record: GrantRecord, skew_s: float) -> Iterator[Difference]:
    if receipt.start_s < record.granted_s - skew_s:
        yield Difference("start", str(receipt.start_s), str(record.granted_s))
    told_s = None if record.ending is None else record.ending.told_s
    latest_s = min((at_s for at_s in (record.over_s, told_s) if at_s is not None), default=None)
    held_s = held_until_s(receipt)
    # Not that of the receipt: to clear a run away may take for ever, and nobody pays for it.
    if latest_s is not None and held_s > latest_s + skew_s and held_s > receipt.start_s:
        yield Difference("end", rfc3339(held_s), rfc3339(latest_s))


def differences_at_end(
    end_reason: str, result_digest: str | None, ending: Ending
) -> Iterator[Difference]:
    """Yield in what a run's last receipt departs from what the hub was told of its end."""
    if end_reason != ending.reason:
        yield Difference("endReason", end_reason, ending.reason)
    signed = result_digest or ""
    # A digest of what waits would let a short result be guessed: the receipt of such a run has none.
    if signed != ending.result_digest and not (ending.held and not signed):
        yield Difference("resultDigest", signed or "none", ending.result_digest or "none")


def _of_end(receipt: WorkReceipt, ending: Ending | None) -> Iterator[Difference]:
    if receipt.last and ending is not None:
        yield from differences_at_end(str(receipt.end_reason), receipt.result_digest, ending)
