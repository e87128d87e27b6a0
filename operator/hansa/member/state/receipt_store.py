"""Receipts on disk: runs that are metered, and a ring of pages with what was signed, in ConfigMaps.

A receipt is durable before anybody is told of it, and it is what says how far its run is covered: the
rows of runs may lag behind, and are read together with the receipts that came after them. So a crash
between any two writes leaves every second in one receipt. Pages whose receipts the ledger took are
written over when the ring comes round, others never.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby, islice
from typing import Any

import orjson

from hansa.api.sovereignnode import LARGEST
from hansa.api.sovereignnode import ReceiptEnvelope as Envelope
from hansa.api.sovereignnode import ReceiptWatermark as Watermark
from hansa.errors import Conflict, Retryable
from hansa.member.state.receipt_lines import (
    envelopes,
    head_of,
    joined,
    key_of,
    parsed,
    row_of,
    sequences,
    upto_of,
)
from hansa.member.state.versioned_maps import VersionedMaps
from hansa.model.times import from_rfc3339
from hansa.ports import Cluster, Signer
from hansa.receipts.chain import Head
from hansa.receipts.envelope import Keys, Opened, digest, seal, unseal, wire
from hansa.receipts.metering import MeteredRun, Sight, draw, due
from hansa.receipts.outbox import MOST_ENVELOPES, pace_s, window
from hansa.receipts.watermark import NOTHING, read_watermark
from hansa.receipts.work_receipt import WorkReceipt

log = logging.getLogger(__name__)
PAGES = 64
A_PAGE = 100
"""Receipts; the longest takes 8,700 bytes, and a ConfigMap holds a mebibyte."""
ROOM = (PAGES - 1) * A_PAGE
"""Receipts that may wait for the ledger: no page that is written over has one of theirs."""
MOST_AT_ONCE = 128
"""Receipts signed in one go: the loop is not held up for longer than it takes, some 50 ms."""
RUN_PAGES = 8
MOST_RUNS = 360
"""Rows on a page; the longest has 2,800 bytes."""
RECEIPTS = "hansa-receipts-{}"
RUNS = "hansa-metered-{}"
UPTO = "upto"
"""Key on a page of runs: the receipt up to which its rows are true, as sequence, digest and time."""
TAKEN = "taken"
"""Key on the first page of runs: the last watermark."""

Drawn = tuple[WorkReceipt, Envelope]


class ReceiptStore:
    """This member's chain of receipts, read when it is needed first."""

    def __init__(self, cluster: Cluster, namespace: str, signer: Signer) -> None:
        """No I/O until the first call of a method."""
        self._maps = VersionedMaps(cluster, namespace)
        self._signer = signer
        self._key_id = signer.key_id
        self._lock = asyncio.Lock()
        self.head = Head()
        self.runs: dict[str, MeteredRun] = {}
        """Runs that are not over, as far as receipts that are durable cover them."""
        self.taken: Watermark | None = None
        """How far the ledger has come."""
        self.issued: Callable[[WorkReceipt], None] = lambda _: None
        """Hears of every receipt once it is durable."""
        self._kept: dict[int, set[int]] = {page: set() for page in range(PAGES)}
        """Page → sequences on it."""
        self._foreign: dict[int, set[int]] = {}
        """Page → sequences on it that another key signed: they make room when the page is written."""
        self._noted: dict[str, MeteredRun] = {}
        """What was noted since the last write: it is laid over what stands there, and goes with the next."""
        self._behind: dict[str, MeteredRun | None] = {}
        """Rows that are not written yet; None: to be deleted."""
        self._is_read = False
        """Whether memory is what stands there; where it may not be, all is read before a write."""
        self._near: dict[int, Envelope] = {}
        """Envelopes behind the watermark that were read or made a moment ago."""

    @property
    def waiting(self) -> int:
        """Receipts that the ledger has not taken."""
        return self.head.sequence - self._taken

    @property
    def _taken(self) -> int:
        return min(self.taken.sequence, self.head.sequence) if self.taken is not None else 0

    def is_durable(self, run: str) -> bool:
        """Tell whether a run is known here and on disk alike: a write may have failed, or still be under way."""
        return run in self.runs and run not in self._behind and run not in self._noted

    async def note(self, *runs: MeteredRun) -> bool:
        """Make runs, or what became known of them, durable; False: there is no room for one.

        What is noted while a write is under way goes with the next one, a write for each page of rows.
        """
        for run in runs:
            noted = self._noted.get(run.run)
            self._noted[run.run] = run if noted is None else joined(noted, run)
        async with self._lock:
            await self._read()
            await self._flush()
        return all(self.is_durable(run.run) for run in runs)

    async def issue(self, sights: Mapping[str, Sight]) -> None:
        """Sign what is due and make it durable, in the order in which it ended."""
        async with self._lock:
            await self._read()
            # A run is durable before a receipt speaks of it.
            await self._flush()
            drawn = list(islice(self._drawn(sights), MOST_AT_ONCE))
            for page, batch in groupby(drawn, key=lambda one: page_of(one[0].sequence)):
                await self._write(page, list(batch))
            await self._flush()

    async def outbox(self) -> list[dict[str, Any]]:
        """Return what is to travel now: envelopes right behind the watermark."""
        async with self._lock:
            await self._read()
            return await self._outbox()

    async def _outbox(self) -> list[dict[str, Any]]:
        first = self._taken + 1
        wanted = range(first, min(self.head.sequence, first + MOST_ENVELOPES - 1) + 1)
        missing = {page_of(sequence) for sequence in wanted if sequence not in self._near}
        for page in missing:
            self._near.update(await self._envelopes(page))
        self._near = {at: self._near[at] for at in wanted if at in self._near}
        return window(wire(self._near[at]) for at in wanted if at in self._near)

    async def take(self, said: object, keys: Keys) -> str:
        """Take a watermark that a hub shows; returns why it is not taken, or nothing.

        It is taken for a receipt that was told, by its digest: it moves a mark and deletes nothing. One for an
        earlier receipt, given later, is of a ledger that was put back from a backup: it is shown again.
        """
        mark = read_watermark(said, node_key=self._key_id, keys=keys)
        if isinstance(mark, str):
            return mark
        async with self._lock:
            await self._read()
            if not self._is_news(mark):
                return ""
            trouble = await self._untold(mark)
            if trouble:
                return trouble
            await self._guarded(RUNS.format(0), {TAKEN: mark.model_dump_json(by_alias=True)})
            self.taken = mark
        return ""

    async def _envelopes(self, page: int) -> dict[int, Envelope]:
        return envelopes(await self._maps.read(RECEIPTS.format(page)) or {}, self._key_id)

    def _is_news(self, mark: Watermark) -> bool:
        if self.taken is None or mark.sequence >= self._taken:
            return mark.sequence > self._taken
        return (from_rfc3339(mark.at) or 0) > (from_rfc3339(self.taken.at) or 0)

    async def _untold(self, mark: Watermark) -> str:
        """Return why a mark is for no receipt of ours, or nothing."""
        if mark.sequence > self._taken:
            await self._outbox()
            told = self._near
        else:
            first = max(1, mark.sequence)
            told = await self._envelopes(page_of(first))
            if first not in told:
                return f"it goes back to receipt {mark.sequence}, which is not kept any more"
        is_ours = mark.sequence in told and digest(told[mark.sequence]) == mark.digest
        if is_ours or (mark.sequence, mark.digest) == (0, NOTHING):
            return ""
        return f"it names receipt {mark.sequence}, {mark.digest}, which was not told"

    def _is_full(self, run: str) -> bool:
        mine = _run_page(run)
        return sum(_run_page(other) == mine for other in self.runs) >= MOST_RUNS

    def _drawn(self, sights: Mapping[str, Sight]) -> Iterator[Drawn]:
        every_s, head = pace_s(self.waiting, ROOM), self.head
        stretches = [
            (stretch, name)
            for name, sight in sights.items()
            if name in self.runs
            for stretch in due(self.runs[name], sight, every_s=every_s)
        ]
        for stretch, name in sorted(stretches, key=lambda one: (one[0].end_s, one[1], one[0].part)):
            if head.sequence - self._taken >= ROOM:
                log.error("no room for receipts: the ledger takes none", extra={"run": name})
                return
            receipt = draw(head, self.runs[name], sights[name], stretch)
            envelope = seal(receipt, self._signer)
            head = Head(receipt.sequence, digest(envelope), receipt.issued_s)
            yield receipt, envelope

    async def _write(self, page: int, batch: list[Drawn]) -> None:
        lines: dict[str, str | None] = {
            key_of(receipt.sequence): orjson.dumps(wire(envelope)).decode()
            for receipt, envelope in batch
        }
        # Pages are numbered in a ring: what stands there of the last round was taken long ago.
        begin = (batch[0][0].sequence - 1) // A_PAGE * A_PAGE + 1
        old = {sequence for sequence in self._kept[page] if sequence < begin}
        gone = dict.fromkeys(map(key_of, old | self._foreign.get(page, set())))
        await self._guarded(RECEIPTS.format(page), {**gone, **lines})
        self._kept[page] -= old
        self._foreign.pop(page, None)
        for receipt, envelope in batch:
            self._follow(receipt, digest(envelope))
            self._near[receipt.sequence] = envelope
            self.issued(receipt)

    def _follow(self, receipt: WorkReceipt, digest_: str) -> None:
        """Take a durable receipt in; whatever a row says, the receipt knows better.

        The row is behind then: with the next on its page that page says up to which receipt it is true.
        """
        self._kept[page_of(receipt.sequence)].add(receipt.sequence)
        self.head = Head(receipt.sequence, digest_, receipt.issued_s)
        run = self.runs.get(receipt.run) or MeteredRun(work=receipt.work, until=receipt.start)
        if receipt.last:
            self.runs.pop(receipt.run, None)
            self._noted.pop(receipt.run, None)
        elif receipt.part > run.parts:
            self.runs[receipt.run] = run.after(receipt)
        self._behind[receipt.run] = self.runs.get(receipt.run)

    async def _flush(self) -> None:
        self._take_in()
        by_page: defaultdict[int, dict[str, str | None]] = defaultdict(dict)
        for name, run in self._behind.items():
            by_page[_run_page(name)][name] = None if run is None else row_of(run)
        upto = upto_of(self.head, self._key_id)
        for page, lines in by_page.items():
            await self._guarded(RUNS.format(page), {**lines, UPTO: upto})
        self._behind.clear()

    def _take_in(self) -> None:
        """Lay what was noted over what is known."""
        noted, self._noted = self._noted, {}
        for run in noted.values():
            if run.run not in self.runs and self._is_full(run.run):
                log.error("run is not metered: no room", extra={"run": run.run})
            else:
                self._put(run)

    async def _guarded(self, name: str, lines: Mapping[str, str | None]) -> None:
        """Write; where somebody else has written, or an answer was lost, all is read again."""
        try:
            await self._maps.write(name, lines)
        except Conflict as error:
            self._is_read = False
            raise Retryable(f"ConfigMap {name} is not as it was read; it is read again") from error

    def _put(self, run: MeteredRun) -> None:
        known = self.runs.get(run.run)
        row = run if known is None else joined(known, run)
        if row != known:
            self.runs[run.run] = self._behind[run.run] = row

    async def _read(self) -> None:
        """Read all that stands there, unless memory is just that."""
        if self._is_read:
            return
        unwritten, self._behind = self._behind, {}
        self.runs, self._near, self.head = {}, {}, Head()
        try:
            await self._read_all()
        finally:
            for name, run in unwritten.items():
                # A new row may be in memory alone. Of the others, one that is not there is over.
                if run is not None and (name in self.runs or run.parts == 0):
                    self._put(run)
        self._is_read = True

    async def _read_all(self) -> None:
        upto = min([await self._read_runs(page) for page in range(RUN_PAGES)])
        self._kept = {page: set() for page in range(PAGES)}
        for page in range(PAGES):
            lines = await self._maps.read(RECEIPTS.format(page))
            if lines is None:
                break
            self._kept[page], self._foreign[page] = sequences(lines, self._key_id)
        for page in self._pages_after(upto):
            self._replay(await self._maps.read(RECEIPTS.format(page)) or {}, upto)

    async def _read_runs(self, page: int) -> int:
        """Read the rows of a page; returns up to which receipt they are true, or any that there is."""
        lines = await self._maps.read(RUNS.format(page))
        if lines is None:
            await self._maps.write(RUNS.format(page), {UPTO: upto_of(Head(), self._key_id)})
            return 0
        upto, mark = lines.pop(UPTO, ""), lines.pop(TAKEN, None)
        if mark is not None:
            taken = parsed(Watermark, mark)
            self.taken = taken if taken is not None and taken.node_key == self._key_id else None
        rows = {name: parsed(MeteredRun, line) for name, line in lines.items()}
        for name, row in list(rows.items()):
            if row is not None and row.work.node_key == self._key_id:
                self.runs[name] = row
            elif row is not None:
                log.error("run is not metered: another key took it on", extra={"run": name})
                del rows[name]
                self._behind[name] = None
        head = head_of(upto, self._key_id)
        if head.sequence > self.head.sequence:
            # Also where the pages of receipts were deleted: no place in the chain is given twice.
            self.head = head
        if None in rows.values():
            return 0
        return head.sequence if rows else LARGEST

    def _pages_after(self, upto: int) -> list[int]:
        """Return the pages with receipts after ``upto``, oldest first, and that of the newest."""
        kept = sorted(at for page in self._kept.values() for at in page)
        return list({page_of(at): None for at in kept if at > upto or at == kept[-1]})

    def _replay(self, lines: Mapping[str, str], upto: int) -> None:
        for sequence, envelope in sorted(envelopes(lines, self._key_id).items()):
            opened = unseal(envelope, {self._key_id: self._signer.public_key})
            if not isinstance(opened, Opened):
                log.error("receipt spoilt", extra={"sequence": sequence, "why": opened.message})
            elif sequence > upto:
                self._follow(opened.receipt, opened.digest)
            elif sequence > self.head.sequence:
                self.head = Head(sequence, opened.digest, opened.receipt.issued_s)


def page_of(sequence: int) -> int:
    """Return the page of a receipt."""
    return (sequence - 1) // A_PAGE % PAGES


def _run_page(run: str) -> int:
    return zlib.crc32(run.encode()) % RUN_PAGES
