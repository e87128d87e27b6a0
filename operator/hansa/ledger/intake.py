"""Takes receipts in: what is right is posted, what is not is kept with the reason, nothing is lost.

A receipt is let go only when the books have it. One that the database cannot take holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from hansa.accounting.examination import Fault, Finding, Terms, examine
from hansa.accounting.usage import Usage
from hansa.errors import Terminal
from hansa.ledger.source import ReceiptSource
from hansa.ledger.store.writer import LedgerWriter
from hansa.ports import Clock

log = logging.getLogger(__name__)


class Intake:
    """Moves receipts from their source into the books."""

    def __init__(
        self,
        source: ReceiptSource,
        writer: LedgerWriter,
        *,
        clock: Clock,
        terms: Callable[[int], Terms | None],
    ) -> None:
        """``terms``: what is agreed at a time in milliseconds; None: not known yet.

        It is asked once receipts have come: nothing is judged by prices or a time from before that.
        """
        self._source = source
        self._writer = writer
        self._clock = clock
        self._terms = terms
        self.began_s = clock.monotonic()
        """When the last pass began, on the monotonic clock."""

    async def step(self) -> None:
        """Take in what waits now; raises ``Retryable`` where database or hub cannot be reached."""
        self.began_s = self._clock.monotonic()
        uses = await self._source.take()
        if not uses:
            return
        terms = self._terms(int(self._clock.now() * 1000))
        if terms is not None:
            kept = await asyncio.to_thread(self._enter, uses, terms)
            await self._source.done(kept)

    def _enter(self, uses: Sequence[Usage], terms: Terms) -> list[str]:
        findings = {use.receipt_digest: examine(use, terms) for use in uses}
        sound = [use for use in uses if not findings[use.receipt_digest]]
        kept = self._record(sound, terms.now_ms)
        for use in uses:
            if findings[use.receipt_digest]:
                kept += self._keep(use, findings[use.receipt_digest], terms.now_ms)
        return kept

    def _record(self, uses: list[Usage], now_ms: int) -> list[str]:
        try:
            told = self._writer.record(uses, now_ms)
        except Terminal as error:
            if len(uses) > 1:
                return [name for use in uses for name in self._record([use], now_ms)]
            finding = Finding(Fault.MALFORMED, "receipt", str(error))
            return self._keep(uses[0], [finding], now_ms)
        others = [use for use in uses if use.receipt_digest in told.contradicting]
        for use in others:
            text = "the books have this digest with other content"
            self._keep(use, [Finding(Fault.CONTRADICTS, "receiptDigest", text)], now_ms)
        return [use.receipt_digest for use in uses]

    def _keep(self, use: Usage, findings: Sequence[Finding], now_ms: int) -> list[str]:
        try:
            is_new = self._writer.keep(use, findings, now_ms)
        except Terminal as error:
            log.error("difference not kept", extra={"error": str(error)})  # noqa: TRY400  # told by its text
            return []
        if is_new:
            log.warning(
                "receipt not posted",
                extra={
                    "receipt": use.receipt_digest[:80],
                    "node": use.node[:80],
                    "faults": ", ".join(f"{row.fault} {row.field}" for row in findings),
                },
            )
        return [use.receipt_digest]
