"""What a scrape of the member sees, read from the context at that moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hansa.member.context import AgentContext
from hansa.member.publisher import Publisher
from hansa.observability.views import MemberReading


class ScrapeView:
    """The member's numbers."""

    def __init__(
        self,
        context: AgentContext,
        publisher: Publisher,
        token_end_s: Callable[[], float | None],
    ) -> None:
        """``publisher`` holds the present health."""
        self._context = context
        self._publisher = publisher
        self._token_end_s = token_end_s

    def reading(self) -> MemberReading:
        """Return the present values."""
        context = self._context
        inventory = context.cluster_state.inventory(context.run_index.held)
        policy, end_s, skew = (
            context.cluster_state.policy.spec,
            self._token_end_s(),
            context.hub_skew(),
        )
        machines = context.cluster_state.machines.values()
        reflectors = {
            "workgrants": context.grants,
            **{one.workload.resource.plural: one.objects for one in context.watched},
            "namespaces": context.namespaces,
        }
        return MemberReading(
            jobs=self._states(),
            gpus={name: gpus.lent for name, gpus in inventory.stock.items()},
            gpus_held=context.run_index.held,
            machine_gpus={machine.name: machine.nvidia_cards for machine in machines},
            offered_gpus={machine.name: machine.nvidia_offered for machine in machines},
            watch_event_age_s={name: r.last_event_age_s for name, r in reflectors.items()},
            conditions={
                said.type: said.status == "True" for said in self._publisher.health.conditions()
            },
            switch=policy.switch if policy is not None else "Paused",
            hub_contact_age_s=None if context.contact.last_s is None else context.contact.age_s,
            token_remaining_s=None if end_s is None else end_s - context.clock.now(),
            clock_skew_s=None if skew is None else -skew,
            queue_keys=len(context.runs),
            events={str(name): count for name, count in context.recorder.outcomes.items()},
        )

    def _states(self) -> dict[str, int]:
        states: Counter[str] = Counter()
        for grant in self._context.grants.values():
            held = (grant.get("status") or {}).get("conditions") or ()
            true = {c.get("type") for c in held if c.get("status") == "True"}
            order = ("Released", "Failed", "Succeeded", "Running", "Accepted")
            states[next((kind for kind in order if kind in true), "Pending")] += 1
        return dict(states)
