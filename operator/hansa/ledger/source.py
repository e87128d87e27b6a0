"""Where receipts come from, as the ledger sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hansa.accounting.usage import Usage


class ReceiptSource(Protocol):
    """Receipts whose signatures and chains were found right, and that the ledger has not taken yet."""

    def prepare(self) -> None:
        """Claim what is this source's alone, once the tables are there; raises ``Terminal`` where it is another's."""
        ...

    async def take(self) -> Sequence[Usage]:
        """Return what waits, the oldest first and a bounded number; the same again until ``done``."""
        ...

    async def done(self, digests: Sequence[str]) -> None:
        """Take note that the books keep these, posted or as differences: members may forget them."""
        ...

    async def witness(self) -> None:
        """Have the log of what was taken cosigned, where there is one."""
        ...

    @property
    def behind(self) -> int:
        """How many receipts are known to wait."""
        ...


class NoReceipts:
    """The source of a ledger that no member sends receipts to: nothing waits."""

    behind = 0

    def prepare(self) -> None:
        """Claim nothing."""

    async def take(self) -> Sequence[Usage]:
        """Return nothing."""
        return ()

    async def done(self, digests: Sequence[str]) -> None:
        """Take note of nothing."""

    async def witness(self) -> None:
        """Have nothing cosigned."""
