"""Statuses of SovereignNodes and ComputePools: only the fields that are the hub's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hansa.model.plan import Notice
from hansa.model.reasons import Reason
from hansa.model.snapshot import Site, Snapshot
from hansa.model.times import from_rfc3339, rfc3339
from hansa.placement.rules.membership import is_member
from hansa.reconcile.conditions import StatedCondition
from hansa.reconcile.hub.nodes import NodeView, disputed
from hansa.reconcile.hub.pools import ParsedPool
from hansa.reconcile.hub.status.whole_conditions import by_type, merge

MAX_SHARES = 256
HEARTBEAT_SHOWN_S = 300
"""A node that renews its Lease is shown with a renewal at most so much older; one that does not, with its last."""
SOUND, BELIEVED = "Sound", "DatasetsBelieved"


def node_status(
    node: NodeView, notices: Sequence[Notice], present: Mapping[str, Any], now_s: float
) -> dict[str, Any] | None:
    """Return the hub's fields of a node's status; None when nothing new is to be said.

    ``notices``: what the planner found wrong with it.
    """
    site, dispute = node.site, disputed(node.parsed)
    if site.unavailable is None:
        ready = _blocked(notices) or StatedCondition(
            "Ready", "True", "Ready", "The node takes work."
        )
    else:
        ready = StatedCondition("Ready", "False", site.unavailable.value, site.unavailable_message)
    if dispute:
        agreed = StatedCondition(
            "JurisdictionAgreed", "False", Reason.JURISDICTION_DISPUTED.value, dispute
        )
    else:
        agreed = StatedCondition(
            "JurisdictionAgreed", "True", "Agreed", "League and institution agree."
        )
    conditions = merge(
        present.get("conditions"),
        (ready, agreed, _sound(notices), *_disbelief(site)),
        now=rfc3339(now_s),
        generation=node.parsed.generation,
        worded=frozenset({SOUND, BELIEVED}),
    )
    if conditions == present.get("conditions") and not _is_older(present, node.heartbeat_s):
        return None
    status: dict[str, Any] = {"conditions": conditions}
    if node.heartbeat_s is not None:
        status["lastHeartbeatTime"] = rfc3339(node.heartbeat_s)
    return status


def _is_older(present: Mapping[str, Any], heartbeat_s: float | None) -> bool:
    """Tell whether the heartbeat shown is so old that a node that lives looks as if it did not."""
    shown_s = from_rfc3339(present.get("lastHeartbeatTime"))
    return heartbeat_s is not None and (
        shown_s is None or heartbeat_s - shown_s >= HEARTBEAT_SHOWN_S
    )


def pool_status(
    pool: ParsedPool,
    snapshot: Snapshot,
    notices: Sequence[Notice],
    present: Mapping[str, Any],
    now_s: float,
) -> dict[str, Any] | None:
    """Return a pool's status; None when it is what the pool shows already."""
    members = [site for site in snapshot.sites if is_member(site, pool.pool)]
    ready = [site for site in members if site.unavailable is None]
    own = [job for job in snapshot.jobs if job.pool == pool.pool.name]
    # Nothing is called for each job that waits: there may be fifty thousand, every few seconds.
    used: Counter[str] = Counter()
    for job in [job for job in own if job.holdings]:
        used[job.institution] += sum(h.workers for h in job.holdings) * job.shape.gpus
    queued = Counter([job.institution for job in own if not job.holdings])
    names = sorted({*used, *queued} - {""})[:MAX_SHARES]
    status = {
        "observedGeneration": pool.generation,
        "nodes": len(ready),
        "gpusTotal": sum(site_gpus(site) for site in ready),
        "gpusAllocated": sum(used.values()),
        "queued": sum(queued.values()),
        "shares": [
            {"institution": name, "usedGpus": used[name], "queued": queued[name]} for name in names
        ],
        "conditions": merge(
            present.get("conditions"),
            [_pool_ready(pool, len(members), len(ready), notices), _sound(notices)],
            now=rfc3339(now_s),
            generation=pool.generation,
            worded=frozenset({SOUND}),
        ),
    }
    return None if status == {name: present.get(name, []) for name in status} else status


def site_gpus(site: Site) -> int:
    """Return the GPUs a site lends."""
    total: Counter[str] = Counter()
    for group in site.machines:
        total[group.gpu_class] += group.count * group.gpus
    return sum(min(count, site.lent_gpus.get(name, count)) for name, count in total.items())


def unsound(
    status: Mapping[str, Any] | None, present: Mapping[str, Any]
) -> tuple[Reason, str] | None:
    """Return what a status to be written newly says is wrong; None when that is no news."""
    now, before = (by_type((s or {}).get("conditions")).get(SOUND, {}) for s in (status, present))
    if now.get("status") != "False" or _words(now) == _words(before):
        return None
    return Reason(now["reason"]), str(now["message"])


def _disbelief(site: Site) -> Iterator[StatedCondition]:
    """Yield what of a node's announcements the league does not believe, if there is any."""
    if site.disbelieved:
        text = "; ".join(why for _, why in sorted(site.disbelieved.items()))
        yield StatedCondition(BELIEVED, "False", Reason.DATA_ELSEWHERE.value, text)


def _sound(notices: Sequence[Notice]) -> StatedCondition:
    """Whether the planner can make sense of all of an object."""
    if not notices:
        return StatedCondition(SOUND, "True", SOUND, "The planner can use all of it.")
    gravest = min(notices, key=lambda notice: (not notice.is_total, notice.reason.gravity))
    words = dict.fromkeys([gravest.message, *(notice.message for notice in notices)])
    return StatedCondition(SOUND, "False", gravest.reason.value, "; ".join(words))


def _blocked(notices: Sequence[Notice]) -> StatedCondition | None:
    """Return that nothing can be placed in an object, where that is so."""
    total = next((notice for notice in notices if notice.is_total), None)
    message = f"Nothing can be placed there: the condition {SOUND} says why."
    return StatedCondition("Ready", "False", total.reason.value, message) if total else None


def _words(row: Mapping[str, Any]) -> tuple[object, object]:
    return row.get("reason"), row.get("message")


def _pool_ready(
    pool: ParsedPool, members: int, ready: int, notices: Sequence[Notice]
) -> StatedCondition:
    if pool.fault:
        return StatedCondition("Ready", "False", Reason.MISCONFIGURED.value, pool.fault)
    if not members:
        return StatedCondition("Ready", "False", "NoNodes", "No node matches spec.nodes.")
    if not ready:
        return StatedCondition(
            "Ready", "False", Reason.NODE_NOT_READY.value, "No node of it takes work."
        )
    return _blocked(notices) or StatedCondition("Ready", "True", "Ready", "Nodes of it take work.")
