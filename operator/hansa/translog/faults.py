"""Why something of a log was not believed. The strings are API: users, metrics and tests read them."""

from __future__ import annotations

from enum import StrEnum

from hansa.errors import Terminal


class Fault(StrEnum):
    """What is wrong with a note, a proof, a policy or a request to cosign."""

    MALFORMED = "Malformed"
    """It is not in the one spelling that its specification allows."""
    UNKNOWN_LOG = "UnknownLog"
    """No configured log has this origin."""
    UNSIGNED = "Unsigned"
    """No trusted key signed it."""
    BAD_SIGNATURE = "BadSignature"
    """A line names a trusted key, and the key did not sign this."""
    BAD_PROOF = "BadProof"
    """The hashes do not lead to the root."""
    SPLIT_VIEW = "SplitView"
    """The log signed two roots for one size: both notes together convict it."""
    BACK_DATED = "BackDated"
    """It is older than what was seen, or than the time that is asked for."""
    FROM_THE_FUTURE = "FromTheFuture"
    """Its time has not come yet."""
    UNTIMED = "Untimed"
    """A cosignature without a time says nothing of what was the newest."""
    NO_QUORUM = "NoQuorum"
    """Too few witnesses cosigned."""
    NO_MEMORY = "NoMemory"
    """This witness knows nothing of the log: nobody enrolled it, or it has lost its memory."""
    FORGOTTEN = "Forgotten"
    """The witness meets a later signature of its own: its memory was turned back."""
    CLOCK_WENT_BACK = "ClockWentBack"
    """The witness's clock stands before the time of its last cosignature."""
    OLD_SIZE = "OldSize"
    """The proof begins at another size than the one remembered."""
    FULL = "Full"
    """No more is taken before what was taken is published."""
    TURNED_BACK = "TurnedBack"
    """The log's files are older than what was published: to go on would fork the log."""


def refused(fault: Fault, message: str) -> Terminal:
    """Return the error to raise: trying the same again cannot help."""
    return Terminal(message, reason=fault)
