"""How often a run is audited, so that cheating does not pay for whoever weighs money.

Cheating once saves C and, if found, costs the pay R of the run and all that is still held: U (unsettled) and B (bond).
It loses when ``p · d · (U + B + R) > C``, d being the chance that an audit finds the cheat. So p rises as what is at
stake falls: a node that has nothing to lose is always looked at, and a constant p would leave it free after each
detection. ``safety`` (κ) is the margin above the break-even; with κ = 1 cheating would be a fair bet.

The pool's floor stands for what money does not move: see docs/explanation/verification.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from hansa.verification.tickets import SPACE


@dataclass(frozen=True, slots=True)
class Sampling:
    """A pool's parameters.

    Raises:
        ValueError: a parameter outside its range, by name; nothing falls back to fewer audits.
    """

    floor: Fraction = Fraction(1, 100)
    """Least probability, 0 … 1."""
    safety: Fraction = Fraction(2)
    """κ, at least 1."""
    detection: Fraction = Fraction(95, 100)
    """d: chance that an audit finds a cheat, collusion of auditors included; above 0, at most 1."""

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= 1:
            raise ValueError(f"floor: {self.floor} is no probability; give 0 to 1")
        if self.safety < 1:
            raise ValueError(f"safety: {self.safety} makes cheating pay; give 1 or more")
        if not 0 < self.detection <= 1:
            raise ValueError(f"detection: {self.detection} is outside (0, 1]")


@dataclass(frozen=True, slots=True)
class Stake:
    """What one run is about, in the ledger's minor units.

    Raises:
        ValueError: a negative amount, by name.
    """

    cost: int
    """C: what doing the work costs, so what faking it saves."""
    payment: int
    """R: what the run is paid."""
    unsettled: int
    """U: the provider's pay that is still held back."""
    bond: int = 0
    """B."""

    def __post_init__(self) -> None:
        if min(self.cost, self.payment, self.unsettled, self.bond) < 0:
            raise ValueError(f"stake: amounts are never negative, these are: {self}")


def threshold(stake: Stake, sampling: Sampling) -> int:
    """Return ``p · 2^256``, rounded up: a run is audited when its ticket is below."""
    least = -(-sampling.floor.numerator * SPACE // sampling.floor.denominator)
    if stake.cost == 0:
        return least
    at_risk = stake.unsettled + stake.bond + stake.payment
    safety, detection = sampling.safety, sampling.detection
    above = safety.numerator * detection.denominator * stake.cost
    below = safety.denominator * detection.numerator * at_risk
    if above >= below:
        return SPACE
    return max(least, -(-above * SPACE // below))
