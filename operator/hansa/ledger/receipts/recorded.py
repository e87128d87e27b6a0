"""What stands on disk beside windows of nodes' receipts: read once for all of them, in one consistent view.

Statements are made once and take parameters. Rows of runs are asked for by run alone, for an index has them by run; by
node as well, SQLite walks through the node's whole chain.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, bindparam, case, func, select

from hansa.ledger.receipts.endings import ending_of, stock_of, words_of
from hansa.ledger.receipts.grants import Granted, granted_from
from hansa.ledger.store import schema
from hansa.receipts.chain import Head, Known, RunSoFar, Sold, Span, span_of
from hansa.receipts.envelope import read_payload
from hansa.receipts.problems import Problem
from hansa.receipts.work_receipt import WorkReceipt, seconds

MOST_MEETING = 16_384
"""Receipts that one is held against for GPUs sold twice: a member's runs take turns, and are far fewer."""
A_READ = 500

_T = schema.EVIDENCE
_OF_NODE = _T.c.node_key == bindparam("node_key")
_IS_SOUND = _T.c.problem == ""
_NEWEST = select(_T.c.sequence, _T.c.digest, _T.c.problem, _T.c.envelope).where(_OF_NODE).limit(1)
_NEWEST = _NEWEST.order_by(_T.c.sequence.desc())
_NEWEST_SOUND = _NEWEST.where(_IS_SOUND)
_AT_PLACES = _T.c.sequence.in_(bindparam("sequences", expanding=True))
_DIGESTS = select(_T.c.sequence, _T.c.digest).where(_OF_NODE, _AT_PLACES)
_GRANTS = select(schema.GRANT.c.run, schema.GRANT.c.node_key, schema.GRANT.c.body).where(
    schema.GRANT.c.run.in_(bindparam("runs", expanding=True))
)
_RUNS = (
    select(
        _T.c.run,
        func.max(_T.c.sequence),
        func.coalesce(func.max(case((_IS_SOUND, _T.c.sequence))), func.min(_T.c.sequence)),
        func.max(_T.c.part),
        func.max(_T.c.end_s),
        func.max(case((_T.c.problem == Problem.RUN_OVER.value, 1), else_=0)),
        _T.c.node_key,
    )
    .where(_T.c.run.in_(bindparam("runs", expanding=True)))
    .group_by(_T.c.run, _T.c.node_key)
)
_ENVELOPES = select(_T.c.sequence, _T.c.digest, _T.c.envelope).where(_OF_NODE, _AT_PLACES)
_MEETING = (
    select(_T.c.start_s, _T.c.end_s, _T.c.digest, _T.c.envelope)
    .where(_OF_NODE, _IS_SOUND)
    .where(_T.c.end_s >= bindparam("start_s"), _T.c.start_s <= bindparam("end_s"))
    .limit(bindparam("most"))
    .execution_options(yield_per=A_READ)
)


class _Covered(NamedTuple):
    """What one node's receipts of a run on disk come to, in the order of ``_RUNS``."""

    run: str
    last: int
    """Place in the chain of the newest."""
    base: int
    """The same of the newest that is sound, or of the first where none is."""
    part: int
    until_s: int
    is_over: int
    node_key: str


class Use(NamedTuple):
    """A time of one GPU, in a receipt on disk that begins and ends so."""

    start_s: int
    end_s: int
    sold: Sold


def receipt_in(envelope: str, digest: str) -> WorkReceipt:
    """Return the receipt in an envelope as the tables have it; ``digest``: for the error.

    Raises ``ValueError`` where there is none.
    """
    found = read_payload(orjson.loads(envelope)["payload"])
    if found is None:
        raise ValueError(f"evidence {digest} cannot be read: the database was changed")
    return found


def head_of(connection: Connection, node_key: str) -> Head:
    """Return the newest receipt of a node's chain."""
    last = sound = connection.execute(_NEWEST, {"node_key": node_key}).first()
    if last is None:
        return Head()
    if last.problem:
        sound = connection.execute(_NEWEST_SOUND, {"node_key": node_key}).first()
    issued_s = 0 if sound is None else receipt_in(sound.envelope, sound.digest).issued_s
    return Head(last.sequence, last.digest, issued_s)


def grants_of(connection: Connection, runs: Iterable[str]) -> dict[tuple[str, str], Granted]:
    """Return (run, node's key) → grant, of those runs that have one."""
    names, found = sorted(set(runs)), {}
    for first in range(0, len(names), A_READ):
        for run, key, body in connection.execute(_GRANTS, {"runs": names[first : first + A_READ]}):
            found[run, key] = granted_from(json.loads(body))
    return found


def recorded_beside(
    connection: Connection, windows: Mapping[str, Sequence[WorkReceipt]]
) -> dict[str, Recorded]:
    """Return by node's key what the ledger knew when it was shown windows.

    ``windows``: node's key → all that its window shows, in any order. The connection is used as long as receipts are
    held against what this returns.
    """
    mine = {
        key: [one for one in receipts if one.work.node_key == key]
        for key, receipts in windows.items()
    }
    runs = sorted({one.run for receipts in mine.values() for one in receipts})
    grants, covered = grants_of(connection, runs), _covered(connection, runs)
    return {
        key: Recorded(connection, key, receipts, grants, covered.get(key, ()))
        for key, receipts in mine.items()
    }


def _covered(connection: Connection, runs: Sequence[str]) -> dict[str, list[_Covered]]:
    """Return by node's key what its receipts of runs have covered."""
    found: dict[str, list[_Covered]] = {}
    for first in range(0, len(runs), A_READ):
        for row in connection.execute(_RUNS, {"runs": runs[first : first + A_READ]}):
            one = _Covered(*row)
            found.setdefault(one.node_key, []).append(one)
    return found


class Recorded:
    """What the ledger knew of a node when it was shown a window."""

    def __init__(
        self,
        connection: Connection,
        node_key: str,
        receipts: Sequence[WorkReceipt],
        grants: Mapping[tuple[str, str], Granted],
        covered: Sequence[_Covered],
    ) -> None:
        """Read it; see ``recorded_beside``. ``receipts``: the node's own; ``covered``: by those of their runs."""
        self._connection, self._node_key = connection, node_key
        self.head = head_of(connection, node_key)
        self._digests = self._digests_at(one.sequence for one in receipts)
        self._grants = grants
        self._told = words_of(connection, (one.run for one in receipts))
        self._runs = self._so_far(covered)
        nodes = {one.work.node for one in receipts if one.work.gpus}
        self._stocks = {node: stock_of(connection, node) for node in nodes}
        held = [one for one in receipts if one.held or self._stocks.get(one.work.node)]
        self._uses, self._spans, self._crowded = self._meeting(held)

    def granted(self, run: str, node_key: str) -> Granted | None:
        """Return the grant of a run to a node; None: the ledger never saw one."""
        found = self._grants.get((run, node_key))
        if found is None or run not in self._told:
            return found
        ending = ending_of(self._told[run])
        return replace(found, record=replace(found.record, ending=ending))

    def digest_at(self, node_key: str, sequence: int) -> str:
        """Return what stood at a place of the node's chain; empty: nothing did."""
        return self._digests.get(sequence, "") if node_key == self._node_key else ""

    def known_for(self, receipt: WorkReceipt, head: Head) -> Known:
        """Return what a receipt that may follow ``head`` is held against."""
        if receipt.work.node_key != self._node_key:
            return Known(head)
        run = self._runs.get(receipt.run)
        uses, spans, crowded = self._uses, self._spans, False
        if self._crowded and receipt.held:
            # Too many meet the window's whole time; they may be few enough that meet the receipt's.
            uses, spans, crowded = self._meeting([receipt])
        # Those that have a moment in common with it, ends included.
        start_s, end_s = receipt.start_s, receipt.end_s
        sold = {
            gpu.gpu: tuple(
                use.sold
                for use in uses.get(gpu.gpu, ())
                if use.end_s >= start_s and use.start_s <= end_s
            )
            for gpu in receipt.held
        }
        meeting = (one for one in spans if one.start_s < end_s and one.end_s > start_s)
        return Known(
            head,
            {} if run is None else {receipt.run: run},
            sold,
            tuple(meeting),
            gpus=self._most_gpus(receipt),
            crowded=crowded,
        )

    def _most_gpus(self, receipt: WorkReceipt) -> int | None:
        """Return how many GPUs of its class the node had at most from the grant of the run on; None: never told."""
        work = receipt.work
        stock = self._stocks.get(work.node)
        granted = self._grants.get((receipt.run, work.node_key))
        if not stock or granted is None:
            return None
        before = [told for at_s, told in stock if at_s <= granted.record.granted_s][-1:]
        since = [told for at_s, told in stock if granted.record.granted_s < at_s <= receipt.end_s]
        told = before + since or [stock[0][1]]
        return max(one.get(work.gpu_class or "", 0) for one in told)

    def _digests_at(self, sequences: Iterable[int]) -> Mapping[int, str]:
        places = sorted({one for one in sequences if one <= self.head.sequence})
        if not places:
            return {}
        asked = {"node_key": self._node_key, "sequences": places}
        return {place: digest for place, digest in self._connection.execute(_DIGESTS, asked)}  # noqa: C416  # rows

    def _so_far(self, covered: Sequence[_Covered]) -> dict[str, RunSoFar]:
        """Return what receipts of runs have covered, the disputed ones too: see ``chain.follow``."""
        if not covered:
            return {}
        places = sorted({place for one in covered for place in (one.last, one.base)})
        asked = {"node_key": self._node_key, "sequences": places}
        receipts = {
            place: receipt_in(envelope, digest)
            for place, digest, envelope in self._connection.execute(_ENVELOPES, asked)
        }
        return {
            one.run: RunSoFar(
                receipts[one.base].work,
                one.part,
                one.until_s,
                receipts[one.base].last or receipts[one.last].last or bool(one.is_over),
            )
            for one in covered
        }

    def _meeting(
        self, receipts: Sequence[WorkReceipt]
    ) -> tuple[Mapping[str, Sequence[Use]], Sequence[Span], bool]:
        """Return what meets the time of receipts: uses by GPU, spans, and whether they are too many to look at."""
        uses: dict[str, list[Use]] = {}
        spans: list[Span] = []
        if not receipts:
            return uses, spans, False
        asked = {
            "node_key": self._node_key,
            "start_s": min(one.start_s for one in receipts),
            "end_s": max(one.end_s for one in receipts),
            "most": MOST_MEETING + 1,
        }
        wanted, count = {gpu.gpu for one in receipts for gpu in one.held}, 0
        for count, row in enumerate(self._connection.execute(_MEETING, asked), 1):  # noqa: B007  # counted
            other = receipt_in(row.envelope, row.digest)
            spans += span_of(other)
            for gpu in (gpu for gpu in other.held if gpu.gpu in wanted):
                sold = Sold(other.run, seconds(gpu.start), seconds(gpu.end))
                uses.setdefault(gpu.gpu, []).append(Use(row.start_s, row.end_s, sold))
        return uses, spans, count > MOST_MEETING
