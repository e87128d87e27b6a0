"""Why a receipt is not taken: one reason and one sentence each. The strings are API."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Problem(StrEnum):
    """What is wrong with a receipt, gravest first."""

    # The envelope and what is in it.
    MALFORMED = "Malformed"
    BAD_AMOUNT = "BadAmount"
    UNKNOWN_KEY = "UnknownKey"
    BAD_SIGNATURE = "BadSignature"
    OTHER_KEY = "OtherKey"
    # Its place in the chain of its node.
    TWO_VERSIONS = "TwoVersions"
    REPLAY = "Replay"
    SEQUENCE_GAP = "SequenceGap"
    BROKEN_CHAIN = "BrokenChain"
    # Its place in its run.
    NEVER_GRANTED = "NeverGranted"
    RUN_OVER = "RunOver"
    TIME_GAP = "TimeGap"
    OVERLAP = "Overlap"
    OTHER_WORK = "OtherWork"
    LATER_PRICE = "LaterPrice"
    # What cannot be.
    CLOCK_JUMP = "ClockJump"
    GPU_SOLD_TWICE = "GpuSoldTwice"
    # What the books have room for.
    TOO_MANY_DISPUTED = "TooManyDisputed"

    @property
    def sentence(self) -> str:
        """What that means, for a person."""
        return _SENTENCES[self]

    @property
    def keeps_place(self) -> bool:
        """Whether the receipt stands in its chain all the same: it is disputed, those behind it are not."""
        return self in _DISPUTED


_DISPUTED = frozenset(
    (
        *("BadAmount", "NeverGranted", "RunOver", "TimeGap", "Overlap", "OtherWork", "LaterPrice"),
        *("ClockJump", "GpuSoldTwice"),
    )
)
_SENTENCES = {
    Problem.MALFORMED: "It cannot be read as a receipt.",
    Problem.BAD_AMOUNT: "An amount in it is negative, or more than its time and its GPUs allow.",
    Problem.UNKNOWN_KEY: "A key signed it that is not known here.",
    Problem.BAD_SIGNATURE: "A signature does not cover it; it was changed.",
    Problem.OTHER_KEY: "It is not signed by the key of the node that it speaks for.",
    Problem.TWO_VERSIONS: "The node signed two different receipts for this place in its chain.",
    Problem.REPLAY: "It was taken before.",
    Problem.SEQUENCE_GAP: "Receipts before it are missing.",
    Problem.BROKEN_CHAIN: "It does not follow the receipt before it.",
    Problem.NEVER_GRANTED: "The node was never granted this run.",
    Problem.RUN_OVER: "The last receipt of its run was taken already.",
    Problem.TIME_GAP: "It leaves a part of its run's time out.",
    Problem.OVERLAP: "It covers time of its run that was covered before.",
    Problem.OTHER_WORK: "It describes its run otherwise than the receipts before it.",
    Problem.LATER_PRICE: "Its price is not the one that was valid when the run began.",
    Problem.CLOCK_JUMP: "Its times cannot be: they lie ahead, or go back.",
    Problem.GPU_SOLD_TWICE: "A GPU in it served another run in the same second.",
    Problem.TOO_MANY_DISPUTED: "So many of its node's receipts are disputed that it waits for a day.",
}


@dataclass(frozen=True, slots=True)
class Objection:
    """Why one receipt is not taken, with what was seen."""

    problem: Problem
    seen: str = ""

    @property
    def message(self) -> str:
        """The sentence for a person."""
        return f"{self.problem.sentence} {self.seen}".strip()
