"""Which runs of a closed audit epoch are audited, and by whom: a list that anybody can make again from the log.

All it reads is logged or agreed: receipts, commitments and reveals, the checkpoint that closed the epoch, what each
provider had at stake when the epoch began, and the pool's parameters. Within the epoch each run adds to what is at
stake for the next, as nothing is settled before the epoch is decided.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from hansa.verification.auditors import Candidate, Ranking, rank
from hansa.verification.probability import Sampling, Stake, threshold
from hansa.verification.tickets import SPACE, EpochKey, ticket, under_silence


@dataclass(frozen=True, slots=True)
class Run:
    """What a receipt says of one run, as far as it matters here."""

    receipt: bytes
    """32-byte digest, the leaf of the log."""
    sequence: int
    """Of the provider's chain of receipts."""
    provider: Candidate
    payer: str
    payment: int
    cost: int
    """What the work costs by the provider's tariff, in minor units; never more than the payment where unknown."""
    sampling: Sampling | None = None
    """Parameters of its pool; None: those of the epoch."""
    failed: bool = False
    """Whether it failed by its own doing: then no more is at stake than the pay of such runs."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a provider had at stake when the epoch began, in minor units."""

    unsettled: int = 0
    bond: int = 0
    failed: int = 0
    """What of ``unsettled`` is for runs that failed, as far as nobody found that they do."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What decides the draw."""

    keys: EpochKey
    checkpoint: bytes
    """Root that closed the epoch, witnessed before the first key was revealed."""


@dataclass(frozen=True, slots=True)
class Due:
    """An audit that has to be made."""

    run: Run
    ticket: int
    threshold: int
    """``p · 2^256``, the ticket being below."""
    auditors: Ranking

    @property
    def why(self) -> str:
        """The reason, for people."""
        percent = self.threshold * 10_000 // SPACE
        return f"drawn with a probability of {percent // 100}.{percent % 100:02} %"


def due(
    runs: Iterable[Run],
    epoch: Epoch,
    accounts: Mapping[str, Account],
    sampling: Sampling,
    candidates: Callable[[Run], Sequence[Candidate]],
) -> tuple[Due, ...]:
    """Return the audits of an epoch, by provider and sequence.

    ``accounts``: node → what it had at stake; a node that is not there had nothing. ``candidates``: the league's nodes,
    with what the planner's rules say of that run on each, as they were when the epoch was closed: whoever could leave
    some out after the keys are known would choose the auditors.
    """
    ordered = sorted(
        {one.receipt: one for one in runs}.values(),
        key=lambda one: (one.provider.node, one.sequence, one.receipt),
    )
    found: list[Due] = []
    for node, own in groupby(ordered, key=lambda one: one.provider.node):
        account = accounts.get(node, Account())
        for run, drawn, below in _drawn(own, epoch, account, sampling):
            ranking = rank(drawn, run.provider, run.payer, candidates(run))
            found.append(Due(run, drawn, below, ranking))
    return tuple(found)


def _drawn(
    runs: Iterable[Run], epoch: Epoch, account: Account, sampling: Sampling
) -> Iterator[tuple[Run, int, int]]:
    """Yield one provider's runs that are audited, with ticket and threshold."""
    unsettled, failed = account.unsettled, account.failed
    for run in runs:
        drawn, below = _ticket(run, epoch), SPACE
        if epoch.keys.key is not None:
            others = (failed, 0) if run.failed else (unsettled, account.bond)
            stake = Stake(run.cost, run.payment, *others)
            below = threshold(stake, run.sampling or sampling)
            below = under_silence(below, epoch.keys.missing)
        if drawn < below:
            yield run, drawn, below
        unsettled += run.payment
        failed += run.payment if run.failed else 0


def _ticket(run: Run, epoch: Epoch) -> int:
    """Return the ticket; with too few keys everything is audited, and the draw only ranks auditors."""
    if epoch.keys.key is None:
        drawn = hashlib.sha256(epoch.checkpoint + run.receipt).digest()
        return int.from_bytes(drawn, "big")
    return ticket(epoch.keys.key, run.receipt, epoch.checkpoint)
