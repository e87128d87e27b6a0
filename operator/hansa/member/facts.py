"""What the agent knows when it judges a grant, read from its context at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hansa.api.meta import EPOCH_LABEL, JOB_UID_LABEL
from hansa.grants.envelope import workload_name
from hansa.grants.epochs import EpochRecord, Outcome
from hansa.grants.facts import Bounds, Facts
from hansa.grants.shape import claimed
from hansa.member.context import AgentContext
from hansa.member.state.run_index import Entry
from hansa.receipts.outbox import behind


def facts_of(context: AgentContext, spec: Mapping[str, Any]) -> Facts:
    """Return the facts for a grant's wire ``spec``, whatever the hub wrote there."""
    uid, number = claimed(spec)
    limits, epochs = context.settings.limits, context.epochs.records
    inventory = context.cluster_state.inventory(context.run_index.held)
    return Facts(
        node=context.settings.node,
        key_id=context.signer.key_id,
        now_s=context.clock.now(),
        hub_skew_s=context.hub_skew(),
        served=context.served,
        seen=epochs.seen(uid, number),
        live_epochs=live_epochs(context, uid),
        uses=lambda said: epochs.uses(said, but=f"{uid}.{number}"),
        stock=inventory.stock,
        unusable_data=context.cluster_state.unusable_data,
        running_jobs=context.run_index.running_jobs,
        readiness=replace(
            context.cluster_state.readiness(inventory), ledger_behind=ledger_trouble(context)
        ),
        bounds=Bounds(
            clock_skew_s=limits.clock_skew_seconds,
            grant_validity_s=limits.grant_validity_seconds,
            ray_floor=limits.ray_floor,
        ),
    )


def ledger_trouble(context: AgentContext) -> str:
    """Return why the ledger keeps this member from taking new work; empty: it does not."""
    return behind(context.receipts.waiting, context.settings.limits.receipts_waiting)


def facts_again(context: AgentContext, entry: Entry) -> Facts:
    """Return the facts for work that is accepted already: what it holds itself is not in its way."""
    facts = facts_of(context, entry.wire)
    held = dict(context.run_index.held)
    if entry.gpu_class:
        held[entry.gpu_class] = max(0, held.get(entry.gpu_class, 0) - entry.gpus)
    inventory = context.cluster_state.inventory(held)
    return replace(facts, stock=inventory.stock, running_jobs=max(0, facts.running_jobs - 1))


def live_epochs(context: AgentContext, uid: str) -> tuple[int, ...]:
    """Return the epochs of a job of which something may still be here, by every sign there is."""
    live = {
        record.epoch
        for record in context.epochs.records.of(uid)
        if record.outcome is Outcome.ACCEPTED
    }
    live |= {entry.epoch for entry in context.run_index.of(uid)}
    for namespace in context.namespaces.values():
        if namespace["metadata"]["name"] in context.outlived:
            continue
        labels = namespace["metadata"].get("labels") or {}
        if labels.get(JOB_UID_LABEL) == uid and str(labels.get(EPOCH_LABEL, "")).isdecimal():
            live.add(int(labels[EPOCH_LABEL]))
    return tuple(sorted(live))


def is_live(context: AgentContext, record: EpochRecord) -> bool:
    """Tell whether a record may not be forgotten: something of it is here, or a signature it used up holds."""
    name = workload_name(record.job_uid, record.epoch)
    is_here = context.run_index.get(name) is not None or context.namespaces.get(name) is not None
    return is_here or (bool(record.authorizations) and record.keep_until_s > context.clock.now())
