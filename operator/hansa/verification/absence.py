"""Lost work, late receipts and withheld proof are told apart: one node's network fault is not a cheat.

A provider network once closed 32 leases of one operator for the fault of a single machine (akash-network/support #15).
The rule here: what a node could not send costs it that run's pay at most. Only a node that was there, and did not show
what it had to keep, is treated as one that showed something wrong. Otherwise silence would be the cheapest cheat.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Absence(StrEnum):
    """What became of something that is not there. The strings are API."""

    PENDING = "Pending"
    """There is time left, or the node is not reachable: nothing is paid, nothing is lost."""
    LOST_WORK = "LostWork"
    """No receipt claims it: not paid, no blame."""
    LATE_RECEIPT = "LateReceipt"
    """The receipt came after its time and is in order: paid, later."""
    GONE = "Gone"
    """The node has been away for too long: what it has not shown is void, and nobody calls it a cheat."""
    WITHHELD = "Withheld"
    """The node was there and did not show what it had to keep: as a wrong result."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Times in seconds."""

    receipt_s: int = 3_600
    """After the end of a run until its receipt is late."""
    show_s: int = 86_400
    """Reachable time within which a node shows what an audit asks for."""
    gone_s: int = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Asked:
    """What an audit asked of a node, and how the node was meanwhile."""

    at_s: int
    reachable_s: int
    """Seconds since then in which the node renewed its Lease: the hub's own observation."""


def receipt_absence(
    ended_s: int, received_s: int | None, now_s: int, patience: Patience
) -> Absence | None:
    """Return what a receipt that is late or missing means; None: it came in time."""
    late_s = ended_s + patience.receipt_s
    if received_s is not None:
        return Absence.LATE_RECEIPT if received_s > late_s else None
    return Absence.PENDING if now_s <= late_s + patience.gone_s else Absence.LOST_WORK


def proof_absence(asked: Asked, now_s: int, patience: Patience) -> Absence:
    """Return what it means that a node has not shown yet what an audit asked for."""
    if asked.reachable_s >= patience.show_s:
        return Absence.WITHHELD
    return Absence.GONE if now_s - asked.at_s > patience.gone_s else Absence.PENDING
