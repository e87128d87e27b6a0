"""Judges what a node shows: each receipt after the one before it, countersigned or disputed. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hansa.api.node.receipts import receipts_of
from hansa.ledger.receipts.evidence import Dispute, Taken
from hansa.ledger.receipts.grants import Granted
from hansa.ledger.receipts.recorded import Recorded
from hansa.ports import Signer
from hansa.receipts.chain import Known, Moment, follow, next_problem
from hansa.receipts.countersign import Difference, countersign
from hansa.receipts.envelope import Keys, Opened, unseal
from hansa.receipts.problems import Objection, Problem
from hansa.receipts.work_receipt import WorkReceipt

LONGEST_WAIT_S = 86_400
"""A receipt that was issued so far ahead is looked at again then: it may be this clock that is behind."""
MOST_DISPUTED, WINDOW_S = 20_000, 86_400.0
"""So many of a node's receipts are kept as disputed in such a time: each is a row for ever, and costs it nothing.

What seventy runs make in a day, all of them disputed for one mistake in the node's tariff."""
DIFFERS = "Differs"
"""Fault of a receipt that departs from the hub's own record."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What receipts are judged by."""

    signer: Signer
    moment: Moment
    disputes: int = MOST_DISPUTED
    """How many more disputed receipts of the node there is room for."""


class Disputes:
    """How many disputed receipts nodes have shown of late, as far as this process has seen."""

    def __init__(self) -> None:
        """None was seen."""
        self._at_s: dict[str, deque[float]] = {}
        self._seconds: dict[str, str] = {}
        """Node → digest of the second version that it showed last: what stays in its window is kept once."""

    def left(self, node_key: str, now_s: float) -> int:
        """Return for how many more of a node there is room. ``now_s``: on a clock that is never put back."""
        seen = self._at_s.get(node_key, deque())
        while seen and seen[0] <= now_s - WINDOW_S:
            seen.popleft()
        return MOST_DISPUTED - len(seen)

    def note(self, node_key: str, verdict: Verdict, now_s: float) -> None:
        """Take note of what was kept of a node."""
        disputed = sum(bool(one.disputes) for one in verdict.taken)
        for one in verdict.second:
            disputed += self._seconds.get(node_key) != one.opened.digest
            self._seconds[node_key] = one.opened.digest
        self._at_s.setdefault(node_key, deque()).extend([now_s] * disputed)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one node's window."""

    taken: tuple[Taken, ...]
    objection: Objection | None = None
    """Why the chain goes no further, where it does not."""
    second: tuple[Taken, ...] = ()
    """Another version of a receipt that was taken: kept as what convicts the node, paid to nobody."""

    @property
    def is_strange(self) -> bool:
        """Whether it names a run that the ledger knows no grant of."""
        faults = {dispute.fault for one in self.taken for dispute in one.disputes}
        return Problem.NEVER_GRANTED.value in faults


@dataclass(frozen=True, slots=True)
class Window:
    """What a node shows, opened: its receipts up to one that cannot be, and why it cannot."""

    opened: tuple[Opened, ...]
    objection: Objection | None = None

    @property
    def receipts(self) -> list[WorkReceipt]:
        """What it says."""
        return [one.receipt for one in self.opened]


def open_window(outbox: Iterable[object], keys: Keys) -> Window:
    """Open what a node shows. ``keys``: its pinned key, and the hub's."""
    found: list[Opened] = []
    for shown in outbox:
        opened = unseal(shown, keys)
        if isinstance(opened, Objection):
            return Window(tuple(found), opened)
        found.append(opened)
    return Window(tuple(found))


def judge(window: Window, recorded: Recorded, bench: Bench) -> Verdict:
    """Take receipts from the first new one on, up to one that has no place in the chain.

    ``recorded``: what stands on disk beside the receipts of the window.
    """
    verdict = _in_order(window.opened, recorded, bench)
    if verdict.second and bench.disputes <= len(verdict.taken):
        # One conviction is enough: a node may sign as many versions as it likes.
        verdict = replace(verdict, second=())
    return verdict if verdict.objection else replace(verdict, objection=window.objection)


def _in_order(window: Sequence[Opened], recorded: Recorded, bench: Bench) -> Verdict:
    taken: list[Taken] = []
    known, disputed = Known(recorded.head), 0
    for opened in window:
        receipt = opened.receipt
        if receipt.sequence <= recorded.head.sequence:
            first = recorded.digest_at(receipt.work.node_key, receipt.sequence)
            if first != opened.digest:
                said = f"Receipt {receipt.sequence} was {first}, now it is {opened.digest}."
                return _convicted(taken, opened, Objection(Problem.TWO_VERSIONS, said))
            continue
        ahead_s = receipt.issued_s - bench.moment.now_s
        if bench.moment.skew_s < ahead_s <= LONGEST_WAIT_S:
            said = f"It was issued at {receipt.issued}, and waits for it."
            return Verdict(tuple(taken), Objection(Problem.CLOCK_JUMP, said))
        told = _with_rows(known, recorded.known_for(receipt, known.head), receipt)
        granted = recorded.granted(receipt.run, receipt.work.node_key)
        problem = next_problem(
            opened, told, None if granted is None else granted.judged, bench.moment
        )
        if problem is not None and problem.problem is Problem.TWO_VERSIONS:
            return _convicted(taken, opened, problem)
        if problem is not None and not problem.problem.keeps_place:
            return Verdict(tuple(taken), problem)
        one = _judged(opened, granted, problem, bench)
        disputed += bool(one.disputes)
        if disputed > bench.disputes:
            said = f"{MOST_DISPUTED} were within {int(WINDOW_S)} s."
            return Verdict(tuple(taken), Objection(Problem.TOO_MANY_DISPUTED, said))
        taken.append(one)
        # What stands on disk of GPUs is read for each receipt: here is what the window has shown of them.
        mine = Known(told.head, told.runs, known.sold, known.spans)
        known = follow(mine, opened, taken=not one.disputes)
    return Verdict(tuple(taken))


def _convicted(taken: list[Taken], opened: Opened, problem: Objection) -> Verdict:
    dispute = Dispute(problem.problem.value, "receipt", problem.message)
    return Verdict(tuple(taken), problem, (Taken(opened, opened.envelope, (dispute,)),))


def _judged(
    opened: Opened, granted: Granted | None, problem: Objection | None, bench: Bench
) -> Taken:
    if problem is not None:
        dispute = Dispute(problem.problem.value, "receipt", problem.message)
        return Taken(opened, opened.envelope, (dispute,))
    if granted is None:
        raise AssertionError("a receipt without a grant has a problem")
    answer = countersign(opened, granted.record, signer=bench.signer, skew_s=bench.moment.skew_s)
    if isinstance(answer, tuple):
        return Taken(opened, opened.envelope, tuple(map(_dispute, answer)))
    return Taken(opened, answer)


def _dispute(found: Difference) -> Dispute:
    said = f"the member says {found.member}, the hub's record {found.hub}"
    return Dispute(DIFFERS, found.field, said)


def _with_rows(known: Known, rows: Known, receipt: WorkReceipt) -> Known:
    """Add what is kept on disk to what this window has shown so far, which is newer."""
    run, sold, runs = receipt.run, known.sold, known.runs
    if any(rows.sold.values()):
        sold = {**sold, **{gpu: (*times, *sold.get(gpu, ())) for gpu, times in rows.sold.items()}}
    if run in rows.runs and run not in runs:
        runs = {**runs, run: rows.runs[run]}
    spans = (*rows.spans, *known.spans)
    return Known(known.head, runs, sold, spans, gpus=rows.gpus, crowded=rows.crowded)


def outbox_of(node: Mapping[str, Any]) -> Iterator[object]:
    """Yield what a node shows of its receipts, whatever it is."""
    shown = receipts_of(node).get("outbox")
    yield from shown if isinstance(shown, list) else ()
