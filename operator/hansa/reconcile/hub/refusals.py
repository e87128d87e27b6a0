"""Who turned a job down, and when that node is asked again: so that no job is granted in turn for ever.

A refusal, a run that came to nothing by its node's own fault and one that was given back before it
began are remembered alike, one row a node, in ``status.refusals``. Some pass by themselves: that node is
asked again, each time after twice as long. The others stand until the node's policy or the job's spec
changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hansa.grants.reasons import NODE_FAULTS, TRANSIENT, MemberReason
from hansa.model.times import from_rfc3339, rfc3339
from hansa.reconcile.hub.grant_view import GrantView

Row = Mapping[str, Any]

ASK_AGAIN_S = 60
"""After a refusal that may pass by itself, the node is asked again this much later."""
RUN_AGAIN_S = 3600
"""After a run that failed by its node's fault, the node is tried again this much later."""
LONGEST_S = 86_400
GIVEN_BACK_S = 240
"""Longest pause after a run that was given back: nobody said no, a node was cut off or without its clock."""
MOST_RUNS = 4
"""Runs of one spec that a node may bring to nothing; then it is not tried again."""
MOST_NODES = 256
REFUSALS = frozenset(reason.value for reason in MemberReason) - {MemberReason.WITHDRAWN.value}
"""Reasons of a no. Any other is that of a run that was given back, or of a grant that the hub itself
took back before its member had answered: nobody said no.
"""
MOST_WORDED = 32
"""Of so many nodes, the latest, the words are kept too."""


def row_of(grant: GrantView, now_s: float) -> dict[str, Any]:
    """Return what is remembered of a member that turned a grant down."""
    said = grant.turned_down
    return {
        "node": grant.node,
        "epoch": grant.epoch,
        "reason": said.reason if said else "Refused",
        "message": said.message if said else "",
        "policyGeneration": grant.status.policy_generation,
        "specDigest": grant.digest,
        "refusedAt": rfc3339(now_s),
    }


def remembered(rows: Iterable[Row], no: Row) -> list[dict[str, Any]]:
    """Return the rows with one more: one a node, of that spec alone, and words of the latest only."""
    known = [dict(row) for row in rows if row.get("specDigest") == no["specDigest"]]
    before = next((row for row in reversed(known) if row.get("node") == no["node"]), None)
    others = [row for row in known if row.get("node") != no["node"]][1 - MOST_NODES :]
    for row in others[: max(0, len(others) + 1 - MOST_WORDED)]:
        row.pop("message", None)
    times = 1 if before is None else _times(before) + _counts_on(before, no)
    return [*others, {**no, "times": times} if times > 1 else dict(no)]


def standing(
    rows: Iterable[Row], digest: str, generations: Mapping[str, int], now_s: float
) -> dict[str, str]:
    """Return node → words of those that are not asked now. ``generations``: of the nodes' policies."""
    return {
        str(row["node"]): str(row.get("message") or row.get("reason"))
        for row in rows
        if row.get("specDigest") == digest
        and generations.get(str(row.get("node")), 0) <= row.get("policyGeneration", 0)
        and now_s <= asked_again_s(row)
    }


def asked_again_s(row: Row) -> float:
    """Return when a node is asked again by itself; infinity for never."""
    reason, times = str(row.get("reason")), _times(row)
    if reason in NODE_FAULTS and times < MOST_RUNS:
        first_s, longest_s = RUN_AGAIN_S, LONGEST_S
    elif reason in TRANSIENT:
        first_s, longest_s = ASK_AGAIN_S, LONGEST_S
    elif reason not in REFUSALS and reason not in NODE_FAULTS:
        first_s, longest_s = ASK_AGAIN_S, GIVEN_BACK_S
    else:
        return float("inf")
    refused_s = from_rfc3339(row.get("refusedAt")) or float("inf")
    return refused_s + min(first_s * 2.0 ** min(times - 1, 16), longest_s)


def none_left_until_s(rows: Iterable[Row], digest: str) -> float:
    """Return until when nobody at all is asked, as no more rows can be kept; 0: rows are left."""
    own = [row for row in rows if row.get("specDigest") == digest]
    if len(own) < MOST_NODES:
        return 0.0
    return (from_rfc3339(own[-1].get("refusedAt")) or 0.0) + RUN_AGAIN_S


def _times(row: Row) -> int:
    return int(row.get("times", 1))


def _counts_on(before: Row, no: Row) -> bool:
    """Tell whether a node says the same sort of no again, under the same policy."""
    again = before.get("epoch") != no["epoch"]
    same_policy = before.get("policyGeneration", 0) == no["policyGeneration"]
    return (
        again and same_policy and (before["reason"] in NODE_FAULTS) == (no["reason"] in NODE_FAULTS)
    )
