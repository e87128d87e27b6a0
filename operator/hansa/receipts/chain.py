"""Whether a receipt may follow those before it: in its node's chain, in its run, on its GPUs.

``next_problem`` is a function of what is known; ``follow`` is that knowledge after the receipt. Who keeps
it elsewhere, as the ledger does in its tables, fills ``Known`` with the rows that one receipt needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from hansa.receipts.envelope import Opened
from hansa.receipts.problems import Objection, Problem
from hansa.receipts.work_receipt import HeldGpu, Price, Work, WorkReceipt, most_joules, seconds

MOST_REMEMBERED = 64
"""Times of one GPU: receipts of different runs arrive at most so far out of order."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest receipt of a node's chain."""

    sequence: int = 0
    digest: str = ""
    issued_s: int = 0
    """When the newest that is not disputed was issued."""


@dataclass(frozen=True, slots=True)
class RunSoFar:
    """What the receipts of one run have covered."""

    work: Work
    part: int
    until_s: int
    over: bool
    """Whether its last receipt was taken."""


@dataclass(frozen=True, slots=True)
class Sold:
    """One time in which a GPU served one run."""

    run: str
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Span:
    """One time in which one run held so many GPUs, whichever they were."""

    run: str
    gpu_class: str
    gpus: int
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Known:
    """What the next receipt of one node is held against."""

    head: Head = Head()
    runs: Mapping[str, RunSoFar] = field(default_factory=dict)
    """By run; at least that of the receipt, if it has any before."""
    sold: Mapping[str, tuple[Sold, ...]] = field(default_factory=dict)
    """By GPU; at least those in the receipt, in so far as they meet its time."""
    spans: tuple[Span, ...] = ()
    """When other runs held GPUs; at least those that meet the receipt's time."""
    gpus: int | None = None
    """How many of the receipt's class its node has said that it has; None: nobody knows."""
    crowded: bool = False
    """Whether more receipts meet its time than were looked at: ``sold`` and ``spans`` may lack some."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What the judge knows by itself of a run: that it was granted, when, and at which price."""

    granted_s: int
    spec_digest: str
    node_key: str
    price: Price | None = None
    """None: the price was not the node's alone to say, and is compared elsewhere."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a receipt is judged."""

    now_s: float
    skew_s: float
    """How far two clocks may be apart."""


def next_problem(
    opened: Opened, known: Known, grant: Grant | None, moment: Moment
) -> Objection | None:
    """Return the gravest thing that speaks against a receipt whose signature holds; None: nothing.

    ``grant`` None: no such run was ever granted to this node.
    """
    receipt = opened.receipt
    said = chain(
        _in_chain(opened, known.head),
        _in_run(receipt, known.runs.get(receipt.run), grant),
        _amounts(receipt),
        _in_time(receipt, known.head, grant, moment),
        _on_gpus(receipt, known),
    )
    return next(said, None)


def follow(known: Known, opened: Opened, *, taken: bool = True) -> Known:
    """Return what is known after a receipt. ``taken`` False: it was disputed, and only keeps its place.

    A disputed receipt is one fault and no more: the chain and its run go on behind it, so that what
    comes then is held against what it claimed to cover.
    """
    receipt, name = opened.receipt, opened.receipt.run
    issued_s = receipt.issued_s if taken else known.head.issued_s
    head = Head(receipt.sequence, opened.digest, issued_s)
    before = known.runs.get(name)
    run = RunSoFar(receipt.work, receipt.part, receipt.end_s, receipt.last)
    if not taken:
        if before is not None:
            run = RunSoFar(
                before.work,
                max(before.part, run.part),
                max(before.until_s, run.until_s),
                before.over or run.over,
            )
        return replace(known, head=head, runs={**known.runs, name: run})
    sold = {
        gpu.gpu: (*known.sold.get(gpu.gpu, ()), _sold(name, gpu))[-MOST_REMEMBERED:]
        for gpu in receipt.held
    }
    return replace(
        known,
        head=head,
        runs={**known.runs, name: run},
        sold={**known.sold, **sold},
        spans=(*known.spans, *span_of(receipt))[-MOST_REMEMBERED:],
    )


def _in_chain(opened: Opened, head: Head) -> Iterator[Objection]:
    receipt = opened.receipt
    if receipt.sequence == head.sequence:
        same = opened.digest == head.digest
        yield Objection(
            Problem.REPLAY if same else Problem.TWO_VERSIONS,
            f"Receipt {receipt.sequence} was {head.digest}, now it is {opened.digest}.",
        )
    elif receipt.sequence < head.sequence:
        yield Objection(
            Problem.REPLAY, f"It is receipt {receipt.sequence}; {head.sequence} were taken."
        )
    elif receipt.sequence > head.sequence + 1:
        said = f"It is receipt {receipt.sequence}; {head.sequence + 1} was to come."
        yield Objection(Problem.SEQUENCE_GAP, said)
    elif (receipt.previous or "") != head.digest:
        said = f"It names {receipt.previous} before it, and that was {head.digest}."
        yield Objection(Problem.BROKEN_CHAIN, said)


def _in_run(receipt: WorkReceipt, run: RunSoFar | None, grant: Grant | None) -> Iterator[Objection]:
    if run is not None and run.over:
        # First, whatever else is wrong with it: by this alone the next one is known to come too late as well.
        yield Objection(Problem.RUN_OVER, f"It is part {receipt.part} of {receipt.run}.")
    if grant is None:
        yield Objection(Problem.NEVER_GRANTED, f"It is run {receipt.run}.")
        return
    yield from _as_granted(receipt.work, grant)
    if run is not None:
        yield from _after(receipt, run)
    elif receipt.part != 1:
        yield Objection(Problem.TIME_GAP, f"Its run begins with part {receipt.part}.")


def _as_granted(work: Work, grant: Grant) -> Iterator[Objection]:
    if (work.spec_digest, work.node_key) != (grant.spec_digest, grant.node_key):
        said = f"Spec {grant.spec_digest} was granted to key {grant.node_key}."
        yield Objection(Problem.NEVER_GRANTED, said)
    if grant.price is not None and work.price != grant.price:
        yield Objection(Problem.LATER_PRICE, f"It says {_price(work)}.")


def _after(receipt: WorkReceipt, run: RunSoFar) -> Iterator[Objection]:
    """Hold a receipt against the one before it of the same run."""
    if receipt.start_s < run.until_s or receipt.part <= run.part:
        said = f"It is part {receipt.part} and begins at {receipt.start}."
        yield Objection(Problem.OVERLAP, said)
    elif receipt.start_s > run.until_s or receipt.part != run.part + 1:
        said = f"It is part {receipt.part} and begins at {receipt.start}; part {run.part} ended before."
        yield Objection(Problem.TIME_GAP, said)
    if receipt.work == run.work:
        return
    if receipt.work.price != run.work.price:
        yield Objection(Problem.LATER_PRICE, f"It says {_price(receipt.work)}.")
    else:
        names = (n for n in Work.model_fields if getattr(receipt.work, n) != getattr(run.work, n))
        yield Objection(Problem.OTHER_WORK, f"It differs in {', '.join(names)}.")


def _in_time(
    receipt: WorkReceipt, head: Head, grant: Grant | None, moment: Moment
) -> Iterator[Objection]:
    if receipt.issued_s > moment.now_s + moment.skew_s:
        yield Objection(Problem.CLOCK_JUMP, f"It was issued at {receipt.issued}, which is to come.")
    if receipt.issued_s < head.issued_s - moment.skew_s:
        yield Objection(Problem.CLOCK_JUMP, f"It was issued at {receipt.issued}, before the last.")
    if grant is not None and receipt.start_s < grant.granted_s - moment.skew_s:
        yield Objection(Problem.CLOCK_JUMP, f"It begins at {receipt.start}, before it was granted.")


def _amounts(receipt: WorkReceipt) -> Iterator[Objection]:
    """Object to more than the receipt's own time and gang could have used."""
    usage, work, span_s = receipt.usage, receipt.work, receipt.end_s - receipt.start_s
    for name, told, most in (
        ("gpuSeconds", usage.gpu_seconds, work.gpus * span_s),
        ("cpuMilliseconds", usage.cpu_milliseconds, work.cpu_millis * span_s),
        ("energyJoules", usage.energy_joules or 0, most_joules(work, span_s)),
    ):
        if told > most:
            yield Objection(Problem.BAD_AMOUNT, f"{name} is {told}, at most {most} can be.")


def _on_gpus(receipt: WorkReceipt, known: Known) -> Iterator[Objection]:
    if len({gpu.gpu for gpu in receipt.held}) != len(receipt.held):
        yield Objection(Problem.GPU_SOLD_TWICE, "The receipt itself names it twice.")
    run = receipt.run
    for gpu in receipt.held:
        start_s, end_s = seconds(gpu.start), seconds(gpu.end)
        for before in known.sold.get(gpu.gpu, ()):
            # A run's own receipts follow each other already; another's may come in any order. Seen once is seen
            # for that second. Not a function of its own: a receipt is held against dozens.
            if (
                before.run != run
                and (start_s < before.end_s or start_s <= before.start_s)
                and (before.start_s < end_s or before.start_s <= start_s)
            ):
                said = f"{gpu.gpu} served {before.run} and {run} after {gpu.start}."
                yield Objection(Problem.GPU_SOLD_TWICE, said)
    yield from _at_once(receipt, known)
    if known.crowded and receipt.held:
        said = "So many receipts meet its time that nobody can say they did not."
        yield Objection(Problem.GPU_SOLD_TWICE, said)


def span_of(receipt: WorkReceipt) -> tuple[Span, ...]:
    """Return when a run held its GPUs: until it ended, and not while it was cleared away; nothing: it has none."""
    work = receipt.work
    if not work.gpus:
        return ()
    end_s = receipt.start_s + receipt.usage.gpu_seconds // work.gpus
    return (Span(receipt.run, work.gpu_class or "", work.gpus, receipt.start_s, end_s),)


def _at_once(receipt: WorkReceipt, known: Known) -> Iterator[Objection]:
    """Object to more GPUs at once than there are: most are held when some run begins to hold its own."""
    if known.gpus is None:
        return
    for mine in span_of(receipt):
        others = [
            one for one in known.spans if one.run != mine.run and one.gpu_class == mine.gpu_class
        ]
        for at_s in {mine.start_s, *(one.start_s for one in others)}:
            held = sum(one.gpus for one in others if one.start_s <= at_s < one.end_s) + mine.gpus
            if mine.start_s <= at_s < mine.end_s and held > known.gpus:
                said = (
                    f"{held} GPUs of {mine.gpu_class} were held at once; its node has {known.gpus}."
                )
                yield Objection(Problem.GPU_SOLD_TWICE, said)
                return


def _sold(run: str, gpu: HeldGpu) -> Sold:
    return Sold(run, seconds(gpu.start), seconds(gpu.end))


def _price(work: Work) -> str:
    price = work.price
    return "none" if price is None else f"{price.gpu_hour or price.cpu_hour} {price.currency}"
