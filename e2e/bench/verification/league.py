"""One provider over many audit epochs, decided by the shipped code; its auditors and its luck are simulated.

Commitments, draws, rankings, comparisons, verdicts and consequences are ``hansa.verification``'s. Simulated are: the
runs' costs, a margin of a tenth, auditors (one in a thousand of their answers is garbage), and that one fake in twenty
cannot be found by any rerun. After a failure the provider begins anew at once, as if the league forgave everything.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from e2e.bench.verification.strategies import Strategy, View
from hansa.receipts.countersign import Ending, differences_at_end
from hansa.verification import consequences, tickets, verdict
from hansa.verification.auditors import Candidate
from hansa.verification.comparison import HardwareClass, Outcome
from hansa.verification.consequences import Consequences, Unsettled
from hansa.verification.course.claims import Claim, Kind, claim
from hansa.verification.due import Account, Due, Epoch, Run, due
from hansa.verification.levels import Evidence, Level
from hansa.verification.probability import Sampling, Stake
from hansa.verification.segments import Grid, States, draw

EPOCH_JOBS = 20
HOLDBACK_JOBS = 100
MEAN_COST = 1_000
"""Minor units."""
EPOCH_S = 86_400
UNDETECTED = 0.05
BROKEN_AUDIT = 0.001
CLASS = HardwareClass("sha256:" + 64 * "0", "nvidia-l40s", 580, "bfloat16", "1x1")
TRUE = Outcome(CLASS, "sha256:" + 64 * "1")
RESULT = Claim(Kind.RESULT, TRUE.result_digest)
PROVIDER = Candidate("provider", "provider", "provider", "DE", Level.SAMPLED)
AUDITORS = tuple(
    Candidate(f"auditor-{i}", f"institution-{i}", f"group-{i}", "AT", Level.SAMPLED)
    for i in range(10)
)
FRIENDS = tuple(one.node for one in AUDITORS)
"""In the order in which a strategy wins them over."""
Decide = Callable[[Sequence[Run], Epoch, dict[str, Account], Sampling], Sequence[Due]]


def shipped(
    runs: Sequence[Run], epoch: Epoch, accounts: dict[str, Account], sampling: Sampling
) -> Sequence[Due]:
    """Return the audits that the shipped code asks for."""
    return due(runs, epoch, accounts, sampling, lambda _: AUDITORS)


@dataclass(slots=True)
class Work:
    """One run as it really was."""

    owed: Unsettled
    cost: int
    faked: float
    """Share of it that was not done."""
    is_lucky: bool
    """No rerun will find it."""
    claim: Claim = RESULT
    committed: States | None = None
    """What it committed on the way; None: nothing, or an auditor finds no state to begin with."""
    faked_segment: int = 0


@dataclass(slots=True)
class Tally:
    """What came of it all."""

    jobs: int = 0
    spent: int = 0
    paid: int = 0
    faked_credited: int = 0
    audits: int = 0
    reruns: int = 0
    failed: int = 0
    before_failure: int = 0
    """Faked and credited before the first failure: all there would be if a cheat stayed out for good."""

    @property
    def profit(self) -> float:
        """Per run, in mean costs of a run."""
        return (self.paid - self.spent) / MEAN_COST / max(1, self.jobs)


@dataclass(slots=True)
class Provider:
    """One provider with one strategy."""

    strategy: Strategy
    sampling: Sampling
    random: np.random.Generator
    decide: Decide = shipped
    held: deque[Work] = field(default_factory=deque)
    since: int = 0
    tally: Tally = field(default_factory=Tally)

    def epoch(self, number: int, costs: Sequence[int]) -> None:
        """Work for one epoch, be audited, and be paid what is settled."""
        failed = sum(one.owed.held for one in self.held if one.owed.failed)
        at_stake = Account(sum(one.owed.held for one in self.held), failed=failed)
        sealed = _seal(number, self.random)
        done = self._work(number, costs, at_stake.unsettled)
        runs = [
            Run(
                bytes.fromhex(one.owed.receipt),
                index,
                PROVIDER,
                "payer",
                one.owed.held,
                one.cost,
                failed=one.owed.failed,
            )
            for index, one in enumerate(done)
            if one.claim.kind in {Kind.RESULT, Kind.FAILURE}
        ]
        self.held.extend(one for one in done if one.claim.kind is not Kind.LOST)
        by_receipt = {one.owed.receipt: one for one in done}
        for audit in self.decide(runs, sealed, {PROVIDER.node: at_stake}, self.sampling):
            self.tally.audits += 1
            if self._loses(audit, by_receipt[audit.run.receipt.hex()]):
                break
        self._settle(HOLDBACK_JOBS)

    def _work(self, number: int, costs: Sequence[int], unsettled: int) -> list[Work]:
        done = []
        drawn = self.random.random((len(costs), 3)).tolist()
        for index, (cost, (dice, luck, spot)) in enumerate(zip(costs, drawn, strict=True)):
            payment = cost * 11 // 10
            stake = Stake(cost, payment, unsettled)
            job = number * EPOCH_JOBS + index
            view = View(job, self.since, stake, self.sampling, MEAN_COST, dice)
            receipt = hashlib.sha256(b"%d" % job).hexdigest()
            owed = Unsettled(receipt, f"{job}/1", payment)
            share = 1 / self.strategy.segments if self.strategy.fakes(view) else 0.0
            one = Work(owed, cost, share, luck < UNDETECTED)
            if 0 < share < 1:
                one.faked_segment = int(spot * self.strategy.segments)
                if not self.strategy.keeps:
                    one.committed = dict.fromkeys(range(self.strategy.segments + 1), receipt)
            if share:
                self._tell(one)
            self.tally.jobs += 1
            self.tally.spent += cost - round(cost * share)
            self.since += 1
            unsettled += payment
            done.append(one)
        return done

    def _tell(self, one: Work) -> None:
        """Have the hub and the ledger hear of the end of a run that is faked."""
        strategy, digest = self.strategy, "sha256:" + one.owed.receipt
        told = digest if strategy.end == "Succeeded" else ""
        signed = None if strategy.hides else told or None
        ending = Ending(strategy.end, told)
        if not strategy.tells_late and any(differences_at_end(strategy.end, signed, ending)):
            # What is disputed is not paid.
            one.claim = Claim(Kind.LOST)
            return
        one.claim = claim(strategy.end, signed, ending)
        one.owed = replace(one.owed, failed=one.claim.kind is Kind.FAILURE)

    def _loses(self, audit: Due, work: Work) -> bool:
        """Audit one run; tell whether the provider lost everything it had."""
        follows = self._audited(audit, work)
        gone = {receipt for receipt, _ in follows.seize} | {*follows.void}
        if not gone:
            return False
        self.tally.failed += 1
        self.held = deque(one for one in self.held if one.owed.receipt not in gone)
        self.since = 0
        return True

    def _audited(self, audit: Due, work: Work) -> Consequences:
        owed = [one.owed for one in self.held]
        claimed = self._claimed(audit, work)
        answers: list[verdict.Rerun] = []
        decision = verdict.decide(claimed, answers)
        for node in audit.auditors.nodes:
            if decision.verdict is not verdict.Verdict.OPEN:
                break
            self.tally.reruns += 1
            found = self._rerun(node, claimed, work)
            answers.append(verdict.Rerun(node, node, found))
            decision = verdict.decide(claimed, answers)
        return consequences.of_verdict(decision.verdict, work.owed, owed, EPOCH_S, Evidence.AUDIT)

    def _claimed(self, audit: Due, work: Work) -> Outcome:
        """Return what the provider claims of what is looked at: all of the run, or the segment that is drawn."""
        if work.claim.kind is Kind.FAILURE:
            return work.claim.outcome(CLASS, None)
        is_fake = bool(work.faked)
        if work.committed is not None:
            drawn = draw(Grid(self.strategy.segments, 1), work.committed, audit.ticket)
            is_fake = drawn is None or drawn.stretch.first == work.faked_segment
        return (
            Outcome(CLASS, "sha256:" + work.owed.receipt) if is_fake and not work.is_lucky else TRUE
        )

    def _rerun(self, node: str, claimed: Outcome, work: Work) -> Outcome:
        if node in FRIENDS[: self.strategy.friends]:
            return claimed
        if self.random.random() < BROKEN_AUDIT:
            return Outcome(CLASS, "sha256:" + self.random.bytes(32).hex())
        return claimed if work.is_lucky and claimed.failed else TRUE

    def _settle(self, keep: int) -> None:
        while len(self.held) > keep:
            one = self.held.popleft()
            self.tally.paid += one.owed.held
            self.tally.faked_credited += one.faked > 0
            self.tally.before_failure += one.faked > 0 and not self.tally.failed

    def close(self) -> Tally:
        """Pay out what is left."""
        self._settle(0)
        return self.tally


def _seal(number: int, random: np.random.Generator) -> Epoch:
    """Commit, close and reveal one epoch with two auditors."""
    keys = {"auditor-0": random.bytes(32), "auditor-1": random.bytes(32)}
    commitments = [
        tickets.Commitment(who, who, tickets.commit(number, who, key), number * EPOCH_S - 1)
        for who, key in keys.items()
    ]
    return Epoch(tickets.epoch_key(number, number * EPOCH_S, commitments, keys), random.bytes(32))


def simulate(
    strategy: Strategy, jobs: int, seed: int, sampling: Sampling, decide: Decide = shipped
) -> Tally:
    """Return what a strategy earns in so many runs; the runs of one seed are the same for every strategy."""
    costs = np.random.default_rng(seed).gamma(1.0, MEAN_COST, jobs).astype(int) + 1
    provider = Provider(strategy, sampling, np.random.default_rng([seed, 1]), decide)
    for number, at in enumerate(range(0, jobs, EPOCH_JOBS)):
        provider.epoch(number, costs[at : at + EPOCH_JOBS].tolist())
    return provider.close()
