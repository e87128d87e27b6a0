"""A bundle: receipts in their envelopes with all that is needed to check them without the league.

``ReceiptBundle/v1`` is one JSON object. ``receipts`` are envelopes, each with the ``proof`` of its place
in the transparency log where there is one; ``verdicts`` are in-toto statements about them; ``keys`` are public keys by their ids; ``differences`` is what
the hub did not countersign, in both versions. What a bundle says of keys proves nothing: who checks it
brings the keys, or is told that the bundle's own were used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from hansa.api.memberpolicy import PublicKey
from hansa.api.meta import Digest, Model
from hansa.api.node.receipts import ReceiptEnvelope
from hansa.api.texts import first_fault
from hansa.receipts.chain import Grant, Head, Known, Moment, follow, next_problem
from hansa.receipts.envelope import Keys, Opened, unseal
from hansa.receipts.problems import Objection
from hansa.receipts.work_receipt import Work, WorkReceipt

MOST_RECEIPTS = 100_000

CheckProof = Callable[[str, str], str]
"""Of a receipt's digest and its proof; returns what is wrong, or nothing."""


class Disputed(Model):
    """One thing that speaks against a receipt."""

    fault: Annotated[str, StringConstraints(max_length=64)] = Field(description="Of what kind.")
    field: Annotated[str, StringConstraints(max_length=64)] = Field(description="In what.")
    message: Annotated[str, StringConstraints(max_length=4096)] = Field(
        description="What member and hub say, each."
    )


class BundledReceipt(Model):
    """One receipt and what is known of it."""

    envelope: ReceiptEnvelope = Field(description="As it was signed.")
    proof: Annotated[str, StringConstraints(max_length=65_536)] | None = Field(
        default=None, description="C2SP tlog-proof of its place in the log."
    )
    differences: tuple[Disputed, ...] = Field(
        default=(), max_length=32, description="Why the hub did not countersign it."
    )


class Bundle(Model):
    """Receipts to be checked by anybody."""

    kind: Literal["hansa.dev/ReceiptBundle/v1"] = Field(
        default="hansa.dev/ReceiptBundle/v1", description="What this is."
    )
    receipts: tuple[BundledReceipt, ...] = Field(
        max_length=MOST_RECEIPTS, description="In any order."
    )
    verdicts: tuple[ReceiptEnvelope, ...] = Field(
        default=(),
        max_length=MOST_RECEIPTS,
        description="What audits of these receipts found, as the hub signed it.",
    )
    log_state: Annotated[str, StringConstraints(max_length=65_536)] | None = Field(
        default=None,
        description="That the witnessed log begins with the one a clearing names: as C2SP tlog-witness asks for it.",
    )
    keys: dict[Digest, PublicKey] = Field(
        default_factory=dict, max_length=1024, description="Public keys by their ids."
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one receipt of a bundle, or with a run."""

    about: str
    why: str


@dataclass(slots=True)
class Audit:
    """What checking a bundle found."""

    faults: list[Fault] = field(default_factory=list)
    receipts: list[WorkReceipt] = field(default_factory=list)
    """Those without a fault, by run and part."""
    countersigned: int = 0
    proved: int = 0
    """Whose place in the log was proved, or that of one behind it in its chain."""
    open_runs: list[str] = field(default_factory=list)
    """Runs whose last receipt is not in the bundle: they go on, or it is kept back."""

    @property
    def gpu_seconds(self) -> int:
        """GPU-seconds of all that holds."""
        return sum(receipt.usage.gpu_seconds for receipt in self.receipts)

    @property
    def cpu_milliseconds(self) -> int:
        """CPU time of all that holds, in thousandths of a second."""
        return sum(receipt.usage.cpu_milliseconds for receipt in self.receipts)


def log_entry(digest: str) -> bytes:
    """Return what the transparency log holds of a receipt: its digest tells a stranger nothing."""
    return digest.encode()


def read_bundle(text: bytes) -> Bundle | str:
    """Return the bundle in a file, or what is wrong with it."""
    try:
        return Bundle.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        return first_fault(error)


def audit(
    bundle: Bundle, keys: Keys, moment: Moment, *, check_proof: CheckProof | None = None
) -> Audit:
    """Check envelopes, chain, runs, GPUs and countersignatures of a bundle.

    A bundle may hold a part of a node's chain: what stands side by side has to fit, gaps are allowed.
    Of a run all parts from its first have to be there. ``check_proof`` None: the log is not asked for;
    with it every receipt has to have a proof, or to be named by one behind it that has: a digest covers all before it.
    """
    found = Audit()
    by_node: defaultdict[str, list[tuple[Opened, str | None]]] = defaultdict(list)
    for one, proof in _opened(bundle, keys, found):
        by_node[one.receipt.work.node_key].append((one, proof))
    for rows in by_node.values():
        rows.sort(key=lambda row: row[0].receipt.sequence)
        if check_proof is not None:
            _prove(rows, check_proof, found)
        _follow([one for one, _ in rows], moment, found)
    found.receipts.sort(key=lambda receipt: (receipt.run, receipt.part))
    return found


def _opened(bundle: Bundle, keys: Keys, found: Audit) -> Iterator[tuple[Opened, str | None]]:
    """Yield each receipt that can be opened, and its proof."""
    for number, bundled in enumerate(bundle.receipts, 1):
        opened = unseal(bundled.envelope, keys)
        if isinstance(opened, Objection):
            found.faults.append(Fault(f"receipt {number} of the bundle", opened.message))
            continue
        yield opened, bundled.proof
        work = opened.receipt.work
        found.countersigned += work.league in opened.signers - {work.node_key}


def _prove(
    rows: Sequence[tuple[Opened, str | None]], check_proof: CheckProof, found: Audit
) -> None:
    """Check the proofs of one chain, the newest first."""
    named: str | None = None
    for opened, proof in reversed(rows):
        is_named = opened.digest == named
        trouble = "" if proof is None and is_named else _unproved(opened, proof, check_proof)
        found.proved += not trouble
        named = None if trouble else opened.receipt.previous
        if trouble:
            found.faults.append(Fault(_name(opened.receipt), trouble))


def _unproved(opened: Opened, proof: str | None, check_proof: CheckProof) -> str:
    if proof is None:
        return "It has no proof of its place in the log."
    trouble = check_proof(opened.digest, proof)
    return trouble and f"Its proof does not hold: {trouble}"


def _follow(chain: list[Opened], moment: Moment, found: Audit) -> None:
    known = Known()
    for opened in chain:
        receipt = opened.receipt
        if receipt.sequence > known.head.sequence + 1:
            # Other runs' receipts may lie in between: what this one names before it is taken for true.
            head = Head(receipt.sequence - 1, receipt.previous or "", known.head.issued_s)
            known = Known(head, known.runs, known.sold)
        problem = next_problem(opened, known, _as_it_says(receipt.work, receipt, known), moment)
        if problem is None:
            found.receipts.append(receipt)
        else:
            found.faults.append(Fault(_name(receipt), problem.message))
        if problem is None or problem.problem.keeps_place:
            known = follow(known, opened, taken=problem is None)
    found.open_runs += [run for run, so_far in known.runs.items() if not so_far.over]


def _as_it_says(work: Work, receipt: WorkReceipt, known: Known) -> Grant:
    """Return the grant that a receipt claims: whether it was given only the hub's signature says."""
    begun = known.runs.get(receipt.run)
    began_s = receipt.start_s if begun is None else min(begun.until_s, receipt.start_s)
    return Grant(began_s, work.spec_digest, work.node_key)


def _name(receipt: WorkReceipt) -> str:
    return f"receipt {receipt.sequence} of {receipt.work.node}"
