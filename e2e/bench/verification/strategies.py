"""How a provider may cheat. Each knows everything public: the probability of the run, what it has at stake, its cost.

Nobody knows tickets beforehand; tests/unit/verification/test_tickets.py is about that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hansa.verification.probability import Sampling, Stake, threshold
from hansa.verification.tickets import SPACE


@dataclass(frozen=True, slots=True)
class View:
    """What a provider sees before one run."""

    job: int
    since: int
    """Runs since it last had to begin anew."""
    stake: Stake
    sampling: Sampling
    mean_cost: int
    dice: float
    """Its own, in [0, 1)."""

    @property
    def probability(self) -> float:
        """Chance that the run is audited."""
        return threshold(self.stake, self.sampling) / SPACE


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to work."""

    fakes: Callable[[View], bool]
    segments: int = 1
    """It fakes one of so many segments of a run; 1: all of it."""
    keeps: bool = False
    """No auditor finds the checkpoints that it committed: all of the run is audited."""
    end: str = "Succeeded"
    """Why a run that it fakes ended, as it tells the hub."""
    hides: bool = False
    """Its receipt of a run that it fakes has no digest of the result that it told."""
    tells_late: bool = False
    """It tells the hub of the end of such a run when its receipt is taken."""
    friends: int = 0
    """So many of the ten auditors confirm whatever it claims."""


def _bursts(view: View) -> bool:
    return view.since >= 150 and view.job // 20 % 10 == 0


STRATEGIES: Mapping[str, Strategy] = {
    "honest": Strategy(lambda _: False),
    "always": Strategy(lambda _: True),
    "one_in_ten": Strategy(lambda view: view.dice < 0.1),
    "one_in_hundred": Strategy(lambda view: view.dice < 0.01),
    "after_trust": Strategy(lambda view: view.since >= 150),
    "low_probability": Strategy(lambda view: view.probability < 0.05),
    "lowest_probability": Strategy(lambda view: view.probability < 0.012),
    "little_held": Strategy(lambda view: view.stake.unsettled < 5 * view.mean_cost),
    "bursts": Strategy(_bursts),
    "dear_runs": Strategy(lambda view: view.stake.cost > 3 * view.mean_cost),
    "cheap_runs": Strategy(lambda view: view.stake.cost < view.mean_cost // 2),
    "dilution": Strategy(lambda view: view.since >= 50, segments=10),
    "keeps_checkpoints": Strategy(lambda view: view.dice < 0.1, segments=10, keeps=True),
    "hides_digest": Strategy(lambda view: view.dice < 0.1, hides=True),
    "hides_and_tells_late": Strategy(lambda view: view.dice < 0.1, hides=True, tells_late=True),
    "says_failed": Strategy(lambda _: True, end="AppFailed"),
    "says_failed_at_times": Strategy(lambda view: view.dice < 0.1, end="AppFailed"),
    "says_failed_to_a_friend": Strategy(lambda view: view.dice < 0.1, end="AppFailed", friends=1),
    "says_lost": Strategy(lambda view: view.dice < 0.1, end="MachineLost"),
    "friendly_auditor": Strategy(lambda view: view.dice < 0.1, friends=1),
    "four_friends_of_ten": Strategy(lambda view: view.dice < 0.1, friends=4),
    "four_friends_fake_all": Strategy(lambda _: True, friends=4),
}
