"""What follows from a verdict, as data for the ledger, the node's level and the owners of the affected runs.

What is seized goes to the kitty, never to the accuser or the payer: nobody may earn by work that cannot be verified
(the rule of iExec's scheduler stake). A work that was lost costs its own pay, and nothing else; where its member said
that the job failed and others got through, also the pay of the other runs of which it says that and nobody looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hansa.verification.levels import Evidence, Shown
from hansa.verification.probe.verifier import Judgement, Refusal
from hansa.verification.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Unsettled:
    """One receipt of a node that is not settled yet."""

    receipt: str
    """Digest of the receipt, which is also the ledger's idempotency key."""
    run: str
    """``jobUid/epoch``."""
    held: int
    """Minor units in holdback, earned but not paid out."""
    pending: bool = False
    """Charged and not posted: it can still be given back to whoever was charged."""
    failed: bool = False
    """Whether its run failed by its own doing, as its member says and nobody has found."""


@dataclass(frozen=True, slots=True)
class Consequences:
    """Everything that has to be done, idempotent by the receipts' digests."""

    seize: tuple[tuple[str, int], ...] = ()
    """Receipt → minor units, from the provider's holdback to the kitty."""
    void: tuple[str, ...] = ()
    """Receipts whose pay goes back to whoever was charged, as it was not due yet."""
    pledges: tuple[str, ...] = ()
    """What the provider's institution has pledged, to the kitty."""
    release: tuple[str, ...] = ()
    """Receipts that may be settled when their time has come."""
    evidence: tuple[Shown, ...] = ()
    """What the node's level is made of from now on."""
    doubtful: tuple[str, ...] = ()
    """Runs whose results nobody should rely on, sorted: their jobs' owners are told."""


def of_verdict(
    verdict: Verdict,
    audited: Unsettled,
    unsettled: Sequence[Unsettled],
    now_s: int,
    kind: Evidence,
    *,
    pledges: Iterable[str] = (),
) -> Consequences:
    """Return what follows for a node from an audit of ``audited``.

    ``unsettled``: all of the node's receipts that are not settled, the audited one included. ``kind``: what a pass
    shows, by who ran it; ``pledges``: what its institution has pledged. An audit that is open or inconclusive has no consequences.
    """
    if verdict is Verdict.PASSED:
        return Consequences(release=(audited.receipt,), evidence=(Shown(kind, now_s),))
    if verdict is Verdict.LOST:
        return Consequences(void=_lost(audited, unsettled))
    if verdict is not Verdict.FAILED:
        return Consequences()
    every = {one.receipt: one for one in (*unsettled, audited)}
    return Consequences(
        seize=tuple(
            sorted(
                (one.receipt, one.held)
                for one in every.values()
                if one.held > 0 and not one.pending
            )
        ),
        void=tuple(sorted(one.receipt for one in every.values() if one.pending)),
        pledges=tuple(sorted(pledges)),
        evidence=(Shown(kind, now_s, passed=False),),
        doubtful=tuple(sorted({one.run for one in every.values()})),
    )


def _lost(audited: Unsettled, unsettled: Sequence[Unsettled]) -> tuple[str, ...]:
    """Return the receipts of a run whose work was lost; one that only seemed to fail stands for all that did."""
    both = (*unsettled, audited)
    is_failed = any(one.failed for one in both if one.run == audited.run)
    lost = {one.receipt for one in both if one.run == audited.run or (is_failed and one.failed)}
    return tuple(sorted(lost))


def of_probe(judgement: Judgement, now_s: int) -> Consequences:
    """Return what follows from a capacity probe.

    A wrong product counts against the node. An answer that is slow or cannot be read does not: it may be the network,
    or an agent of another version, and the node has merely not shown its capacity.
    """
    if judgement.refusal in {Refusal.NOT_COMMITTED, Refusal.WRONG_PRODUCT}:
        return Consequences(evidence=(Shown(Evidence.PROBE, now_s, passed=False),))
    if judgement.refusal is not None:
        return Consequences()
    return Consequences(evidence=(Shown(Evidence.PROBE, now_s),))
