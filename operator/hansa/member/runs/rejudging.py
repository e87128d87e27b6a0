"""Accepted work before the policy as it is now: judged again until it is made, and when the policy changes."""

from __future__ import annotations

from dataclasses import dataclass

from hansa.grants.policy_changes import Reach, judge_again
from hansa.grants.reasons import Objection
from hansa.grants.trust import read
from hansa.member.cluster.policy import HeldPolicy
from hansa.member.context import AgentContext
from hansa.member.facts import facts_again
from hansa.member.state.run_index import Entry


@dataclass(frozen=True, slots=True)
class _Ruling:
    policy: HeldPolicy
    text: str


class Rulings:
    """What the policy has against each run. A run that is made is judged once for each policy."""

    def __init__(self, context: AgentContext) -> None:
        """``context``: shared state."""
        self._context = context
        self._of_made: dict[str, _Ruling] = {}

    def forbidden(self, entry: Entry, *, made: bool) -> str:
        """Return what the policy has against a run; empty when it may go on.

        Where the policy cannot be read nothing is made, and what to do about what runs is the guard's.
        """
        policy, known = self._context.cluster_state.policy, self._of_made.get(entry.name)
        if made and known is not None and known.policy is policy:
            return known.text
        proposal = read(entry.wire)
        if policy.spec is None or isinstance(proposal, Objection):
            return ""
        reach = Reach.RUNNING if made else Reach.ACCEPTED
        found = judge_again(proposal, policy.spec, facts_again(self._context, entry), reach)
        text = "" if found is None else f"{found.reason.value}: {found.message}"
        if made:
            self._of_made[entry.name] = _Ruling(policy, text)
        return text

    def forget(self, name: str) -> None:
        """Drop a run that is gone."""
        self._of_made.pop(name, None)
