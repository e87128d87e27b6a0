"""What the agent's probes answer, and whether it works or waits for its turn."""

from __future__ import annotations

from dataclasses import dataclass

from hansa.member.context import AgentContext
from hansa.member.hub_link.leadership import Leadership

DEAF_AFTER_S = 300.0
"""A watch this silent means the process should be restarted; bookmarks come every minute."""


@dataclass(slots=True)
class AgentStatus:
    """What the probes answer."""

    starting: str = "starting"
    context: AgentContext | None = None
    """None while another replica leads."""
    leadership: Leadership | None = None

    def ready(self) -> str:
        """Return why the agent is not ready; empty when it works, or could at once."""
        if self.context is None and self.leadership is not None:
            return self.leadership.election.trouble
        return self.starting

    @property
    def working(self) -> bool:
        """Whether this replica judges and reports."""
        return self.context is not None and not self.starting

    def healthy(self) -> str:
        """Return why the agent should be restarted; the hub's absence is no such reason."""
        if self.context is None or self.starting:
            return ""
        age_s = self.context.namespaces.last_event_age_s
        return f"own cluster silent for {age_s:.0f} s" if age_s > DEAF_AFTER_S else ""
