"""What a run is in: how long without the hub, for how long its namespace has been going."""

from __future__ import annotations

from hansa.errors import NotFound, NotYet, Retryable
from hansa.member.context import AgentContext
from hansa.member.runs.pods import machines
from hansa.member.state.run_index import Entry
from hansa.process.workqueue import LONGEST_RETRY_S
from hansa.reconcile.member.contracts.time_limits import held_up_limit_s
from hansa.reconcile.member.inventory.lost_machines import machines_of
from hansa.reconcile.member.lifecycle import Phase, Situation, phase_of

LONGEST_GAP_S = 3 * LONGEST_RETRY_S
"""Between two tries of what is tried all the time."""


def situation_of(context: AgentContext, name: str) -> Situation:
    """Return what a run is in."""
    entry, steady_s = context.run_index.get(name), context.clock.monotonic()
    silent_s = 0.0
    if entry is not None:
        granted_s = context.contract(entry).granted_s
        silent_s = context.contact.unattended_s(granted_s, entry.taken)
    if entry is not None and context.grants.synced and context.grant_of(entry) is None:
        context.orphaned.setdefault(name, steady_s)
    if phase_of(context.namespaces.get(name)) == "Terminating":
        context.held_up.setdefault(name, steady_s)
    else:
        context.held_up.pop(name, None)
    return Situation(
        now_s=context.clock.now(),
        unattended_s=max(silent_s, steady_s - context.orphaned.get(name, steady_s)),
        stopped=context.cluster_state.policy.stopped,
        held_up_s=steady_s - context.held_up.get(name, steady_s),
    )


def is_late(context: AgentContext, entry: Entry, error: Retryable) -> bool:
    """Tell whether a run's objects could not be made for as long as a start may take: it holds its room meanwhile.

    The time begins anew after another's turn, after a while in which nothing was tried, and once it is over: where
    the end cannot be written either, nobody answers at all. For a run before it, it waits as long as that may take
    to be over.
    """
    steady_s, is_turn = context.clock.monotonic(), isinstance(error, NotYet)
    first = steady_s, steady_s, is_turn
    since_s, tried_s, was_turn = context.unmade.pop(entry.name, first)
    if steady_s - tried_s > LONGEST_GAP_S or is_turn is not was_turn:
        since_s = steady_s
    contract = context.contract(entry)
    limit_s = contract.start_limit_s + (held_up_limit_s(contract) if is_turn else 0)
    if steady_s - since_s > limit_s:
        return True
    context.unmade[entry.name] = since_s, steady_s, is_turn
    return False


async def lives(context: AgentContext, name: str, namespace: Phase) -> bool:
    """Tell whether anything of a run may still be at work, by asking the API server itself.

    Of a namespace that was seen to go, whether a pod in it stands on a machine that is not lost.
    """
    if await phase_at_server(context, name) == "Absent":
        return False
    if namespace != "Terminating":
        return True
    held = machines_of((await context.own.list(f"/api/v1/namespaces/{name}/pods")).items)
    return bool(held - await machines.away(context, held & context.lost_machines()))


async def phase_at_server(context: AgentContext, name: str) -> Phase:
    """Return the phase of a run's namespace, by asking the API server itself."""
    try:
        return phase_of(await context.own.get(f"/api/v1/namespaces/{name}"))
    except NotFound:
        return "Absent"
