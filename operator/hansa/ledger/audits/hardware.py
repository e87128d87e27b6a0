"""What nodes show of their hardware, read anew where it changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from hansa.api.sovereignnode import HardwareEvidence
from hansa.ledger.audits import book as b
from hansa.ledger.audits.book import AuditBook
from hansa.ledger.audits.nodes import LeagueNode
from hansa.verification.course.attesting import Asked, Attested, attested, each_its_own, opened
from hansa.verification.hardware import HardwareReport

LOOKED_BACK_S = 30 * 86_400
"""Epochs whose nonces are still known: what answers an older one is a recording of who knows when."""
DAY_S = 86_400
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class Hardware:
    """Reads what nodes show in their statuses, and keeps nothing but what it has verified already."""

    def __init__(self, book: AuditBook, device_roots: str) -> None:
        """``device_roots``: the vendors' certificates that the league trusts, as PEM."""
        self._book = book
        self._roots = [found.encode() for found in PEM.findall(device_roots)]
        self._read: dict[str, tuple[object, HardwareReport | str]] = {}
        """Node key → what was read and on which day, and what it says."""

    def attested(self, nodes: Iterable[LeagueNode], now_s: int) -> dict[str, Attested]:
        """Return node key → what it shows; of those that show something."""
        showing = {node.key: said for node in nodes if (said := node.status.get("hardware"))}
        self._read = {key: kept for key, kept in self._read.items() if key in showing}
        if not showing:
            return {}
        asked = self._asked(now_s)
        found = {key: self._found(key, said, now_s) for key, said in showing.items()}
        return each_its_own(
            {
                key: Attested(f"what it shows counts for nothing: {one}"[:200])
                if isinstance(one, str)
                else attested(one, key, asked)
                for key, one in found.items()
            }
        )

    def _found(self, key: str, said: Mapping[str, object], now_s: int) -> HardwareReport | str:
        # Once a day anew: certificates end.
        what = (said, now_s // DAY_S)
        kept = self._read.get(key)
        if kept is None or kept[0] != what:
            kept = what, self._opened(said, now_s)
            self._read[key] = kept
        return kept[1]

    def _opened(self, said: Mapping[str, object], now_s: int) -> HardwareReport | str:
        try:
            return opened(HardwareEvidence.model_validate(said), self._roots, now_s)
        except ValidationError as error:
            return f"it cannot be read: {error.error_count()} faults"
        except ValueError as error:
            return str(error)

    def _asked(self, now_s: int) -> list[Asked]:
        words = self._book.words(b.CLOSED, max(0, now_s - LOOKED_BACK_S) * 1000)
        return [
            Asked(b.number(word.subject), word.body["root"], word.body["atMs"] // 1000)
            for _, word in words
        ]
